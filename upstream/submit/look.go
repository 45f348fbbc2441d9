package submit

import (
	"bufio"
	"context"
	"io"
	"time"
)

// looker is a Conn that may know without waiting whether the server has said
// anything; *dial.Conn is one.
type looker interface {
	Looks() bool
	Silent() bool // no Read is under way; after false the connection is over
	// ReadsUntil has Reads fail once limit has ended, without harm, until done.
	ReadsUntil(limit context.Context) (done func())
}

// Idle has the connection watched, unless it can be looked at: Quiet knows from
// then on without waiting.
func (c *Client) Idle() {
	if c.look == nil {
		c.ask()
	}
}

// Quiet reports whether the server has said nothing since the last transaction,
// as far as is known without waiting; if it has, the conversation is over.
func (c *Client) Quiet() bool {
	if !c.asked && c.look != nil && c.Usable() {
		c.botched = c.br.Buffered() > 0 || !c.look.Silent()
		return !c.botched
	}
	select {
	case a := <-c.got:
		c.take(a)
		return false
	default:
		return c.Usable()
	}
}

// read reads the next reply itself, for no longer than d: one goroutine less to
// wake. The connection must be bound to ctx, nobody else may be reading, and
// nothing else may matter meanwhile. It reports false, and the reply is yet to be
// read, when limit ended first, or when the reply is too long to be sure that it
// will not.
func (c *Client) read(ctx, limit context.Context, d time.Duration) (answer, bool) {
	c.timers.bound(d)
	var a answer
	here := limit.Done() == nil || c.expect(limit)
	if here {
		a.raw, a.err = lineReader{c.br}.readReply()
	}
	c.expired = !c.timers.unbound()
	switch {
	case here && a.err == nil:
	case c.expired:
		a.err = errTimeout
	case ctx.Err() != nil:
		a.err = ctx.Err()
	case !here:
		return a, false
	}
	return a, true
}

// expect reads until the next reply is there, or the error that is there instead
// of it. It reports false when that may take longer than limit.
func (c *Client) expect(limit context.Context) bool {
	defer c.look.ReadsUntil(limit)()
	for {
		n := c.br.Buffered()
		if b, _ := c.br.Peek(n); wholeReply(b) {
			return true
		}
		if _, err := c.br.Peek(n + 1); err != nil {
			return err != bufio.ErrBufferFull && limit.Err() == nil
		}
	}
}

// readsAlone reports whether read may be used.
func (c *Client) readsAlone() bool { return c.look != nil && !c.asked && !c.botched }

// rest waits until there is something to send, while the server has nothing to
// answer. Whether the line is still good is looked at then: what has left nothing
// behind can be sent on another one. It reports false when limit came first.
func (x *Exchange) rest(limit context.Context, more <-chan struct{}) bool {
	select {
	case <-more:
		if !x.c.Quiet() {
			x.broke(io.EOF)
		}
	case <-x.ctx.Done():
		x.c.botched = true
		x.broke(x.ctx.Err())
	case <-limit.Done():
		return false
	}
	return true
}
