package lab

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxUnderWay bounds what one direction of a pipe holds, in octets.
const maxUnderWay = 4 << 20

// newPipe makes the two ends of a connection whose octets take rtt/2 each way.
// Unlike net.Pipe it buffers, as a TCP connection does.
func newPipe(rtt time.Duration, client, server net.Addr) (a, b *pipeConn) {
	up, down := newHalf(rtt/2), newHalf(rtt/2)
	return &pipeConn{in: down, out: up, local: client, remote: server},
		&pipeConn{in: up, out: down, local: server, remote: client}
}

// pipeConn is one end of a pipe.
type pipeConn struct {
	in, out       *half
	local, remote net.Addr
	closed        func() // called by Close, unless nil
}

// Read returns what has arrived; io.EOF after the other end's Close.
func (c *pipeConn) Read(b []byte) (int, error) { return c.in.read(b) }

// Write sends b; it waits only when too much is under way.
func (c *pipeConn) Write(b []byte) (int, error) { return c.out.write(b) }

// Close ends both directions; what was written before still arrives.
func (c *pipeConn) Close() error {
	c.out.closeWrite()
	c.in.closeRead()
	if c.closed != nil {
		c.closed()
	}
	return nil
}

// CloseWrite ends the outgoing direction alone.
func (c *pipeConn) CloseWrite() error {
	c.out.closeWrite()
	return nil
}

// LocalAddr returns this end's address.
func (c *pipeConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the other end's.
func (c *pipeConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *pipeConn) SetDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

// SetReadDeadline is as net.Conn has it.
func (c *pipeConn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	return nil
}

// SetWriteDeadline is as net.Conn has it.
func (c *pipeConn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

// parcel is what one Write sent, and when it arrives.
type parcel struct {
	data []byte
	due  time.Time
}

// half is one direction of a pipe.
type half struct {
	delay time.Duration

	mu              sync.Mutex
	changed         chan struct{} // closed and replaced at each change
	parcels         []parcel
	size            int
	ended           time.Time // arrival of the writer's Close; zero while it is open
	gone            bool      // the reader closed its end
	dead            bool      // nothing passes any more, by cut
	readBy, writeBy time.Time
}

func newHalf(delay time.Duration) *half {
	return &half{delay: delay, changed: make(chan struct{})}
}

// wakeLocked wakes whoever waits in read or write.
func (h *half) wakeLocked() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *half) setDeadline(which *time.Time, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*which = t
	h.wakeLocked()
}

func (h *half) closeWrite() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended.IsZero() {
		h.ended = time.Now().Add(h.delay)
		h.wakeLocked()
	}
}

// cut lets nothing more pass: neither octets nor an end.
func (h *half) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dead = true
	h.parcels, h.size = nil, 0
	h.wakeLocked()
}

func (h *half) closeRead() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = true // a writer on a dead line does not hear of it
	h.parcels, h.size = nil, 0
	h.wakeLocked()
}

// waitLocked returns when the half has changed or t has come; a zero t never comes.
// It holds h.mu when called and when it returns.
func (h *half) waitLocked(t time.Time) {
	changed := h.changed
	h.mu.Unlock()
	defer h.mu.Lock()
	if t.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

// earlier returns the earlier of two times, where zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		now := time.Now()
		if h.gone {
			return 0, net.ErrClosed
		}
		if !h.readBy.IsZero() && !now.Before(h.readBy) {
			return 0, os.ErrDeadlineExceeded
		}
		if len(b) == 0 {
			return 0, nil
		}
		var next time.Time
		if len(h.parcels) > 0 {
			if n := h.takeLocked(b, now); n > 0 {
				return n, nil
			}
			next = h.parcels[0].due
		} else if !h.ended.IsZero() && !h.dead {
			if !now.Before(h.ended) {
				return 0, io.EOF
			}
			next = h.ended
		}
		h.waitLocked(earlier(next, h.readBy))
	}
}

// takeLocked moves what has arrived into b.
func (h *half) takeLocked(b []byte, now time.Time) (n int) {
	for n < len(b) && len(h.parcels) > 0 && !h.parcels[0].due.After(now) {
		m := copy(b[n:], h.parcels[0].data)
		n += m
		if h.parcels[0].data = h.parcels[0].data[m:]; len(h.parcels[0].data) == 0 {
			h.parcels = h.parcels[1:]
		}
	}
	h.size -= n
	if n > 0 {
		h.wakeLocked()
	}
	return n
}

func (h *half) write(b []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		now := time.Now()
		switch {
		case !h.ended.IsZero():
			return n, net.ErrClosed
		case h.dead:
			return n + len(b), nil
		case h.gone:
			return n, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
		case !h.writeBy.IsZero() && !now.Before(h.writeBy):
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		}
		if room := min(len(b), maxUnderWay-h.size); room > 0 {
			h.parcels = append(h.parcels, parcel{append([]byte(nil), b[:room]...), now.Add(h.delay)})
			h.size += room
			n, b = n+room, b[room:]
			h.wakeLocked()
			continue
		}
		h.waitLocked(h.writeBy)
	}
}
