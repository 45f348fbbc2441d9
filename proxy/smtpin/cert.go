package smtpin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// The own certificate: a leaf that says localhost and nothing else. It is no
// certificate authority, so that trusting it in a mail app trusts this one key
// and nothing that could be signed with it. It is renewed with the same key
// before it expires, so that an app that pinned the key notices nothing.
const (
	certFile     = "smtp-certificate.pem"
	keyFile      = "smtp-key.pem"
	certLife     = 397 * 24 * time.Hour // what operating systems accept from a server
	certRenew    = 30 * 24 * time.Hour  // left when it is renewed
	certBackdate = time.Hour            // for clocks that differ
)

// certificate holds the certificate in use.
type certificate struct {
	mu  sync.Mutex
	dir string // "" for a given certificate
	cur *tls.Certificate
}

// openCertificate loads the given certificate, or loads or makes the own one in
// l.StateDir.
func openCertificate(l Listen) (*certificate, error) {
	if (l.CertFile == "") != (l.KeyFile == "") {
		return nil, errors.New("listen.tls needs both cert and key")
	}
	if l.CertFile != "" {
		cur, err := tls.LoadX509KeyPair(l.CertFile, l.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("listen.tls: %w", err)
		}
		return &certificate{cur: &cur}, nil
	}
	if l.StateDir == "" {
		return nil, errors.New("no directory to keep the own certificate in")
	}
	c := &certificate{dir: l.StateDir}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("own certificate: %w", err)
	}
	if _, err := c.get(nil); err != nil {
		return nil, fmt.Errorf("own certificate: %w", err)
	}
	return c, nil
}

// get returns the certificate for a handshake and renews the own one when it is
// due. A renewal that cannot be stored leaves the old one in use.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.dir == "" || c.cur != nil && !due(c.cur.Leaf, now) {
		return c.cur, nil
	}
	next, err := ownCertificate(c.dir, now)
	switch {
	case err == nil:
		c.cur = next
	case c.cur == nil:
		return nil, err
	}
	return c.cur, nil
}

// due reports whether the certificate should be replaced at the time now.
func due(leaf *x509.Certificate, now time.Time) bool {
	return leaf == nil || now.Before(leaf.NotBefore) || now.Add(certRenew).After(leaf.NotAfter)
}

// ownCertificate loads the own certificate from dir, or makes one that fits.
func ownCertificate(dir string, now time.Time) (*tls.Certificate, error) {
	keyPEM, err := readPrivate(filepath.Join(dir, keyFile))
	if err != nil {
		return nil, err
	}
	certPEM, err := readPrivate(filepath.Join(dir, certFile))
	if err != nil {
		return nil, err
	}
	if cur, err := tls.X509KeyPair(certPEM, keyPEM); err == nil && !cur.Leaf.IsCA && !due(cur.Leaf, now) {
		return &cur, nil
	}
	key := parseKey(keyPEM)
	if key == nil {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if err := writePrivate(filepath.Join(dir, keyFile), keyPEM); err != nil {
			return nil, err
		}
	}
	if certPEM, err = leafFor(key, now); err != nil {
		return nil, err
	}
	if err := writePrivate(filepath.Join(dir, certFile), certPEM); err != nil {
		return nil, err
	}
	cur, err := tls.X509KeyPair(certPEM, keyPEM)
	return &cur, err
}

// leafFor makes a self-signed leaf certificate for key.
func leafFor(key *ecdsa.PrivateKey, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "localhost", Organization: []string{"Melon on this computer"}},
		NotBefore:             now.Add(-certBackdate),
		NotAfter:              now.Add(certLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// parseKey reads an ECDSA key, nil when there is none that can be used.
func parseKey(keyPEM []byte) *ecdsa.PrivateKey {
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	ec, _ := key.(*ecdsa.PrivateKey)
	return ec
}

// readPrivate reads a file of the state directory: nil when it is not there, or
// when others could have read it, as it is then no secret any more. Anything
// but a regular file is refused.
func readPrivate(name string) ([]byte, error) {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", name)
	case tooOpen(info.Mode()):
		return nil, nil
	}
	return os.ReadFile(name)
}

// writePrivate puts a file of mode 0600 in place of what is there, whole or not
// at all.
func writePrivate(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".smtp-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
