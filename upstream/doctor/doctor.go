package doctor

import (
	"context"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/network"
	"melon/upstream/pop"
	"melon/upstream/reply"
)

// Limit bounds a whole Run.
const Limit = 20 * time.Second

// The stages of a Run end this long after its beginning, so that the later ones
// have time of their own.
const (
	namesEnd = 5 * time.Second
	portsEnd = 11 * time.Second
	runEnd   = 18 * time.Second // the rest is for farewells
)

// Status is how a check went.
type Status string

// The values of Check.Status.
const (
	StatusOK   Status = "ok"
	StatusWarn Status = "warn" // noteworthy, or a fault that alone keeps no mail back
	StatusFail Status = "fail"
	StatusSkip Status = "skip" // not done, and Detail says why
)

// Check is one thing that was looked at.
type Check struct {
	Name   string `json:"name"` // "network", "smtp-587", "relay": the same in every language
	Status Status `json:"status"`
	Detail string `json:"detail"` // for people; what a server said is cleaned and bounded
	MS     int64  `json:"ms"`     // how long it took
}

// Report is what was found out about one account.
type Report struct {
	Account string         `json:"account"` // "" when only the network was looked at
	Verdict upstream.Class `json:"verdict"`
	Summary string         `json:"summary"` // one sentence
	Advice  []string       `json:"advice"`  // most likely help first, the last resort last
	Checks  []Check        `json:"checks"`
}

// Secrets finds a password where its reference says it is; *auth.Secrets is one.
type Secrets interface {
	Get(ctx context.Context, ref upstream.SecretRef) (string, error)
}

// Tokens hands out OAuth 2.0 access tokens; *auth.OAuth is one.
type Tokens interface {
	Token(ctx context.Context, a upstream.Account) (string, error)
}

// Options say whom to examine and with what. Account and Secrets must be set, but
// for a look at the network alone: that is a Run for an Account without a name
// of an SMTP server.
type Options struct {
	Account upstream.Account
	Secrets Secrets
	Tokens  Tokens // nil when no account signs in with OAuth
	// Dialer holds the resolver, the way to connect and the roots to use; nil is
	// the zero Dialer. Its functions must return when their context ends.
	Dialer  *dial.Dialer
	Machine Machine
	Now     func() time.Time // wall clock; nil: the Dialer's, else time.Now
	Probe   Probe
	// Outside is the recipient of the trial envelope, at somebody else's domain;
	// "" is DefaultOutside. Nothing is ever sent to it.
	Outside string
	// Attention is the refusal that the account waits on, or nil. After a refused
	// password no login is made with it, unless Force is set.
	Attention *upstream.Error
	Force     bool
	Known     Known
	Lang      string      // "en" or "ja"
	Progress  func(Check) // hears of each check as it is done, one at a time; may be nil
}

// DefaultOutside is the recipient of the trial envelope: a domain reserved for
// examples (RFC 2606) that takes no mail.
const DefaultOutside = "postmaster@example.com"

// Known is what earlier sendings found out about the account's servers.
type Known struct {
	SMTPTLS bool // the SMTP server was encrypted once
	POPTLS  bool // and the POP server
}

// Probe is the HTTP request that finds captive portals.
type Probe struct {
	URL string // "" is DefaultProbe, "off" asks nobody
	// Body is the answer that there is without a portal, blanks at its ends
	// aside. With "" the usual answers of such services are known, and any other
	// address may answer 204, or 200 with anything but a web page.
	Body string
}

// The probe that is made unless another is given.
const (
	DefaultProbe     = "http://detectportal.firefox.com/success.txt"
	defaultProbeBody = "success"
)

// Machine is what this computer knows about itself. The zero value asks the
// system.
type Machine struct {
	Network func() (network.State, error)                   // nil: network.Current
	Route   func(to netip.Addr) (Way, error)                // nil: the system's choice
	Files   fs.FS                                           // the file system, for what DHCP clients keep; nil: "/"
	Reverse func(context.Context, string) ([]string, error) // names of an address; nil: the Resolver's, if it can
	Name    string                                          // host name; "": the system's
}

// Way is how packets towards an address leave this machine.
type Way struct {
	Interface string
	Local     netip.Addr
	Tunnel    bool // the interface is a VPN's
}

// examination is one Run: the options, and what was found out so far. Each stage
// writes findings of its own and reads those of the stages before it.
type examination struct {
	o       Options
	began   time.Time
	names   *names
	mu      sync.Mutex // guards checks, dates and the calls of Progress
	checks  []Check
	dates   []dated
	network networkFinding
	portal  portalFinding
	dns     dnsFinding
	ways    wayFinding
	smtp    portFinding
	pop     portFinding
	login   loginFinding
	clock   clockFinding
}

// Run examines one account and returns within Limit, sooner when ctx ends.
func Run(ctx context.Context, o Options) Report {
	x := newExamination(o)
	ctx, cancel := context.WithDeadline(ctx, x.began.Add(runEnd))
	defer cancel()
	x.lookAtNetwork()
	var wg sync.WaitGroup
	wg.Go(func() { x.lookForPortal(ctx) })
	if x.o.Account.SMTP.Host != "" {
		wg.Go(func() { x.lookUp(ctx) })
	}
	wg.Wait()
	x.judgeClock()
	return x.report()
}

// newExamination fills in the defaults.
func newExamination(o Options) *examination {
	if o.Dialer == nil {
		o.Dialer = &dial.Dialer{}
	}
	if o.Now == nil {
		o.Now = o.Dialer.Now
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Outside == "" {
		o.Outside = DefaultOutside
	}
	x := &examination{o: o, began: time.Now()}
	x.o.Machine = o.Machine.withDefaults()
	x.names = newNames(o.Dialer.Resolver)
	return x
}

// until returns a context for a stage that ends d after the beginning of the Run.
func (x *examination) until(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithDeadline(ctx, x.began.Add(d))
}

// note adds a check that began at start.
func (x *examination) note(name string, s Status, start time.Time, detail string) {
	c := Check{Name: name, Status: s, Detail: upstream.CleanLine(detail), MS: time.Since(start).Milliseconds()}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.checks = append(x.checks, c)
	if x.o.Progress != nil {
		x.o.Progress(c)
	}
}

// report puts the findings together.
func (x *examination) report() Report {
	class := x.verdict()
	r := Report{
		Account: x.o.Account.Name, Verdict: class,
		Summary: reply.Explain(class, x.o.Lang).Summary,
		Advice:  x.advice(class), Checks: x.checks,
	}
	if class == upstream.ClassOK && x.o.Account.SMTP.Host == "" {
		r.Summary = x.say(sayNoAccountUnsure)
		if x.portal.answered {
			r.Summary = x.say(sayNoAccount)
		}
	}
	slices.SortStableFunc(r.Checks, func(a, b Check) int { return rank(a.Name) - rank(b.Name) })
	return r
}

// The names of the checks, in the order of the report. Those of the ports are
// followed by a number: "smtp-587".
const (
	checkNetwork     = "network"
	checkPortal      = "portal"
	checkOption      = "portal-option"
	checkDNSSMTP     = "dns-smtp"
	checkDNSPOP      = "dns-pop"
	checkDNSHonest   = "dns-honest"
	checkClock       = "clock"
	checkVPN         = "vpn"
	checkPOPPort     = "pop-"
	checkSMTPPort    = "smtp-"
	checkIdentity    = "identity"
	checkStartTLS    = "starttls"
	checkCertificate = "certificate"
	checkPOPLogin    = "login-pop"
	checkSMTPLogin   = "login-smtp"
	checkAddress     = "same-address"
	checkRelay       = "relay"
)

// rank is the place of a check in the report.
func rank(name string) int {
	order := []string{
		checkNetwork, checkPortal, checkOption, checkDNSSMTP, checkDNSPOP, checkDNSHonest, checkClock, checkVPN,
		checkPOPPort, checkSMTPPort, checkIdentity, checkStartTLS, checkCertificate,
		checkPOPLogin, checkSMTPLogin, checkAddress, checkRelay,
	}
	for i, n := range order {
		if n == name || n[len(n)-1] == '-' && len(name) > len(n) && name[:len(n)] == n {
			return i
		}
	}
	return len(order)
}

// popKnown is what package pop demands of the server.
func (x *examination) popKnown() *pop.Capabilities {
	if !x.o.Known.POPTLS {
		return nil
	}
	return &pop.Capabilities{TLS: true} // of no port, so that nothing else is taken for known
}
