//go:build unix

package chaos

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// wire stands between Melon and one port of a provider. It adds latency, can be
// taken down and up, held up, and cut, and remembers what it cut.
type wire struct {
	target, addr string
	ctx          context.Context
	cancel       context.CancelFunc
	wg           sync.WaitGroup

	mu    sync.Mutex
	rng   *rand.Rand
	slow  time.Duration // latency of a piece of data is up to this
	l     net.Listener  // nil while down
	held  chan struct{} // open while the wire is held up; nil otherwise
	links map[*link]struct{}
	cuts  map[netip.AddrPort][]time.Time // by the address that the provider saw
	opens map[netip.AddrPort][]time.Time // the same
}

// link is one connection over the wire.
type link struct {
	near, far net.Conn // Melon's, the provider's
	seen      netip.AddrPort
}

func newWire(target string, seed uint64) (*wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{
		target: target, addr: l.Addr().String(), l: l, rng: rand.New(rand.NewPCG(seed, 1)),
		links: map[*link]struct{}{}, cuts: map[netip.AddrPort][]time.Time{}, opens: map[netip.AddrPort][]time.Time{},
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.wg.Go(func() { w.accept(l) })
	return w, nil
}

// close ends everything and waits for it.
func (w *wire) close() {
	w.cancel()
	w.down()
	w.wg.Wait()
}

func (w *wire) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		w.wg.Go(func() { w.carry(c) })
	}
}

// carry takes one connection to the provider.
func (w *wire) carry(near net.Conn) {
	defer near.Close()
	begun := time.Now()
	var d net.Dialer
	far, err := d.DialContext(w.ctx, "tcp", w.target)
	if err != nil {
		return
	}
	defer far.Close()
	k := &link{near: near, far: far, seen: netip.MustParseAddrPort(far.LocalAddr().String())}
	w.mu.Lock()
	if w.l == nil {
		w.mu.Unlock()
		return
	}
	w.links[k] = struct{}{}
	w.opens[k.seen] = append(w.opens[k.seen], begun)
	w.mu.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() { w.copy(far, near) })
	wg.Go(func() { w.copy(near, far) })
	wg.Wait()
	w.mu.Lock()
	delete(w.links, k)
	w.mu.Unlock()
}

// copy carries one direction, piece by piece, each late.
func (w *wire) copy(to, from net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			w.late()
			if _, err := to.Write(buf[:n]); err != nil {
				from.Close()
				return
			}
		}
		if err != nil {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
	}
}

// late waits for the latency of one piece, and while the wire is held up.
func (w *wire) late() {
	w.mu.Lock()
	held := w.held
	var d time.Duration
	if w.slow > 0 {
		d = time.Duration(w.rng.Int64N(int64(w.slow)))
	}
	w.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-w.ctx.Done():
		}
	}
	if d > 0 {
		pause(w.ctx, d)
	}
}

// latency sets the greatest latency.
func (w *wire) latency(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow = d
}

// hold stops all data until the returned function is called.
func (w *wire) hold() (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held != nil {
		return func() {}
	}
	held := make(chan struct{})
	w.held = held
	return sync.OnceFunc(func() {
		w.mu.Lock()
		w.held = nil
		w.mu.Unlock()
		close(held)
	})
}

// cut cuts up to n connections.
func (w *wire) cut(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k := range w.links {
		if n--; n < 0 {
			return
		}
		w.cutLocked(k)
	}
}

// cutLocked ends one connection the way a broken line does: nothing that is on
// its way arrives. It is written down before it happens.
func (w *wire) cutLocked(k *link) {
	w.cuts[k.seen] = append(w.cuts[k.seen], time.Now())
	delete(w.links, k)
	_ = k.near.(*net.TCPConn).SetLinger(0)
	k.near.Close()
	k.far.Close()
}

// opened returns when the connection began that the provider saw coming from the
// address at the time.
func (w *wire) opened(seen netip.AddrPort, at time.Time) (begun time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.opens[seen] {
		if !t.After(at) && t.After(begun) {
			begun = t
		}
	}
	return begun
}

// wasCut reports whether the connection that the provider saw coming from the
// address was cut at or after the time: ports come back.
func (w *wire) wasCut(seen netip.AddrPort, since, until time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.cuts[seen] {
		if !t.Before(since) && !t.After(until) {
			return true
		}
	}
	return false
}

// down takes the wire down: connections are cut, new ones refused.
func (w *wire) down() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.l != nil {
		w.l.Close()
		w.l = nil
	}
	for k := range w.links {
		w.cutLocked(k)
	}
}

// up puts the wire up again at the same address.
func (w *wire) up() {
	for w.ctx.Err() == nil {
		l, err := net.Listen("tcp", w.addr)
		if err == nil {
			w.mu.Lock()
			w.l = l
			w.mu.Unlock()
			w.wg.Go(func() { w.accept(l) })
			return
		}
		pause(w.ctx, 10*time.Millisecond) // somebody else's socket has the port for a moment
	}
}
