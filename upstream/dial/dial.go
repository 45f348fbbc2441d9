// Package dial makes the connections to a provider's servers.
package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"time"

	"melon/upstream"
	"melon/upstream/trace"
)

// Resolver finds the addresses of a host; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Dialer makes connections. The zero value works; it must not be copied after
// its first use, as it keeps the TLS sessions for resumption.
type Dialer struct {
	Resolver Resolver // nil: net.DefaultResolver
	// DialContext opens a TCP connection; network is "tcp4" or "tcp6", laddr an
	// IP address or "". nil: net.Dialer.
	DialContext func(ctx context.Context, network, laddr, addr string) (net.Conn, error)
	RootCAs     *x509.CertPool           // nil: the system's
	Now         func() time.Time         // nil: time.Now
	Offline     func() bool              // nil, or whether the machine is known to have no network
	Trace       func(Target, trace.Line) // nil: no protocol trace
}

// Target is what to connect to, and how.
type Target struct {
	Server      upstream.Server // Port must not be 0
	ImplicitTLS bool            // TLS from the first octet; see ImplicitTLS()
	Trust       upstream.Trust
	Protocol    trace.Protocol // "" is SMTP; decides the Phase of errors and how the trace masks
	Account     string         // name for errors and trace
	Pin         *Pin           // nil: every connection by itself
	// Timeout bounds resolution, TCP and TLS together and is the first step's
	// timeout of the Conn; 0 means 30 seconds.
	Timeout time.Duration
}

// ImplicitTLS reports whether a connection to port begins with TLS under the
// given security setting: always with "tls", with "auto" on 465 and 995.
func ImplicitTLS(s upstream.Security, port int) bool {
	return s == upstream.SecurityTLS || s == upstream.SecurityAuto && (port == 465 || port == 995)
}

// Dial connects to t and, with ImplicitTLS, shakes hands. ctx bounds this call
// only; see Conn.Use for what comes after. Errors are *upstream.Error.
func (d *Dialer) Dial(ctx context.Context, t Target) (*Conn, error) {
	return nil, errors.New("not yet")
}

// DialFirst dials the targets in order, each stagger after the one before or as
// soon as that failed, and returns the first connection that stands; Conn.Target
// tells which. All errors: the most telling one is returned.
func (d *Dialer) DialFirst(ctx context.Context, targets []Target, stagger time.Duration) (*Conn, error) {
	return nil, errors.New("not yet")
}

// Pin makes all connections of an account leave by the same address family and
// local address: the first TCP connection that stands decides, all others
// follow. It is safe for concurrent use.
type Pin struct{}

// NewPin returns a Pin for connections to the given hosts (POP and SMTP server).
// Only an address family that all of them have is used, if there is one.
func NewPin(hosts ...string) *Pin { return &Pin{} }

// Local returns the local address that was decided on; invalid before.
func (p *Pin) Local() netip.Addr { return netip.Addr{} }

// Reset forgets family, local address and resolved addresses. A family on which
// one of the hosts could not be reached comes last next time. Call it when no
// connection and no window depends on the choice any more: after a change of
// network, or before all of an account's connections are made anew.
func (p *Pin) Reset() {}

// Conn is a connection to a server. Every Read and Write is bounded by the
// step's timeout, by SetDeadline if that is earlier, and by the context given to
// Use. One goroutine may read while another writes. After an error of Read or
// Write there is nothing left to do but Close.
type Conn struct{ net.Conn }

// SetStep sets how long each single Read or Write may take from now on.
func (c *Conn) SetStep(timeout time.Duration) {}

// Use binds the connection to ctx until done is called: when ctx ends, Reads and
// Writes under way return and later ones fail, for good. Nested uses are not
// allowed; done must be called before the next Use.
func (c *Conn) Use(ctx context.Context) (done func()) { return func() {} }

// StartTLS shakes hands after a positive reply to STARTTLS or STLS. pending is
// what the caller's bufio.Reader still holds (Buffered): anything there was
// injected before the handshake and refused with class smtp-intercepted
// (CVE-2011-0411). The caller drops its reader and makes a new one. No Read or
// Write may be under way. Errors are *upstream.Error; the Conn is then to be closed.
func (c *Conn) StartTLS(ctx context.Context, pending int) error { return nil }

// TLS returns the state of TLS, and whether the connection is encrypted.
func (c *Conn) TLS() (tls.ConnectionState, bool) { return tls.ConnectionState{}, false }

// Addr returns the server as "host:port".
func (c *Conn) Addr() string { return "" }

// Target returns what was dialled.
func (c *Conn) Target() Target { return Target{} }

// Fault turns an error of Read or Write (or of a step above them) into an
// *upstream.Error of the given phase: a sentence and a class for time-outs, a
// connection that was closed or reset, a context that ended, a TLS fault. An
// *upstream.Error in err's chain is returned as it is; nil gives nil.
func (c *Conn) Fault(phase upstream.Phase, err error) *upstream.Error { return nil }
