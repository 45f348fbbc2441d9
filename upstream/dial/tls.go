package dial

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"melon/upstream"
)

var (
	errInjected = errors.New("octets arrived before the TLS handshake")
	errPin      = errors.New("no key of the server's certificates matches a pin")
	errCAFile   = errors.New("own CA file")
)

// handshake puts TLS over the link. ctx and the step's timeout bound it.
func (c *Conn) handshake(ctx context.Context, phase upstream.Phase) error {
	cfg, err := c.dialer.tlsConfig(&c.target)
	if err != nil {
		return c.tlsFault(phase, err)
	}
	t := tls.Client(c.link, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		c.broken.Store(true)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return c.tlsFault(phase, err)
	}
	c.tls.Store(t)
	if c.tracer != nil {
		s := t.ConnectionState()
		c.tracer.TLS(tls.VersionName(s.Version) + " " + tls.CipherSuiteName(s.CipherSuite))
	}
	return nil
}

// tlsConfig returns the TLS settings for one connection.
func (d *Dialer) tlsConfig(t *Target) (*tls.Config, error) {
	name, err := hostName(t.Server.Host)
	if err != nil {
		return nil, err
	}
	if t.Trust.ServerName != "" {
		name = strings.TrimSuffix(t.Trust.ServerName, ".")
	}
	name, _, _ = strings.Cut(name, "%") // an IPv6 zone is nobody's name
	d.once.Do(func() { d.sessions = tls.NewLRUClientSessionCache(sessionsKept) })
	cfg := &tls.Config{
		ServerName: name, // also the SNI, unless it is an IP address
		RootCAs:    d.RootCAs,
		Time:       d.now,
		MinVersion: tls.VersionTLS12, // RFC 8996
		ClientSessionCache: &sessionCache{
			// A session made under other rules of trust is never resumed.
			prefix:             fmt.Sprintf("%s %+v ", t.Server.Addr(), t.Trust),
			ClientSessionCache: d.sessions,
		},
	}
	if t.Trust.CA != "" {
		if cfg.RootCAs, err = loadCA(t.Trust.CA); err != nil {
			return nil, err
		}
	}
	if t.Trust.LegacyTLS {
		cfg.MinVersion = tls.VersionTLS10
		for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			if !strings.Contains(s.Name, "RC4") { // RFC 7465
				cfg.CipherSuites = append(cfg.CipherSuites, s.ID)
			}
		}
	}
	switch {
	case len(t.Trust.Pins) > 0:
		// pinned() verifies instead of crypto/tls, also resumed sessions.
		cfg.InsecureSkipVerify = true
		cfg.VerifyConnection = func(s tls.ConnectionState) error { return pinned(s, cfg, t.Trust) }
	case t.Trust.Insecure:
		cfg.InsecureSkipVerify = true
	}
	return cfg, nil
}

// loadCA reads a file of PEM certificates.
func loadCA(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCAFile, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w: %s holds no certificate in PEM form", errCAFile, file)
	}
	return pool, nil
}

// pinned verifies a server under pins. A pin of the server's own key is proof by
// itself: the handshake has shown that the server holds it, so that it vouches
// for self-signed, expired and wrongly named certificates too. A pin of an
// authority's key (RFC 7469) counts in a chain that verifies, as anybody can
// send along anybody's certificate.
func pinned(s tls.ConnectionState, cfg *tls.Config, trust upstream.Trust) error {
	if len(s.PeerCertificates) == 0 {
		return errPin
	}
	leaf := s.PeerCertificates[0]
	if pinMatches(leaf, trust.Pins) {
		return nil
	}
	if trust.Insecure {
		return errPin
	}
	opts := x509.VerifyOptions{
		Roots:         cfg.RootCAs,
		CurrentTime:   cfg.Time(),
		DNSName:       cfg.ServerName,
		Intermediates: x509.NewCertPool(),
	}
	for _, c := range s.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	chains, err := leaf.Verify(opts)
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
	}
	for _, chain := range chains {
		for _, c := range chain {
			if pinMatches(c, trust.Pins) {
				return nil
			}
		}
	}
	return errPin
}

// pinMatches reports whether one of the pins is the certificate's key.
func pinMatches(c *x509.Certificate, pins []string) bool {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	key := "sha256/" + base64.StdEncoding.EncodeToString(sum[:])
	for _, p := range pins {
		if strings.TrimSpace(p) == key {
			return true
		}
	}
	return false
}

// sessionCache keeps the sessions of one target apart in the Dialer's cache.
type sessionCache struct {
	tls.ClientSessionCache
	prefix string
}

func (s *sessionCache) Get(key string) (*tls.ClientSessionState, bool) {
	return s.ClientSessionCache.Get(s.prefix + key)
}

func (s *sessionCache) Put(key string, cs *tls.ClientSessionState) {
	s.ClientSessionCache.Put(s.prefix+key, cs)
}
