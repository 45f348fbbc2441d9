package discover

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/lab"
)

// dns is a DNS that knows what a test says.
type dns struct {
	mx  string
	srv map[string]net.SRV // by service
	ip  map[string]bool    // hosts that are there, all of them on loopback
}

func (d dns) LookupMX(context.Context, string) ([]*net.MX, error) {
	if d.mx == "" {
		return nil, &net.DNSError{IsNotFound: true}
	}
	return []*net.MX{{Host: d.mx, Pref: 10}}, nil
}

func (d dns) LookupSRV(_ context.Context, service, _, name string) (string, []*net.SRV, error) {
	r, ok := d.srv[service]
	if !ok || name != "provider-a.example" {
		return "", nil, &net.DNSError{IsNotFound: true}
	}
	return "", []*net.SRV{&r}, nil
}

func (d dns) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	if !d.ip[host] || network == "ip6" {
		return nil, &net.DNSError{Name: host, IsNotFound: true}
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// world is everything that a discovery meets, without a network.
type world struct {
	dns      dns
	provider *lab.Provider
	web      *lab.Autoconfig
	serve    http.HandlerFunc // nil: nothing is there
	ispdb    bool
	shut     string // a port that nobody listens on
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{provider: lab.Run(t, lab.Options{})}
	var err error
	if w.web, err = w.provider.StartAutoconfig(""); err != nil {
		t.Fatal(err)
	}
	w.web.SetHandler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.serve == nil {
			http.NotFound(rw, r)
			return
		}
		w.serve(rw, r)
	}))
	return w
}

func (w *world) options() Options {
	ports := map[string]string{"465": w.provider.SMTPSAddr(), "587": w.provider.SMTPAddr(), "995": w.provider.POPSAddr()}
	return Options{
		Resolver: w.dns,
		Transport: &http.Transport{
			DialContext: w.web.DialContext, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{RootCAs: w.provider.CertPool(), ServerName: "provider-a.example"},
		},
		Dialer: &dial.Dialer{
			Resolver: w.dns, RootCAs: w.provider.CertPool(),
			DialContext: func(ctx context.Context, network, _, addr string) (net.Conn, error) {
				_, port, _ := net.SplitHostPort(addr)
				if port == w.shut {
					return nil, errors.New("refused")
				}
				var d net.Dialer
				return d.DialContext(ctx, network, ports[port])
			},
		},
		AllowISPDB: w.ispdb,
	}
}

func (w *world) discover(t *testing.T, address string) []Candidate {
	t.Helper()
	found, err := Discover(t.Context(), w.options(), address)
	if err != nil {
		t.Fatalf("%v; asked %v", err, w.web.Requests())
	}
	return found
}

// at serves body at URLs that begin with scheme and hold part; everything else
// is not found.
func at(scheme, part, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if (r.TLS != nil) != (scheme == "https") || !strings.Contains(r.Host+r.URL.Path, part) {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, body)
	}
}

const address1 = "taro@provider-a.example"

// TestLabConfig finds the provider in a box by its own file, POP before SMTP
// included.
func TestLabConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		rules lab.Rules
		want  []Login
	}{
		{"password", lab.Rules{}, []Login{LoginPassword}},
		{"POP before SMTP", lab.Rules{PBS: lab.PBS{Window: time.Minute}}, []Login{LoginPOP}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.provider.SetRules(c.rules)
			acc := w.provider.Account("home")
			w.serve = at("https", "autoconfig.provider-a.example/mail/config-v1.1.xml", w.provider.ConfigXML(acc))
			got := w.discover(t, address1)[0]
			want := Candidate{
				Source: SourceAutoconfig, Where: "https://autoconfig.provider-a.example/mail/config-v1.1.xml", Provider: "Provider A",
				SMTP: acc.SMTP, POP: acc.POP.Server, Username: "taro", Logins: c.want,
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			for _, r := range w.web.Requests() {
				if strings.HasPrefix(r, "http://") && strings.Contains(r, "taro") {
					t.Errorf("the address was sent in clear: %s", r)
				}
			}
		})
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	file := func(host string) string {
		return head + server("incoming", "pop3", host, "995", "SSL", "%EMAILADDRESS%", "password-cleartext") +
			server("outgoing", "smtp", host, "465", "SSL", "%EMAILADDRESS%", "password-cleartext") + tail
	}
	srv := map[string]net.SRV{
		"submissions": {Target: "out.provider-a.example.", Port: 465}, "submission": {Target: "old.provider-a.example.", Port: 587},
		"pop3s": {Target: ".", Port: 0}, "pop3": {Target: "pop.provider-a.example.", Port: 110},
	}
	for _, c := range []struct {
		name   string
		set    func(w *world)
		source Source
		smtp   string // host:port security
		pop    string
		where  string // a part of it
		alien  bool
	}{
		{"the second well-known place", func(w *world) {
			w.serve = at("https", "provider-a.example/.well-known/autoconfig/mail/config-v1.1.xml", file("m.elsewhere.example"))
		}, SourceAutoconfig, "m.elsewhere.example:465 tls", "m.elsewhere.example:995 tls", "https://provider-a.example/.well-known", false},
		{"HTTP, own server", func(w *world) { w.serve = at("http", "autoconfig.", file("m.provider-a.example")) },
			SourceAutoconfig, "m.provider-a.example:465 tls", "m.provider-a.example:995 tls", "http://autoconfig.", false},
		{"HTTP, somebody's server", func(w *world) { w.serve = at("http", "autoconfig.", file("m.evil.example")) },
			SourceAutoconfig, "m.evil.example:465 tls", "m.evil.example:995 tls", "http://autoconfig.", true},
		{"HTTP, a server of the table", func(w *world) { w.serve = at("http", "autoconfig.", file("smtp.fastmail.com")) },
			SourceAutoconfig, "smtp.fastmail.com:465 tls", "smtp.fastmail.com:995 tls", "http://autoconfig.", false},
		{"hosted at one of the table", func(w *world) { w.dns.mx = "ASPMX.L.GOOGLE.COM."; w.dns.srv = srv },
			SourceMX, "smtp.gmail.com:465 tls", "pop.gmail.com:995 tls", "aspmx.l.google.com", false},
		{"the more telling MX", func(w *world) { w.dns.mx = "x.olc.protection.outlook.com." },
			SourceMX, "smtp-mail.outlook.com:587 starttls", "outlook.office365.com:995 tls", "MX", false},
		{"own file before the host's", func(w *world) {
			w.dns.mx = "aspmx.l.google.com."
			w.serve = at("https", "autoconfig.provider-a", file("m.provider-a.example"))
		}, SourceAutoconfig, "m.provider-a.example:465 tls", "m.provider-a.example:995 tls", "https://", false},
		{"SRV", func(w *world) { w.dns.srv = srv },
			SourceSRV, "out.provider-a.example:465 tls", "pop.provider-a.example:110 starttls", "_submissions._tcp.provider-a.example", false},
		{"SRV of RFC 6186 alone", func(w *world) {
			w.dns.srv = map[string]net.SRV{"submission": {Target: "mail.host.example.", Port: 587}}
		}, SourceSRV, "mail.host.example:587 starttls", "", "_submission._tcp", true},
		{"the public database", func(w *world) {
			w.ispdb = true
			w.serve = at("https", "autoconfig.thunderbird.net/v1.1/provider-a.example", file("m.elsewhere.example"))
		}, SourceISPDB, "m.elsewhere.example:465 tls", "m.elsewhere.example:995 tls", "https://autoconfig.thunderbird.net/v1.1/provider-a.example", false},
		{"the host's own file", func(w *world) {
			w.dns.mx = "mx1.host.example."
			w.serve = at("https", "autoconfig.host.example", file("m.host.example"))
		}, SourceAutoconfig, "m.host.example:465 tls", "m.host.example:995 tls", "https://autoconfig.host.example", true},
		{"guess", func(w *world) {
			w.dns.ip = map[string]bool{"smtp.provider-a.example": true, "pop.provider-a.example": true}
		},
			SourceGuess, "smtp.provider-a.example:465 tls", "pop.provider-a.example:995 tls", "good certificate", false},
		{"guess with STARTTLS", func(w *world) {
			w.dns.ip = map[string]bool{"mail.provider-a.example": true}
			w.shut = "465"
		}, SourceGuess, "mail.provider-a.example:587 starttls", "mail.provider-a.example:995 tls", "good certificate", false},
		{"redirected to another page", func(w *world) {
			w.serve = func(rw http.ResponseWriter, r *http.Request) {
				switch {
				case r.TLS == nil:
					http.NotFound(rw, r)
				case r.URL.Path == "/there":
					fmt.Fprint(rw, file("m.provider-a.example"))
				default:
					http.Redirect(rw, r, "/there", http.StatusFound)
				}
			}
		}, SourceAutoconfig, "m.provider-a.example:465 tls", "m.provider-a.example:995 tls", "https://", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.set(w)
			got := w.discover(t, address1)[0]
			say := func(s upstream.Server) string {
				if s.Host == "" {
					return ""
				}
				return s.Addr() + " " + string(s.Security)
			}
			if got.Source != c.source || !strings.HasPrefix(say(got.SMTP), c.smtp) || say(got.POP) != c.pop ||
				!strings.Contains(got.Where, c.where) || (len(got.Foreign) > 0) != c.alien || got.Username != address1 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestNothingGood holds that bad answers are no answers.
func TestNothingGood(t *testing.T) {
	t.Parallel()
	good := head + server("outgoing", "smtp", "m.evil.example", "465", "SSL", "u", "none") + tail
	for name, set := range map[string]func(w *world){
		"nothing there": func(*world) {},
		"a portal's page": func(w *world) {
			w.serve = func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "<html><body>Welcome</body></html>") }
		},
		"HTTPS sends to HTTP": func(w *world) {
			w.serve = func(rw http.ResponseWriter, r *http.Request) {
				if r.TLS != nil {
					http.Redirect(rw, r, "http://provider-a.example/there", http.StatusFound)
				} else if r.URL.Path == "/there" {
					fmt.Fprint(rw, good)
				} else {
					http.NotFound(rw, r)
				}
			}
		},
		"round and round": func(w *world) {
			w.serve = func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, r.URL.Path, http.StatusFound) }
		},
		"endless": func(w *world) {
			w.serve = func(rw http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					if _, err := rw.Write(make([]byte, 4096)); err != nil {
						return
					}
				}
			}
		},
		"an error page with a good body": func(w *world) {
			w.serve = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500); fmt.Fprint(rw, good) }
		},
		"a server for another name": func(w *world) { w.dns.ip = map[string]bool{"pop3.provider-a.example": true} },
		"a database that was not allowed": func(w *world) {
			w.serve = at("https", "autoconfig.thunderbird.net", good)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			set(w)
			if got, err := Discover(t.Context(), w.options(), address1); !errors.Is(err, ErrNothing) {
				t.Errorf("%v, %+v", err, got)
			}
		})
	}
}

// TestPresets reads the table by addresses that people have.
func TestPresets(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]struct{ smtp, user string }{
		"a@gmail.com":              {"smtp.gmail.com:465", "a@gmail.com"},
		"a@ocn.ne.jp":              {"smtp.ocn.ne.jp:465", "a@ocn.ne.jp"},
		"a@xyz.ocn.ne.jp":          {"smtp.ocn.ne.jp:465", "a@xyz.ocn.ne.jp"},
		"a@aa2.so-net.ne.jp":       {"mail.so-net.ne.jp:587", "a@aa2.so-net.ne.jp"},
		"a@nifty.com":              {"smtp.nifty.com:465", "a"},
		"a@bu.iij4u.or.jp":         {"mbox.iij4u.or.jp:587", "a.bu.iij4u.or.jp"},
		"a@taro.sakura.ne.jp":      {"taro.sakura.ne.jp:587", "a@taro.sakura.ne.jp"},
		"a@yahoo.co.jp":            {"smtp.mail.yahoo.co.jp:465", "a"},
		"a@yahoo.co.uk":            {"smtp.mail.yahoo.com:465", "a@yahoo.co.uk"},
		"a@hotmail.co.jp":          {"smtp-mail.outlook.com:587", "a@hotmail.co.jp"},
		"a@OUTLOOK.JP":             {"smtp-mail.outlook.com:587", "a@OUTLOOK.JP"},
		"a@gmx.de":                 {"mail.gmx.net:465", "a@gmx.de"},
		"a@gmx.co.uk":              {"mail.gmx.com:465", "a@gmx.co.uk"},
		"a@docomo.ne.jp":           {"smtp.spmode.ne.jp:465", ""},
		"a@corp.onmicrosoft.com":   {"smtp.office365.com:587", "a@corp.onmicrosoft.com"},
		"a@tuta.io":                {":0", "a@tuta.io"},
		"a@mail.yahoo.com.evil.jp": {}, "a@notyahoo.com": {}, "a@yahoo.example": {}, "a@xgmail.com": {},
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			got, err := Discover(t.Context(), w.options(), address)
			if want.smtp == "" {
				if err == nil {
					t.Errorf("%+v", got)
				}
				return
			}
			if err != nil || len(got) != 1 || got[0].SMTP.Addr() != want.smtp || got[0].Username != want.user || got[0].Source != SourcePreset {
				t.Errorf("%v, %+v", err, got)
			}
			if asked := w.web.Requests(); len(asked) > 0 {
				t.Errorf("asked %v", asked)
			}
		})
	}
}

// TestTable holds the table to its own legend.
func TestTable(t *testing.T) {
	t.Parallel()
	ids, domains := map[string]bool{}, map[string]string{}
	for _, p := range Providers() {
		if p.ID == "" || p.Name == "" || ids[p.ID] || len(p.Domains)+len(p.MX) == 0 {
			t.Errorf("%+v: id, name or domains", p)
		}
		ids[p.ID] = true
		for _, d := range p.Domains {
			if domains[d] != "" || d != strings.ToLower(d) {
				t.Errorf("%s: domain %s is %s's as well, or in capitals", p.ID, d, domains[d])
			}
			domains[d] = p.ID
		}
		if p.SMTP.Host == "" {
			if p.Note == "" || len(p.Logins) > 0 {
				t.Errorf("%s has no SMTP and does not say why", p.ID)
			}
			continue
		}
		for _, s := range []upstream.Server{p.SMTP, p.POP} {
			implicit := s.Port == 465 || s.Port == 995
			if s.Host != "" && (implicit != (s.Security == upstream.SecurityTLS) || !implicit && s.Security != upstream.SecurityStartTLS) {
				t.Errorf("%s: %+v", p.ID, s)
			}
			if s.Host != "" && s.Host != "{domain}" && !validHost(s.Host) {
				t.Errorf("%s: host %s", p.ID, s.Host)
			}
		}
		if len(p.Logins) == 0 {
			t.Errorf("%s names no way in", p.ID)
		}
		for _, l := range p.Logins {
			switch l {
			case LoginPassword, LoginAppPassword, LoginPOP:
			case LoginOAuth:
				if p.OAuth != "google" && p.OAuth != "microsoft" && p.OAuth != "yahoo" {
					t.Errorf("%s: oauth %q", p.ID, p.OAuth)
				}
			default:
				t.Errorf("%s: login %q", p.ID, l)
			}
		}
		switch p.User {
		case "address", "local", "dotted", "ask":
		default:
			t.Errorf("%s: user %q", p.ID, p.User)
		}
	}
	if p, ok := Find("GMAIL.com"); !ok || p.ID != "gmail" {
		t.Errorf("%+v", p)
	}
	if p, ok := Find("so-net"); !ok || p.Name != "So-net" {
		t.Errorf("%+v", p)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "taro", "@x.example", "taro@", "taro@localhost", "ta ro@x.example", "<taro@x.example>", "taro@x..example", "taro@-x.example", "taro@x.example\r\nRCPT", strings.Repeat("a", 250) + "@x.example", "taro@../x.example",
		"\u202etaro@x.example", "ta\u009bro@x.example", "ta\xffro@x.example"} {
		if _, err := Discover(t.Context(), Options{}, s); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if a, err := parse("たろう@メール.example"); err != nil || a.domain != "xn--4dkua4c.example" {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestBounded: servers that say nothing cost no more than the time-out, and
// nothing is left running. It does not run beside the others, as it looks at
// every goroutine.
func TestBounded(t *testing.T) {
	w := newWorld(t)
	stalled := make(chan struct{})
	w.serve = func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-stalled:
		}
	}
	defer close(stalled)
	w.dns.ip = map[string]bool{"smtp.provider-a.example": true}
	w.provider.SetFaults(lab.Fault{Phase: upstream.PhaseConnect, Kind: lab.Stall})
	o := w.options()
	o.Timeout = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if got, err := Discover(ctx, o, address1); !errors.Is(err, ErrNothing) || ctx.Err() != nil {
		t.Errorf("%v, %+v, %v", err, got, ctx.Err())
	}
	cancelled, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Discover(cancelled, o, address1); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	buf := make([]byte, 1<<20)
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "discover.(*search)") {
			t.Errorf("left running:\n%s", g)
		}
	}
}
