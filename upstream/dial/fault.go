package dial

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"melon/upstream"
)

// errorf builds the one kind of error that leaves this package. The sentence is
// for people: no path, no secret, no words of the server that were not cleaned.
func (t *Target) errorf(phase upstream.Phase, class upstream.Class, err error, sentence string, args ...any) *upstream.Error {
	return &upstream.Error{
		Account:  t.Account,
		Host:     t.Server.Addr(),
		Phase:    phase,
		Class:    class,
		Sentence: upstream.CleanLine(fmt.Sprintf(sentence, args...)),
		Err:      err,
	}
}

func (c *Conn) errorf(phase upstream.Phase, class upstream.Class, err error, sentence string, args ...any) *upstream.Error {
	return c.target.errorf(phase, class, err, sentence, args...)
}

// name is the server as sentences name it.
func (t *Target) name() string { return fmt.Sprintf("%s (port %d)", t.Server.Host, t.Server.Port) }

func (c *Conn) name() string { return c.target.name() }

// isTimeout reports whether err is about time that ran out.
func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, errTimedOut) || errors.As(err, &n) && n.Timeout()
}

// noRoute reports whether the machine itself knows no way out. The resolver
// hides the system's error in its text.
func noRoute(err error) bool {
	return errors.Is(err, errNetUnreach) || errors.Is(err, errNetDown) ||
		strings.Contains(err.Error(), "network is unreachable") || strings.Contains(err.Error(), "unreachable network")
}

// offline reports whether the machine has no network at all.
func (d *Dialer) offline() bool { return d.Offline != nil && d.Offline() }

const offlineSentence = "This computer is not connected to a network that leads to %s."

// resolveFault says why a host has no address.
func (d *Dialer) resolveFault(ctx context.Context, t *Target, err error) *upstream.Error {
	host := t.Server.Host
	var dns *net.DNSError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return t.cancelled(t.phase(), errors.Join(ctx.Err(), err))
	case noRoute(err), d.offline():
		return t.errorf(t.phase(), upstream.ClassOffline, err, offlineSentence, host)
	case errors.As(err, &dns) && dns.IsNotFound:
		return t.errorf(t.phase(), upstream.ClassDNSFailure, err, "There is no server named %s, or this network does not know it.", host)
	case isTimeout(err):
		return t.errorf(t.phase(), upstream.ClassDNSFailure, err, "The name server of this network did not answer when asked for %s.", host)
	}
	return t.errorf(t.phase(), upstream.ClassDNSFailure, err, "The name server of this network could not say where %s is.", host)
}

// connectFault says why none of a host's addresses could be reached. What a
// machine answered tells more than silence, and silence more than no route, as
// a missing address family has no route either.
func (d *Dialer) connectFault(ctx context.Context, t *Target, errs []error) *upstream.Error {
	all := errors.Join(errs...)
	find := func(test func(error) bool) bool {
		for _, err := range errs {
			if test(err) {
				return true
			}
		}
		return false
	}
	is := func(target error) func(error) bool {
		return func(err error) bool { return errors.Is(err, target) }
	}
	phase, name := t.phase(), t.name()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return t.cancelled(phase, errors.Join(ctx.Err(), all))
	case find(is(errRefused)):
		return t.errorf(phase, upstream.ClassServerUnreachable, all, "%s refuses connections.", name)
	case d.offline():
		return t.errorf(phase, upstream.ClassOffline, all, offlineSentence, t.Server.Host)
	case find(is(errReset)):
		return t.errorf(phase, upstream.ClassServerUnreachable, all, "%s broke the connection off at once.", name)
	case find(isTimeout), ctx.Err() != nil:
		return t.errorf(phase, upstream.ClassPortBlocked, all, "%s did not answer; this network may block that port.", name)
	case find(noRoute) && !find(is(errHostUnreach)):
		return t.errorf(phase, upstream.ClassOffline, all, offlineSentence, t.Server.Host)
	}
	return t.errorf(phase, upstream.ClassServerUnreachable, all, "%s cannot be reached from this network.", name)
}

// cancelled is an attempt that nobody waits for any more.
func (t *Target) cancelled(phase upstream.Phase, err error) *upstream.Error {
	return t.errorf(phase, upstream.ClassOther, err, "The attempt to talk to %s was given up.", t.Server.Host)
}

// Fault turns an error of Read or Write (or of a step above them) into an
// *upstream.Error of the given phase: a sentence and a class for time-outs, a
// connection that was closed or reset, a context that ended, a TLS fault. An
// *upstream.Error in err's chain is returned as it is; nil gives nil.
func (c *Conn) Fault(phase upstream.Phase, err error) *upstream.Error {
	var done *upstream.Error
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &done):
		return done
	case errors.Is(err, context.Canceled):
		return c.target.cancelled(phase, err)
	case errors.As(err, &cert), errors.As(err, &record):
		return c.tlsFault(phase, err)
	case c.dialer.offline(), noRoute(err):
		return c.errorf(phase, upstream.ClassOffline, err, "The network went away while talking to %s.", c.name())
	case isTimeout(err):
		return c.errorf(phase, upstream.ClassServerUnreachable, err, "%s did not answer in time.", c.name())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return c.errorf(phase, upstream.ClassServerBroken, err, "%s closed the connection unexpectedly.", c.name())
	case errors.Is(err, errReset), errors.Is(err, errPipe):
		return c.errorf(phase, upstream.ClassServerBroken, err, "%s broke the connection off.", c.name())
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return c.errorf(phase, upstream.ClassOther, err, "The connection to %s was closed.", c.name())
	}
	return c.errorf(phase, upstream.ClassServerBroken, err, "The conversation with %s failed.", c.name())
}

// tlsFault says why a handshake failed.
func (c *Conn) tlsFault(phase upstream.Phase, err error) *upstream.Error {
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	text := err.Error()
	switch {
	case errors.Is(err, errCAFile):
		return c.errorf(phase, upstream.ClassCertificateInvalid, err,
			"The file of certificates that the account trusts (trust.ca) cannot be used.")
	case errors.Is(err, errPin):
		return c.errorf(phase, upstream.ClassCertificateInvalid, err,
			"%s showed a key that is none of the account's pins; somebody may be in between, or the provider has a new key.", c.name())
	case errors.As(err, &cert):
		return c.certFault(phase, err, cert)
	case errors.As(err, &record):
		if plainText(record.RecordHeader[:]) {
			return c.errorf(phase, upstream.ClassSMTPIntercepted, err,
				"%s answered in plain text where encryption should begin: a server in between, or not a TLS port.", c.name())
		}
		return c.errorf(phase, upstream.ClassServerBroken, err, "%s answered the TLS handshake with something else.", c.name())
	case isTimeout(err):
		return c.errorf(phase, upstream.ClassServerBroken, err, "%s took the connection but did not answer the TLS handshake.", c.name())
	case strings.Contains(text, "protocol version"):
		return c.errorf(phase, upstream.ClassServerBroken, err,
			"%s has no TLS version that is still safe; trust.legacy_tls would allow the old ones.", c.name())
	case strings.Contains(text, "handshake failure"), strings.Contains(text, "unconfigured cipher suite"):
		return c.errorf(phase, upstream.ClassServerBroken, err,
			"%s and this computer have no way of encryption in common; trust.legacy_tls may help with an old server.", c.name())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errReset), errors.Is(err, errPipe):
		return c.errorf(phase, upstream.ClassServerBroken, err, "%s broke the TLS handshake off.", c.name())
	case strings.Contains(text, "tls:"):
		return c.errorf(phase, upstream.ClassServerBroken, err, "The TLS handshake with %s failed.", c.name())
	}
	return c.Fault(phase, err)
}

// plainText reports whether the head of a would-be TLS record is readable.
func plainText(head []byte) bool {
	for _, b := range head {
		if (b < ' ' || b > '~') && b != '\r' && b != '\n' && b != '\t' {
			return false
		}
	}
	return true
}

// certFault names what is wrong with a certificate.
func (c *Conn) certFault(phase upstream.Phase, err error, cert *tls.CertificateVerificationError) *upstream.Error {
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
	)
	class, host := upstream.ClassCertificateInvalid, c.target.Server.Host
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return c.validityFault(phase, err, invalid.Cert)
	case errors.As(err, &name):
		return c.errorf(phase, class, err, "The certificate of %s is for another server (%s).", host, names(name.Certificate))
	case errors.As(err, &unknown):
		leaf := unknown.Cert
		if len(cert.UnverifiedCertificates) > 0 {
			leaf = cert.UnverifiedCertificates[0]
		}
		if leaf != nil && bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
			return c.errorf(phase, class, err, "The certificate of %s is self-signed, so nobody vouches for it.", host)
		}
		issuer := "an authority that this computer does not know"
		if leaf != nil && leaf.Issuer.String() != "" {
			issuer = "an authority that this computer does not trust (" + short(leaf.Issuer.String()) + ")"
		}
		return c.errorf(phase, class, err, "The certificate of %s was issued by %s.", host, issuer)
	}
	return c.errorf(phase, class, err, "The certificate of %s is not valid.", host)
}

// released is before any moment at which this program can run; a clock that says
// otherwise is wrong.
var released = time.Date(2025, time.June, 1, 0, 0, 0, 0, time.UTC)

// clockRange is how far past its release the program may plausibly run.
const clockRange = 25 * 365 * 24 * time.Hour

// validityFault tells an expired certificate from a wrong clock. No server shows
// a certificate from the future, so a clock before its beginning is slow; a
// clock outside of this program's own time is wrong whatever the certificate says.
func (c *Conn) validityFault(phase upstream.Phase, err error, cert *x509.Certificate) *upstream.Error {
	now, host := c.dialer.now(), c.target.Server.Host
	const day = "2 January 2006"
	switch {
	case now.Before(cert.NotBefore):
		return c.errorf(phase, upstream.ClassClockWrong, err,
			"This computer's clock says %s, but the certificate of %s is valid from %s only.", now.Format(day), host, cert.NotBefore.Format(day))
	case now.Before(released), now.After(released.Add(clockRange)):
		return c.errorf(phase, upstream.ClassClockWrong, err,
			"This computer's clock says %s, which cannot be; the certificate of %s is valid until %s.", now.Format(day), host, cert.NotAfter.Format(day))
	}
	return c.errorf(phase, upstream.ClassCertificateInvalid, err,
		"The certificate of %s expired on %s.", host, cert.NotAfter.Format(day))
}

// names lists for whom a certificate is, in short.
func names(cert *x509.Certificate) string {
	if cert == nil {
		return "unnamed"
	}
	all := cert.DNSNames
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 && cert.Subject.CommonName != "" {
		all = []string{cert.Subject.CommonName}
	}
	if len(all) == 0 {
		return "unnamed"
	}
	return short(strings.Join(all[:min(len(all), 3)], ", "))
}

// short cuts a stranger's text for use inside a sentence.
func short(s string) string {
	if len(s) > 120 {
		s = s[:120] + "..."
	}
	return upstream.CleanLine(s)
}

// telling orders classes by how much they say about what is wrong, the least
// first; what is not listed comes last of all.
var telling = []upstream.Class{
	upstream.ClassOther, upstream.ClassPortBlocked, upstream.ClassServerUnreachable,
	upstream.ClassDNSFailure, upstream.ClassOffline,
}

// mostTelling picks the error to show out of several; the earlier one of equals.
func mostTelling(errs []error) *upstream.Error {
	var best *upstream.Error
	rank := func(e *upstream.Error) int {
		for i, c := range telling {
			if e.Class == c {
				return i
			}
		}
		return len(telling)
	}
	for _, err := range errs {
		e := upstream.AsError(err, upstream.PhaseConnect)
		if best == nil || rank(e) > rank(best) {
			best = e
		}
	}
	return best
}
