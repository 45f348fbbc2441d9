package smtpin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"melon/upstream/trace"
)

func secret(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

// TestLogin pins the local login in its three modes.
func TestLogin(t *testing.T) {
	t.Parallel()
	const right, wrong, odd = "AGhvbWUAcmlnaHQ=", "AGhvbWUAd3Jvbmc=", "AGgKZQB4" // home/right, home/wrong, h\ne/x
	for _, tc := range []struct {
		name  string
		login Login
		say   string
		want  string // the login that the handler saw, "-" for no message
	}{
		{"off", Login{Mode: LoginOff}, "C: AUTH LOGIN\nS: 502 5.5.1\nC: MAIL FROM:<a@b.example>\nS: 250", ""},
		{"not needed", Login{}, "C: MAIL FROM:<a@b.example>\nS: 250", ""},
		{"any password", Login{}, "C: AUTH PLAIN " + wrong + "\nS: 235\nC: MAIL FROM:<a@b.example>\nS: 250", "home"},
		{"LOGIN", Login{}, "C: AUTH LOGIN aG9tZQ==\nS: 334 UGFzc3dvcmQ6\nC: =\nS: 235\nC: MAIL FROM:<a@b.example>\nS: 250", "home"},
		{"twice", Login{}, "C: AUTH PLAIN " + right + "\nS: 235\nC: AUTH PLAIN " + right + "\nS: 503\nC: MAIL FROM:<a@b.example>\nS: 250", "home"},
		{"EHLO keeps it", Login{}, "C: AUTH PLAIN " + right + "\nS: 235\nC: EHLO y\nS: 250-\nC: MAIL FROM:<a@b.example>\nS: 250", "home"},
		{"in a transaction", Login{}, "C: MAIL FROM:<a@b.example>\nS: 250\nC: AUTH PLAIN " + right + "\nS: 503 5.5.1", ""},
		{"optional, right", Login{Password: secret("right")}, "C: AUTH PLAIN\nS: 334\nC: " + right + "\nS: 235\nC: MAIL FROM:<a@b.example>\nS: 250", "home"},
		{"optional, wrong", Login{Password: secret("right")}, "C: AUTH PLAIN " + wrong + "\nS: 535 5.7.8\nC: MAIL FROM:<a@b.example>\nS: 250", ""},
		{"required", Login{Mode: LoginRequired, Password: secret("right")}, "C: MAIL FROM:<a@b.example>\nS: 530 5.7.0\nC: AUTH PLAIN " + wrong +
			"\nS: 535 5.7.8\nC: MAIL FROM:<a@b.example>\nS: 530 5.7.0\nC: AUTH PLAIN " + right + "\nS: 235\nC: MAIL FROM:<a@b.example>\nS: 250", "home"},
		{"required, none set", Login{Mode: LoginRequired}, "C: AUTH PLAIN " + right + "\nS: 454 4.7.0\nC: MAIL FROM:<a@b.example>\nS: 530", "-"},
		{"unreadable", Login{Mode: LoginRequired, Password: func(context.Context) (string, error) {
			return "x", errors.New("/secret/path")
		}}, "C: AUTH PLAIN " + right + "\nS: 454 4.7.0 Melon's local\nC: MAIL FROM:<a@b.example>\nS: 530", "-"},
		{"panic", Login{Password: func(context.Context) (string, error) { panic("x") }}, "C: AUTH PLAIN " + right + "\nS: 421 4.3.0\nS: .", "-"},
		{"line feed", Login{}, "C: AUTH PLAIN " + odd + "\nS: 501", "-"},
		{"malformed", Login{}, "C: AUTH PLAIN QUJD\nS: 501 5.5.2\nC: AUTH PLAIN !\nS: 454\nC: AUTH CRAM-MD5\nS: 504", "-"},
		{"given up", Login{}, "C: AUTH LOGIN\nS: 334\nC: *\nS: 501\nC: AUTH LOGIN\nS: 334\nC: GET\nS: 454", "-"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{}
			a := dial(t, start(t, Options{Handler: r, Login: tc.login, Log: new(logBuffer).logger()}), 0)
			a.cmd("EHLO x", "250-")
			a.play(tc.say)
			got := "-"
			for _, m := range r.all() {
				got = m.client.Login
			}
			if got != tc.want {
				t.Errorf("login %q, want %q", got, tc.want)
			}
		})
	}
}

// TestSTARTTLS: TLS begins anew, knowing nothing, and announces neither itself
// nor a second greeting.
func TestSTARTTLS(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	var mu sync.Mutex
	var lines []string
	s := start(t, Options{Handler: r, Listen: Listen{StartTLS: true, StateDir: t.TempDir()},
		Trace: func(conn string, l trace.Line) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, conn+" "+l.String())
		}})
	a := dial(t, s, 0)
	if caps := a.cmd("EHLO x", "250-"); !strings.Contains(caps, "STARTTLS") {
		t.Errorf("not announced: %q", caps)
	}
	a.cmd("AUTH PLAIN AGhvbWUAc2VjcmV0", "235")
	a.cmd("MAIL FROM:<a@b.example>", "250")
	a.cmd("STARTTLS", "220 2.0.0")
	b := a.startTLS()
	b.cmd("MAIL FROM:<a@b.example>", "502") // EHLO first
	if caps := b.cmd("EHLO y", "250-"); strings.Contains(caps, "STARTTLS") {
		t.Errorf("announced again: %q", caps)
	}
	b.cmd("STARTTLS", "503 5.5.1")
	b.cmd("RCPT TO:<c@d.example>", "502")
	b.cmd("MAIL FROM:<a@b.example>", "250")
	b.cmd("RCPT TO:<c@d.example>", "250")
	b.cmd("DATA", "354")
	b.cmd("private\r\n.", "250")
	b.cmd("QUIT", "221")
	b.expect("")
	got := r.all()
	if len(got) != 2 || got[0].resets != 1 || !got[1].client.TLS || got[1].client.Login != "" || got[1].client.HELO != "y" {
		t.Errorf("got %+v", got)
	}
	mu.Lock()
	defer mu.Unlock()
	all := strings.Join(lines, "\n")
	if strings.Contains(all, "private") || strings.Contains(all, "AGhvbWUAc2VjcmV0") ||
		!strings.Contains(all, "c1 C: EHLO x\n") || !strings.Contains(all, "c1 C: EHLO y\n") || !strings.Contains(all, "c1 S: 221") {
		t.Errorf("trace:\n%s", all)
	}
}

// TestInjection: what is sent in the clear behind STARTTLS is never carried out.
func TestInjection(t *testing.T) {
	t.Parallel()
	for _, behind := range []string{"RSET\r\n", "MAIL FROM:<a@b.example>\r\n", "x", "\n"} {
		r := &recorder{}
		s := start(t, Options{Handler: r, Listen: Listen{StartTLS: true, StateDir: t.TempDir()}})
		a := dial(t, s, 0)
		a.say("EHLO x\r\nSTARTTLS\r\n" + behind)
		a.expect("250-")
		a.expect("554 5.5.0")
		a.expect("")

		// Arriving later it goes to the handshake, which fails.
		b := dial(t, s, 0)
		b.cmd("EHLO x", "250-")
		b.cmd("STARTTLS", "220")
		b.say(behind + "EHLO x\r\nMAIL FROM:<a@b.example>\r\n")
		for line := b.reply(); line != ""; line = b.reply() {
			if line[0] >= '2' && line[0] <= '5' {
				t.Fatalf("%q was carried out: %q", behind, line)
			}
		}
		if len(r.all()) > 0 {
			t.Errorf("%q was carried out", behind)
		}
	}
}

// TestSMTPS: implicit TLS with the own certificate.
func TestSMTPS(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	dir := t.TempDir()
	s := start(t, Options{Handler: r, Listen: Listen{SMTPS: []string{"127.0.0.1:0"}, StateDir: filepath.Join(dir, "state")}})
	pem, err := os.ReadFile(filepath.Join(dir, "state", certFile))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	addr := s.Addresses()[1]
	if addr.Kind != "smtps" {
		t.Fatalf("addresses %v", s.Addresses())
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		c, err := tls.Dial("tcp", addr.Addr, &tls.Config{RootCAs: pool, ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		a := newApp(t, c)
		a.expect("220")
		a.cmd("EHLO x", "250-")
		a.cmd("MAIL FROM:<a@b.example>", "250")
		a.cmd("QUIT", "221")
		a.expect("")
	}
	if m := r.all(); len(m) != 3 || !m[0].client.TLS {
		t.Errorf("got %+v", m)
	}
	if c, err := tls.Dial("tcp", addr.Addr, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"h2", "http/1.1"}}); err == nil {
		c.Close()
		t.Error("a browser got through the handshake")
	}
	plain, err := net.Dial("tcp", addr.Addr)
	if err != nil {
		t.Fatal(err)
	}
	p := newApp(t, plain)
	p.say("EHLO x\r\n")
	if got, _ := io.ReadAll(p.r); strings.Contains(string(got), "250") {
		t.Errorf("answered %q in the clear", got)
	}
}

// TestRemote: beyond loopback a listener needs a required login, and gives
// nothing before TLS.
func TestRemote(t *testing.T) {
	t.Parallel()
	for _, mode := range []LoginMode{LoginOff, LoginOptional} {
		_, err := New(Options{Handler: &recorder{}, Login: Login{Mode: mode}, Listen: Listen{SMTP: []string{"0.0.0.0:0"}, StateDir: t.TempDir()}})
		if err == nil || !strings.Contains(err.Error(), "listen.login: required") {
			t.Errorf("%s: %v", mode, err)
		}
	}
	s := start(t, Options{Login: Login{Mode: LoginRequired, Password: secret("right")},
		Listen: Listen{SMTP: []string{"0.0.0.0:0"}, StateDir: t.TempDir()}})
	_, port, _ := net.SplitHostPort(s.Addresses()[0].Addr)
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(t, c)
	a.expect("220")
	if caps := a.cmd("EHLO x", "250-"); strings.Contains(caps, "AUTH") || !strings.Contains(caps, "STARTTLS") {
		t.Errorf("offered in the clear: %q", caps)
	}
	for _, line := range []string{"AUTH PLAIN AGhvbWUAcmlnaHQ=", "MAIL FROM:<a@b.example>", "BDAT 1 LAST", "VRFY x"} {
		a.cmd(line, "530 5.7.0")
	}
	a.cmd("STARTTLS", "220")
	b := a.startTLS()
	b.cmd("EHLO x", "250-")
	b.cmd("MAIL FROM:<a@b.example>", "530 5.7.0")
	b.cmd("AUTH PLAIN AGhvbWUAcmlnaHQ=", "235")
	b.cmd("MAIL FROM:<a@b.example>", "250")
}
