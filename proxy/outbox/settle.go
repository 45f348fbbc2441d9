package outbox

import (
	"time"

	"melon/upstream"
)

// settle records the outcome of an attempt: in the lane at once, then on the
// disk, then in the index; the rest of the world hears of it last. It returns
// false when the lane has to stop.
func (o *Outbox) settle(it *item, e Entry, r upstream.Result, m mark) (goOn bool) {
	if v := judge(e, r); v.event == EventDelivered && r.Err == nil {
		return o.delivered(it, e, v, r, m)
	}
	o.settleRest(it, e, r, m)
	o.do(func(*index) { goOn = it.lane.goesOn(o.now()) })
	return goOn
}

// delivered is settle for an entry of which nothing is left: no other runner has
// anything to fear from that, so the disk comes first.
func (o *Outbox) delivered(it *item, e Entry, v verdict, r upstream.Result, m mark) (goOn bool) {
	err := o.persist(v, e.ID)
	if err != nil {
		o.problem(err)
	}
	now := o.now()
	o.do(func(x *index) {
		l := it.lane
		l.pace.count()
		o.learn(l, r, m.wakes == x.wakes, m.clears != l.clears, now, 0)
		x.remove(it, e.Fingerprint)
		goOn = l.goesOn(now)
	})
	o.tell(v, e, r, now)
	if err == nil {
		o.pay()
	}
	return goOn
}

// goesOn reports whether a runner of the lane may go on to its next entry.
func (l *lane) goesOn(now time.Time) bool {
	return !(!l.healthy && l.running > 1 || l.blocked || l.gate > now.UnixNano())
}

// settleRest is settle for an entry of which something is left.
func (o *Outbox) settleRest(it *item, e Entry, r upstream.Result, m mark) {
	now := o.now()
	var v verdict
	var expired []string
	// First the lane, so that no other runner starts on what just failed.
	o.do(func(x *index) {
		fresh := m.wakes == x.wakes
		v = judge(e, r)
		next := o.learn(it.lane, r, fresh, m.clears != it.lane.clears, now, v.left.record.step)
		if m.clears != it.lane.clears && v.left.record.cause == causeAccount {
			v.left.restore(now, false)
			v.event = EventDeferred
		}
		if v.left.State == Waiting || v.left.State == Unconfirmed {
			v.left.NextAttempt = next
			if whole(r.Err) {
				v.left.record.step = it.lane.failures
			}
			if fresh && now.Sub(e.expirySince()) >= o.settings.Load().Expire {
				v.expire()
			}
		}
		if fresh && whole(r.Err) {
			expired = x.expired(it, now.Add(-o.settings.Load().Expire))
		}
		m = mark{x.wakes, it.lane.clears}
	})
	// Then the disk. Whom a bounce will tell is recorded before the bounce is
	// made: after a crash in between there is none, which the entry makes up for.
	v.left.record.batch = ""
	bounces := v.bounces()
	for _, b := range bounces {
		v.left.record.bounced = append(v.left.record.bounced, b.Recipient.Address)
	}
	var err error
	for settled := false; !settled; {
		if err = o.persist(v, e.ID); err != nil {
			o.problem(err)
		}
		if !o.do(func(x *index) { settled = x.settle(it, &v, e, &m, now) }) {
			break
		}
	}
	o.tell(v, e, r, now)
	o.bounce(v.left, bounces, r)
	o.expire(expired, r.Err)
	if err == nil {
		o.pay()
	}
}

// persist writes what became of an entry.
func (o *Outbox) persist(v verdict, id string) error {
	if v.done {
		return o.store.remove(id)
	}
	err := o.store.update(v.left)
	if err != nil {
		o.store.owe(v.left) // who has it must not get it again
	}
	return err
}

// settle puts what became of an entry into the index. When the network or the
// account's settings changed while the disk was being written, the entry is due
// at once instead; it then returns false, and v is to be written again.
func (x *index) settle(it *item, v *verdict, e Entry, m *mark, now time.Time) bool {
	cleared := m.clears != it.lane.clears
	switch {
	case v.done:
		x.remove(it, e.Fingerprint)
		return true
	case !cleared && m.wakes == x.wakes:
		x.set(it, v.left)
		return true
	case cleared && v.left.record.cause == causeAccount:
		v.left.restore(now, false)
		v.event = EventDeferred
	case v.left.State == Waiting || v.left.State == Unconfirmed:
		v.left.NextAttempt = now
	}
	*m = mark{x.wakes, it.lane.clears}
	return false
}

// learn lets the lane learn from an outcome, and returns when the entry may be
// tried again if it has to be. fresh is false when the network, sleep or the
// clock came between; cleared is true when the account's attention ended
// meanwhile; step counts the entry's own failures.
func (o *Outbox) learn(l *lane, r upstream.Result, fresh, cleared bool, now time.Time, step int) (next time.Time) {
	err := r.Err
	fresh = fresh && !cleared // what failed under other settings says nothing about these
	switch {
	case stops(err):
		l.healthy = false
		if cleared {
			return now // that was under settings that are no more
		}
		l.blocked, l.err = true, err
	case whole(err):
		l.healthy = false
		if !fresh {
			return now // the network that failed is no more
		}
		l.failures++
		next = now.Add(o.delay(l.failures))
		l.gate = next.UnixNano()
		return next
	case brokeOff(err):
		// The message may be the reason, so the next one may go; a second time
		// in a row it is the line.
		l.healthy = false
		if l.lost++; l.lost > 1 && fresh {
			l.gate = now.Add(o.plainDelay(l.lost - 1)).UnixNano()
		}
		if !fresh {
			return now
		}
	default:
		l.healthy = true
		l.failures, l.lost, l.gate = 0, 0, 0
	}
	return now.Add(o.delay(step))
}

// expire gives up entries that waited with one that failed for all of them: that
// attempt counts as theirs. Those that the person holds or that somebody changes
// at this moment stay as they are until the next failure.
func (o *Outbox) expire(ids []string, err *upstream.Error) {
	if len(ids) == 0 {
		return
	}
	var expired []verdict
	o.change(ids, "", func(e *Entry) {
		v := verdict{left: *e}
		v.expire()
		v.left.LastError = err
		for _, b := range v.bounces() {
			v.left.record.bounced = append(v.left.record.bounced, b.Recipient.Address)
			v.refused = append(v.refused, b)
		}
		*e = v.left
		expired = append(expired, v)
	})
	for _, v := range expired {
		r := upstream.Result{Err: err}
		o.tell(v, v.left, r, o.now())
		o.bounce(v.left, v.refused, r)
	}
}

// tell tells history and listeners what became of an entry. What was delivered is
// told as such even when other recipients are left.
func (o *Outbox) tell(v verdict, e Entry, r upstream.Result, now time.Time) {
	if len(v.delivered) > 0 {
		to := make([]string, len(v.delivered))
		for i, rc := range v.delivered {
			to[i] = rc.Address
		}
		o.remember(v.left, r, "delivered", to)
	}
	switch v.event {
	case EventDropped:
		o.remember(v.left, r, "dropped", v.left.To())
	case EventExpired:
		o.remember(v.left, r, "expired", v.left.To())
	case EventAttention:
		if len(v.refused) > 0 {
			to := make([]string, len(v.refused))
			for i, rf := range v.refused {
				to[i] = rf.Recipient.Address
			}
			o.remember(v.left, r, "refused", to)
		}
	}
	o.event(Event{Type: v.event, Time: now, Entry: v.left, Result: r})
}

// remember adds an entry's outcome to the history, with the server's last words
// to it. A history that cannot be written is no reason to stop.
func (o *Outbox) remember(e Entry, r upstream.Result, outcome string, to []string) {
	reply := r.Reply
	if r.Err != nil {
		reply = r.Err.Reply
	} else if outcome == "refused" && e.LastError != nil {
		reply = e.LastError.Reply
	}
	account := e.Account
	if r.Account != "" {
		account = r.Account
	}
	err := o.history.add(Record{
		Time: o.now(), ID: e.ID, Account: account, From: e.Envelope.From, To: to, Size: e.Size,
		Outcome: outcome, Host: r.Host, Code: reply.Code, Text: reply.String(), Attempts: e.Attempts, Bounce: e.Bounce,
	})
	if err != nil {
		o.opts.Log.Warn("outbox: the history was not written", "id", e.ID, "err", err)
	}
}

// event sends an event on its way.
func (o *Outbox) event(e Event) {
	if e.Time.IsZero() {
		e.Time = o.now()
	}
	o.events.send(e)
}

// problem logs a failure of the disk; Problems has it already.
func (o *Outbox) problem(err error) {
	o.opts.Log.Error("outbox: the disk failed", "err", err)
	o.event(Event{Type: EventProblem})
}

// broken sets an entry aside whose files cannot be read. A shortage of open files
// is none of the entry's doing.
func (o *Outbox) broken(id string, cause error) {
	if tooManyFiles(cause) {
		o.problem(cause)
		return
	}
	gone := false
	o.do(func(x *index) {
		if it := x.items[id]; it != nil {
			x.remove(it, "")
			gone = true
		}
	})
	if !gone {
		return
	}
	p := o.store.setAside(id, cause)
	o.opts.Log.Error("outbox: an entry cannot be read", "id", id, "err", p.Err)
	o.event(Event{Type: EventProblem})
}
