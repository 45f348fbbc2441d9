package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// certs are a provider's CA and what it signed.
type certs struct {
	ca     *x509.Certificate
	leaf   tls.Certificate // what the servers show
	client tls.Certificate
}

// certNames are the names in a certificate, but for CertForeignName.
var certNames = [...]string{
	"localhost", "mail.provider-a.example", "smtp.provider-a.example", "pop.provider-a.example",
	"oauth.provider-a.example", "autoconfig.provider-a.example", "provider-a.example",
}

// newCerts makes a CA and a leaf of the given kind, valid around now.
func newCerts(kind CertKind, now time.Time) (*certs, error) {
	ca, caKey, err := newCA(now)
	if err != nil {
		return nil, err
	}
	c := &certs{ca: ca}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "mail.provider-a.example"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     certNames[:],
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2), net.IPv6loopback},
	}
	signer, signerKey := ca, caKey
	switch kind {
	case CertExpired:
		leaf.NotBefore, leaf.NotAfter = now.AddDate(0, 0, -30), now.AddDate(0, 0, -1)
	case CertNotYet:
		leaf.NotBefore = now.AddDate(0, 0, 1)
	case CertForeignName:
		leaf.DNSNames, leaf.IPAddresses = []string{"other.example"}, nil
		leaf.Subject.CommonName = "other.example"
	case CertSelfSigned:
		signer, signerKey = leaf, nil
	case CertOtherCA:
		if signer, signerKey, err = newCA(now); err != nil {
			return nil, err
		}
	}
	if c.leaf, err = sign(leaf, signer, signerKey); err != nil {
		return nil, err
	}
	c.client, err = sign(&x509.Certificate{
		SerialNumber: big.NewInt(3),
		Subject:      pkix.Name{CommonName: "customer"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, ca, caKey)
	return c, err
}

// newCA makes a certificate authority.
func newCA(now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	t := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Provider A Root"},
		NotBefore:             now.AddDate(-1, 0, 0),
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	c, err := sign(t, t, nil)
	if err != nil {
		return nil, nil, err
	}
	return c.Leaf, c.PrivateKey.(*ecdsa.PrivateKey), nil
}

// sign makes a key and a certificate for it. Without a signer's key the
// certificate signs itself.
func sign(t, signer *x509.Certificate, signerKey *ecdsa.PrivateKey) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	if signerKey == nil {
		signerKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, signer, &key.PublicKey, signerKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

func (c *certs) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.ca)
	return pool
}

func (c *certs) caPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.ca.Raw})
}

// newTLSConfig returns the servers' TLS settings: TLS 1.2 and 1.3 with session
// tickets, and client certificates welcome but not needed.
func (p *Provider) newTLSConfig(clientCerts bool) *tls.Config {
	c := &tls.Config{
		Certificates: []tls.Certificate{p.certs.leaf},
		MinVersion:   tls.VersionTLS12,
		Time:         p.opts.Now,
	}
	if clientCerts {
		c.ClientAuth, c.ClientCAs = tls.VerifyClientCertIfGiven, p.certs.pool()
	}
	return c
}

// tlsConfig returns the settings for the next handshake.
func (p *Provider) tlsConfig() *tls.Config {
	p.mu.Lock()
	defer p.mu.Unlock()
	conf := p.tls
	if p.smtp.ClientCertUser != "" {
		conf = p.mtls
	}
	if v := p.smtp.TLSVersion; v != 0 {
		conf = conf.Clone()
		conf.MinVersion, conf.MaxVersion = v, v
	}
	return conf
}
