package smtpin

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"melon/upstream"
)

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
		other         bool // than Melon's own user, as far as that is known
	}{
		{"own", near, AllowSameUser, mine, "127.0.0.1:25", "127.0.0.1:9", "", "", false},
		{"other user", near, AllowSameUser, other, "127.0.0.1:25", "127.0.0.1:9", "a process of another user: uid 7", "554 5.7.1", true},
		{"other user, v6", near, AllowSameUser, other, "[::1]:25", "[::1]:9", "a process of another user: uid 7", "554 5.7.1", true},
		{"other user, any local", near, AllowAnyLocal, other, "127.0.0.1:25", "127.0.0.1:9", "", "", true},
		{"unknown user", near, AllowSameUser, broken, "127.0.0.1:25", "127.0.0.1:9", "the peer's user", "554 5.7.1", true},
		{"unknown user, any local", near, AllowAnyLocal, broken, "127.0.0.1:25", "127.0.0.1:9", "", "", true},
		{"cannot tell", near, AllowSameUser, peers{off: true, same: other.same}, "127.0.0.1:25", "127.0.0.1:9", "", "", false},
		{"from afar at a near door", near, AllowAnyLocal, mine, "127.0.0.1:25", "192.0.2.1:9", "a peer beyond loopback", "", false},
		{"from afar", far, AllowSameUser, broken, "10.0.0.1:25", "192.0.2.1:9", "", "", true},
		{"other user at a far door", far, AllowSameUser, other, "127.0.0.1:25", "127.0.0.1:9", "a process of another user", "554", true},
		{"other user by the machine's own address", far, AllowSameUser, other, "10.0.0.1:25", "10.0.0.1:9", "a process of another user", "554", true},
	} {
		s := &Server{}
		c := fakeConn{local: tc.local, remote: tc.remote}
		w := who{door: tc.d}
		reason, text := s.vet(&settings{peers: tc.peers, allow: tc.allow}, &w, c)
		if w.other != tc.other {
			t.Errorf("%s: other user %v", tc.name, w.other)
		}
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

func (c fakeConn) LocalAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.local))
}
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
// skipped, with a warning; a listed one is an error.
func TestFamilyMissing(t *testing.T) {
	t.Parallel()
	var log logBuffer
	s := &Server{log: log.logger()}
	doors, err := s.bind([]want{{"smtp", "127.0.0.1:0", true}, {"smtp", "192.0.2.1:0", true}}, LoginOff)
	if err != nil || len(doors) != 1 || strings.Count(log.String(), "addr=192.0.2.1:0") != 1 {
		t.Errorf("%v, %v; %s", doors, err, log.String())
	}
	closeDoors(doors)
	if _, err := s.bind([]want{{"smtp", "192.0.2.1:0", true}}, LoginOff); err == nil {
		t.Error("no address, and no error")
	}
	if _, err := s.bind([]want{{"smtp", "192.0.2.1:0", false}}, LoginOff); err == nil {
		t.Error("a listed address was skipped")
	}
	if got := fmt.Sprint(wanted(Listen{SMTPS: []string{"x:1"}})); got != "[{smtp 127.0.0.1:2525 true} {smtp [::1]:2525 true} {smtps x:1 false}]" {
		t.Error(got)
	}
	if !notHere(errNotHere) || portInUse(errNotHere) || portForbidden(errNotHere) {
		t.Error("the system's word for a missing family is not known")
	}
}

// TestParseListen pins what an address means.
func TestParseListen(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"127.0.0.1:2525":          "tcp4 127.0.0.1:2525",
		"localhost:25":            "tcp4 127.0.0.1:25",
		"[::1]:0":                 "tcp6 [::1]:0",
		"[::ffff:127.0.0.1]:2525": "tcp4 127.0.0.1:2525",
		":2525":                   "tcp [::]:2525",
		"0.0.0.0:2525":            "tcp4 0.0.0.0:2525",
		"127.0.0.1:70000":         "error",
		"127.0.0.1":               "error",
		"::1:2525":                "error",
	} {
		network, addr, err := parseListen(in)
		got := network + " " + addr.String()
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
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
