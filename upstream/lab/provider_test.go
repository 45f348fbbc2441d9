package lab

import (
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
	"testing/synctest"
	"time"

	"melon/upstream"
)

// TestCertificates verifies each kind as a client does.
func TestCertificates(t *testing.T) {
	t.Parallel()
	for kind, want := range map[CertKind]string{
		CertGood: "", CertExpired: "expired or is not yet valid", CertNotYet: "expired or is not yet valid",
		CertForeignName: "valid for other.example, not localhost", CertSelfSigned: "unknown authority", CertOtherCA: "unknown authority",
	} {
		p := Run(t, Options{Cert: kind})
		c := dial(t, p.SMTPSAddr())
		err := tls.Client(c.nc, clientTLS(p)).Handshake()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("kind %d: %v, want %q", kind, err, want)
		}
		var ve *tls.CertificateVerificationError
		if want != "" && (!errors.As(err, &ve) || !ve.UnverifiedCertificates[0].Equal(p.Certificate())) {
			t.Errorf("kind %d: not the certificate shown", kind)
		}
	}
}

// TestResumption shows that sessions resume, and are counted.
func TestResumption(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{})
	conf := clientTLS(p)
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 {
		c := dial(t, p.SMTPSAddr())
		c = newClient(t, tls.Client(c.nc, conf))
		c.want("220")
		c.cmd("QUIT", "221")
		c.wantEnd()
	}
	if s := p.Stats(); s.TLSHandshakes != 2 || s.TLSResumed != 1 {
		t.Errorf("%+v", s)
	}
}

// TestOldTLS speaks TLS 1.0 alone, to those who allow it.
func TestOldTLS(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{SMTP: SMTP{TLSVersion: tls.VersionTLS10}})
	for _, minimum := range []uint16{tls.VersionTLS10, tls.VersionTLS12} {
		conf := clientTLS(p)
		conf.MinVersion = minimum
		err := tls.Client(dial(t, p.SMTPSAddr()).nc, conf).Handshake()
		if (err == nil) != (minimum == tls.VersionTLS10) {
			t.Errorf("a client from %s on: %v", tls.VersionName(minimum), err)
		}
	}
}

// TestAccount checks the settings for each kind of provider.
func TestAccount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := Run(t, Options{Dir: dir, Rules: Rules{PBS: PBS{Window: time.Hour, OpensAt: OpensAtList, Hold: true}}})
	a := p.Account("home")
	if a.SMTP.Security != upstream.SecurityStartTLS || a.SMTP.Addr() != p.SMTPAddr() || a.POP.Addr() != p.POPAddr() ||
		a.Auth != upstream.AuthPOPBeforeSMTP || a.PopBeforeSMTP != (upstream.PopBeforeSMTP{Window: time.Hour, Finish: "list", Hold: true}) || a.AllowPlaintext {
		t.Errorf("%+v", a)
	}
	if s := p.Server("pops"); s.Security != upstream.SecurityTLS || s.Addr() != p.POPSAddr() {
		t.Errorf("%+v", s)
	}
	if got, err := p.Get(t.Context(), a.Password); got != DefaultUser.Password || err != nil {
		t.Errorf("the password: %q, %v", got, err)
	}
	if fi, err := os.Stat(a.Password.File); err != nil || fi.Mode().Perm()&0o077 != 0 || filepath.Dir(a.Password.File) != dir {
		t.Errorf("the secret's file: %v %v", fi, err)
	}
	ca, err := os.ReadFile(a.Trust.CA)
	if pool := x509.NewCertPool(); err != nil || !pool.AppendCertsFromPEM(ca) {
		t.Errorf("the CA's file: %v", err)
	}
	p = Run(t, Options{SMTP: SMTP{Without: []string{"STARTTLS"}}})
	a = p.Account("home")
	if a.SMTP.Security != upstream.SecurityNone || !a.AllowPlaintext || a.Auth != upstream.AuthAuto || a.Trust.CA != "" {
		t.Errorf("%+v", a)
	}
	if got, err := p.Get(t.Context(), a.Password); got != DefaultUser.Password || err != nil {
		t.Errorf("the password: %q, %v", got, err)
	}
	if _, err := p.Get(t.Context(), upstream.SecretRef{Env: "HOME"}); err == nil {
		t.Error("resolved a stranger's secret")
	}
}

// TestCloseEndsAll closes a provider while clients do all kinds of things.
func TestCloseEndsAll(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Delay: time.Millisecond, Faults: []Fault{
		{Phase: upstream.PhaseEHLO, Attempt: 1, Kind: Stall},
		{Phase: upstream.PhaseEHLO, Attempt: 2, Kind: EndlessLine},
		{Phase: upstream.PhaseEHLO, Attempt: 3, Kind: SlowBytes, Every: time.Hour},
	}})
	var wg sync.WaitGroup
	for range 5 {
		c := dial(t, p.SMTPAddr())
		c.want("220")
		c.write("EHLO x\r\n")
		wg.Go(func() { io.Copy(io.Discard, io.LimitReader(c.nc, 1<<16)) })
	}
	if err := p.WaitFor(within(t), func(s Stats) bool { return s.Faults == 3 }); err != nil {
		t.Fatal(err)
	}
	p.Close()
	p.Close()
	if s := p.Stats(); s.SMTPOpen != 0 {
		t.Errorf("%d connections open", s.SMTPOpen)
	}
	if _, err := net.Dial("tcp", p.SMTPAddr()); err == nil {
		t.Error("still listening")
	}
	wg.Wait()
}

// TestDrop cuts the lines of one server alone.
func TestDrop(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{})
	smtp, pop := smtpTo(t, p), popTo(t, p)
	p.Drop(POPProto)
	pop.wantEnd()
	smtp.cmd("NOOP", "250")
}

// TestListen opens another port on a network in memory.
func TestListen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := NewNet(time.Second)
		p := Run(t, Options{Net: n, Hosts: []string{"192.0.2.1", "2001:db8::1"}})
		if got := p.SMTPAddr(); got != "192.0.2.1:587" {
			t.Errorf("listens on %s", got)
		}
		addr, err := p.Listen("smtp", "192.0.2.1:25")
		if err != nil {
			t.Fatal(err)
		}
		nc, err := n.DialContext(t.Context(), "tcp4", "192.0.2.9", addr)
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, nc)
		c.want("220")
		if r := c.cmd("EHLO x", "250"); !strings.Contains(r, "[192.0.2.9]") {
			t.Errorf("greets %q", r)
		}
	})
}

// TestMany lets many clients send at once.
func TestMany(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{})
	const clients, each = 20, 10
	var wg sync.WaitGroup
	for range clients {
		c := smtpTo(t, p)
		wg.Go(func() {
			c.say(ehlo)
			for range each {
				c.say(chunked)
			}
		})
	}
	ms, err := p.Wait(within(t), clients*each)
	wg.Wait()
	if err != nil || len(ms) != clients*each {
		t.Fatalf("%d messages, %v", len(ms), err)
	}
	for i, m := range ms {
		if m.ID != i+1 {
			t.Errorf("message %d has number %d", i, m.ID)
		}
	}
	if n := p.Count(SMTPProto, "bdat"); n != clients*each {
		t.Errorf("%d BDAT", n)
	}
}
