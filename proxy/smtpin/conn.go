package smtpin

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"melon/upstream/trace"
)

// conn is the connection that go-smtp sees. It owns the framing: go-smtp reads
// whole command lines from it and nothing else, each only after the reply to
// the one before was written, and hands every reply to it. In between conn
//
//   - bounds and checks lines (line.go) and answers some commands itself
//     (command.go),
//   - reads message content past go-smtp (body.go): at the 354 go-smtp calls the
//     session, the session reads a body from conn, and what go-smtp itself then
//     reads is an end-of-message dot and nothing else,
//   - makes BDAT look like DATA to go-smtp, so that both take one way,
//   - starts TLS, by handing a new conn to go-smtp in its place, which begins
//     with nothing known, as RFC 3207 section 4.2 wants it,
//   - can be woken while it waits for a command, to be evicted or shut down.
//
// All of it but wake and kill belongs to the one goroutine that go-smtp runs
// the connection in.
type conn struct {
	net.Conn // the traced one: TCP, or TLS over it
	srv      *Server
	set      *settings
	who      who
	ctx      context.Context
	cancel   context.CancelFunc
	raw      net.Conn // as Conn, not traced
	in       *bufio.Reader
	frame    framing
	out      outgoing
	budget   budget
	rest     rest
	next     *conn // takes over when this one is closed
	closing  sync.Once
}

// who is at the other end, and by which door it came.
type who struct {
	Client
	user     string // the peer's user as PeerLookup named it, or its host; "" unknown
	other    bool   // it is not Melon's own user
	door     *door
	upgraded bool // TLS began inside the connection: no second greeting
}

// framing is what the next octets from the app are.
type framing struct {
	state   frameState
	pending string // of a line that go-smtp is reading, without its end
	ending  string // of its end
	line    string // the last command that went to go-smtp
	back    string // a command that ended a BDAT sequence, to be read again
	chunk   chunk
	body    *body
	size    int64 // the SIZE that go-smtp could not have parsed
}

type frameState int

const (
	frameCommand frameState = iota
	frameSASL               // after a 334: the line is an answer inside AUTH
	frameBody               // after a 354: the body, which the session reads
)

// outgoing gathers one reply, so that it leaves in one piece.
type outgoing struct {
	buf     []byte
	quiet   bool // drop the next reply: the app is owed another one
	verdict bool // the next reply is the transaction's, not about the command
	final   bool // the next reply is the last
	over    bool // nothing more is read or written
}

// budget counts what an app has wasted since its last message.
type budget struct {
	bad   int // commands that were refused as such
	idle  int // commands that got nowhere: NOOP, RSET, EHLO, …
	login int // refused logins on this connection
}

// handshakeTime is how long a TLS handshake may take.
const handshakeTime = 15 * time.Second

// rest is where others may reach in: while the connection waits for a command
// it can be woken to be ended.
type rest struct {
	mu      sync.Mutex
	waiting bool
	since   time.Time // of the wait
	busy    bool      // in a transaction
	reason  *farewell
}

// farewell is why a connection is ended from outside, and what the app is told.
type farewell struct{ reason, text string }

// newConn wraps raw, which is TLS already when secure is set.
func newConn(s *Server, set *settings, raw net.Conn, w who) *conn {
	c := &conn{Conn: raw, srv: s, set: set, who: w, raw: raw}
	c.ctx, c.cancel = context.WithCancel(s.base)
	if set.trace != nil {
		c.Conn = &tracedConn{Conn: raw, tracer: newTracer(set.trace, w)}
	}
	c.in = bufio.NewReader(c.Conn)
	return c
}

// newTracer returns the tracer of one connection. One that begins with TLS
// inside a connection has no greeting to wait for.
func newTracer(sink func(string, trace.Line), w who) *trace.Tracer {
	t := trace.New(trace.SMTP, func(l trace.Line) { sink(w.ID, l) })
	if w.upgraded {
		t.TLS("TLS")
	}
	return t
}

// tracedConn shows a Tracer what passes.
type tracedConn struct {
	net.Conn
	tracer *trace.Tracer
}

func (c *tracedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.tracer.Client(b[:n])
	return n, err
}

func (c *tracedConn) Write(b []byte) (int, error) {
	c.tracer.Server(b)
	return c.Conn.Write(b)
}

// Read gives go-smtp the next command line.
func (c *conn) Read(p []byte) (int, error) {
	if c.frame.ending == "" {
		line, err := c.nextLine()
		if err != nil {
			return 0, err
		}
		c.frame.pending, c.frame.ending = line, "\r\n"
	}
	n := copy(p, c.frame.pending)
	c.frame.pending = c.frame.pending[n:]
	if c.frame.pending == "" {
		m := copy(p[n:], c.frame.ending)
		c.frame.ending = c.frame.ending[m:]
		n += m
	}
	return n, nil
}

// Write takes a reply from go-smtp, in pieces.
func (c *conn) Write(p []byte) (int, error) {
	c.out.buf = append(c.out.buf, p...)
	buf := c.out.buf
	if len(buf) < 2 || buf[len(buf)-1] != '\n' {
		return len(p), nil
	}
	last := buf
	if i := lastLine(buf); i > 0 {
		last = buf[i:]
	}
	if len(last) < 4 || last[3] == '-' {
		return len(p), nil
	}
	code, _ := strconv.Atoi(string(last[:3]))
	c.out.buf = buf[:0]
	c.replied(code, buf)
	return len(p), nil
}

// lastLine returns where the last line of b, which ends with a line feed,
// begins.
func lastLine(b []byte) int {
	for i := len(b) - 2; i >= 0; i-- {
		if b[i] == '\n' {
			return i + 1
		}
	}
	return 0
}

// replied acts on a whole reply of go-smtp's.
func (c *conn) replied(code int, reply []byte) {
	verdict := c.out.verdict
	c.out.verdict = false
	switch {
	case c.out.quiet:
		c.out.quiet = false
		return
	case code == 220 && c.who.upgraded:
		c.who.upgraded = false // RFC 3207 section 4.2: no second greeting
		return
	case code == 354:
		c.frame.state = frameBody
		if c.frame.chunk.active {
			return // the app sent BDAT and waits for no go-ahead
		}
	case code == 334:
		c.frame.state = frameSASL
	case code >= 500 && code <= 504 && !verdict:
		c.budget.bad++
	}
	c.send(reply)
	if code == 421 || c.out.final {
		c.out.over = true
	}
}

// send writes octets to the app. An app that does not take them in time is cut.
func (c *conn) send(b []byte) {
	if c.out.over {
		return
	}
	c.Conn.SetWriteDeadline(time.Now().Add(c.set.limits.Write))
	if _, err := c.Conn.Write(b); err != nil {
		c.out.over = true
	}
}

// say answers a command that go-smtp does not get to see.
func (c *conn) say(text string) { c.send([]byte(text + "\r\n")) }

// cut ends the connection after an optional last reply, with one operator line.
func (c *conn) cut(reason, text string) {
	if c.out.over {
		return
	}
	if text != "" {
		c.say(text)
	}
	c.srv.refused(c.who, reason)
	c.out.over = true
}

// await waits for a command, or for more of one, until something is buffered
// and at most until the time given. It can be ended by wake.
func (c *conn) await(until time.Time) error {
	c.rest.mu.Lock()
	if f := c.rest.reason; f != nil && (!c.rest.busy || f == evicted) {
		c.rest.mu.Unlock()
		return c.leave(f)
	}
	if c.in.Buffered() > 0 {
		c.rest.mu.Unlock()
		return nil
	}
	c.rest.waiting, c.rest.since = true, time.Now()
	c.Conn.SetReadDeadline(until)
	c.rest.mu.Unlock()

	_, err := c.in.Peek(1)

	c.rest.mu.Lock()
	c.rest.waiting = false
	f := c.rest.reason
	c.rest.mu.Unlock()
	if err != nil && f != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return c.leave(f)
	}
	return err
}

// leave says goodbye and returns io.EOF.
func (c *conn) leave(f *farewell) error {
	c.cut(f.reason, f.text)
	return io.EOF
}

// The reasons for which a connection is ended from outside.
var (
	evicted  = &farewell{"idle connection ended to make room", "421 4.3.2 Too many connections are open; this one was idle. Please connect again."}
	shutdown = &farewell{"", "421 4.3.2 Melon is shutting down; please try again later."}
)

// wake ends a connection that is waiting for a command, or will be: at once, or
// for shutdown after its transaction.
func (c *conn) wake(f *farewell) {
	c.rest.mu.Lock()
	defer c.rest.mu.Unlock()
	if c.rest.reason != nil && c.rest.reason != evicted {
		return
	}
	c.rest.reason = f
	if c.rest.waiting && (!c.rest.busy || f == evicted) {
		c.Conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// setBusy notes that a transaction began or ended.
func (c *conn) setBusy(busy bool) {
	c.rest.mu.Lock()
	c.rest.busy = busy
	c.rest.mu.Unlock()
}

// resting reports since when the connection waits for a command, and whether a
// transaction is open meanwhile.
func (c *conn) resting() (since time.Time, waiting, busy bool) {
	c.rest.mu.Lock()
	defer c.rest.mu.Unlock()
	return c.rest.since, c.rest.waiting && c.rest.reason == nil, c.rest.busy
}

// startTLS answers STARTTLS (RFC 3207). What the app sent in the clear behind
// the command is an injection or a mistake: the connection ends. What it sends
// from here on goes to the handshake, and nothing of this conn is used again.
func (c *conn) startTLS() {
	if c.in.Buffered() > 0 {
		c.cut("octets behind STARTTLS", "554 5.5.0 Nothing may be sent behind STARTTLS before the handshake")
		return
	}
	c.say("220 2.0.0 Ready to start TLS")
	if c.out.over {
		return
	}
	secure := tls.Server(c.raw, c.set.tls)
	if err := c.handshake(secure); err != nil {
		c.cut("TLS handshake: "+err.Error(), "")
		return
	}
	w := c.who
	w.Client = Client{Peer: w.Peer, ID: w.ID, TLS: true}
	w.upgraded = true
	c.next = newConn(c.srv, c.set, secure, w)
	c.srv.replace(c, c.next)
	c.out.over = true
}

// handshake makes a TLS handshake over the connection, which may be ended from
// outside meanwhile like a wait for a command.
func (c *conn) handshake(secure *tls.Conn) error {
	c.rest.mu.Lock()
	c.rest.waiting, c.rest.since = c.rest.reason == nil, time.Now()
	until := c.rest.since.Add(handshakeTime)
	if !c.rest.waiting {
		until = time.Unix(1, 0)
	}
	c.Conn.SetDeadline(until)
	c.rest.mu.Unlock()

	err := secure.HandshakeContext(c.ctx)

	c.rest.mu.Lock()
	c.rest.waiting = false
	c.rest.mu.Unlock()
	return err
}

// Close ends the connection, or hands it on after STARTTLS. go-smtp calls it
// when it is done, once its session has been logged out.
func (c *conn) Close() error {
	var err error
	c.closing.Do(func() {
		c.cancel()
		if t, ok := c.Conn.(*tracedConn); ok {
			t.tracer.Close()
		}
		if c.next != nil {
			c.srv.handOn(c.next)
			return
		}
		err = c.raw.Close()
		c.srv.remove(c)
	})
	return err
}

// kill cuts the connection from outside, whatever it is doing.
func (c *conn) kill() {
	c.cancel()
	if t, ok := c.raw.(*tls.Conn); ok {
		t.NetConn().Close() // TLS's own Close waits for an alert to be taken
		return
	}
	c.raw.Close()
}

// farewell returns the reason for which the connection is to end, if any.
func (c *conn) farewell() *farewell {
	c.rest.mu.Lock()
	defer c.rest.mu.Unlock()
	return c.rest.reason
}

// evicted reports whether the connection is making room.
func (c *conn) evicted() bool { return c.farewell() == evicted }
