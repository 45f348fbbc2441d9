package smtpin

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/upstream"
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

// TestVet: who may be at which door.
func TestVet(t *testing.T) {
	t.Parallel()
	ln := func() *handoff { return &handoff{done: make(chan struct{})} }
	near, far := &door{kind: "smtp", ln: ln()}, &door{kind: "smtp", remote: true, ln: ln()}
	mine := peers{}
	other := peers{same: func(_, _ netip.AddrPort) (bool, string, error) { return false, "uid 7", nil }}
	broken := peers{same: func(_, _ netip.AddrPort) (bool, string, error) { return true, "", errors.New("x") }}
	for _, tc := range []struct {
		name          string
		d             *door
		allow         Allow
		peers         PeerLookup
		local, remote string
		reason, text  string
	}{
		{"own", near, AllowSameUser, mine, "127.0.0.1:25", "127.0.0.1:9", "", ""},
		{"other user", near, AllowSameUser, other, "127.0.0.1:25", "127.0.0.1:9", "a process of another user: uid 7", "554 5.7.1"},
		{"other user, v6", near, AllowSameUser, other, "[::1]:25", "[::1]:9", "a process of another user: uid 7", "554 5.7.1"},
		{"other user, any local", near, AllowAnyLocal, other, "127.0.0.1:25", "127.0.0.1:9", "", ""},
		{"unknown user", near, AllowSameUser, broken, "127.0.0.1:25", "127.0.0.1:9", "the peer's user", "554 5.7.1"},
		{"unknown user, any local", near, AllowAnyLocal, broken, "127.0.0.1:25", "127.0.0.1:9", "", ""},
		{"cannot tell", near, AllowSameUser, peers{off: true, same: other.same}, "127.0.0.1:25", "127.0.0.1:9", "", ""},
		{"from afar at a near door", near, AllowAnyLocal, mine, "127.0.0.1:25", "192.0.2.1:9", "a peer beyond loopback", ""},
		{"from afar", far, AllowSameUser, broken, "10.0.0.1:25", "192.0.2.1:9", "", ""},
		{"other user at a far door", far, AllowSameUser, other, "127.0.0.1:25", "127.0.0.1:9", "a process of another user", "554"},
		{"other user by the machine's own address", far, AllowSameUser, other, "10.0.0.1:25", "10.0.0.1:9", "a process of another user", "554"},
	} {
		s := &Server{}
		c := fakeConn{local: tc.local, remote: tc.remote}
		_, reason, text := s.vet(&settings{peers: tc.peers, allow: tc.allow}, tc.d, c)
		if !strings.HasPrefix(reason, tc.reason) || (tc.reason == "") != (reason == "") || !strings.HasPrefix(text, tc.text) {
			t.Errorf("%s: %q, %q", tc.name, reason, text)
		}
	}
}

// fakeConn is a connection with addresses and nothing else.
type fakeConn struct {
	net.Conn
	local, remote string
}

func (c fakeConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.local)) }
func (c fakeConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.remote))
}

// TestOtherUser: the whole way of a refusal.
func TestOtherUser(t *testing.T) {
	t.Parallel()
	var log logBuffer
	r := &recorder{}
	s := start(t, Options{Handler: r, Log: log.logger(), Peers: peers{same: func(local, remote netip.AddrPort) (bool, string, error) {
		return false, "uid 4711", nil
	}}})
	c, err := net.Dial("tcp", s.Addresses()[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(t, c)
	a.expect("554 5.7.1 This Melon takes mail from its own user's programs only")
	a.expect("")
	eventually(t, "the log line", func() bool {
		return strings.Contains(log.String(), `reason="a process of another user: uid 4711"`)
	})
}

// TestListenErrors pins the sentence for each address that cannot be used.
func TestListenErrors(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	addr := busy.Addr().String()
	holder := "another program listens there"
	if runtime.GOOS == "linux" {
		holder = fmt.Sprintf("it is taken by smtpin.test (process %d)", os.Getpid())
	}
	for _, tc := range []struct {
		l    Listen
		want string
	}{
		{Listen{SMTP: []string{addr}}, "cannot listen on " + addr + ": " + holder + "; stop it, or change the port in listen.smtp"},
		{Listen{SMTP: []string{"127.0.0.1:0"}, SMTPS: []string{addr}}, "cannot listen on " + addr + ": " + holder + "; stop it, or change the port in listen.smtps"},
		{Listen{SMTP: []string{"192.0.2.1:2525"}}, "cannot listen on 192.0.2.1:2525: this machine has no such address; change it in listen.smtp"},
		{Listen{SMTP: []string{"2525"}}, `listen.smtp: "2525" is no address; write it like 127.0.0.1:2525`},
		{Listen{SMTP: []string{"127.0.0.1:smtp"}}, `listen.smtp: "127.0.0.1:smtp" has no port number; write it like 127.0.0.1:2525`},
		{Listen{SMTP: []string{"mail.example:2525"}}, `listen.smtp: "mail.example:2525" is a name; write an IP address like 127.0.0.1:2525`},
		{Listen{SMTP: []string{}}, "listen.smtp: there is no address to listen on"},
		{Listen{SMTP: []string{"127.0.0.1:0"}, CertFile: "x"}, "listen.tls needs both cert and key"},
	} {
		tc.l.StateDir = t.TempDir()
		s, err := New(Options{Handler: &recorder{}, Listen: tc.l})
		if err == nil || err.Error() != tc.want {
			t.Errorf("got  %v\nwant %s", err, tc.want)
		}
		if s != nil {
			t.Error("a server in spite of an error")
		}
	}
	for _, o := range []Options{{}, {Handler: &recorder{}, Allow: "all"}, {Handler: &recorder{}, Login: Login{Mode: "on"}}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

// TestFamilyMissing: of the default addresses one that the machine lacks is
// skipped.
func TestFamilyMissing(t *testing.T) {
	t.Parallel()
	err := listenError("smtp", "x", netip.AddrPort{}, &net.OpError{Op: "listen", Err: errNotHere})
	if !notHere(err) || portInUse(err) || portForbidden(err) {
		t.Errorf("%v", err)
	}
}

// TestCertificate: what is made, kept, renewed and refused.
func TestCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	first, err := ownCertificate(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	leaf := first.Leaf
	if leaf.IsCA || leaf.KeyUsage&x509.KeyUsageCertSign != 0 || !leaf.BasicConstraintsValid ||
		leaf.PublicKeyAlgorithm != x509.ECDSA || fmt.Sprint(leaf.DNSNames, leaf.IPAddresses) != "[localhost] [127.0.0.1 ::1]" {
		t.Errorf("leaf %+v", leaf)
	}
	for _, f := range []string{certFile, keyFile} {
		info, err := os.Stat(filepath.Join(dir, f))
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info, err)
		}
	}
	again, err := ownCertificate(dir, now.Add(certLife-certRenew-2*time.Minute))
	if err != nil || !again.Leaf.Equal(leaf) {
		t.Errorf("not kept: %v", err)
	}
	renewed, err := ownCertificate(dir, now.Add(certLife-certRenew+time.Minute))
	if err != nil || renewed.Leaf.Equal(leaf) || !renewed.Leaf.PublicKey.(*ecdsa.PublicKey).Equal(leaf.PublicKey) {
		t.Errorf("not renewed with the same key: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(filepath.Join(dir, keyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	fresh, err := ownCertificate(dir, now)
	if err != nil || fresh.Leaf.PublicKey.(*ecdsa.PublicKey).Equal(leaf.PublicKey) {
		t.Errorf("a key that others could read is still in use: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, certFile), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ownCertificate(dir, now); err != nil {
		t.Errorf("garbage: %v", err)
	}
	target := filepath.Join(dir, "target")
	os.Rename(filepath.Join(dir, keyFile), target)
	if err := os.Symlink(target, filepath.Join(dir, keyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := ownCertificate(dir, now); err == nil {
		t.Error("a symbolic link was followed")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".smtp-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestShutdown: idle connections are told goodbye, a transaction finishes, and
// what does not finish is cut.
func TestShutdown(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	s := start(t, Options{Handler: r})
	idle, busy := dial(t, s, 0), dial(t, s, 0)
	idle.cmd("EHLO x", "250-")
	busy.cmd("EHLO x", "250-")
	busy.cmd("MAIL FROM:<a@b.example>", "250")
	done := make(chan error)
	go func() { done <- s.Shutdown(context.Background()) }()
	idle.expect("421 4.3.2 Melon is shutting down")
	idle.expect("")
	busy.cmd("RCPT TO:<c@d.example>", "250")
	busy.cmd("DATA", "354")
	busy.cmd("last\r\n.", "250")
	busy.expect("421 4.3.2")
	busy.expect("")
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := r.complete(); len(got) != 1 || got[0].body != "last\r\n" {
		t.Errorf("got %+v", got)
	}
	if _, err := net.Dial("tcp", s.Addresses()[0].Addr); err == nil {
		t.Error("still listening")
	}
	if err := s.Reload(Options{Handler: r}); err == nil {
		t.Error("reloaded after the end")
	}
}

// TestShutdownCut: when ctx ends, handlers are told and connections cut.
func TestShutdownCut(t *testing.T) {
	t.Parallel()
	in := make(chan struct{}, 2)
	r := &recorder{rcpt: func(ctx context.Context, _ upstream.Recipient) error {
		in <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	s := start(t, Options{Handler: r, Listen: Listen{StartTLS: true, StateDir: t.TempDir()}})
	a, b, c := dial(t, s, 0), dial(t, s, 0), dial(t, s, 0)
	a.cmd("EHLO x", "250-")
	a.cmd("MAIL FROM:<a@b.example>", "250")
	b.cmd("EHLO x", "250-")
	b.cmd("STARTTLS", "220")
	b = b.startTLS()
	b.cmd("EHLO x", "250-")
	b.cmd("MAIL FROM:<a@b.example>", "250")
	b.say("RCPT TO:<c@d.example>\r\n")
	<-in
	c.cmd("EHLO x", "250-")
	c.cmd("STARTTLS", "220") // and no handshake
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Shutdown(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	a.expect("")
	for _, m := range r.all() {
		if m.resets != 1 {
			t.Errorf("%d resets", m.resets)
		}
	}
}

// TestReload: new settings for new connections, all or nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	o := Options{Handler: r, Peers: peers{}, Listen: Listen{SMTP: []string{"127.0.0.1:0"}, StateDir: t.TempDir()}}
	s := start(t, o)
	before := s.Addresses()
	old := dial(t, s, 0)
	old.cmd("EHLO x", "250-")

	bad := o
	bad.Login.Mode = LoginRequired
	bad.Listen.SMTP = []string{"127.0.0.1:0", "192.0.2.1:1"}
	if err := s.Reload(bad); err == nil || fmt.Sprint(s.Addresses()) != fmt.Sprint(before) {
		t.Errorf("error %v, addresses %v", err, s.Addresses())
	}
	dial(t, s, 0).play("C: EHLO x\nS: 250-\nC: MAIL FROM:<a@b.example>\nS: 250")

	good := o
	good.Login.Mode = LoginRequired
	good.Listen.SMTPS = []string{"127.0.0.1:0"}
	if err := s.Reload(good); err != nil {
		t.Fatal(err)
	}
	dial(t, s, 0).play("C: EHLO x\nS: 250-\nC: MAIL FROM:<a@b.example>\nS: 530")
	old.cmd("MAIL FROM:<a@b.example>", "250")
	after := s.Addresses()
	if len(after) != 2 || after[0] != before[0] {
		t.Errorf("addresses %v, before %v", after, before)
	}
	if err := s.Reload(o); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", after[1].Addr); err == nil {
		c.Close()
		t.Error("a closed address still listens")
	}
}

// TestEnforced is what status says.
func TestEnforced(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		o    Options
		want bool
	}{
		{Options{Peers: peers{}}, true},
		{Options{Peers: peers{off: true}}, false},
		{Options{Peers: peers{}, Allow: AllowAnyLocal}, false},
	} {
		if got := start(t, tc.o).Enforced(); got != tc.want {
			t.Errorf("%+v: %v", tc.o, got)
		}
	}
}
