package relay

import (
	"context"
	"errors"
	"os"
	"time"

	"melon/upstream"
	"melon/upstream/pop"
	"melon/upstream/submit"
)

const (
	// oneFlight is how recently a connection must have been heard for envelope
	// and body to leave in one flight.
	oneFlight = 30 * time.Second
	// deadAfter is how long the first answer on a connection that was idle for
	// longer is waited for: a dead line gives none.
	deadAfter = 15 * time.Second
	// quickReuse is how soon a connection must be used again for a 421 to say
	// something about the number of messages.
	quickReuse = 10 * time.Second
	// maxTurnedAway bounds how often one message is turned away by a provider
	// that has too many of our connections already.
	maxTurnedAway = 3
	// maxReplaced bounds how many connections that had died while idle one
	// message replaces.
	maxReplaced = maxWarm + 1
)

// popMethod is what Result.Auth says when a POP login opened the relay.
const popMethod = string(upstream.AuthPOPBeforeSMTP)

// carrier is one account's try to carry one message: as many attempts as the
// rules allow.
type carrier struct {
	t     *Transaction
	a     *account
	set   *upstream.Account // one of the transaction's
	spare bool              // there is a fallback after this account
	here  context.Context   // ends when the network is another one
	conn  connector
	win   *window
	pbs   opener

	entered bool
	under   *attempt // the attempt under way
	line    *line
	tick    int64 // of the last line dialled
	again   again
	held    bool // win.hold is in force
	by      by
}

// again is why there was another attempt.
type again struct {
	fresh      int64 // only lines dialled after this tick will do
	replaced   int
	turnedAway int
}

// by is what the Result says about who carried it.
type by struct{ auth, host string }

// newCarrier returns the try of the transaction's i-th account.
func newCarrier(t *Transaction, i int) *carrier {
	set := &t.accounts[i]
	c := &carrier{t: t, a: t.r.account(set), set: set, spare: i < len(t.accounts)-1, here: t.r.hereContext()}
	key := t.r.networkKey()
	f := t.r.store.get(c.a.print, key)
	c.conn = connector{a: c.a, key: key, facts: f, lockstep: f.Lockstep, noChunking: f.NoChunking}
	c.win = c.a.window(key)
	return c
}

// usesPOP reports whether a POP login may open the relay at all.
func (c *carrier) usesPOP() bool {
	return c.set.POP.Host != "" && c.set.Auth != upstream.AuthNone
}

// needsPOP reports whether nothing is sent without one.
func (c *carrier) needsPOP() bool {
	return c.usesPOP() && (c.set.Auth == upstream.AuthPOPBeforeSMTP || c.conn.facts.NeedPOP)
}

// carry makes attempts until one succeeds or the refusal stands. It goes on with one
// that is under way.
func (c *carrier) carry() (upstream.Reply, *upstream.Error) {
	if e := c.enter(); e != nil {
		return upstream.Reply{}, e
	}
	defer c.leave()
	for {
		out, e := c.attempt()
		switch {
		case e == nil:
			c.succeeded()
			return out.Reply, nil
		case c.t.span.prep.Err() != nil: // cancelled, or its context ended
			return upstream.Reply{}, e
		case c.moved(e):
			return upstream.Reply{}, e
		case !c.next(e, out):
			if e.Class == upstream.ClassAuthRequired && c.conn.skipped != nil {
				e = c.conn.skipped // why there was no login says more
			}
			c.a.note(e, c.by.auth)
			c.forget(e)
			return upstream.Reply{}, e
		}
	}
}

// enter begins the account's try, unless it has begun or the account asks for
// attention; leave ends it.
func (c *carrier) enter() *upstream.Error {
	if c.entered {
		return nil
	}
	admitted, e := c.a.admit(c.t.o.Live)
	if e == nil {
		c.conn.admitted, c.entered = admitted, true
		c.a.begin()
	}
	return e
}

func (c *carrier) leave() {
	c.a.end()
	if c.held {
		c.win.release()
	}
}

// attempt gets a line, has the relay opened and carries the message once. It goes on
// with the attempt under way if there is one.
func (c *carrier) attempt() (submit.Outcome, *upstream.Error) {
	if c.under == nil {
		c.line = nil
		l, e := c.ready()
		if e != nil {
			c.by.host = e.Host
			return submit.Outcome{}, e
		}
		c.begin(l)
	}
	c.under.exchange.Run(context.Background())
	return c.ended()
}

// attempt is a message under way on a line.
type attempt struct {
	exchange *submit.Exchange
	feed     *feed
	end      func() // of what its context and the account's know of it
}

// begin begins an attempt on l.
func (c *carrier) begin(l *line) {
	c.line, c.by.host = l, l.client.Addr() // for next, too
	c.by.auth = l.auth
	if c.by.auth == noAuth && c.usesPOP() && c.win.open() {
		c.by.auth = popMethod
	}
	ctx, cancel := context.WithCancelCause(c.t.span.ctx)
	stop := context.AfterFunc(c.t.r.awakeContext(), func() { cancel(errSlept) })
	done := c.a.use(l, cancel)
	o := submit.TransactOptions{OneFlight: oneFlight}
	l.idle = time.Since(l.client.Heard())
	if l.reused && l.idle >= oneFlight {
		o.FirstReply = deadAfter
	}
	f := c.newFeed(l.client.InOneFlight(oneFlight))
	c.under = &attempt{
		exchange: l.client.Begin(ctx, c.envelope(), f, o), feed: f,
		end: func() { stop(); done(); cancel(nil) },
	}
}

// ended ends the attempt under way, whose exchange is over.
func (c *carrier) ended() (submit.Outcome, *upstream.Error) {
	u := c.under
	c.under = nil
	out := u.exchange.Outcome()
	if out.Err == nil {
		c.line.sent++
	} else if e := u.feed.nobody(); e != nil {
		out.Err = e
	}
	c.settleLine(c.line, out)
	u.end()
	return out, out.Err
}

// succeeded keeps what there is to learn from a message that went.
func (c *carrier) succeeded() {
	c.learn()
	c.a.note(c.t.refusedForGood(), c.by.auth)
}

// envelope is the message's envelope as this account sends it.
func (c *carrier) envelope() upstream.Envelope {
	env := c.t.env
	env.Recipients = nil
	if c.set.EnvelopeFromAccount && env.From != "" {
		env.From = c.set.Address
	}
	return env
}

// settleLine parks the line, or ends it when it will not serve again.
func (c *carrier) settleLine(l *line, out submit.Outcome) {
	limit := c.conn.facts.MaxMessages
	switch {
	case !l.client.Usable():
		l.close()
	case out.Err != nil && out.Err.Class.RelayRefusal(), limit > 0 && l.sent >= limit:
		l.quitLater()
	default:
		c.a.park(l)
	}
}

// ready returns a line on which MAIL can be sent now: connected, logged in, and
// the relay open as far as that is known to be needed.
func (c *carrier) ready() (*line, *upstream.Error) {
	ctx := c.t.span.prep
	if c.usesPOP() && c.set.PopBeforeSMTP.Hold && !c.held {
		c.win.hold()
		c.held = true
	}
	switch {
	case !c.needsPOP() || c.win.open():
		return c.getLine(ctx)
	case c.conn.facts.Sequence:
		if e := c.win.ensure(ctx, 0); e != nil {
			return nil, e
		}
		if e := c.settle(ctx); e != nil {
			return nil, e
		}
		return c.getLine(ctx)
	}
	return c.sideBySide(ctx)
}

// sideBySide logs in by POP while the SMTP connection is made.
func (c *carrier) sideBySide(ctx context.Context) (*line, *upstream.Error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		l *line
		e *upstream.Error
	}
	got := make(chan result, 1)
	if !c.t.r.goIfOpen(func() {
		l, e := c.getLine(ctx)
		got <- result{l, e}
	}) {
		return nil, cancelled(c.set.Name, upstream.PhaseConnect, ctx)
	}
	e := c.win.ensure(ctx, 0)
	if e == nil {
		e = c.settle(ctx)
	}
	if e != nil {
		cancel()
		r := <-got
		if r.l != nil {
			c.a.park(r.l)
		}
		return nil, e
	}
	r := <-got
	return r.l, r.e
}

// settle waits until the login is old enough to count.
func (c *carrier) settle(ctx context.Context) *upstream.Error {
	pause := max(c.set.PopBeforeSMTP.Settle, c.conn.facts.Settle)
	if tick, age := c.win.lastLogin(); tick == 0 || age >= pause {
		return nil
	} else {
		return c.sleep(ctx, pause-age)
	}
}

func (c *carrier) sleep(ctx context.Context, d time.Duration) *upstream.Error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return cancelled(c.set.Name, upstream.PhaseMail, ctx)
	}
}

// getLine returns a warm connection or makes a new one, as soon as the provider's
// limit allows that.
func (c *carrier) getLine(ctx context.Context) (*line, *upstream.Error) {
	for {
		if l := c.a.takeWarm(c.conn.key, c.again.fresh); l != nil {
			c.tick = l.tick
			return l, nil
		}
		freed, ok := c.a.reserve()
		if ok {
			break
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, cancelled(c.set.Name, upstream.PhaseConnect, ctx)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.here, func() { cancel(context.Cause(c.here)) })
	defer func() { stop(); cancel(nil) }()
	c.tick = c.t.r.tick.Load() // in case that the greeting is the refusal
	l, err := c.conn.connect(ctx)
	if err != nil {
		c.a.giveBack()
		return nil, upstream.AsError(err, upstream.PhaseConnect)
	}
	c.tick, l.counted = l.tick, true
	return l, nil
}

// moved reports whether e is but the consequence of a change of network or of
// sleep: the message begins anew then, under the conditions of the moment.
func (c *carrier) moved(e *upstream.Error) bool {
	return c.here.Err() != nil && c.t.r.ctx.Err() == nil && c.t.span.prep.Err() == nil &&
		!e.Ambiguous && e.Reply.IsZero() && !errors.Is(e, upstream.ErrBodyAborted)
}

// next decides whether e is followed by another attempt, and does what has to be
// done in between.
func (c *carrier) next(e *upstream.Error, out submit.Outcome) bool {
	if e.Ambiguous {
		c.suspect(e, out)
		return false
	}
	switch {
	case e.Phase == upstream.PhaseConnect && e.Reply.Code == 421 && c.again.turnedAway < maxTurnedAway && c.a.crowded():
		c.again.turnedAway++
		return true // after waiting for a connection that is in use
	case c.deadLine(e, out):
		if !out.Started && !c.t.awaitRecipient() {
			return false
		}
		c.again.replaced++
		c.again.fresh = c.t.r.tick.Load() // what else is warm may be as dead
		return true
	case c.breaksPipelining(e):
		c.conn.lockstep = true
		c.again.fresh = c.t.r.tick.Load()
		return true
	case c.refusesChunks(e):
		c.conn.noChunking = true
		c.again.fresh = c.t.r.tick.Load()
		return true
	}
	return c.reopen(e)
}

// deadLine reports whether a connection that was kept warm, or waited for its
// first recipient, had died: nothing of the message can have been taken, and a
// new one is as good as the first. What the server allows on one connection is
// learned from its 421.
func (c *carrier) deadLine(e *upstream.Error, out submit.Outcome) bool {
	l := c.line
	if l == nil || !l.reused && out.Started || c.again.replaced >= maxReplaced || c.t.span.ctx.Err() != nil {
		return false
	}
	if e.Reply.Code == 421 && !out.Answered {
		if l.idle > quickReuse || l.sent == 0 {
			return true // it had waited for too long, rather than carried too much
		}
		c.t.r.store.update(c.a.print, c.conn.key, func(f *facts) { f.MaxMessages = l.sent })
		c.conn.facts.MaxMessages = l.sent
		return true
	}
	if e.Reply.Code == 503 && e.Phase == upstream.PhaseMail {
		return true // out of step with what went before
	}
	return e.Reply.IsZero() && (e.Class == upstream.ClassServerBroken || e.Class == upstream.ClassServerUnreachable)
}

// breaksPipelining reports whether the server may have choked on commands sent
// ahead: that is worth one attempt without.
func (c *carrier) breaksPipelining(e *upstream.Error) bool {
	return c.line != nil && !c.conn.lockstep && c.line.client.Pipelining() && e.Phase.InTransaction() &&
		(e.Reply.IsZero() && (e.Class == upstream.ClassServerBroken || errors.Is(e.Err, os.ErrDeadlineExceeded)) || e.Reply.Code == 503 && e.Phase != upstream.PhaseDataEnd)
}

// refusesChunks reports whether the server offers BDAT and does not know it.
func (c *carrier) refusesChunks(e *upstream.Error) bool {
	if c.line == nil || c.conn.noChunking || !c.line.client.Capabilities().Chunking {
		return false
	}
	return (e.Phase == upstream.PhaseData || e.Phase == upstream.PhaseDataEnd) &&
		(e.Reply.Code == 500 || e.Reply.Code == 502 || e.Reply.Code == 503 || e.Reply.Code == 504)
}

// suspect remembers, after a line that broke with everything under way, to be
// careful next time.
func (c *carrier) suspect(e *upstream.Error, out submit.Outcome) {
	choked := e.Class == upstream.ClassServerBroken || out.Answered && out.Taken == 0
	if choked && c.line != nil && !c.line.reused && c.line.client.Pipelining() {
		c.t.r.store.update(c.a.print, c.conn.key, func(f *facts) { f.Lockstep = true })
	}
}

// learn notes what worked.
func (c *carrier) learn() {
	tick, age := c.win.lastLogin()
	c.t.r.store.update(c.a.print, c.conn.key, func(f *facts) {
		if c.set.SMTP.Port == 0 {
			f.Port = c.line.port()
		}
		if c.line.auth != noAuth && c.line.auth != "" {
			f.Mechanism = c.line.mechanism()
		}
		f.Lockstep, f.NoChunking = c.conn.lockstep, c.conn.noChunking
		if f.MaxMessages > 0 && c.line.sent > f.MaxMessages {
			f.MaxMessages = 0
		}
		c.pbs.learn(c, f, tick, age)
		c.conn.facts = *f
	})
	c.win.shorten(c.conn.facts.Window)
	if c.pbs.tried() {
		c.win.helps()
	}
}

// forget drops what turned out wrong.
func (c *carrier) forget(e *upstream.Error) {
	c.t.r.store.update(c.a.print, c.conn.key, func(f *facts) {
		switch {
		case e.Phase == upstream.PhaseAuth && !e.Reply.Temporary():
			f.Mechanism = ""
		case e.Phase == upstream.PhasePOPGreeting && e.Reply.IsZero() && c.set.Auth != upstream.AuthPOPBeforeSMTP:
			f.NeedPOP, f.POP = false, withoutPort(f.POP)
		}
	})
	if (e.Phase == upstream.PhaseConnect || e.Phase == upstream.PhasePOPGreeting) && e.Reply.IsZero() {
		c.a.resetPin()
	}
}

// withoutPort keeps of a POP server's capabilities what must not be forgotten:
// that there was TLS.
func withoutPort(caps *pop.Capabilities) *pop.Capabilities {
	if caps == nil {
		return nil
	}
	return &pop.Capabilities{TLS: caps.TLS, STLS: caps.STLS, Method: caps.Method}
}
