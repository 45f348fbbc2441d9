package lab

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Net is a network in memory with an exact round-trip time. In a
// testing/synctest bubble its clock is the bubble's, so that the time a
// transaction takes, divided by the round-trip time, is exactly its number of
// round trips, over any number of connections side by side.
//
// A Dial takes one round trip, and an octet half of one each way. Bandwidth
// has no limit; what is under way in one direction is bounded by 4 MiB, after
// which Write waits.
type Net struct {
	rtt time.Duration

	mu        sync.Mutex
	listeners map[string]*memListener
	conns     map[*pipeConn]struct{} // the clients' ends of what is open
	blocked   map[uint16]bool
	down      bool
	port      int // the last one given out
	dials     []string
}

// NewNet makes a network. It needs no Close; its connections end like any others.
func NewNet(rtt time.Duration) *Net {
	return &Net{
		rtt: rtt, port: 40000,
		listeners: map[string]*memListener{}, conns: map[*pipeConn]struct{}{}, blocked: map[uint16]bool{},
	}
}

// DialContext connects from laddr ("" for the loopback address of addr's
// family, or an address without a port) to addr, which must be a literal.
func (n *Net) DialContext(ctx context.Context, network, laddr, addr string) (net.Conn, error) {
	return n.dial(ctx, laddr, addr)
}

// Dial is DialContext with the signature of net.Dialer's.
func (n *Net) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return n.dial(ctx, "", addr)
}

// SetDown makes every new Dial fail as without a network, or ends that.
func (n *Net) SetDown(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

// Block makes every new Dial to a port hang until its context ends, as behind a
// firewall that drops what it does not like, or ends that.
func (n *Net) Block(port int, blocked bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.blocked[uint16(port)] = blocked
}

// Cut makes every open connection dead without a word: what is written from now
// on is lost, on both sides, nothing more arrives, and neither end is told.
func (n *Net) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		c.in.cut()
		c.out.cut()
	}
	clear(n.conns)
}

// Dials returns the addresses that were dialled, in order, refused ones too.
func (n *Net) Dials() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.dials...)
}

// Listen listens on an address of the network; port 0 takes a free one.
func (n *Net) Listen(addr string) (net.Listener, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if ap.Port() == 0 {
		ap = netip.AddrPortFrom(ap.Addr(), n.freePortLocked())
	}
	if n.listeners[ap.String()] != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: syscall.EADDRINUSE}
	}
	l := &memListener{n: n, addr: net.TCPAddrFromAddrPort(ap), conns: make(chan net.Conn), done: make(chan struct{})}
	n.listeners[ap.String()] = l
	return l, nil
}

// freePortLocked counts up from 40001 and wraps around before the end.
func (n *Net) freePortLocked() uint16 {
	n.port++
	if n.port > 65000 {
		n.port = 40001
	}
	return uint16(n.port)
}

func (n *Net) dial(ctx context.Context, laddr, addr string) (net.Conn, error) {
	remote, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	local := netip.IPv6Loopback()
	if remote.Addr().Is4() {
		local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if host, _, err := net.SplitHostPort(laddr); err == nil {
		laddr = host
	}
	if laddr != "" {
		if local, err = netip.ParseAddr(laddr); err != nil {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
		}
	}
	n.mu.Lock()
	if len(n.dials) < maxCommands {
		n.dials = append(n.dials, addr)
	}
	down, blocked, l := n.down, n.blocked[remote.Port()], n.listeners[remote.String()]
	from := net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, n.freePortLocked()))
	n.mu.Unlock()
	to := net.TCPAddrFromAddrPort(remote)
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: to, Err: err}
	}
	if down {
		return fail(syscall.ENETUNREACH)
	}
	if blocked {
		<-ctx.Done()
		return fail(ctx.Err())
	}
	if n.rtt > 0 && !waitTimer(ctx, n.rtt) {
		return fail(ctx.Err())
	}
	if l == nil {
		return fail(syscall.ECONNREFUSED)
	}
	a, b := newPipe(n.rtt, from, to)
	a.closed = func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.conns, a)
	}
	n.mu.Lock()
	n.conns[a] = struct{}{}
	n.mu.Unlock()
	// The handshake's last packet reaches the server half a round trip later.
	go l.deliver(b, n.rtt/2)
	return a, nil
}

// memListener is a listener of a Net.
type memListener struct {
	n     *Net
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// deliver hands a connection to Accept after a while, or closes it when the
// listener is closed; it ends no later than the listener.
func (l *memListener) deliver(c net.Conn, after time.Duration) {
	t := time.NewTimer(after)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.done:
	}
	select {
	case l.conns <- c:
	case <-l.done:
		c.Close()
	}
}

// Accept returns the next connection.
func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept; the address is free again.
func (l *memListener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.n.mu.Lock()
		delete(l.n.listeners, l.addr.String())
		l.n.mu.Unlock()
	})
	return nil
}

// Addr returns the address.
func (l *memListener) Addr() net.Addr { return l.addr }

// Resolver knows the addresses of some hosts and of no others.
type Resolver map[string][]netip.Addr

// LookupNetIP is net.Resolver's: network is "ip", "ip4" or "ip6".
func (r Resolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	var found []netip.Addr
	for _, a := range r[host] {
		if network == "ip" || network == "ip4" && a.Is4() || network == "ip6" && a.Is6() {
			found = append(found, a)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if found == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return found, nil
}
