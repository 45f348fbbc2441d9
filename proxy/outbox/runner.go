package outbox

import (
	"time"

	"melon/upstream"
)

// maxBatch is how many attempts a runner records at once, when all goes well.
const maxBatch = 32

// mark is the state of things when an attempt began, to tell later whether its
// outcome still says something.
type mark struct{ wakes, clears int }

// picked is an entry that a runner took out of its lane, with what the index
// knew of it then.
type picked struct {
	*item
	was      item
	failures int // the lane's
}

// run sends what is due in a lane, oldest first, until nothing is or the lane
// has to wait. It is one connection's worth of work.
//
// Attempts are recorded before they are made: one at first, then, while all goes
// well, several with shared syncs. If the process ends in between, only the first
// entry of such a batch that is still there can have been on its way.
func (o *Outbox) run(l *lane, batch []picked) {
	size, stands := 1, false
	for len(batch) > 0 {
		entries, number, first := o.record(l, batch)
		done := 0
		for done < len(entries) && o.attempt(l, batch[done].item, entries[done], number, first) {
			first = nil
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
				goes, _ := x.goes(l.account, now)
				stands = !goes
				return
			}
			if !l.healthy {
				size = 1
			}
			batch = l.pop(size)
		})
	}
	if stands {
		o.store.journal.kick(l.account)
	}
}

// record reads the entries of a batch and records durably that each is being
// attempted, and when the next attempt will be. It returns those that may be
// sent: all, or, when something failed, the first ones. number marks the batch's
// items: one that no longer has it was held or removed meanwhile. first says
// whether the first attempt may begin.
func (o *Outbox) record(l *lane, batch []picked) (entries []Entry, number uint32, first *beginning) {
	entries, errs := o.store.loadAll(idsOf(batch))
	for i, err := range errs {
		if err != nil {
			o.unusable(l, batch[i].id, err)
			entries = entries[:i]
			break
		}
	}
	now := o.now()
	for i := range entries {
		e, b := &entries[i], &batch[i]
		b.was.overlay(e)
		e.record.batch = entries[0].ID
		o.attempting(e, now, b.failures)
	}
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
		for _, b := range batch {
			b.busy, b.batch = false, number
		}
		if len(entries) > 0 {
			first = o.begin(x, l, batch[0].item, entries[0], number)
		}
	})
	return entries, number, first
}

// attempting makes an entry one that is about to be attempted, after so many
// failures of its lane in a row.
func (o *Outbox) attempting(e *Entry, now time.Time, failures int) {
	e.State = Sending
	e.Attempts++
	e.record.step = max(e.record.step, failures) + 1
	e.LastAttempt = now
	e.NextAttempt = now.Add(o.delay(e.record.step))
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

// beginning says whether an attempt may begin.
type beginning struct {
	mark
	mine bool // the entry is still the runner's
	stop bool // the lane has to stop
}

// begin puts an entry into the state sending, if it and the lane may go.
func (o *Outbox) begin(x *index, l *lane, it *item, e Entry, number uint32) *beginning {
	now := o.now()
	b := &beginning{mark: mark{x.wakes, l.clears}, stop: x.paused || x.closing || l.blocked || l.gate > now.UnixNano()}
	if b.mine = it.batch == number && !b.stop; b.mine {
		x.set(it, e)
	}
	return b
}

// attempt makes one attempt. b is nil unless it was asked already whether it may
// begin. It returns false when the lane has to stop: then the entry was not
// attempted, or its outcome stops the lane.
func (o *Outbox) attempt(l *lane, it *item, e Entry, number uint32, b *beginning) (goOn bool) {
	if b == nil {
		o.do(func(x *index) { b = o.begin(x, l, it, e, number) })
	}
	if b == nil || !b.mine {
		return b != nil && !b.stop // held or removed meanwhile: the next one's turn
	}
	o.event(Event{Type: EventSending, Entry: e})
	body, err := o.store.body(e)
	if tooManyFiles(err) {
		o.settle(it, e, upstream.Result{Err: upstream.AsError(err, upstream.PhaseConnect)}, b.mark)
		return false
	}
	if err != nil {
		o.broken(e.ID, err)
		return true
	}
	return o.settle(it, e, o.opts.Sender.Send(o.ctx, e, body), b.mark)
}

// putBack returns the entries of a batch that were not attempted, and takes the
// recorded attempt back.
func (o *Outbox) putBack(batch []picked, number uint32) {
	var mine []picked
	o.do(func(x *index) {
		for _, b := range batch {
			if b.batch == number {
				b.busy, b.batch = true, 0
				mine = append(mine, b)
			}
		}
	})
	if len(mine) == 0 {
		return
	}
	entries, errs := o.store.loadAll(idsOf(mine))
	var sound []Entry
	o.do(func(x *index) {
		for i, b := range mine {
			if errs[i] == nil {
				b.overlay(&entries[i])
				entries[i].record.batch = ""
				sound = append(sound, entries[i])
			}
		}
	})
	// A failure is no harm: the index knows better, and after a crash the batch
	// tells which entry was really on its way.
	o.store.updateAll(sound, nil)
	o.do(func(x *index) {
		for _, b := range mine {
			b.busy = false
			x.place(b.item)
		}
	})
}

func idsOf(items []picked) []string {
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = it.id
	}
	return ids
}
