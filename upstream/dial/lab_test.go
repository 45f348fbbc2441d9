package dial

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
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
)

// authority issues certificates for the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

// certOptions say what is special about a certificate.
type certOptions struct {
	names    []string
	ips      []net.IP
	from, to time.Time // zero: a year around now
	selfSign bool
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: now.AddDate(-20, 0, 0), NotAfter: now.AddDate(100, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

// issue makes a server certificate; the authority's own follows it in the chain.
func (a *authority) issue(t testing.TB, o certOptions) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if o.from.IsZero() {
		o.from, o.to = time.Now().AddDate(0, -1, 0), time.Now().AddDate(1, 0, 0)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"},
		NotBefore: o.from, NotAfter: o.to, DNSNames: o.names, IPAddresses: o.ips,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	parent, signer := a.cert, a.key
	if o.selfSign {
		parent, signer = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	out := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if !o.selfSign {
		out.Certificate = append(out.Certificate, a.cert.Raw)
	}
	return out
}

// pinOf returns the pin of the n-th certificate of a chain.
func pinOf(t testing.TB, c tls.Certificate, n int) string {
	t.Helper()
	cert, err := x509.ParseCertificate(c.Certificate[n])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return "sha256/" + base64.StdEncoding.EncodeToString(sum[:])
}

// writeCA puts an authority's certificate into a file.
func writeCA(t testing.TB, a *authority) string {
	t.Helper()
	var b bytes.Buffer
	if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// serve listens on loopback and runs handle for each connection until the test
// ends, and waits for all of them.
func serve(t testing.TB, handle func(net.Conn)) (host string, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	a := l.Addr().(*net.TCPAddr)
	return a.IP.String(), a.Port
}

// hold keeps a connection until the other side closes it.
func hold(c net.Conn) {
	b := make([]byte, 512)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// tlsServer shakes hands, greets and holds.
func tlsServer(cfg *tls.Config) func(net.Conn) {
	return func(c net.Conn) {
		s := tls.Server(c, cfg)
		if s.Handshake() != nil {
			return
		}
		s.Write([]byte("220 hi\r\n"))
		hold(s)
	}
}

// zone is a Resolver from names to addresses: "wait" answers nothing, "!TEXT" fails.
type zone map[string]string

func (z zone) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	v, ok := z[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if v == "wait" {
		<-ctx.Done()
		return nil, &net.DNSError{Err: ctx.Err().Error(), Name: host, IsTimeout: true}
	}
	if text, ok := strings.CutPrefix(v, "!"); ok {
		return nil, &net.DNSError{Err: text, Name: host, IsTemporary: true}
	}
	var out []netip.Addr
	for _, a := range strings.Fields(v) {
		out = append(out, netip.MustParseAddr(a))
	}
	return out, nil
}

// wantError checks class, phase and a piece of the sentence.
func wantError(t *testing.T, err error, class upstream.Class, phase upstream.Phase, sentence string) {
	t.Helper()
	var e *upstream.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v (%T) is no *upstream.Error", err, err)
	}
	if e.Class != class || e.Phase != phase || !strings.Contains(e.Sentence, sentence) {
		t.Errorf("got  %s, %s, %q (%v)\nwant %s, %s, %q", e.Class, e.Phase, e.Sentence, e.Err, class, phase, sentence)
	}
	if e.Kind() != upstream.KindTemporary {
		t.Errorf("%s is of the kind %s", e.Class, e.Kind())
	}
}

// TestMain fails the run when a goroutine of this package outlives the tests.
// (Those inside synctest are watched by synctest itself.)
func TestMain(m *testing.M) {
	code := m.Run()
	buf := make([]byte, 1<<20)
	for i := 0; code == 0; i++ {
		stacks := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "dial.race[") && !strings.Contains(stacks, "dial.(*") {
			break
		}
		if i == 1000 {
			os.Stderr.WriteString("goroutines are left:\n" + stacks)
			code = 1
		}
		runtime.Gosched()
	}
	os.Exit(code)
}
