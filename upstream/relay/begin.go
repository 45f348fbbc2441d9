package relay

import (
	"context"
	"time"

	"melon/upstream"
)

// A transaction that finds a connection on which its message can leave in one
// flight does not begin before the message is there: an app has it ready a moment
// after MAIL, and its own goroutine, which has nothing to do but to wait for the
// verdict, then carries it. So nobody has to be woken. A goroutine takes over what
// does not go by itself: when the message does not come soon (hold.go), is long or
// has several recipients, when there is no connection after all, after any error,
// and when the app has waited for long enough.

// brief is how long a message may be, in octets, that its app's goroutine carries:
// the system takes it in without waiting for the server, on a connection where
// nothing else is under way.
const brief = 16 << 10

// leastTime is how much of its time an app's goroutine must have left to begin: it
// bounds the write, too.
const leastTime = time.Second

// briefLocked reports whether the message may be carried by its app's goroutine.
func (t *Transaction) briefLocked() bool {
	n, whole := t.body.Size()
	return whole && n <= brief && len(t.rcpts) == 1
}

// beginLocked has a goroutine carry the transaction.
func (t *Transaction) beginLocked() {
	t.begun = true
	if len(t.accounts) == 0 || !t.r.goIfOpen(func() { t.run(nil) }) {
		t.giveUpLocked(errNobody())
	}
}

// giveUpLocked ends a transaction that nobody carries.
func (t *Transaction) giveUpLocked(e *upstream.Error) {
	t.begun = true
	t.finishLocked(e, upstream.Reply{})
	t.span.close()
}

func errNobody() *upstream.Error {
	return &upstream.Error{
		Phase: upstream.PhaseConnect, Class: upstream.ClassTemporaryLocalProblem,
		Sentence: "There is no account to send with, or Melon is about to end.",
	}
}

// Await waits until the outcome is known, or ctx ends, and reports whether it is
// known. It may do the work itself; what is left of it when ctx ends goes on in the
// background.
func (t *Transaction) Await(ctx context.Context) bool {
	t.mu.Lock()
	mine := !t.begun && t.body != nil
	if end, ok := ctx.Deadline(); mine && ok && time.Until(end) < leastTime {
		t.beginLocked()
		mine = false
	}
	t.begun = t.begun || mine
	t.mu.Unlock()
	if mine {
		t.carryHere(ctx)
	}
	select {
	case <-t.done:
		return true
	case <-ctx.Done():
		return t.over()
	}
}

// carryHere carries a brief message in the caller's goroutine for as long as limit
// lasts and all goes well, and leaves the rest to a goroutine of its own.
func (t *Transaction) carryHere(limit context.Context) {
	if !t.r.enter() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.giveUpLocked(errNobody())
		return
	}
	c := newCarrier(t, 0)
	if reply, ok := c.quick(limit); ok {
		t.carriedBy(c.set, c.by)
		t.finish(nil, reply)
		t.span.close()
		t.r.wg.Done()
		return
	}
	go func() {
		defer t.r.wg.Done()
		t.run(c)
	}()
}

// quick makes an attempt on a warm connection and reports whether it succeeded
// before limit ended. If not, carry goes on with what it has begun.
func (c *carrier) quick(limit context.Context) (upstream.Reply, bool) {
	if c.usesPOP() && c.set.PopBeforeSMTP.Hold || c.needsPOP() && !c.win.open() || c.enter() != nil {
		return upstream.Reply{}, false
	}
	l := c.a.takeWarm(c.conn.key, c.again.fresh)
	if l == nil {
		return upstream.Reply{}, false
	}
	c.tick = l.tick
	c.begin(l)
	x := c.under.exchange
	if !x.Run(limit) || x.Outcome().Err != nil {
		return upstream.Reply{}, false
	}
	out, _ := c.ended()
	c.succeeded()
	c.leave()
	return out.Reply, true
}
