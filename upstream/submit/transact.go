package submit

import (
	"context"
	"net"
	"time"

	"melon/upstream"
)

// Feed is where a transaction gets what it sends, and tells what the server
// said. Its methods must not block.
type Feed interface {
	// Next says what there is to send from the n-th recipient on.
	Next(n int) Supply
	// Verdict hears the server's answer to the i-th recipient; e is nil when it
	// was taken. When it returns false nothing more is sent and the transaction
	// ends without the message.
	Verdict(i int, r upstream.Reply, e *upstream.Error) bool
}

// Supply is what there is to send at the moment.
type Supply struct {
	Recipients []upstream.Recipient
	Body       upstream.Body   // set once the list of recipients is complete
	Cancelled  bool            // end without the message
	More       <-chan struct{} // closed when Next would say something else
}

// TransactOptions say how a transaction may be sent.
type TransactOptions struct {
	// OneFlight allows the body of a message to a single recipient to leave
	// before the envelope was answered, if the server was heard within this
	// time. A line that breaks then leaves the outcome unknown, so it is for
	// lines that are surely alive. 0 never allows it.
	OneFlight time.Duration
	// FirstReply bounds the wait for the first answer, to find a dead line
	// soon; 0 is the phase table's time.
	FirstReply time.Duration
}

// Outcome is how a transaction ended.
type Outcome struct {
	Reply    upstream.Reply  // to the end of the message, or zero
	Err      *upstream.Error // nil when the server took the message
	Taken    int             // recipients that the server accepted
	Stopped  bool            // by Feed.Verdict
	Started  bool            // a command has left
	Answered bool            // the server answered MAIL, and stayed
}

// cancelGrace is how long a cancelled transaction waits for outstanding replies
// that would leave the connection clean.
const cancelGrace = 5 * time.Second

// Exchange is one transaction (RFC 5321 section 3.3) under way. One goroutine uses
// it at a time.
//
// The normal path: put MAIL and the recipients as they come, then DATA or BDAT,
// read the replies in order. halt is set as soon as the message is known not to
// go: from then on nothing is written, and the replies still due are read so
// that the connection stays clean. The abort path is botched: the connection is
// given up, without dot or LAST.
type Exchange struct {
	c      *Client
	ctx    context.Context // rules the transaction
	unbind func()          // ends what ctx means to the connection
	env    upstream.Envelope
	feed   Feed
	o      TransactOptions
	out    Outcome

	queue      []upstream.Recipient // known, RCPT not yet sent
	rcpts      int                  // known so far
	answered   int                  // of them
	body       upstream.Body        // nil until the list is complete
	stage      stage
	lastLeft   bool            // the last octet of the message has left
	headerSeen bool            // needsUTF8 has looked
	rcptErr    *upstream.Error // the last refusal of a recipient
	halt       *upstream.Error
	over       bool
}

// stage is how far the client's side has come.
type stage int

const (
	stageNew      stage = iota // nothing sent
	stageReset                 // RSET sent
	stageEnvelope              // MAIL sent
	stageData                  // DATA sent
	stageGo                    // 354 received
	stageBody                  // the body has left, or is leaving
)

// Transact carries one message. The client stays Usable unless the connection
// broke or had to be cut.
func (c *Client) Transact(ctx context.Context, env upstream.Envelope, feed Feed, o TransactOptions) Outcome {
	x := c.Begin(ctx, env, feed, o)
	x.Run(context.Background())
	return x.Outcome()
}

// Begin readies a transaction, of which nothing has left yet. The client belongs to
// it, and is bound to ctx, until Run says that it is over.
func (c *Client) Begin(ctx context.Context, env upstream.Envelope, feed Feed, o TransactOptions) *Exchange {
	x := &Exchange{c: c, ctx: ctx, env: env, feed: feed, o: o, unbind: func() {}}
	if !c.Usable() {
		x.stop(c.broken(upstream.PhaseMail, net.ErrClosed))
		x.over = true
	} else {
		x.unbind = c.conn.Use(ctx)
	}
	return x
}

// Run carries the transaction on, and reports whether it is over. If not, limit has
// ended, or nothing can be waited for any more without the risk of missing its end:
// the transaction is as it was, and goes on with the next Run, in whatever
// goroutine. A body that still grows is sent to its end regardless. A write that
// has not ended by the deadline of limit is given up, and the line with it.
func (x *Exchange) Run(limit context.Context) (over bool) {
	x.c.until, _ = limit.Deadline()
	defer func() { x.c.until = time.Time{} }()
	for !x.over {
		s := x.feed.Next(x.rcpts)
		x.advance(s)
		if !x.over && !x.wait(limit, s.More) {
			return false
		}
	}
	x.unbind()
	return true
}

// Outcome tells how a transaction that is over has ended.
func (x *Exchange) Outcome() Outcome {
	x.out.Err, x.out.Started = x.halt, x.stage > stageNew
	return x.out
}

// advance writes all that may be written now.
func (x *Exchange) advance(s Supply) {
	x.queue = append(x.queue, s.Recipients...)
	x.rcpts += len(s.Recipients)
	x.body = s.Body
	if s.Cancelled && x.halt == nil && !x.lastLeft {
		x.stop(&upstream.Error{
			Account: x.c.o.Account, Host: x.c.Addr(), Phase: upstream.PhaseData,
			Class: upstream.ClassTemporaryLocalProblem, Sentence: "Sending was broken off.",
			Err: context.Canceled,
		})
	}
	if x.halt == nil {
		x.envelope()
	}
	if x.halt == nil && x.body != nil && len(x.queue) == 0 {
		x.message()
	}
	if !x.c.botched { // else the line is cut as it is
		if err := x.c.flush(x.phase()); err != nil {
			x.harvest()
			x.broke(err)
		}
	}
	if x.halt != nil && (len(x.c.pending) == 0 || x.c.botched) {
		x.over = true
	}
}

// envelope puts RSET (when a former transaction is still open), MAIL and RCPT:
// all at once when pipelining, else the next one when none is unanswered.
func (x *Exchange) envelope() {
	c := x.c
	for len(x.queue) > 0 && (c.Pipelining() || len(c.pending) == 0) && x.halt == nil {
		switch {
		case x.stage == stageNew && c.dirty:
			c.put(step{phase: phaseReset}, "RSET")
			c.dirty = false
			x.stage = stageReset
		case x.stage < stageEnvelope:
			line, err := c.mailLine(x.env)
			if err != nil {
				x.stop(err)
				return
			}
			c.put(step{phase: upstream.PhaseMail}, line)
			c.dirty = true
			x.stage = stageEnvelope
		default:
			x.recipient()
		}
	}
}

// recipient puts the next RCPT, or judges an address that cannot be sent.
func (x *Exchange) recipient() {
	i := x.rcpts - len(x.queue)
	rc := x.queue[0]
	x.queue = x.queue[1:]
	line, err := x.c.rcptLine(rc)
	if err != nil {
		x.verdict(i, upstream.Reply{}, err)
		return
	}
	x.c.put(step{phase: upstream.PhaseRcpt, index: i}, line)
}

// message puts DATA or the body, when it may leave now.
func (x *Exchange) message() {
	c := x.c
	idle := len(c.pending) == 0
	switch {
	case x.rcpts == 0:
		x.stop(c.local(upstream.PhaseData, 554, upstream.EnhancedCode{5, 5, 1}, "The message has no recipient."))
	case x.none():
		x.stop(x.rcptErr)
	case x.stage == stageGo:
		if idle {
			x.sendData()
		}
	case x.stage != stageEnvelope:
	case x.needsUTF8():
	case c.chunking():
		if idle || x.rcpts == 1 && c.InOneFlight(x.o.OneFlight) {
			x.sendChunks()
		}
	case idle || c.Pipelining():
		c.put(step{phase: upstream.PhaseData}, "DATA")
		x.stage = stageData
	}
}

// none reports whether every recipient of the complete list was refused.
func (x *Exchange) none() bool {
	return x.body != nil && x.rcpts > 0 && x.answered == x.rcpts && x.out.Taken == 0
}

// wait waits for a reply, for more to send, for the time-out or for ctx. It
// reports false when limit came first.
func (x *Exchange) wait(limit context.Context, more <-chan struct{}) bool {
	c := x.c
	if a, ok := c.atHand(); ok {
		x.handle(a)
		return true
	}
	if x.lastLeft && len(c.pending) > 0 && c.readsAlone() { // there can be nothing more to send
		a, ok := c.read(x.ctx, limit, x.patience())
		if ok {
			x.handle(a)
		}
		return ok
	}
	if x.stage == stageNew && c.readsAlone() {
		return x.rest(limit, more)
	}
	c.ask()
	var expire <-chan time.Time
	if len(c.pending) > 0 {
		if x.cancelled() {
			more = nil
		}
		expire = c.timers.within(x.patience())
		defer c.timers.stop()
	}
	select {
	case a := <-c.got:
		x.handle(a)
	case <-more:
	case <-expire:
		c.botched = true
		x.broke(errTimeout)
	case <-x.ctx.Done():
		c.botched = true
		x.broke(x.ctx.Err())
	case <-limit.Done():
		return false
	}
	return true
}

// patience is how long the next reply is waited for.
func (x *Exchange) patience() time.Duration {
	d := x.c.timeout(x.c.pending[0].phase)
	if x.o.FirstReply > 0 && !x.out.Answered {
		d = min(d, x.o.FirstReply)
	}
	if x.cancelled() {
		d = min(d, cancelGrace)
	}
	return d
}

func (x *Exchange) cancelled() bool { return x.halt != nil && x.halt.Err == context.Canceled }

// phase is that of the oldest unanswered command, or of what would come next.
func (x *Exchange) phase() upstream.Phase {
	switch {
	case len(x.c.pending) > 0:
		p := x.c.pending[0].phase
		if p == phaseReset {
			return upstream.PhaseMail
		}
		return p
	case x.stage < stageEnvelope:
		return upstream.PhaseMail
	case x.stage == stageEnvelope:
		return upstream.PhaseRcpt
	}
	return upstream.PhaseData
}

// stop sets the reason why the message does not go, unless there is one.
func (x *Exchange) stop(e *upstream.Error) {
	if x.halt == nil {
		x.halt = e
	}
}

// broke ends the transaction after an error of the connection.
func (x *Exchange) broke(err error) {
	if x.none() {
		x.stop(x.rcptErr)
	}
	if x.halt == nil {
		e := x.c.broken(x.phase(), err)
		if x.lastLeft {
			e.Phase, e.Ambiguous = upstream.PhaseDataEnd, true
		}
		x.halt = e
	}
	x.c.botched = true
	x.over = true
}
