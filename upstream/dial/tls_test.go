package dial

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/upstream"
	"melon/upstream/trace"
)

// TestCertificates dials servers with all sorts of certificates under all sorts
// of trust.
func TestCertificates(t *testing.T) {
	t.Parallel()
	ours, foreign := newAuthority(t, "Ours"), newAuthority(t, "Foreign Authority")
	name := []string{"mail.example"}
	good := ours.issue(t, certOptions{names: name})
	byIP := ours.issue(t, certOptions{ips: []net.IP{net.IPv4(127, 0, 0, 1)}})
	other := ours.issue(t, certOptions{names: []string{"other.example", "third.example"}})
	selfSigned := ours.issue(t, certOptions{names: name, selfSign: true})
	stranger := foreign.issue(t, certOptions{names: name})
	now := time.Now()
	expired := ours.issue(t, certOptions{names: name, from: now.AddDate(-2, 0, 0), to: now.AddDate(0, 0, -1)})
	future := ours.issue(t, certOptions{names: name, from: now.AddDate(0, 0, 2), to: now.AddDate(1, 0, 0)})
	notPEM := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(notPEM, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	caFile := writeCA(t, ours)
	wrongPin := "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	const invalid, clock = upstream.ClassCertificateInvalid, upstream.ClassClockWrong

	for _, tc := range []struct {
		name     string
		cert     tls.Certificate
		host     string // "" is mail.example
		trust    upstream.Trust
		noRoots  bool // the Dialer knows only the foreign authority
		now      time.Time
		class    upstream.Class // "" is success
		sentence string
	}{
		{name: "good", cert: good},
		{name: "IP address", cert: byIP, host: "127.0.0.1"},
		{name: "IP address of another", cert: good, host: "127.0.0.1", class: invalid, sentence: "is for another server (mail.example)"},
		{name: "other name", cert: other, class: invalid, sentence: "is for another server (other.example, third.example)"},
		{name: "other name, expected", cert: other, trust: upstream.Trust{ServerName: "other.example"}},
		{name: "self-signed", cert: selfSigned, class: invalid, sentence: "self-signed"},
		{name: "foreign", cert: stranger, class: invalid, sentence: "does not trust (CN=Foreign Authority)"},
		{name: "expired", cert: expired, class: invalid, sentence: "expired on " + now.AddDate(0, 0, -1).UTC().Format("2 January 2006")},
		{name: "from the future", cert: future, class: clock, sentence: "clock says"},
		{name: "clock before the program", cert: good, now: time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), class: clock, sentence: "1 January 1990"},
		{name: "clock far ahead", cert: good, now: now.AddDate(40, 0, 0), class: clock, sentence: "cannot be"},
		{name: "own CA file", cert: good, noRoots: true, trust: upstream.Trust{CA: caFile}},
		{name: "own CA file replaces the others", cert: stranger, noRoots: true, trust: upstream.Trust{CA: caFile}, class: invalid, sentence: "does not trust"},
		{name: "no CA file", cert: good, trust: upstream.Trust{CA: notPEM + "x"}, class: invalid, sentence: "trust.ca"},
		{name: "bad CA file", cert: good, trust: upstream.Trust{CA: notPEM}, class: invalid, sentence: "trust.ca"},
		{name: "insecure", cert: stranger, host: "127.0.0.1", trust: upstream.Trust{Insecure: true}},
		{name: "pin of the server, self-signed", cert: selfSigned, trust: upstream.Trust{Pins: []string{wrongPin, pinOf(t, selfSigned, 0)}}},
		{name: "pin of the server, expired", cert: expired, trust: upstream.Trust{Pins: []string{pinOf(t, expired, 0)}}},
		{name: "pin of the authority", cert: good, trust: upstream.Trust{Pins: []string{pinOf(t, good, 1)}}},
		{name: "pin of an authority that is not trusted", cert: stranger, trust: upstream.Trust{Pins: []string{pinOf(t, stranger, 1)}}, class: invalid, sentence: "does not trust"},
		{name: "pin of the authority, insecure", cert: good, trust: upstream.Trust{Pins: []string{pinOf(t, good, 1)}, Insecure: true}, class: invalid, sentence: "pins"},
		{name: "wrong pin", cert: good, trust: upstream.Trust{Pins: []string{wrongPin}}, class: invalid, sentence: "pins"},
		{name: "pin that is none", cert: good, trust: upstream.Trust{Pins: []string{"sha256/"}}, class: invalid, sentence: "pins"},
		{name: "wrong pin, insecure", cert: good, trust: upstream.Trust{Pins: []string{wrongPin}, Insecure: true}, class: invalid, sentence: "pins"},
		{name: "pin, other name", cert: other, trust: upstream.Trust{Pins: []string{pinOf(t, other, 1)}}, class: invalid, sentence: "another server"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ip, port := serve(t, tlsServer(&tls.Config{Certificates: []tls.Certificate{tc.cert}}))
			d := &Dialer{Resolver: zone{"mail.example": ip}, RootCAs: ours.pool}
			if tc.noRoots {
				d.RootCAs = foreign.pool
			}
			if !tc.now.IsZero() {
				d.Now = func() time.Time { return tc.now }
			}
			host := "mail.example"
			if tc.host != "" {
				host = tc.host
			}
			target := Target{Server: upstream.Server{Host: host, Port: port}, ImplicitTLS: true, Trust: tc.trust, Account: "home"}
			for range 2 { // the second time is resumed where the first succeeded
				c, err := d.Dial(context.Background(), target)
				if tc.class != "" {
					wantError(t, err, tc.class, upstream.PhaseConnect, tc.sentence)
					if e := upstream.AsError(err, ""); e.Account != "home" || strings.Contains(e.Sentence, notPEM) {
						t.Errorf("account %q, sentence %q", e.Account, e.Sentence)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if s, ok := c.TLS(); !ok || s.Version != tls.VersionTLS13 {
					t.Errorf("TLS version %x, %v", s.Version, ok)
				}
				if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "220 hi\r\n" {
					t.Errorf("read %q, %v", line, err)
				}
				c.Close()
			}
		})
	}
}

// TestHandshakeFaults: what a server can do instead of shaking hands.
func TestHandshakeFaults(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "Ours")
	cert := ours.issue(t, certOptions{names: []string{"mail.example"}})
	says := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			c.Write([]byte(text))
			hold(c)
		}
	}
	const broken, intercepted = upstream.ClassServerBroken, upstream.ClassSMTPIntercepted
	for _, tc := range []struct {
		name     string
		handle   func(net.Conn)
		class    upstream.Class
		sentence string
	}{
		{"plain SMTP", says("220 mail.example ESMTP\r\n"), intercepted, "plain text"},
		{"plain HTTP", says("HTTP/1.1 302 Found\r\n"), intercepted, "plain text"},
		{"garbage", says("\x00\x01\x02\x03\x04\x05\x06"), broken, "something else"},
		{"hangs up", func(c net.Conn) { c.Read(make([]byte, 1)) }, broken, "broke the TLS handshake off"},
		{"silence", hold, broken, "did not answer the TLS handshake"},
		{"old version", tlsServer(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), broken, "trust.legacy_tls"},
		{"no common cipher", tlsServer(&tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}}), broken, "encryption in common"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ip, port := serve(t, tc.handle)
			d := &Dialer{Resolver: zone{"mail.example": ip}, RootCAs: ours.pool}
			target := Target{Server: upstream.Server{Host: "mail.example", Port: port}, ImplicitTLS: true, Protocol: trace.POP3}
			if tc.name == "silence" {
				target.Timeout = 50 * time.Millisecond
			}
			_, err := d.Dial(context.Background(), target)
			wantError(t, err, tc.class, upstream.PhasePOPGreeting, tc.sentence)
		})
	}
}

func TestLegacyTLS(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "Ours")
	cert := ours.issue(t, certOptions{names: []string{"mail.example"}})
	ip, port := serve(t, tlsServer(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}))
	d := &Dialer{Resolver: zone{"mail.example": ip}, RootCAs: ours.pool}
	c, err := d.Dial(context.Background(), Target{Server: upstream.Server{Host: "mail.example", Port: port}, ImplicitTLS: true, Trust: upstream.Trust{LegacyTLS: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if s, _ := c.TLS(); s.Version != tls.VersionTLS10 {
		t.Errorf("version %x", s.Version)
	}
}

// TestResumption: a session is resumed, but not by a target of other trust.
func TestResumption(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "Ours")
	cert := ours.issue(t, certOptions{names: []string{"mail.example"}})
	ip, port := serve(t, tlsServer(&tls.Config{Certificates: []tls.Certificate{cert}}))
	d := &Dialer{Resolver: zone{"mail.example": ip}, RootCAs: ours.pool}
	target := Target{Server: upstream.Server{Host: "mail.example", Port: port}, ImplicitTLS: true}
	dial := func(trust upstream.Trust) bool {
		target.Trust = trust
		c, err := d.Dial(context.Background(), target)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil { // with it comes the ticket
			t.Fatal(err)
		}
		s, _ := c.TLS()
		return s.DidResume
	}
	insecure, pinned := upstream.Trust{Insecure: true}, upstream.Trust{Pins: []string{pinOf(t, cert, 0)}}
	got := []bool{dial(insecure), dial(upstream.Trust{}), dial(upstream.Trust{}), dial(pinned), dial(pinned), dial(insecure)}
	want := []bool{false, false, true, false, true, true}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("resumed %v, want %v", got, want)
	}
}

// TestStartTLS upgrades a connection and looks at the trace of it.
func TestStartTLS(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "Ours")
	cert := ours.issue(t, certOptions{names: []string{"mail.example"}})
	ip, port := serve(t, func(c net.Conn) {
		io.WriteString(c, "220 hi\r\n")
		r := bufio.NewReader(c)
		if l, _ := r.ReadString('\n'); l != "STARTTLS\r\n" {
			return
		}
		io.WriteString(c, "220 go\r\n")
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12})
		r.Reset(s)
		r.ReadString('\n')
		io.WriteString(s, "535 no hunter22\r\n")
		hold(s)
	})
	var mu sync.Mutex
	var lines []string
	d := &Dialer{Resolver: zone{"mail.example": ip}, RootCAs: ours.pool, Trace: func(t Target, l trace.Line) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, t.Account+" "+l.String())
	}}
	c, err := d.Dial(context.Background(), Target{Server: upstream.Server{Host: "mail.example", Port: port}, Account: "home"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	r.ReadString('\n')
	io.WriteString(c, "STARTTLS\r\n")
	r.ReadString('\n')
	if err := c.StartTLS(context.Background(), r.Buffered()); err != nil {
		t.Fatal(err)
	}
	r.Reset(c)
	io.WriteString(c, "AUTH PLAIN AHRhcm8AaHVudGVyMjI=\r\n")
	if l, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(l, "535") {
		t.Fatal(l, err)
	}
	mu.Lock()
	defer mu.Unlock()
	want := "home S: 220 hi|home C: STARTTLS|home S: 220 go|home C: <TLS 1.2 TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256>|home C: AUTH PLAIN ***|home S: 535 no ***"
	if got := strings.Join(lines, "|"); got != want {
		t.Errorf("trace\n%s\nwant\n%s", got, want)
	}
}

// TestStartTLSInjected: octets before the handshake end the connection, whether
// the caller has read them already or not (CVE-2011-0411).
func TestStartTLSInjected(t *testing.T) {
	t.Parallel()
	for _, pending := range []int{0, 14} {
		ip, port := serve(t, func(c net.Conn) {
			io.WriteString(c, "220 go\r\n")
			io.WriteString(c, "250 injected\r\n")
			hold(c)
		})
		c, err := (&Dialer{}).Dial(context.Background(), Target{Server: upstream.Server{Host: ip, Port: port}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len("220 go\r\n")+pending)); err != nil {
			t.Fatal(err)
		}
		err = c.StartTLS(context.Background(), pending)
		wantError(t, err, upstream.ClassSMTPIntercepted, upstream.PhaseStartTLS, "")
		c.Close()
	}
}
