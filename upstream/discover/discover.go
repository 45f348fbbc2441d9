package discover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"melon/upstream"
	"melon/upstream/dial"
)

// Timeout is how long a whole discovery takes at most, unless Options say
// otherwise.
const Timeout = 8 * time.Second

// Source is where a Candidate is known from.
type Source string

// The sources, the most trustworthy first.
const (
	SourcePreset     Source = "preset"
	SourceAutoconfig Source = "autoconfig"
	SourceMX         Source = "mx"
	SourceISPDB      Source = "ispdb"
	SourceSRV        Source = "srv"
	SourceGuess      Source = "guess"
)

// Login is a way to prove who is sending.
type Login string

// The ways in.
const (
	LoginPassword    Login = "password"
	LoginAppPassword Login = "app-password" // a password made on the provider's page for one program
	LoginOAuth       Login = "oauth"        // OAuth 2.0 in the browser
	LoginPOP         Login = "pop"          // POP before SMTP
	LoginNone        Login = "none"         // by the client's address alone
)

// Candidate is one way to set up the account.
type Candidate struct {
	Source Source
	// Where says where exactly, for people: a URL, a record, a row of the table.
	Where    string
	Provider string // the provider's name for itself, or ""
	// SMTP has the port that the source names. Its Host is "" for a provider
	// that has no SMTP at all; Note says so then.
	SMTP     upstream.Server
	POP      upstream.Server // Host "" when there is none
	Username string          // for both, the placeholders filled in; "" when the person has to say
	Logins   []Login         // in the source's order; empty when the source does not say
	OAuth    upstream.OAuth  // for LoginOAuth; without a client id
	Note     string          // what to do at the provider first
	// Foreign names servers outside of the address's domain that only an
	// unprotected source knows: ask the person before a secret goes there.
	Foreign []string
}

// Has reports whether l is among the candidate's ways in.
func (c Candidate) Has(l Login) bool {
	for _, have := range c.Logins {
		if have == l {
			return true
		}
	}
	return false
}

// Resolver looks up what the DNS knows of a domain; *net.Resolver is one.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

// Dialer connects to guessed servers; *dial.Dialer is one.
type Dialer interface {
	Dial(ctx context.Context, t dial.Target) (*dial.Conn, error)
}

// Options are what Discover works with. The zero value asks the real world, but
// not Thunderbird's database.
type Options struct {
	Resolver   Resolver          // nil: the system's
	Transport  http.RoundTripper // nil: a verifying one without cookies or proxies of its own
	Dialer     Dialer            // nil: a zero dial.Dialer
	Trust      upstream.Trust    // for guessed servers
	AllowISPDB bool              // may tell Thunderbird's database the domain
	Timeout    time.Duration     // 0 means Timeout
}

// ErrAddress says that the text is no mail address.
var ErrAddress = errors.New("not a mail address")

// ErrNothing says that no source knows a server for the address.
var ErrNothing = errors.New("no servers were found")

// address is a mail address taken apart. domain is in ASCII and lower case.
type address struct{ full, local, domain string }

func parse(s string) (address, error) {
	i := strings.LastIndexByte(s, '@')
	if i < 1 || len(s) > 254 || s != upstream.CleanLine(s) || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("<>\"(),;:\\", r) }) {
		return address{}, fmt.Errorf("%w: write NAME@DOMAIN", ErrAddress)
	}
	domain, err := idna.Lookup.ToASCII(strings.TrimSuffix(s[i+1:], "."))
	if err != nil || !validHost(domain) || !strings.Contains(domain, ".") {
		return address{}, fmt.Errorf("%w: its domain cannot exist", ErrAddress)
	}
	return address{full: s, local: s[:i], domain: strings.ToLower(domain)}, nil
}

// Discover returns every candidate that was found in time, best first. It ends
// as soon as the best source that answers is known. The error is ErrAddress,
// ErrNothing or ctx's.
func Discover(ctx context.Context, o Options, addr string) ([]Candidate, error) {
	a, err := parse(addr)
	if err != nil {
		return nil, err
	}
	table := Providers()
	if p, ok := byDomain(table, a.domain); ok {
		return []Candidate{p.candidate(a, SourcePreset)}, nil
	}
	if o.Timeout <= 0 {
		o.Timeout = Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	found := newSearch(o, a, table).run(ctx)
	if len(found) > 0 {
		return found, nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil, ctx.Err()
	}
	return nil, ErrNothing
}

// search is one discovery under way.
type search struct {
	o     Options
	a     address
	table []Provider
	http  *http.Client
	mx    *mxLookup
}

func newSearch(o Options, a address, table []Provider) *search {
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Dialer == nil {
		o.Dialer = &dial.Dialer{}
	}
	s := &search{o: o, a: a, table: table, http: newHTTPClient(o.Transport)}
	s.mx = &mxLookup{resolver: o.Resolver, domain: a.domain, done: make(chan struct{})}
	return s
}

// run asks every source side by side. A source that answers makes those after
// it needless: they are cut, but what they have found already is kept.
func (s *search) run(ctx context.Context) (found []Candidate) {
	ctx, cancel := context.WithCancel(ctx)
	sources := []func(context.Context) []Candidate{
		s.autoconfig, s.hosted, s.ispdb, s.autoconfigPlain, s.srv, s.guess, s.hostedAutoconfig,
	}
	results := make([]chan []Candidate, len(sources))
	for i, ask := range sources {
		results[i] = make(chan []Candidate, 1)
		go func() { results[i] <- ask(ctx) }()
	}
	go s.mx.run(ctx)
	for _, r := range results {
		if found = append(found, <-r...); len(found) > 0 {
			cancel() // every source returns soon after; the rest of the loop waits for it
		}
	}
	cancel()
	<-s.mx.done
	return found
}

// within reports whether host is domain or below it.
func within(host, domain string) bool {
	host, domain = strings.ToLower(host), strings.ToLower(domain)
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// markForeign fills in Foreign for a source that the network of the moment
// could have forged.
func (s *search) markForeign(c Candidate) Candidate {
	own := organisation(s.a.domain)
	for _, h := range []string{c.SMTP.Host, c.POP.Host, webHost(c.OAuth.AuthURL), webHost(c.OAuth.TokenURL)} {
		if h != "" && !within(h, own) && !known(s.table, h) && !slices.Contains(c.Foreign, h) {
			c.Foreign = append(c.Foreign, h)
		}
	}
	return c
}

// validHost reports whether a server can have this name: a DNS name of letters,
// digits, "-" and "_", or an IP literal. A source that names anything else lies.
func validHost(h string) bool {
	if len(h) == 0 || len(h) > 253 {
		return false
	}
	if net.ParseIP(h) != nil {
		return true
	}
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
				return false
			}
		}
	}
	return true
}
