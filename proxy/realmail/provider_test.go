//go:build realmail

package realmail

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// providerOptions is what differs between providers.
type providerOptions struct {
	domain      string
	pbs         bool   // POP before SMTP, no SMTP AUTH; else SMTP AUTH
	noTLS       bool   // no STARTTLS, no STLS
	authOnlyTLS bool   // no password in clear, by POP3 or SMTP
	mechanisms  string // of Dovecot; "" is passwordMechanisms
	tokens      string // URL of the token service; "" for no OAuth 2.0
	users       []string
}

// provider is a running Postfix and a Dovecot on a loopback address of their own.
type provider struct {
	domain string
	host   string // 127.x.y.z
	smtp   int    // with STARTTLS unless noTLS, as pop with STLS
	smtps  int
	pop    int
	pops   int
	root   string // their root directory
	ca     string // file with the CA of their certificate
	users  []string

	postfix *daemon
	dovecot *daemon
	mailbox *mailbox
}

// startProvider starts a provider that ends with the test.
func startProvider(t testing.TB, o providerOptions) *provider {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv(scratchVar), "provider-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := &provider{domain: o.domain, root: filepath.Join(dir, "root"), ca: filepath.Join(dir, "ca.pem"), users: append(o.users, "taro")}
	if err := cloneImage(p.root); err != nil {
		t.Fatal(err)
	}
	if err := accounts(p.root); err != nil {
		t.Fatal(err)
	}
	p.mkdir(t, "tmp", 0, 0, 0o1777)
	p.findAddress(t)
	key, cert, ca := certificate(t, "mail."+p.domain, p.host)
	p.write(t, "etc/ssl/key.pem", 0o600, key)
	p.write(t, "etc/ssl/cert.pem", 0o644, cert)
	if err := os.WriteFile(p.ca, []byte(ca), 0o644); err != nil {
		t.Fatal(err)
	}
	p.writePBS(t)
	p.startPostfix(t, o)
	p.startDovecot(t, o)
	p.mailbox = watchMailbox(t, filepath.Join(p.root, "var/mail/all/new"))
	return p
}

// findAddress chooses a loopback address that nobody else is likely to use, as
// neither server can be given port 0, and free ports on it.
func (p *provider) findAddress(t testing.TB) {
	t.Helper()
	p.host = loopback(t)
	for _, port := range []*int{&p.smtp, &p.smtps, &p.pop, &p.pops} {
		l, err := net.Listen("tcp", net.JoinHostPort(p.host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // not before all four are chosen
		*port = l.Addr().(*net.TCPAddr).Port
	}
}

func (p *provider) smtpAddr() string { return fmt.Sprintf("%s:%d", p.host, p.smtp) }
func (p *provider) popAddr() string  { return fmt.Sprintf("%s:%d", p.host, p.pop) }

// write makes a file of the provider's own. It looks an hour old, as Postfix
// waits until main.cf is a few seconds old, in case it is being written.
func (p *provider) write(t testing.TB, name string, mode os.FileMode, data string) {
	t.Helper()
	path := filepath.Join(p.root, name)
	old := time.Now().Add(-time.Hour)
	err := errors.Join(
		os.MkdirAll(filepath.Dir(path), 0o755),
		os.WriteFile(path, []byte(data), mode),
		os.Chmod(path, mode),
		os.Chtimes(path, old, old))
	if err != nil {
		t.Fatal(err)
	}
}

// mkdir makes a directory with exactly that owner and mode, as chmod(1) has it.
func (p *provider) mkdir(t testing.TB, name string, uid, gid int, mode uint32) {
	t.Helper()
	path := filepath.Join(p.root, name)
	bits := os.FileMode(mode & 0o777)
	if mode&0o1000 != 0 {
		bits |= os.ModeSticky
	}
	if mode&0o2000 != 0 {
		bits |= os.ModeSetgid
	}
	if err := errors.Join(os.MkdirAll(path, 0o755), os.Chown(path, uid, gid), os.Chmod(path, bits)); err != nil {
		t.Fatal(err)
	}
}
