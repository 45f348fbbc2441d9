package pop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
)

const (
	b64Login = "AHRhcm8AdGFuc3RhYWY=" // NUL taro NUL tanstaaf
	stamp    = "<1896.697170952@mail.example>"
	digest   = "f66eddf8fcc1c4be35a57f24f5fa68bf" // of stamp and tanstaaf
)

// TestTranscripts shows each way to a successful login.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("p", 300)
	for _, tc := range []struct {
		name    string
		account upstream.Account
		known   *Capabilities
		pass    string
		script  script
		caps    Capabilities
		use     func(*Session)
	}{
		{name: "USER and PASS without encryption: no CAPA", account: provider(security(upstream.SecurityNone)),
			script: script{"S: +OK hi", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK"},
			caps:   Capabilities{Port: 110, Method: "user"}},
		{name: "no USER, so CAPA after all", account: provider(security(upstream.SecurityNone)),
			script: script{"S: +OK hi", "C: USER taro", "S: -ERR Unknown command", "C: CAPA", "S: +OK", "S: SASL PLAIN", "S: .",
				"C: AUTH PLAIN " + b64Login, "S: +OK"},
			caps: Capabilities{Port: 110, SASL: []string{"PLAIN"}, Method: "plain"}},
		{name: "auto, STLS not offered", account: provider(),
			script: script{"S: +OK hi", "C: CAPA", "S: +OK", "S: USER", "S: .", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK"},
			caps:   Capabilities{Port: 110, Method: "user"}},
		{name: "auto, no CAPA", account: provider(),
			script: script{"S: +OK hi", "C: CAPA", "S: -ERR what?", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK"},
			caps:   Capabilities{Port: 110, Method: "user"}},
		{name: "USER and PASS in one write", account: provider(),
			script: script{"S: +OK hi", "C: CAPA", "S: +OK", "S: PIPELINING", "S: .", "C: USER taro", "C: PASS tanstaaf", "S: +OK", "S: +OK"},
			caps:   Capabilities{Port: 110, Pipelining: true, Method: "user"}},
		{name: "remembered", account: provider(security(upstream.SecurityNone)), known: &Capabilities{Port: 110, Pipelining: true, Method: "user"},
			script: script{"S: +OK hi", "C: USER taro", "C: PASS tanstaaf", "S: +OK", "S: +OK"},
			caps:   Capabilities{Port: 110, Pipelining: true, Method: "user"}},
		{name: "APOP", account: provider(security(upstream.SecurityNone), encryptedOnly),
			script: script{"S: +OK hi " + stamp, "C: APOP taro " + digest, "S: +OK"},
			caps:   Capabilities{Port: 110, Method: "apop"}},
		{name: "APOP refused, USER and PASS allowed", account: provider(security(upstream.SecurityNone)),
			script: script{"S: +OK hi " + stamp, "C: APOP taro " + digest, "S: -ERR authentication failed", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK"},
			caps:   Capabilities{Port: 110, Method: "user"}},
		{name: "APOP known to be refused", account: provider(security(upstream.SecurityNone)), known: &Capabilities{Port: 110, Method: "user"},
			script: script{"S: +OK hi " + stamp, "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK"},
			caps:   Capabilities{Port: 110, Method: "user"}},
		{name: "a timestamp that is none", account: provider(security(upstream.SecurityNone)),
			script: script{"S: +OK hi <1896.697170952>", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK"},
			caps:   Capabilities{Port: 110, Method: "user"}},
		{name: "STLS", account: provider(encryptedOnly),
			script: script{"S: +OK hi " + stamp, "C: CAPA", "S: +OK", "S: SASL PLAIN", "S: STLS", "S: .", "C: STLS", "S: +OK", "TLS",
				"C: CAPA", "S: +OK", "S: USER", "S: sasl login plain", "S: .", "C: AUTH PLAIN " + b64Login, "S: +OK"},
			caps: Capabilities{Port: 110, TLS: true, STLS: true, SASL: []string{"LOGIN", "PLAIN"}, Method: "plain"}},
		{name: "STLS demanded: nothing asked before", account: provider(security(upstream.SecurityStartTLS), encryptedOnly),
			script: script{"S: +OK hi", "C: STLS", "S: +OK", "TLS", "C: CAPA", "S: -ERR", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK"},
			caps:   Capabilities{Port: 110, TLS: true, STLS: true, Method: "user"}},
		{name: "STLS remembered", account: provider(encryptedOnly), known: &Capabilities{Port: 110, TLS: true, STLS: true, SASL: []string{"PLAIN"}, Method: "plain"},
			script: script{"S: +OK hi", "C: STLS", "S: +OK", "TLS", "C: AUTH PLAIN " + b64Login, "S: +OK"},
			caps:   Capabilities{Port: 110, TLS: true, STLS: true, SASL: []string{"PLAIN"}, Method: "plain"}},
		{name: "implicit TLS", account: provider(security(upstream.SecurityTLS), encryptedOnly),
			script: script{"TLS", "S: +OK hi", "C: CAPA", "S: +OK", "S: USER", "S: .", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK"},
			caps:   Capabilities{Port: 110, TLS: true, Method: "user"}},
		{name: "AUTH PLAIN refused as such, then USER", account: provider(),
			script: script{"S: +OK hi", "C: CAPA", "S: +OK", "S: SASL PLAIN", "S: .", "C: AUTH PLAIN " + b64Login, "S: -ERR unsupported SASL mechanism",
				"C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK"},
			caps: Capabilities{Port: 110, SASL: []string{"PLAIN"}, Method: "user"}},
		{name: "AUTH PLAIN that asks again", account: provider(),
			script: script{"S: +OK hi", "C: CAPA", "S: +OK", "S: SASL PLAIN", "S: .", "C: AUTH PLAIN " + b64Login, "S: + ", "C: " + b64Login, "S: +OK"},
			caps:   Capabilities{Port: 110, SASL: []string{"PLAIN"}, Method: "plain"}},
		{name: "AUTH PLAIN too long for one line", account: provider(), pass: long,
			script: script{"S: +OK hi", "C: CAPA", "S: +OK", "S: SASL PLAIN", "S: .", "C: AUTH PLAIN", "S: +",
				"C: AHRhcm8A" + strings.Repeat("cHBw", 100), "S: +OK"},
			caps: Capabilities{Port: 110, SASL: []string{"PLAIN"}, Method: "plain"}},
		{name: "odd but clear status lines", account: provider(security(upstream.SecurityNone)), pass: "two words",
			script: script{"S: +ok", "C: USER taro", "S! +OK\n", "C: PASS two words", "S: +Ok\tcome in"},
			caps:   Capabilities{Port: 110, Method: "user"}},
		{name: "finish: stat", account: provider(security(upstream.SecurityNone), finish("stat")),
			script: script{"S: +OK hi", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK", "C: STAT", "S: +OK 2 320"},
			caps:   Capabilities{Port: 110, Method: "user"}},
		{name: "finish: list, then quit", account: provider(security(upstream.SecurityNone), finish("list")),
			script: script{"S: +OK hi", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK", "C: LIST", "S: +OK", "S: 1 120", "S: ..", "S: .", "C: QUIT", "S: +OK"},
			caps:   Capabilities{Port: 110, Method: "user"}, use: func(s *Session) { s.Quit(context.Background()) }},
		{name: "finish: quit", account: provider(security(upstream.SecurityNone), finish("quit")),
			script: script{"S: +OK hi", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK", "C: QUIT", "S: -ERR some messages were not removed"},
			caps:   Capabilities{Port: 110, Method: "user"}},
		{name: "finish: quit, and the server just hangs up", account: provider(security(upstream.SecurityNone), finish("quit")),
			script: script{"S: +OK hi", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK", "C: QUIT", "EOF"},
			caps:   Capabilities{Port: 110, Method: "user"}},
		{name: "hold", account: provider(security(upstream.SecurityNone)),
			script: script{"S: +OK hi", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK", "C: NOOP", "S: +OK", "C: NOOP", "S: +OK"},
			caps:   Capabilities{Port: 110, Method: "user"},
			use:    func(s *Session) { s.Noop(context.Background()); s.Noop(context.Background()) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
			s, err := tc.script.run(t, Options{Account: tc.account, Known: tc.known, Password: tc.pass, Now: func() time.Time { return now }}, tc.use)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(s.Capabilities(), tc.caps) {
				t.Errorf("capabilities %+v\nwant %+v", s.Capabilities(), tc.caps)
			}
			if !s.LoggedInAt().Equal(now) || s.Addr() != "192.0.2.1:110" {
				t.Errorf("logged in at %v, to %s", s.LoggedInAt(), s.Addr())
			}
		})
	}
}

// TestFailures has a row for each way in which it can go wrong.
func TestFailures(t *testing.T) {
	t.Parallel()
	clear := provider(security(upstream.SecurityNone))
	greeted := func(lines ...string) script { return append(script{"S: +OK hi"}, lines...) }
	user := func(lines ...string) script {
		return append(greeted("C: USER taro", "S: +OK", "C: PASS tanstaaf"), lines...)
	}
	const (
		greeting, userPhase, pass = upstream.PhasePOPGreeting, upstream.PhasePOPUser, upstream.PhasePOPPass
		broken, stripped          = upstream.ClassServerBroken, upstream.ClassStartTLSStripped
		rejected, person          = upstream.ClassPOPCredentialsRejected, upstream.KindPerson
	)
	for _, tc := range []struct {
		name     string
		account  upstream.Account
		known    *Capabilities
		script   script
		class    upstream.Class
		phase    upstream.Phase
		sentence string
		kind     upstream.Kind
	}{
		{"refused greeting", clear, nil, script{"S: -ERR [SYS/TEMP] too busy"}, upstream.ClassPOPTemporary, greeting, "does not serve now", 0},
		{"SMTP greeting", clear, nil, script{"S: 220 mail.example ESMTP"}, broken, greeting, "like a POP3 server", 0},
		{"empty greeting", clear, nil, script{"S: "}, broken, greeting, "like a POP3 server", 0},
		{"greeting that is nearly one", clear, nil, script{"S: +OKAY"}, broken, greeting, "like a POP3 server", 0},
		{"challenge for a greeting", clear, nil, script{"S: + "}, broken, greeting, "like a POP3 server", 0},
		{"endless greeting", clear, nil, script{"S! +OK " + strings.Repeat("x", maxLine)}, broken, greeting, "without an end", 0},
		{"hangs up at once", clear, nil, script{"EOF"}, broken, greeting, "closed the connection", 0},
		{"hangs up in a line", clear, nil, script{"S! +OK he", "EOF"}, broken, greeting, "closed the connection", 0},
		{"plaintext not allowed", provider(encryptedOnly, security(upstream.SecurityNone)), nil, greeted(), upstream.ClassTLSRequired, userPhase, "allow_plaintext", person},
		{"plaintext not allowed, no STLS", provider(encryptedOnly), nil, greeted("C: CAPA", "S: +OK", "S: USER", "S: ."), upstream.ClassTLSRequired, userPhase, "set pop.security to tls or starttls", person},
		{"APOP unknown, plaintext not allowed", provider(encryptedOnly, security(upstream.SecurityNone)), nil,
			script{"S: +OK " + stamp, "C: APOP taro " + digest, "S: -ERR Unknown command"}, upstream.ClassTLSRequired, userPhase, "was not sent", person},
		{"APOP refused, plaintext not allowed", provider(encryptedOnly, security(upstream.SecurityNone)), nil,
			script{"S: +OK " + stamp, "C: APOP taro " + digest, "S: -ERR [AUTH] permission denied"}, rejected, pass, "refused the login of account home", person},
		{"APOP, mailbox in use", clear, nil,
			script{"S: +OK " + stamp, "C: APOP taro " + digest, "S: -ERR [IN-USE] locked"}, upstream.ClassPOPMailboxInUse, pass, "", 0},
		{"STLS demanded and refused", provider(security(upstream.SecurityStartTLS)), nil, greeted("C: STLS", "S: -ERR no"), stripped, greeting, "taken it away", 0},
		{"STLS offered and refused", provider(), nil, greeted("C: CAPA", "S: +OK", "S: STLS", "S: .", "C: STLS", "S: -ERR no"), stripped, greeting, "taken it away", 0},
		{"TLS known and not there", provider(), &Capabilities{Port: 995, TLS: true}, greeted("C: CAPA", "S: +OK", "S: USER", "S: ."), stripped, greeting, "taken it away", 0},
		{"STLS known and refused", provider(), &Capabilities{Port: 110, TLS: true, STLS: true}, greeted("C: STLS", "S: -ERR no"), stripped, greeting, "taken it away", 0},
		{"answer injected before TLS", provider(security(upstream.SecurityStartTLS)), nil, greeted("C: STLS", "S: +OK", "S: +OK injected"), upstream.ClassSMTPIntercepted, greeting, "before the connection was encrypted", 0},
		{"hangs up in CAPA", provider(), nil, greeted("C: CAPA", "S: +OK", "S: USER", "EOF"), broken, greeting, "closed the connection", 0},
		{"endless line in CAPA", provider(), nil, greeted("C: CAPA", "S: +OK", "S! "+strings.Repeat("x", maxLine)), broken, greeting, "without an end", 0},
		{"unknown user", clear, nil, greeted("C: USER taro", "S: -ERR [AUTH] no such user"), rejected, userPhase, "refused the login", person},
		{"wrong password", clear, nil, user("S: -ERR [AUTH] nope"), rejected, pass, "refused the login of account home", person},
		{"wrong password, no code", clear, nil, user("S: -ERR Authentication failed."), rejected, pass, "", person},
		{"in use", clear, nil, user("S: -ERR [IN-USE] another session has it"), upstream.ClassPOPMailboxInUse, pass, "", 0},
		{"login delay", clear, nil, user("S: -ERR [LOGIN-DELAY] minimum time between logins"), upstream.ClassPOPLoginDelay, pass, "", 0},
		{"temporary", clear, nil, user("S: -ERR [SYS/TEMP] wrong password database"), upstream.ClassPOPTemporary, pass, "", 0},
		{"permanent", clear, nil, user("S: -ERR [SYS/PERM] xyzzy"), upstream.ClassAccountDisabledOrLocked, pass, "", person},
		{"empty answer", clear, nil, user("S: "), broken, pass, "like a POP3 server", 0},
		{"SMTP answer", clear, nil, user("S: 250 OK"), broken, pass, "like a POP3 server", 0},
		{"challenge to PASS", clear, nil, user("S: + "), broken, pass, "like a POP3 server", 0},
		{"hangs up after PASS", clear, nil, user("EOF"), broken, pass, "closed the connection", 0},
		{"user refused in a pipeline", clear, &Capabilities{Port: 110, Pipelining: true}, greeted("C: USER taro", "C: PASS tanstaaf", "S: -ERR [AUTH] no", "S: -ERR later"), rejected, userPhase, "", person},
		{"password refused in a pipeline", clear, &Capabilities{Port: 110, Pipelining: true}, greeted("C: USER taro", "C: PASS tanstaaf", "S: +OK", "S: -ERR [AUTH] no"), rejected, pass, "", person},
		{"hangs up in a pipeline", clear, &Capabilities{Port: 110, Pipelining: true}, greeted("C: USER taro", "C: PASS tanstaaf", "EOF"), broken, userPhase, "closed", 0},
		{"AUTH PLAIN refused: no second try", provider(), nil, greeted("C: CAPA", "S: +OK", "S: SASL PLAIN", "S: .", "C: AUTH PLAIN "+b64Login, "S: -ERR [AUTH] no"), rejected, pass, "", person},
		{"two challenges", provider(), nil, greeted("C: CAPA", "S: +OK", "S: SASL PLAIN", "S: .", "C: AUTH PLAIN "+b64Login, "S: + ", "C: "+b64Login, "S: + "), broken, pass, "like a POP3 server", 0},
		{"STAT refused", provider(security(upstream.SecurityNone), finish("stat")), nil, user("S: +OK", "C: STAT", "S: -ERR [SYS/TEMP] no"), upstream.ClassPOPTemporary, pass, "", 0},
		{"line break in the user name", provider(func(a *upstream.Account) { a.POP.Username = "taro\r\nDELE 1" }), nil, script{"EOF"}, rejected, userPhase, "user name of account home contains a line break", person},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(tc.account.POP.Username, "\r") {
				_, err := Open(t.Context(), Options{Account: tc.account, Password: "x"}) // without a Dialer
				wantError(t, err, tc.class, tc.phase, tc.sentence)
				return
			}
			_, err := tc.script.run(t, Options{Account: tc.account, Known: tc.known}, nil)
			if e := wantError(t, err, tc.class, tc.phase, tc.sentence); e.Kind() != tc.kind || e.Host != "192.0.2.1:110" {
				t.Errorf("kind %s, host %s", e.Kind(), e.Host)
			}
		})
	}
}

// TestCredentials: neither line ends nor NULs leave.
func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"a\r\nDELE 1", "a\nb", "a\rb", "a\x00b"} {
		_, err := Open(t.Context(), Options{Account: provider(), Password: password})
		wantError(t, err, upstream.ClassPOPCredentialsRejected, upstream.PhasePOPUser, "password of account home contains")
	}
}

// TestSilence: at each step a server that says nothing, or sends an octet every
// ten seconds, is given up in time.
func TestSilence(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		before script
		drip   bool
		took   time.Duration
	}{
		{script{}, false, 30 * time.Second},
		{script{}, true, 30 * time.Second},
		{script{"S: +OK", "C: USER taro"}, false, 30 * time.Second},
		{script{"S: +OK", "C: USER taro", "S: +OK", "C: PASS tanstaaf"}, false, 60 * time.Second},
		{script{"S: +OK", "C: USER taro", "S: +OK", "C: PASS tanstaaf"}, true, 60 * time.Second},
		{script{"S: +OK", "C: USER taro", "S: +OK", "C: PASS tanstaaf", "S: +OK", "C: LIST", "S: +OK"}, true, 60 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			stop := make(chan struct{})
			go func() {
				defer close(stop)
				tc.before.playOpen(far)
				for tc.drip {
					time.Sleep(10 * time.Second) // fake time
					if _, err := far.Write([]byte("+")); err != nil {
						return
					}
				}
				far.Read(make([]byte, 1))
			}()
			d := &dial.Dialer{DialContext: func(context.Context, string, string, string) (net.Conn, error) { return near, nil }}
			start := time.Now()
			_, err := Open(t.Context(), Options{Dialer: d, Account: provider(security(upstream.SecurityNone), finish("list")), Password: "tanstaaf"})
			var e *upstream.Error
			if !errors.As(err, &e) || e.Class != upstream.ClassServerUnreachable || !strings.Contains(e.Sentence, "did not answer in time") {
				t.Errorf("%v", err)
			}
			if took := time.Since(start); took != tc.took {
				t.Errorf("%v, drip %v: took %v, want %v", tc.before, tc.drip, took, tc.took)
			}
			far.Close()
			<-stop
		})
	}
}

// playOpen plays a script without TLS and leaves the connection open.
func (s script) playOpen(c net.Conn) {
	buf := make([]byte, 512)
	for _, l := range s {
		if l[0] == 'S' {
			c.Write([]byte(l[3:] + "\r\n"))
		} else {
			c.Read(buf)
		}
	}
}

// TestCancel: the end of the context ends Open, Noop and Quit at once.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, use := range []func(context.Context, *Session) error{
		nil,
		func(ctx context.Context, s *Session) error { return s.Noop(ctx) },
		func(ctx context.Context, s *Session) error { return s.Quit(ctx) },
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				lines := script{"S: +OK", "C: USER taro", "S: +OK", "C: PASS tanstaaf"}
				if use != nil {
					lines = append(lines, "S: +OK")
				}
				lines.playOpen(far)
				for buf := make([]byte, 512); ; {
					if _, err := far.Read(buf); err != nil {
						return
					}
				}
			}()
			d := &dial.Dialer{DialContext: func(context.Context, string, string, string) (net.Conn, error) { return near, nil }}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			o := Options{Dialer: d, Account: provider(security(upstream.SecurityNone)), Password: "tanstaaf"}
			var s *Session
			var err error
			if use == nil {
				_, err = Open(ctx, o)
			} else {
				if s, err = Open(context.Background(), o); err != nil {
					t.Fatal(err)
				}
				err = use(ctx, s)
				s.Close()
			}
			if !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			<-ended
		})
	}
}

// TestTargets: which ports are tried, and how far apart.
func TestTargets(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		security upstream.Security
		port     int
		known    *Capabilities
		want     string
		stagger  time.Duration
	}{
		{upstream.SecurityAuto, 0, nil, "995 tls, 110", portDelay},
		{upstream.SecurityAuto, 0, &Capabilities{Port: 110}, "110, 995 tls", knownPortDelay},
		{upstream.SecurityAuto, 0, &Capabilities{Port: 995}, "995 tls, 110", knownPortDelay},
		{upstream.SecurityTLS, 0, &Capabilities{Port: 110}, "995 tls", portDelay},
		{upstream.SecurityStartTLS, 0, nil, "110", portDelay},
		{upstream.SecurityNone, 0, nil, "110", portDelay},
		{upstream.SecurityAuto, 1995, nil, "1995", portDelay},
		{upstream.SecurityTLS, 1995, nil, "1995 tls", portDelay},
		{upstream.SecurityNone, 995, nil, "995", portDelay},
	} {
		s := &Session{o: Options{Known: tc.known, Account: provider(security(tc.security))}}
		s.o.Account.POP.Port = tc.port
		var got []string
		for _, x := range s.targets() {
			text := fmt.Sprint(x.Server.Port)
			if x.ImplicitTLS {
				text += " tls"
			}
			got = append(got, text)
		}
		if strings.Join(got, ", ") != tc.want || s.stagger(s.targets()) != tc.stagger {
			t.Errorf("%s %d: %v after %v, want %s after %v", tc.security, tc.port, got, s.stagger(s.targets()), tc.want, tc.stagger)
		}
	}
}

// refuser is a Dialer that cannot connect.
type refuser struct{}

func (refuser) DialFirst(context.Context, []dial.Target, time.Duration) (*dial.Conn, error) {
	return nil, &upstream.Error{Phase: upstream.PhaseConnect, Class: upstream.ClassPortBlocked, Sentence: "blocked"}
}

func TestNoConnection(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Options{Dialer: refuser{}, Account: provider(), Password: "x"})
	wantError(t, err, upstream.ClassPortBlocked, upstream.PhasePOPGreeting, "blocked")
}

// TestUnknownCommand: which refusals leave room for another way to log in.
func TestUnknownCommand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"-ERR Unknown command.": true, "-ERR unrecognized command: APOP": true, "-ERR USER command not supported": true,
		"-ERR USER not supported": true, "-ERR AUTH not enabled": true, "-ERR unsupported SASL mechanism": true,
		"-ERR command not implemented": true, "-ERR APOP is not available": true,
		"-ERR unknown user": false, "-ERR user unknown": false, "-ERR invalid user name or password": false,
		"-ERR user disabled": false, "-ERR [AUTH] Authentication failed": false, "-ERR": false,
	} {
		r := upstream.Reply{Lines: []string{text}}
		if got := unknownCommand(&upstream.Error{Reply: r, Class: classify(upstream.PhasePOPPass, r)}); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
