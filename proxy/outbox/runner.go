package outbox

import "melon/upstream"

// maxBatch is how many attempts a runner records at once, when all goes well.
const maxBatch = 32

// mark is the state of things when an attempt began, to tell later whether its
// outcome still says something.
type mark struct{ wakes, clears int }

// run sends what is due in a lane, oldest first, until nothing is or the lane
// has to wait. It is one connection's worth of work.
//
// Attempts are recorded before they are made: one at first, then, while all goes
// well, several with shared syncs. If the process ends in between, only the first
// entry of such a batch that is still there can have been on its way.
func (o *Outbox) run(l *lane, batch []*item) {
	size, stands := 1, false
	for len(batch) > 0 {
		entries, number := o.record(l, batch)
		done := 0
		for done < len(entries) && o.attempt(l, batch[done], entries[done], number) {
			done++
		}
		if done == len(entries) && done == len(batch) {
			size = min(2*size, maxBatch)
		} else {
			o.putBack(batch, number)
			size = 1
		}
		o.do(func(x *index) {
			now := o.now()
			if l.promote(now); x.paused || x.closing || !l.mayTry(now) || l.running > o.connections(l) {
				l.running--
				x.tidy(l)
				batch = nil
				stands = !x.goes(l.account, now)
				return
			}
			if !l.healthy {
				size = 1
			}
			batch = l.pop(size)
		})
	}
	if stands {
		o.store.journal.kick()
	}
}

// record reads the entries of a batch and records durably that each is being
// attempted, and when the next attempt will be. It returns those that may be
// sent: all, or, when something failed, the first ones. number marks the batch's
// items: one that no longer has it was held or removed meanwhile.
func (o *Outbox) record(l *lane, batch []*item) (entries []Entry, number uint32) {
	entries, errs := o.store.loadAll(idsOf(batch))
	for i, err := range errs {
		if err != nil {
			o.unusable(l, batch[i].id, err)
			entries = entries[:i]
			break
		}
	}
	now := o.now()
	o.do(func(x *index) {
		for i := range entries {
			e := &entries[i]
			x.overlay(batch[i], e)
			e.State, e.record.batch = Sending, entries[0].ID
			e.Attempts++
			e.record.step = max(e.record.step, l.failures) + 1
			e.LastAttempt = now
			e.NextAttempt = now.Add(o.delay(e.record.step))
		}
	})
	for i, err := range o.store.attemptAll(entries) {
		if err != nil {
			o.problem(err)
			entries = entries[:i]
			o.hinder(l)
			break
		}
	}
	o.do(func(x *index) {
		x.batches++
		number = max(1, x.batches)
		for _, it := range batch {
			it.busy, it.batch = false, number
		}
	})
	return entries, number
}

// unusable deals with an entry that could not be read: it is set aside, or, when
// this process has too many files open, waits.
func (o *Outbox) unusable(l *lane, id string, err error) {
	if tooManyFiles(err) {
		o.problem(err)
		o.hinder(l)
		return
	}
	o.broken(id, err)
}

// hinder lets a lane wait after a failure of this machine's, which would meet
// the next entry as well.
func (o *Outbox) hinder(l *lane) {
	o.do(func(*index) {
		l.failures++
		l.healthy = false
		l.gate = o.now().Add(o.delay(l.failures)).UnixNano()
	})
}

// attempt makes one attempt. It returns false when the lane has to stop: then
// the entry was not attempted, or its outcome stops the lane.
func (o *Outbox) attempt(l *lane, it *item, e Entry, number uint32) (goOn bool) {
	var m mark
	var mine, stop bool
	o.do(func(x *index) {
		now := o.now()
		stop = x.paused || x.closing || l.blocked || l.gate > now.UnixNano()
		if mine = it.batch == number && !stop; mine {
			m = mark{x.wakes, l.clears}
			x.set(it, e)
		}
	})
	if !mine {
		return !stop // held or removed meanwhile: the next one's turn
	}
	o.event(Event{Type: EventSending, Entry: e})
	body, err := o.store.body(e)
	if tooManyFiles(err) {
		o.settle(it, e, upstream.Result{Err: upstream.AsError(err, upstream.PhaseConnect)}, m)
		return false
	}
	if err != nil {
		o.broken(e.ID, err)
		return true
	}
	o.settle(it, e, o.opts.Sender.Send(o.ctx, e, body), m)
	o.do(func(x *index) { stop = !l.healthy && l.running > 1 || l.blocked || l.gate > o.now().UnixNano() })
	return !stop
}

// putBack returns the entries of a batch that were not attempted, and takes the
// recorded attempt back.
func (o *Outbox) putBack(batch []*item, number uint32) {
	var mine []*item
	o.do(func(x *index) {
		for _, it := range batch {
			if it.batch == number {
				it.busy, it.batch = true, 0
				mine = append(mine, it)
			}
		}
	})
	entries, errs := o.store.loadAll(idsOf(mine))
	var sound []Entry
	o.do(func(x *index) {
		for i, it := range mine {
			if errs[i] == nil {
				x.overlay(it, &entries[i])
				entries[i].record.batch = ""
				sound = append(sound, entries[i])
			}
		}
	})
	// A failure is no harm: the index knows better, and after a crash the batch
	// tells which entry was really on its way.
	o.store.updateAll(sound, nil)
	o.do(func(x *index) {
		for _, it := range mine {
			it.busy = false
			x.place(it)
		}
	})
}

func idsOf(items []*item) []string {
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = it.id
	}
	return ids
}
