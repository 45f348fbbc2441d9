package submit

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"melon/upstream"
)

// Conn is what a conversation runs over; *dial.Conn is one.
type Conn interface {
	net.Conn
	SetStep(timeout time.Duration)
	Use(ctx context.Context) (done func())
	StartTLS(ctx context.Context, pending int) error
	TLS() (tls.ConnectionState, bool)
	Addr() string
	Fault(phase upstream.Phase, err error) *upstream.Error
}

// Options are a conversation's settings; the zero value works.
type Options struct {
	Account string // stamped into errors
	// HelloName is the argument of EHLO; "" is the address literal of the
	// connection's own address (RFC 5321 section 4.1.3).
	HelloName  string
	Lockstep   bool // never pipeline: the server breaks when it is used
	NoChunking bool // never use BDAT
	// Timeout replaces the phase table's time-outs; nil is the table.
	Timeout func(upstream.Phase) time.Duration
}

// bufferSize is the size of the write buffer, and so of the largest flight that
// leaves in one write, and of a chunk of a body that is still growing.
const bufferSize = 32 << 10

// fewReplies are surely smaller than what the system keeps until they are read:
// a server can say them while it is being written to.
const fewReplies = 8

// keepBuffers is how long an idle conversation keeps its buffers.
const keepBuffers = 2 * time.Second

// noStep is the step given to the connection, none: time is kept here, as a read
// is under way during all of an upload and while the connection is idle.
const noStep = -1

// Client is one conversation. One goroutine uses it at a time. Close must be
// called.
type Client struct {
	conn Conn
	look looker // nil when it would tell nothing
	o    Options
	caps Capabilities
	br   *bufio.Reader
	bw   *bufio.Writer // made when needed, dropped while idle
	buf  []byte        // for blocks of a body; likewise

	replies
	timers timers

	pending []step    // commands that have left and are not answered
	dirty   bool      // a transaction is open at the server: RSET comes first
	botched bool      // I/O or syntax error: never to be used again
	expired bool      // the connection was closed because a time-out passed
	heard   time.Time // when the server last answered
	until   time.Time // writes are given up then; zero: when their phase says
}

// replies is between the conversation and its reader. One reply is read at a time,
// by the reader's goroutine, when asked for. Between two of them br is the user's.
type replies struct {
	want  chan struct{}
	got   chan answer
	ended chan struct{}
	asked bool
}

// answer is what the reader found.
type answer struct {
	raw raw
	err error
}

// step is a command that waits for its reply.
type step struct {
	phase upstream.Phase
	index int // of the recipient
}

// Open starts a conversation on conn, which it owns from now on: it reads the
// greeting and says EHLO. Errors are *upstream.Error; conn is closed then.
func Open(ctx context.Context, conn Conn, o Options) (*Client, error) {
	c := &Client{
		conn: conn, o: o, br: bufio.NewReader(conn),
		replies: replies{want: make(chan struct{}, 1), got: make(chan answer, 1), ended: make(chan struct{})},
	}
	if l, ok := conn.(looker); ok && l.Looks() {
		c.look = l
	}
	conn.SetStep(noStep)
	c.timers.init(conn)
	go c.reader(c.want)
	defer conn.Use(ctx)()
	c.pending = append(c.pending, step{phase: upstream.PhaseConnect})
	r, err := c.await(ctx)
	if err == nil && r.code != 220 {
		err = c.refused(upstream.PhaseConnect, r.clean())
	}
	if err == nil {
		err = c.hello(ctx)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// reader reads one reply each time it is asked for one, until an error.
func (c *Client) reader(want <-chan struct{}) {
	defer close(c.ended)
	for range want {
		r, err := lineReader{c.br}.readReply()
		c.got <- answer{r, err}
		if err != nil {
			return
		}
	}
}

// ask has the reader read one reply, unless it does already.
func (c *Client) ask() {
	if !c.asked && !c.botched {
		c.asked = true
		c.want <- struct{}{}
	}
}

// atHand returns the next reply if all of it has been read from the connection
// already, as it came together with the one before.
func (c *Client) atHand() (a answer, ok bool) {
	if c.asked || c.botched || c.br.Buffered() == 0 {
		return a, false
	}
	buf, _ := c.br.Peek(c.br.Buffered())
	if !wholeReply(buf) {
		return a, false
	}
	r, err := lineReader{c.br}.readReply()
	return answer{r, err}, true
}

// Close ends the conversation at once and waits for its goroutine.
func (c *Client) Close() error {
	if c.want == nil {
		return nil
	}
	c.botched = true
	err := c.conn.Close()
	close(c.want)
	c.want = nil
	<-c.ended
	return err
}

// Heard returns when the server last answered.
func (c *Client) Heard() time.Time { return c.heard }

// Usable reports whether another transaction may be started.
func (c *Client) Usable() bool { return !c.botched && len(c.pending) == 0 }

// Capabilities returns what the server offered last.
func (c *Client) Capabilities() Capabilities { return c.caps }

// TLS reports whether the conversation is encrypted, and the state.
func (c *Client) TLS() (tls.ConnectionState, bool) { return c.conn.TLS() }

// Addr returns the server as "host:port".
func (c *Client) Addr() string { return c.conn.Addr() }

// LocalIP returns the connection's own address, invalid when it has none.
func (c *Client) LocalIP() netip.Addr { return addrOf(c.conn.LocalAddr()) }

// Pipelining reports whether commands are sent without waiting for replies.
func (c *Client) Pipelining() bool { return c.caps.Pipelining && !c.o.Lockstep }

// InOneFlight reports whether a message to a single recipient may leave with its
// envelope at the moment, if that takes the server to have been heard within the
// time given: see TransactOptions.OneFlight.
func (c *Client) InOneFlight(within time.Duration) bool {
	return c.chunking() && c.Pipelining() && time.Since(c.heard) < within
}

func (c *Client) chunking() bool { return c.caps.Chunking && !c.o.NoChunking }

func (c *Client) timeout(p upstream.Phase) time.Duration {
	if c.o.Timeout != nil {
		if d := c.o.Timeout(p); d > 0 {
			return d
		}
	}
	return table(p).timeout
}

// put appends a command line to the flight and notes that a reply is due.
func (c *Client) put(s step, line string) {
	if c.bw == nil {
		c.bw = bufio.NewWriterSize(c.conn, bufferSize)
	}
	c.bw.WriteString(line) // an error stays in the writer until flush
	c.bw.WriteString("\r\n")
	c.pending = append(c.pending, s)
}

// bounded runs write; the connection is closed when that takes too long.
func (c *Client) bounded(p upstream.Phase, write func() error) error {
	if len(c.pending) > 0 && !(c.look != nil && len(c.pending) <= fewReplies) {
		c.ask() // a server that waits for its reply to be read must not wait for long
	}
	d := c.timeout(p)
	if !c.until.IsZero() {
		d = min(d, max(0, time.Until(c.until)))
	}
	c.timers.bound(d)
	err := write()
	if expired := !c.timers.unbound(); err != nil {
		c.botched = true
		if expired {
			c.expired = true
			err = errTimeout
		}
	}
	return err
}

// flush sends the flight.
func (c *Client) flush(p upstream.Phase) error {
	if c.bw == nil || c.bw.Buffered() == 0 {
		return nil
	}
	return c.bounded(p, c.bw.Flush)
}

// take notes that a was received and returns the step that it answers.
func (c *Client) take(a answer) (step, error) {
	c.asked = false
	if a.err != nil || c.expired {
		c.botched = true
	}
	if a.err != nil {
		return step{}, a.err
	}
	if len(c.pending) == 0 {
		c.botched = true
		return step{}, errReply // nobody asked
	}
	s := c.pending[0]
	c.pending = slices.Delete(c.pending, 0, 1) // in place: it is filled for each message
	c.heard = time.Now()
	if a.raw.code == 421 {
		// RFC 5321 section 3.8: the server closes the connection.
		c.botched = true
	}
	// A 421 behind the reply is read, and understood, as the next one; what was
	// injected behind the reply to STARTTLS is for Conn.StartTLS to refuse.
	if len(c.pending) == 0 && a.raw.extra() && s.phase != upstream.PhaseStartTLS {
		c.botched = true
	}
	return s, nil
}

// await waits for the reply to the oldest command. The connection must be bound
// to ctx. The error is an *upstream.Error.
func (c *Client) await(ctx context.Context) (raw, error) {
	phase := c.pending[0].phase
	c.ask()
	expire := c.timers.within(c.timeout(phase))
	defer c.timers.stop()
	select {
	case a := <-c.got:
		if _, err := c.take(a); err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return raw{}, c.broken(phase, err)
		}
		if c.botched && a.raw.code != 421 {
			return raw{}, c.broken(phase, errReply)
		}
		return a.raw, nil
	case <-expire:
		c.botched = true
		return raw{}, c.broken(phase, errTimeout)
	case <-ctx.Done():
		c.botched = true
		return raw{}, c.broken(phase, ctx.Err())
	}
}

// command sends one command and waits for its reply.
func (c *Client) command(ctx context.Context, p upstream.Phase, line string) (raw, error) {
	if c.botched {
		return raw{}, c.broken(p, net.ErrClosed)
	}
	c.put(step{phase: p}, line)
	if err := c.flush(p); err != nil {
		return raw{}, c.broken(p, err)
	}
	return c.await(ctx)
}

// hello says EHLO, and HELO to a server that does not know it (RFC 5321 section
// 3.2).
func (c *Client) hello(ctx context.Context) error {
	name := c.o.HelloName
	if name == "" {
		name = addressLiteral(c.conn.LocalAddr())
	}
	if !argument(name) {
		return c.local(upstream.PhaseEHLO, 501, upstream.EnhancedCode{5, 5, 4}, "The name for EHLO holds forbidden characters.")
	}
	r, err := c.command(ctx, upstream.PhaseEHLO, "EHLO "+name)
	if err != nil {
		return err
	}
	if r.code == 250 {
		c.caps = parseCapabilities(r.lines)
		return nil
	}
	if r.code/100 != 5 {
		return c.refused(upstream.PhaseEHLO, r.clean())
	}
	c.caps = Capabilities{}
	if r, err = c.command(ctx, upstream.PhaseEHLO, "HELO "+name); err != nil {
		return err
	}
	if r.code != 250 {
		return c.refused(upstream.PhaseEHLO, r.clean())
	}
	c.caps.Hello = r.lines[0]
	return nil
}

// addrOf returns a's IP address, invalid when it has none.
func addrOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// addressLiteral returns a as RFC 5321 section 4.1.3 writes it: "[192.0.2.1]",
// "[IPv6:2001:db8::1]".
func addressLiteral(a net.Addr) string {
	ip := addrOf(a)
	switch {
	case !ip.IsValid():
		return "[127.0.0.1]"
	case ip.Is6():
		return "[IPv6:" + ip.String() + "]"
	}
	return "[" + ip.String() + "]"
}

// StartTLS encrypts the conversation (RFC 3207) and says EHLO again. Errors are
// *upstream.Error; the conversation is over then, whatever the server said.
func (c *Client) StartTLS(ctx context.Context) error {
	done := c.conn.Use(ctx)
	r, err := c.command(ctx, upstream.PhaseStartTLS, "STARTTLS")
	done()
	if err != nil {
		return err
	}
	if r.code != 220 {
		c.botched = true
		return c.refused(upstream.PhaseStartTLS, r.clean())
	}
	// No read is under way now: the next one is asked for by EHLO.
	if err := c.shakeHands(ctx); err != nil {
		c.botched = true
		return c.broken(upstream.PhaseStartTLS, err)
	}
	c.br = bufio.NewReader(c.conn)
	c.bw, c.caps = nil, Capabilities{}
	defer c.conn.Use(ctx)()
	return c.hello(ctx)
}

func (c *Client) shakeHands(ctx context.Context) error {
	limit := c.timeout(upstream.PhaseStartTLS)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c.conn.SetStep(limit)
	defer c.conn.SetStep(noStep)
	return c.conn.StartTLS(ctx, c.br.Buffered())
}

// Watch waits on an idle conversation until ctx ends (nil: it is still good) or
// the server speaks or hangs up (an error: it is over).
func (c *Client) Watch(ctx context.Context) error {
	if !c.Usable() {
		return net.ErrClosed
	}
	c.ask()
	timer := time.NewTimer(keepBuffers)
	defer timer.Stop()
	for {
		select {
		case a := <-c.got:
			_, err := c.take(a)
			return err
		case <-timer.C:
			c.bw, c.buf = nil, nil // memory is given back after a burst
		case <-ctx.Done():
			return nil
		}
	}
}

// Reset ends a transaction that the server still holds open (RFC 5321 section
// 4.1.1.5). Transact does so by itself before the next one; this is for a caller
// who leaves it at that.
func (c *Client) Reset(ctx context.Context) error {
	if !c.Usable() {
		return net.ErrClosed
	}
	if !c.dirty {
		return nil
	}
	defer c.conn.Use(ctx)()
	r, err := c.command(ctx, phaseReset, "RSET")
	switch {
	case err != nil:
		return c.broken(upstream.PhaseMail, err)
	case r.code/100 != 2:
		c.botched = true
		return c.refused(upstream.PhaseMail, r.clean())
	}
	c.dirty = false
	return nil
}

// Quit ends the conversation politely, and waits for the server's answer for a
// few seconds at most. The Client is closed when it returns.
func (c *Client) Quit(ctx context.Context) error {
	defer c.Close()
	if !c.Usable() {
		return nil
	}
	defer c.conn.Use(ctx)()
	r, err := c.command(ctx, phaseQuit, "QUIT")
	if err == nil && r.code != 221 {
		err = errors.New("quit refused")
	}
	return err
}
