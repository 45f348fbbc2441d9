package pop

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
)

// provider is an account at a scripted server.
func provider(change ...func(*upstream.Account)) upstream.Account {
	a := upstream.Account{
		Name: "home",
		POP: upstream.POPServer{
			Server:   upstream.Server{Host: "192.0.2.1", Port: 110, Security: upstream.SecurityAuto},
			Username: "taro",
		},
		AllowPlaintext: true,
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

func security(s upstream.Security) func(*upstream.Account) {
	return func(a *upstream.Account) { a.POP.Security = s }
}

func encryptedOnly(a *upstream.Account) { a.AllowPlaintext = false }

func finish(f string) func(*upstream.Account) {
	return func(a *upstream.Account) { a.PopBeforeSMTP.Finish = f }
}

// certificate makes a certificate for 192.0.2.1 and a pool that trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// script is the server's side of a conversation, line by line:
//
//	S: TEXT   it sends TEXT and CRLF (several in a row leave in one write)
//	S! TEXT   it sends TEXT as it stands, joined to the S: line before it
//	C: TEXT   it expects the line TEXT
//	TLS       it shakes hands
//	EOF       it closes the connection
//
// After the last line it expects the client to say nothing more.
type script []string

// play serves c.
func (s script) play(c net.Conn, cert tls.Certificate) error {
	defer c.Close()
	r := bufio.NewReader(c)
	for i := 0; i < len(s); i++ {
		what, text, _ := strings.Cut(s[i], " ")
		switch what {
		case "S:", "S!":
			var out strings.Builder
			for ; i < len(s) && strings.HasPrefix(s[i], "S"); i++ {
				out.WriteString(s[i][3:])
				if s[i][1] == ':' {
					out.WriteString("\r\n")
				}
			}
			i--
			if _, err := io.WriteString(c, out.String()); err != nil {
				return nil // the client has seen enough
			}
		case "C:":
			line, err := r.ReadString('\n')
			if err != nil || line != text+"\r\n" {
				return fmt.Errorf("got %q, %v, want %q", line, err, text)
			}
		case "TLS":
			t := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert},
				SessionTicketsDisabled: true}) // a pipe has no room for tickets that nobody reads
			if err := t.Handshake(); err != nil {
				return err
			}
			c = t
			r.Reset(t)
		case "EOF":
			return nil
		}
	}
	if line, err := r.ReadString('\n'); err == nil || line != "" {
		return fmt.Errorf("the client also said %q", line)
	}
	return nil
}

// run opens a session with the scripted server, calls use with it, if any, and
// returns Open's results after the server has ended.
func (s script) run(t *testing.T, o Options, use func(*Session)) (*Session, error) {
	t.Helper()
	cert, pool := tls.Certificate{}, (*x509.CertPool)(nil)
	if strings.Contains(strings.Join(s, "\n"), "TLS") {
		cert, pool = certificate(t)
	}
	near, far := net.Pipe()
	played := make(chan error, 1)
	go func() { played <- s.play(far, cert) }()
	o.Dialer = &dial.Dialer{RootCAs: pool, DialContext: func(context.Context, string, string, string) (net.Conn, error) { return near, nil }}
	if o.Password == "" {
		o.Password = "tanstaaf"
	}
	session, err := Open(t.Context(), o)
	if err == nil {
		if use != nil {
			use(session)
		}
		session.Close()
	}
	if err := <-played; err != nil {
		t.Errorf("the server: %v", err)
	}
	return session, err
}

// wantError checks class, phase, a piece of the sentence, and that no secret is
// in it.
func wantError(t *testing.T, err error, class upstream.Class, phase upstream.Phase, sentence string) *upstream.Error {
	t.Helper()
	var e *upstream.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is no *upstream.Error", err, err)
	}
	if e.Class != class || e.Phase != phase || !strings.Contains(e.Sentence, sentence) || e.Sentence == "" {
		t.Errorf("got  %s, %s, %q (%v)\nwant %s, %s, %q", e.Class, e.Phase, e.Sentence, e, class, phase, sentence)
	}
	if strings.Contains(e.Error()+e.Sentence, "tanstaaf") {
		t.Errorf("the password is in %v", e)
	}
	if e.Account != "home" {
		t.Errorf("account %q", e.Account)
	}
	return e
}
