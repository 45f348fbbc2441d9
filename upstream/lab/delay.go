package lab

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// handshakeTime is when the last packet of a TCP handshake reaches the server,
// counted from the client's connect, which on loopback takes no time: the
// client believes to be connected a round trip too early, so what it sends in
// the first one and a half round trips arrives together with that packet.
func handshakeTime(rtt time.Duration) time.Duration { return rtt * 3 / 2 }

// delayed returns a connection that stands for nc, rtt further away. Two
// goroutines, which wg waits for, carry the octets; they end when either side
// closes or when ctx does.
func delayed(ctx context.Context, wg *sync.WaitGroup, nc net.Conn, rtt time.Duration) net.Conn {
	near, far := newPipe(rtt, nc.RemoteAddr(), nc.LocalAddr())
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	wg.Go(func() {
		io.Copy(near, nc)
		near.CloseWrite()
	})
	wg.Go(func() {
		io.Copy(nc, near)
		nc.Close()
		near.Close()
		stop()
	})
	return far
}

// Proxy stands before any server on loopback and makes it rtt further away, in
// real time, the TCP handshake included.
type Proxy struct {
	target string
	rtt    time.Duration
	l      net.Listener
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// NewProxy listens on a free port of 127.0.0.1. The caller closes it.
func NewProxy(target string, rtt time.Duration) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, rtt: rtt, l: l}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.carry(nc) })
		}
	})
	return p, nil
}

// Addr returns the proxy's own "host:port".
func (p *Proxy) Addr() string { return p.l.Addr().String() }

// Close ends the listener and every connection, and waits for them.
func (p *Proxy) Close() error {
	p.cancel()
	p.l.Close()
	p.wg.Wait()
	return nil
}

// carry takes one connection to the target.
func (p *Proxy) carry(nc net.Conn) {
	far := delayed(p.ctx, &p.wg, nc, p.rtt)
	defer far.Close()
	if !waitTimer(p.ctx, handshakeTime(p.rtt)) {
		return
	}
	var d net.Dialer
	to, err := d.DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		return
	}
	stop := context.AfterFunc(p.ctx, func() { to.Close() })
	defer stop()
	p.wg.Go(func() {
		io.Copy(to, far)
		if tc, ok := to.(*net.TCPConn); ok {
			tc.CloseWrite()
		}
	})
	io.Copy(far, to)
	to.Close()
}
