package dial

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"melon/upstream"
	"melon/upstream/trace"
)

// closeTimeout bounds the farewell of TLS when a connection is closed.
const closeTimeout = time.Second

// errNothing says that there is nothing to read at the moment. It is of the kind
// after which TLS reads on.
var errNothing net.Error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "nothing to read" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// Conn is a connection to a server. Every Read and Write is bounded by the
// step's timeout, by SetDeadline if that is earlier, and by the context given to
// Use. One goroutine may read while another writes. After an error of Read or
// Write there is nothing left to do but Close.
type Conn struct {
	link   *link
	raw    syscall.RawConn          // of a socket that can be looked at without waiting, or nil
	tls    atomic.Pointer[tls.Conn] // nil in clear
	tracer *trace.Tracer
	dialer *Dialer
	target Target
	broken atomic.Bool
}

func newConn(raw net.Conn, d *Dialer, t Target) *Conn {
	t.Conn = d.made.Add(1)
	l := &link{Conn: raw, step: t.timeout()}
	c := &Conn{link: l, raw: lookable(raw), dialer: d, target: t}
	if d.Trace != nil {
		p := t.Protocol
		if p == "" {
			p = trace.SMTP
		}
		c.tracer = trace.New(p, func(line trace.Line) { d.Trace(t, line) })
	}
	return c
}

// top is the layer that the conversation goes through: TLS, or the bare link.
func (c *Conn) top() net.Conn {
	if t := c.tls.Load(); t != nil {
		return t
	}
	return c.link
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.top().Read(b)
	if err != nil && err != errNothing {
		c.broken.Store(true)
	}
	if c.tracer != nil {
		c.tracer.Server(b[:n])
	}
	return n, err
}

// Looks reports whether Silent can tell anything.
func (c *Conn) Looks() bool { return c.raw != nil }

// Silent reports, without waiting, whether the server has neither said anything
// that was not read nor hung up. No Read may be under way. When it returns false
// there is nothing left to do but Close.
func (c *Conn) Silent() bool {
	c.link.look = c.raw
	defer func() { c.link.look = nil }()
	var b [1]byte
	n, err := c.top().Read(b[:])
	if err == errNothing {
		return true
	}
	c.broken.Store(true)
	if c.tracer != nil {
		c.tracer.Server(b[:n])
	}
	return false
}

// Write implements net.Conn. The trace sees b before it leaves.
func (c *Conn) Write(b []byte) (int, error) {
	if c.tracer != nil {
		c.tracer.Client(b)
	}
	n, err := c.top().Write(b)
	if err != nil {
		c.broken.Store(true)
	}
	return n, err
}

// Close ends the connection, with TLS's farewell where that is still possible
// (within a second). It may be called at any time, also more than once.
func (c *Conn) Close() error {
	if c.tracer != nil {
		c.tracer.Close()
	}
	if c.broken.Load() {
		return c.link.Close()
	}
	c.link.setStep(closeTimeout)
	return c.top().Close()
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.link.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.link.RemoteAddr() }

// SetDeadline implements net.Conn: a limit beside the step's timeout; the
// earlier of the two counts. The zero value takes it away.
func (c *Conn) SetDeadline(t time.Time) error { return c.link.setLimits(&t, &t) }

// SetReadDeadline implements net.Conn; see SetDeadline.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.link.setLimits(&t, nil) }

// SetWriteDeadline implements net.Conn; see SetDeadline.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.link.setLimits(nil, &t) }

// SetStep sets how long each single Read or Write may take from now on; 0 means
// 30 seconds, less that a step is not bounded. It does not touch those under way.
func (c *Conn) SetStep(timeout time.Duration) {
	if timeout == 0 {
		timeout = defaultTimeout
	}
	c.link.setStep(timeout)
}

// Use binds the connection to ctx until done is called: when ctx ends, Reads and
// Writes under way return and later ones fail, for good. Nested uses are not
// allowed; done must be called before the next Use. It may be called twice, by
// one goroutine.
func (c *Conn) Use(ctx context.Context) (done func()) {
	var ending sync.WaitGroup
	ending.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer ending.Done()
		c.broken.Store(true)
		c.link.interrupt(context.Cause(ctx))
	})
	stopped := false
	return func() {
		stopped = stopped || stop()
		if !stopped {
			ending.Wait()
		}
	}
}

// ReadsUntil has a Read under way, and later ones, return an error without harm to
// the connection as soon as limit has ended, until done is called: no Read is under
// way then. What had arrived by then is read by the next Read.
func (c *Conn) ReadsUntil(limit context.Context) (done func()) {
	var ending sync.WaitGroup
	ending.Add(1)
	stop := context.AfterFunc(limit, func() {
		defer ending.Done()
		c.link.pause()
	})
	return func() {
		if !stop() {
			ending.Wait()
			c.link.resume()
		}
	}
}

// StartTLS shakes hands after a positive reply to STARTTLS or STLS. pending is
// what the caller's bufio.Reader still holds (Buffered): anything there was
// injected before the handshake and refused with class smtp-intercepted
// (CVE-2011-0411). The caller drops its reader and makes a new one. No Read or
// Write may be under way. Errors are *upstream.Error; the Conn is then to be closed.
func (c *Conn) StartTLS(ctx context.Context, pending int) error {
	phase := upstream.PhaseStartTLS
	if c.target.Protocol == trace.POP3 {
		phase = upstream.PhasePOPGreeting
	}
	if pending > 0 {
		c.broken.Store(true)
		return c.errorf(phase, upstream.ClassSMTPIntercepted, errInjected,
			"Somebody between this computer and %s put words into its mouth before the connection was encrypted.", c.name())
	}
	return c.handshake(ctx, phase)
}

// TLS returns the state of TLS, and whether the connection is encrypted.
func (c *Conn) TLS() (tls.ConnectionState, bool) {
	t := c.tls.Load()
	if t == nil {
		return tls.ConnectionState{}, false
	}
	return t.ConnectionState(), true
}

// Addr returns the server as "host:port".
func (c *Conn) Addr() string { return c.target.Server.Addr() }

// Target returns what was dialled.
func (c *Conn) Target() Target { return c.target }

// link is the bare connection, below TLS, with a bound on every operation. What
// TLS itself sets as deadlines is ignored.
type link struct {
	net.Conn
	look  syscall.RawConn // set while Read does not wait; the reader's own
	mu    sync.Mutex
	step  time.Duration // less than 0: none
	read  limit
	write limit
	ended error // the context of Use has ended
	// paused: Read returns errNothing.
	paused bool
}

// limit is the bound of one direction; the zero time is none.
type limit struct {
	set   time.Time // by Set*Deadline
	armed time.Time // the deadline that the connection has
}

func (l *link) Read(b []byte) (int, error) {
	if err := l.arm(l.Conn.SetReadDeadline, &l.read); err != nil {
		return 0, err
	}
	if l.look != nil {
		n, err := readNow(l.look, b)
		return n, err
	}
	n, err := l.Conn.Read(b)
	return n, l.why(err, &l.read)
}

func (l *link) Write(b []byte) (int, error) {
	if err := l.arm(l.Conn.SetWriteDeadline, &l.write); err != nil {
		return 0, err
	}
	n, err := l.Conn.Write(b)
	return n, l.why(err, &l.write)
}

// arm sets the deadline of one operation: the step's timeout or the limit,
// whichever comes first. One that is in force is left alone: to set a deadline is
// work for the runtime's timers.
func (l *link) arm(set func(time.Time) error, m *limit) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.stoppedLocked(m); err != nil {
		return err
	}
	at := m.set
	if l.step >= 0 {
		if end := time.Now().Add(l.step); at.IsZero() || end.Before(at) {
			at = end
		}
	}
	if at.Equal(m.armed) {
		return nil
	}
	m.armed = at
	// Only a connection that is closed cannot be armed, and the operation itself
	// tells best by which side.
	if err := set(at); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

// why replaces the time-out of an interrupted operation by its reason.
func (l *link) why(err error, m *limit) error {
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) || l.ended != nil {
		return cmp.Or(l.stoppedLocked(m), err)
	}
	return err
}

// stoppedLocked returns why an operation is not to go on, or nil.
func (l *link) stoppedLocked(m *limit) error {
	if l.ended == nil && l.paused && m == &l.read {
		return errNothing
	}
	return l.ended
}

// past is a deadline that ends what is under way.
var past = time.Unix(1, 0)

func (l *link) interrupt(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = cause
	l.Conn.SetDeadline(past)
}

func (l *link) pause() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = true
	if l.ended == nil {
		l.read.armed = past
		l.Conn.SetReadDeadline(past)
	}
}

func (l *link) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = false
}

func (l *link) setStep(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.step = d
}

// setLimits changes the limits that are given, also for operations under way.
func (l *link) setLimits(read, write *time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return l.ended
	}
	if read != nil {
		l.read = limit{*read, *read}
		if err := l.Conn.SetReadDeadline(*read); err != nil {
			return err
		}
	}
	if write != nil {
		l.write = limit{*write, *write}
		return l.Conn.SetWriteDeadline(*write)
	}
	return nil
}

// SetDeadline is TLS's, and does nothing.
func (l *link) SetDeadline(time.Time) error { return nil }

// SetReadDeadline is TLS's, and does nothing.
func (l *link) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline is TLS's, and does nothing.
func (l *link) SetWriteDeadline(time.Time) error { return nil }
