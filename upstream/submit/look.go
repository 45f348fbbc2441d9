package submit

import (
	"context"
	"io"
	"time"
)

// looker is a Conn that may know without waiting whether the server has said
// anything; *dial.Conn is one.
type looker interface {
	Looks() bool
	Silent() bool // no Read is under way; after false the connection is over
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
// nothing else may matter meanwhile.
func (c *Client) read(ctx context.Context, d time.Duration) answer {
	c.timers.bound(d)
	r, err := lineReader{c.br}.readReply()
	c.expired = !c.timers.unbound()
	switch {
	case err == nil:
	case c.expired:
		err = errTimeout
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	return answer{r, err}
}

// readsAlone reports whether read may be used.
func (c *Client) readsAlone() bool { return c.look != nil && !c.asked && !c.botched }

// rest waits until there is something to send, while the server has nothing to
// answer. Whether the line is still good is looked at then: what has left nothing
// behind can be sent on another one.
func (x *exchange) rest(ctx context.Context, more <-chan struct{}) {
	select {
	case <-more:
		if !x.c.Quiet() {
			x.broke(io.EOF)
		}
	case <-ctx.Done():
		x.c.botched = true
		x.broke(ctx.Err())
	}
}
