package submit

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"melon/upstream"
)

func newPipe() (net.Conn, net.Conn) { return net.Pipe() }

// fakeSASL says its words one after the other.
type fakeSASL struct {
	ir      []byte
	answers []string
	heard   []string
	fail    error
	doneErr error
}

func (f *fakeSASL) Start() (string, []byte, error) { return "FAKE", f.ir, nil }
func (f *fakeSASL) Next(ch []byte) ([]byte, error) {
	f.heard = append(f.heard, string(ch))
	if f.fail != nil {
		return nil, f.fail
	}
	a := f.answers[0]
	f.answers = f.answers[1:]
	return []byte(a), nil
}
func (f *fakeSASL) Done() error { return f.doneErr }

func TestAuth(t *testing.T) {
	t.Parallel()
	errProof := errors.New("no proof")
	long := strings.Repeat("x", 12000)
	for _, r := range []struct {
		name   string
		sasl   fakeSASL
		server []string
		want   string // of the reply in the error; "-" is an error without one
		usable bool
	}{
		{"initial response", fakeSASL{ir: []byte("me")}, []string{"C: AUTH FAKE bWU=", "S: 235 2.7.0 welcome"}, "", true},
		{"empty initial response", fakeSASL{ir: []byte{}}, []string{"C: AUTH FAKE =", "S: 235 2.7.0 welcome"}, "", true},
		{"server first", fakeSASL{answers: []string{"one", ""}}, []string{"C: AUTH FAKE", "S: 334 aGk=", "C: b25l", "S: 334 ", "C: ", "S: 235 in"}, "", true},
		{"a response too long for the line", fakeSASL{ir: []byte(long)}, []string{"C: AUTH FAKE", "S: 334 ", "C: *", "S: 501 no"}, "-", false},
		{"refused", fakeSASL{ir: []byte("me")}, []string{"C: AUTH FAKE bWU=", "S: 535 5.7.8 wrong"}, "535 5.7.8 wrong", true},
		{"421", fakeSASL{ir: []byte("me")}, []string{"C: AUTH FAKE bWU=", "S: 421 4.7.0 too many", "HANGUP"}, "421 4.7.0 too many", false},
		{"challenge is not base64", fakeSASL{}, []string{"C: AUTH FAKE", "S: 334 ***", "C: *", "S: 501 cancelled"}, "-", false},
		{"client gives up", fakeSASL{fail: errors.New("no")}, []string{"C: AUTH FAKE", "S: 334 aGk=", "C: *", "S: 501 cancelled"}, "-", false},
		{"no proof of the server", fakeSASL{ir: []byte("me"), doneErr: errProof}, []string{"C: AUTH FAKE bWU=", "S: 235 in"}, "-", false},
		{"endless challenges", fakeSASL{answers: make([]string, 99)}, join(join([]string{"C: AUTH FAKE"}, repeat(8, "S: 334 ", "C: ")...), "S: 334 ", "C: *", "S: 501 no"), "-", false},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			c := open(t, play(t, join(greeted("AUTH FAKE"), r.server...)...), testOptions())
			err := c.Auth(context.Background(), &r.sasl)
			if c.Usable() != r.usable {
				t.Errorf("usable %v", c.Usable())
			}
			if r.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e := upstream.AsError(err, "")
			if err == nil || e.Phase != upstream.PhaseAuth {
				t.Fatalf("got %v", err)
			}
			if got := e.Reply.String(); r.want != "-" && got != r.want || r.want == "-" && got != "" {
				t.Errorf("reply %q", got)
			}
		})
	}
}

func repeat(n int, lines ...string) []string {
	var out []string
	for range n {
		out = append(out, lines...)
	}
	return out
}

func TestStartTLS(t *testing.T) {
	t.Parallel()
	c := open(t, play(t, join(greeted("STARTTLS", "PIPELINING"), "C: STARTTLS", "S: 220 go", helloCmd, "S: 250-x", "S+ 250 AUTH PLAIN")...), testOptions())
	if err := c.StartTLS(context.Background()); err != nil {
		t.Fatal(err)
	}
	// Nothing that was said before the handshake survives it.
	if caps := c.Capabilities(); caps.Pipelining || caps.StartTLS || len(caps.Auth) != 1 {
		t.Errorf("%+v", caps)
	}
	for name, row := range map[string]struct {
		reply string
		class upstream.Class
	}{
		"refused":  {"S: 454 4.7.0 no TLS today", ""},
		"injected": {"S: 220 go\r\n250-evil\r\n250 AUTH PLAIN", upstream.ClassSMTPIntercepted},
	} {
		c := open(t, play(t, join(greeted("STARTTLS"), "C: STARTTLS", row.reply, "SILENCE")...), testOptions())
		err := c.StartTLS(context.Background())
		e := upstream.AsError(err, "")
		if err == nil || e.Phase != upstream.PhaseStartTLS || row.class != "" && e.Class != row.class || c.Usable() {
			t.Errorf("%s: %+v, usable %v", name, e, c.Usable())
		}
		c.Close()
	}
}

func TestOpenRefused(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		server []string
		phase  upstream.Phase
		code   int
	}{
		{[]string{"S: 554 5.7.1 go away", "SILENCE"}, upstream.PhaseConnect, 554},
		{[]string{"S: 421 4.7.0 too many", "HANGUP"}, upstream.PhaseConnect, 421},
		{[]string{"S: HTTP/1.1 400 Bad Request", "SILENCE"}, upstream.PhaseConnect, 0},
		{[]string{"S: 220 hi\r\n220 again", "SILENCE"}, upstream.PhaseConnect, 0},
		{[]string{"HANGUP"}, upstream.PhaseConnect, 0},
		{[]string{"S: 220 hi", helloCmd, "S: 450 not now", "SILENCE"}, upstream.PhaseEHLO, 450},
		{[]string{"S: 220 hi", helloCmd, "S: 550 no", "C: HELO [127.0.0.1]", "S: 550 no", "SILENCE"}, upstream.PhaseEHLO, 550},
		{[]string{"S: 220 hi", helloCmd, "HANGUP"}, upstream.PhaseEHLO, 0},
	} {
		_, err := Open(context.Background(), play(t, r.server...).conn, testOptions())
		e := upstream.AsError(err, "")
		if err == nil || e.Phase != r.phase || e.Reply.Code != r.code || e.Class == "" {
			t.Errorf("%v: %+v", r.server, e)
		}
	}
}
