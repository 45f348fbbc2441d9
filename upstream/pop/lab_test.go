package pop

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/lab"
	"melon/upstream/trace"
)

// start runs a provider and returns it with options that log in to it in clear.
func start(t *testing.T, o lab.Options) (*lab.Provider, Options) {
	t.Helper()
	o.Hosts = []string{"127.0.0.1"}
	p, err := lab.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	a := p.Account("home")
	a.POP.Security, a.AllowPlaintext = upstream.SecurityNone, true
	return p, Options{Dialer: &dial.Dialer{RootCAs: p.CertPool()}, Account: a, Password: lab.DefaultUser.Password}
}

// TestLab logs in to the provider in a box in each way.
func TestLab(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		pop    lab.POP
		change func(*Options, *lab.Provider)
		method string
		tls    bool
	}{
		{"clear", lab.POP{}, func(*Options, *lab.Provider) {}, "user", false},
		{"APOP", lab.POP{APOP: true}, func(o *Options, _ *lab.Provider) { o.Account.AllowPlaintext = false }, "apop", false},
		{"STLS", lab.POP{RequireTLS: true}, func(o *Options, _ *lab.Provider) {
			o.Account.AllowPlaintext, o.Account.POP.Security = false, upstream.SecurityAuto
		}, "plain", true},
		{"implicit TLS", lab.POP{Without: []string{"SASL"}}, func(o *Options, p *lab.Provider) {
			o.Account.AllowPlaintext = false
			o.Account.POP.Server = p.Server("pops")
			o.Account.POP.Security = upstream.SecurityTLS
		}, "user", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p, o := start(t, lab.Options{POP: tc.pop})
			tc.change(&o, p)
			for range 2 { // the second time with what the first has learned
				s, err := Open(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if c := s.Capabilities(); c.Method != tc.method || c.TLS != tc.tls {
					t.Errorf("%+v", c)
				} else {
					o.Known = &c
				}
				if err := s.Noop(t.Context()); err != nil {
					t.Error(err)
				}
				if err := s.Quit(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if n := p.Stats().POPLogins; n != 2 {
				t.Errorf("%d logins", n)
			}
		})
	}
}

// TestBigMailbox: a mailbox of 5,000 messages is neither listed nor touched,
// unless finish asks for the list.
func TestBigMailbox(t *testing.T) {
	t.Parallel()
	p, o := start(t, lab.Options{POP: lab.POP{Messages: 5000}})
	var mu sync.Mutex
	var lines []string
	o.Dialer = &dial.Dialer{Trace: func(_ dial.Target, l trace.Line) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, l.String())
	}}
	for _, f := range []string{"login", "list"} {
		o.Account.PopBeforeSMTP.Finish = f
		s, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Quit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	all := strings.Join(lines, "\n")
	mu.Unlock()
	if strings.Count(all, "C: LIST") != 1 || !strings.Contains(all, "S: <5000 lines>") || len(lines) > 30 ||
		strings.Contains(all, lab.DefaultUser.Password) || !strings.Contains(all, "C: PASS ***") {
		t.Errorf("the conversations:\n%s", all)
	}
	for _, c := range p.Commands(lab.POPProto) {
		switch verb := strings.ToUpper(c.Verb); verb {
		case "RETR", "TOP", "DELE", "UIDL":
			t.Errorf("%s was sent", verb)
		}
	}
}

// TestLabRefusals: what the provider in a box refuses, and how that is told.
func TestLabRefusals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		pop   lab.POP
		setUp func(*testing.T, *lab.Provider, *Options)
		class upstream.Class
	}{
		{"wrong password", lab.POP{}, func(_ *testing.T, _ *lab.Provider, o *Options) { o.Password = "wrong" }, upstream.ClassPOPCredentialsRejected},
		{"TLS required", lab.POP{RequireTLS: true}, func(*testing.T, *lab.Provider, *Options) {}, upstream.ClassTLSRequired},
		{"in use", lab.POP{Exclusive: true}, func(t *testing.T, p *lab.Provider, _ *Options) {
			t.Cleanup(p.LockMailbox(lab.DefaultUser.Name))
		}, upstream.ClassPOPMailboxInUse},
		{"too soon", lab.POP{LoginDelay: time.Hour}, func(t *testing.T, _ *lab.Provider, o *Options) {
			s, err := Open(context.Background(), *o)
			if err != nil {
				t.Fatal(err)
			}
			s.Quit(context.Background())
		}, upstream.ClassPOPLoginDelay},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p, o := start(t, lab.Options{POP: tc.pop})
			tc.setUp(t, p, &o)
			_, err := Open(t.Context(), o)
			if e := upstream.AsError(err, ""); e == nil || e.Class != tc.class || !e.Phase.IsPOP() {
				t.Errorf("%v", e)
			}
		})
	}
}

// TestPipelinedTrips: with PIPELINING remembered a login in clear takes two
// round trips after the connection: greeting, and USER with PASS.
func TestPipelinedTrips(t *testing.T) {
	t.Parallel()
	p, o := start(t, lab.Options{})
	o.Known = &Capabilities{Port: o.Account.POP.Port, Pipelining: true, Method: "user"}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var flights []string
	for _, c := range p.Commands(lab.POPProto) {
		flights = append(flights, c.Verb)
	}
	if got := strings.Join(flights, " "); got != "USER PASS" {
		t.Errorf("commands %s", got)
	}
}
