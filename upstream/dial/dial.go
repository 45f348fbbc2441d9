// Package dial makes the connections to a provider's servers.
//
// What Dial does, in order:
//
//  1. It resolves the host (Pin.addresses). The POP and the SMTP connections
//     of an account share a Pin, so that both leave by one address family and
//     one local address: a server that lets a POP login open its relay knows
//     the client by that address alone.
//  2. It tries the addresses, one every quarter of a second or as soon as one
//     has failed, and keeps the first that stands (race).
//  3. It shakes hands where TLS comes first (Conn.handshake). Certificates are
//     verified unless the account says otherwise, pins are checked.
//  4. The Conn bounds every Read and Write from there on: by the step's
//     timeout, by a deadline, by a context. Above TLS it feeds the trace.
//
// STARTTLS and STLS come later, by Conn.StartTLS. Every failure is an
// *upstream.Error with a class and a sentence; fault.go is where they are made.
package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/idna"

	"melon/upstream"
	"melon/upstream/trace"
)

const (
	// defaultTimeout bounds a Dial, and a step, that sets none.
	defaultTimeout = 30 * time.Second
	// attemptDelay is the time between the starts of two attempts (RFC 8305
	// section 5: Connection Attempt Delay).
	attemptDelay = 250 * time.Millisecond
	// familyDelay is how long a Pin's address family has for itself before the
	// other one is tried: a change of family costs the account another login.
	familyDelay = 3 * time.Second
	// maxAddresses bounds how many addresses of a host are tried.
	maxAddresses = 10
	// sessionsKept is how many TLS sessions are kept for resumption.
	sessionsKept = 64
)

// Resolver finds the addresses of a host; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Dialer makes connections. The zero value works; it must not be copied after
// its first use, as it keeps the TLS sessions for resumption. It is safe for
// concurrent use.
type Dialer struct {
	Resolver Resolver // nil: net.DefaultResolver
	// DialContext opens a TCP connection; network is "tcp4" or "tcp6", laddr an
	// IP address or "". It must return when ctx ends. nil: net.Dialer.
	DialContext func(ctx context.Context, network, laddr, addr string) (net.Conn, error)
	RootCAs     *x509.CertPool           // nil: the system's
	Now         func() time.Time         // nil: time.Now; certificates are judged by it
	Offline     func() bool              // nil, or whether the machine is known to have no network
	Trace       func(Target, trace.Line) // nil: no protocol trace

	once     sync.Once
	sessions tls.ClientSessionCache
	made     atomic.Uint64 // connections so far
}

// Target is what to connect to, and how.
type Target struct {
	Server      upstream.Server // Port must not be 0
	ImplicitTLS bool            // TLS from the first octet; see ImplicitTLS()
	Trust       upstream.Trust
	Protocol    trace.Protocol // "" is SMTP; decides the Phase of errors and how the trace masks
	Account     string         // name for errors and trace
	Pin         *Pin           // nil: every connection by itself
	// Conn numbers the connections of a Dialer from 1. It is set for Trace, to
	// tell their lines apart; what Dial is given does not matter.
	Conn uint64
	// Timeout bounds resolution, TCP and TLS together and is the first step's
	// timeout of the Conn; 0 means 30 seconds.
	Timeout time.Duration
}

// ImplicitTLS reports whether a connection to port begins with TLS under the
// given security setting: always with "tls", with "auto" on 465 and 995.
func ImplicitTLS(s upstream.Security, port int) bool {
	return s == upstream.SecurityTLS || s == upstream.SecurityAuto && (port == 465 || port == 995)
}

// timeout returns the target's timeout or the default.
func (t *Target) timeout() time.Duration {
	if t.Timeout > 0 {
		return t.Timeout
	}
	return defaultTimeout
}

// phase is what a failure to connect is filed under.
func (t *Target) phase() upstream.Phase {
	if t.Protocol == trace.POP3 {
		return upstream.PhasePOPGreeting
	}
	return upstream.PhaseConnect
}

// Dial connects to t and, with ImplicitTLS, shakes hands. ctx bounds this call
// only; see Conn.Use for what comes after. Errors are *upstream.Error.
func (d *Dialer) Dial(ctx context.Context, t Target) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	host, err := hostName(t.Server.Host)
	if err != nil {
		return nil, d.resolveFault(ctx, &t, err)
	}
	raw, err := d.connect(ctx, host, &t)
	if err != nil {
		return nil, err
	}
	c := newConn(raw, d, t)
	if t.ImplicitTLS {
		if err := c.handshake(ctx, t.phase()); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// hostName returns the name or IP address to look up for a configured host: no
// brackets, no final dot, international names in their ASCII form (RFC 5891).
func hostName(host string) (string, error) {
	host = strings.TrimSuffix(strings.TrimSpace(host), ".")
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return host, nil
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		// Names that no registry would take, such as those with an underscore,
		// are still the resolver's to judge; anything beyond ASCII is not.
		if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return "", fmt.Errorf("host name %q: %w", host, err)
		}
		ascii = host
	}
	if ascii == "" {
		return "", errors.New("the host name is empty")
	}
	return ascii, nil
}

// connect finds a TCP connection to host that agrees with the target's Pin.
func (d *Dialer) connect(ctx context.Context, host string, t *Target) (net.Conn, error) {
	pin := t.Pin
	if pin == nil {
		pin = NewPin()
	}
	for {
		candidates, choice, err := pin.addresses(ctx, d, host)
		if err != nil {
			return nil, d.resolveFault(ctx, t, err)
		}
		delay := func(i int) time.Duration {
			if choice.family != 0 && family(candidates[i]) != choice.family && family(candidates[i-1]) == choice.family {
				return familyDelay
			}
			return attemptDelay
		}
		attempt := func(ctx context.Context, i int) (net.Conn, error) {
			return d.open(ctx, candidates[i], choice.local, t.Server.Port)
		}
		raw, i, errs := race(ctx, len(candidates), delay, attempt, func(c net.Conn) { c.Close() })
		if i < 0 {
			return nil, d.connectFault(ctx, t, errs)
		}
		if pin.settle(choice, family(candidates[i]), localAddr(raw)) {
			return raw, nil
		}
		raw.Close() // another connection of the account decided meanwhile: follow it
	}
}

// open makes one TCP connection, from the local address if that can reach addr.
func (d *Dialer) open(ctx context.Context, addr, local netip.Addr, port int) (net.Conn, error) {
	network, laddr := "tcp4", ""
	if addr.Is6() {
		network = "tcp6"
	}
	if local.IsValid() && family(local) == family(addr) && local.IsLoopback() == addr.IsLoopback() {
		laddr = local.String()
	}
	dial := d.DialContext
	if dial == nil {
		dial = dialTCP
	}
	to := netip.AddrPortFrom(addr, uint16(port)).String()
	c, err := dial(ctx, network, laddr, to)
	if laddr != "" && errors.Is(err, errAddrNotAvail) { // the address is gone: take what is there now
		c, err = dial(ctx, network, "", to)
	}
	return c, err
}

// dialTCP is the DialContext of a zero Dialer. Keep-alive probes are few: they
// find a dead line during the long wait after a message, and keep the entry in
// a hotel's address translation alive.
func dialTCP(ctx context.Context, network, laddr, addr string) (net.Conn, error) {
	n := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: time.Minute, Interval: 20 * time.Second, Count: 3,
	}}
	if laddr != "" {
		ip, err := netip.ParseAddr(laddr)
		if err != nil {
			return nil, err
		}
		n.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
	}
	return n.DialContext(ctx, network, addr)
}

// DialFirst dials the targets in order, each stagger after the one before or as
// soon as one has failed, and returns the first connection that stands;
// Conn.Target tells which. When none does, the most telling error is returned.
func (d *Dialer) DialFirst(ctx context.Context, targets []Target, stagger time.Duration) (*Conn, error) {
	if len(targets) == 0 {
		return nil, &upstream.Error{Phase: upstream.PhaseConnect, Class: upstream.ClassOther, Sentence: "There is no server to connect to."}
	}
	c, i, errs := race(ctx, len(targets), func(int) time.Duration { return stagger },
		func(ctx context.Context, i int) (*Conn, error) { return d.Dial(ctx, targets[i]) },
		func(c *Conn) { c.Close() })
	if i >= 0 {
		return c, nil
	}
	return nil, mostTelling(errs)
}

// race runs n attempts, the next one delay(i) after the one before it or as soon
// as one has failed, until one succeeds or ctx ends. It cancels the others, waits
// for all of them and drops what they still bring. It returns the winner and its
// index, or -1 and the errors of those that were started.
func race[T any](ctx context.Context, n int, delay func(i int) time.Duration, attempt func(context.Context, int) (T, error), drop func(T)) (winner T, index int, errs []error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		i   int
		v   T
		err error
	}
	outcomes := make(chan outcome)
	started, running, index := 0, 0, -1
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := func() {
		if index >= 0 || started == n || started > 0 && ctx.Err() != nil {
			return
		}
		i := started
		started, running = started+1, running+1
		go func() {
			v, err := attempt(ctx, i)
			outcomes <- outcome{i, v, err}
		}()
		if started < n {
			timer.Reset(delay(started))
		}
	}
	<-timer.C
	for next(); running > 0; {
		select {
		case <-timer.C:
			next()
		case o := <-outcomes:
			running--
			switch {
			case o.err != nil:
				errs = append(errs, o.err)
				next()
			case index >= 0:
				drop(o.v)
			default:
				winner, index = o.v, o.i
				cancel()
			}
		}
	}
	return winner, index, errs
}
