package outbox

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"melon/upstream"
)

// pausedName is the file whose presence says that sending is paused.
const pausedName = "paused"

// Delivered tells that an account delivered live mail: its waiting entries are
// due at once.
func (o *Outbox) Delivered(account string) {
	if !o.view.Load().troubled {
		return
	}
	o.do(func(x *index) {
		if l := x.lanes[account]; l != nil && l.troubled() {
			l.clear()
			o.dueLane(x, l)
		}
	})
}

// AccountCleared ends the attention of an account, or tells that its settings
// changed: entries that waited for the person are due at once. Call it with ""
// when accounts were added, for mail that has none yet.
func (o *Outbox) AccountCleared(account string) error {
	err := o.restore(func(it *item) bool {
		return it.lane.account == account && (it.cause == numberOfCause(causeAccount) ||
			it.cause == numberOfCause(causeRelay) || it.cause == numberOfCause(causePerson))
	}, false)
	o.do(func(x *index) {
		if l := x.lanes[account]; l != nil {
			l.clear()
			o.dueLane(x, l)
		}
	})
	return err
}

// dueLane makes all that waits in a lane due at once.
func (o *Outbox) dueLane(x *index, l *lane) {
	for _, it := range x.items {
		if it.lane == l && it.scheduled() {
			x.due(it, o.now())
		}
	}
}

// restore makes the chosen entries in attention ready for another attempt.
func (o *Outbox) restore(choose func(*item) bool, all bool) error {
	var ids []string
	o.do(func(x *index) {
		for id, it := range x.items {
			if it.state == attention && choose(it) {
				ids = append(ids, id)
			}
		}
	})
	slices.Sort(ids)
	return o.change(ids, "", func(e *Entry) { e.restore(o.now(), all) })
}

// NetworkChanged makes everything that waits due at once, and what was refused
// because of the address that this machine had.
func (o *Outbox) NetworkChanged() {
	relay := numberOfCause(causeRelay)
	if err := o.restore(func(it *item) bool { return it.cause == relay }, false); err != nil {
		o.opts.Log.Warn("outbox: entries stay in attention", "err", err)
	}
	o.do(func(x *index) {
		for _, l := range x.lanes {
			if l.blocked && accountCause(l.err) == causeRelay {
				l.clear()
			}
		}
		x.wake(o.now())
	})
}

// Resumed makes everything that waits due at once, after sleep.
func (o *Outbox) Resumed() { o.do(func(x *index) { x.wake(o.now()) }) }

// ClockChanged does the same after the wall clock was set.
func (o *Outbox) ClockChanged() { o.Resumed() }

// List returns all entries, oldest first.
func (o *Outbox) List() ([]Entry, error) {
	var ids []string
	if !o.do(func(x *index) {
		ids = make([]string, 0, len(x.items))
		for id := range x.items {
			ids = append(ids, id)
		}
	}) {
		return nil, ErrClosed
	}
	slices.Sort(ids)
	return o.read(ids), nil
}

// read returns the entries with these IDs that are there. One that cannot be
// read is set aside, unless that is because somebody is just done with it.
func (o *Outbox) read(ids []string) []Entry {
	entries, errs := o.store.loadAll(ids)
	var bad []int
	shown := entries[:0]
	o.do(func(x *index) {
		for i, id := range ids {
			it := x.items[id]
			switch {
			case it == nil: // finished meanwhile
			case errors.Is(errs[i], fs.ErrNotExist) && (it.busy || it.state == sending):
				// It is being finished or removed: its state goes first.
			case errs[i] != nil:
				bad = append(bad, i)
			default:
				x.show(it, &entries[i])
				shown = append(shown, entries[i])
			}
		}
	})
	for _, i := range bad {
		o.broken(ids[i], errs[i])
	}
	return shown
}

// Show returns one entry. Like all commands it takes an ID or a unique prefix;
// an *IDError says that there is none or more than one.
func (o *Outbox) Show(id string) (Entry, error) {
	ids, err := o.resolve([]string{id})
	if err != nil {
		return Entry{}, err
	}
	if entries := o.read(ids); len(entries) == 1 {
		return entries[0], nil
	}
	return Entry{}, &IDError{ID: id, Err: ErrUnknownID}
}

// Export opens the message file of an entry. The caller closes it.
func (o *Outbox) Export(id string) (io.ReadCloser, Entry, error) {
	e, err := o.Show(id)
	if err != nil {
		return nil, Entry{}, err
	}
	body, err := o.store.body(e)
	if err != nil {
		return nil, Entry{}, err
	}
	r, err := body.Open()
	return r, e, err
}

// SendNow makes entries due at once, whatever their state; without IDs all but
// the held ones. It ends the attention of their accounts. ErrBusy when one is
// being sent. When sending is paused it returns ErrPaused, and they are due when
// it is resumed.
func (o *Outbox) SendNow(ids ...string) error {
	var err error
	if len(ids) == 0 {
		err = o.restore(func(*item) bool { return true }, true)
	} else {
		err = o.release(ids)
	}
	paused := false
	if !o.do(func(x *index) {
		paused = x.paused
		if len(ids) > 0 {
			return
		}
		for _, l := range x.lanes {
			l.clear()
			o.dueLane(x, l)
		}
	}) {
		return ErrClosed
	}
	if paused {
		err = firstError(err, ErrPaused)
	}
	return err
}

// Release makes entries that are held, in attention or unconfirmed due at once.
func (o *Outbox) Release(ids ...string) error { return o.release(ids) }

// release makes entries due, and opens their lanes.
func (o *Outbox) release(ids []string) error {
	full, err := o.resolve(ids)
	if err != nil {
		return err
	}
	var stored, lanes []string // those whose state on disk has to change; all accounts
	o.do(func(x *index) {
		for _, id := range full {
			if it := x.items[id]; it != nil {
				lanes = append(lanes, it.lane.account)
				if it.state == held || it.state == attention {
					stored = append(stored, id)
				} else if it.scheduled() {
					x.due(it, o.now())
				} else {
					err = ErrBusy
				}
			}
		}
	})
	err = firstError(o.change(stored, EventReleased, func(e *Entry) { e.restore(o.now(), true) }), err)
	o.do(func(x *index) {
		for _, account := range lanes {
			if l := x.lanes[account]; l != nil {
				l.clear()
			}
		}
	})
	return err
}

// Hold keeps entries from being sent until Release. ErrBusy when one is being
// sent; the others are held all the same.
func (o *Outbox) Hold(ids ...string) error {
	full, err := o.resolve(ids)
	if err != nil {
		return err
	}
	return o.change(full, EventHeld, func(e *Entry) {
		e.State, e.NextAttempt = Held, time.Time{}
	})
}

// Remove deletes entries: the person's decision alone. ErrBusy when one is being
// sent; the others are removed all the same.
func (o *Outbox) Remove(ids ...string) error {
	full, err := o.resolve(ids)
	if err != nil {
		return err
	}
	return o.change(full, EventRemoved, nil)
}

// Pause stops sending, also after a restart; what is being sent is finished.
func (o *Outbox) Pause() error { return o.setPaused(true) }

// Resume ends Pause.
func (o *Outbox) Resume() error { return o.setPaused(false) }

// setPaused takes effect even when it cannot be stored; then it returns a
// *StoreError.
func (o *Outbox) setPaused(paused bool) error {
	if !o.enter() {
		return ErrClosed
	}
	defer o.leave()
	err := o.store.flag(pausedName, paused)
	o.do(func(x *index) { x.paused = paused })
	o.store.journal.kick("")
	t := EventResumed
	if paused {
		t = EventPaused
	}
	o.event(Event{Type: t})
	return err
}

// Snapshot counts the entries.
func (o *Outbox) Snapshot() Snapshot { return o.view.Load().Snapshot }

// Problems lists what a person should know about the outbox itself: first a
// directory that cannot be written, as long as that lasts.
func (o *Outbox) Problems() []Problem { return o.store.problems() }

// History returns the last finished messages, the newest first.
func (o *Outbox) History() ([]Record, error) { return o.history.read() }

// Record adds a message that was delivered or refused live to the history.
func (o *Outbox) Record(r Record) error {
	if r.Time.IsZero() {
		r.Time = o.now()
	}
	return o.history.add(r)
}

// resolve makes IDs of IDs and unique prefixes.
func (o *Outbox) resolve(ids []string) (full []string, err error) {
	if !o.do(func(x *index) {
		for _, id := range ids {
			it, e := x.find(id)
			if e != nil {
				err = firstError(err, e)
				continue
			}
			full = append(full, it.id)
		}
	}) {
		return nil, ErrClosed
	}
	slices.Sort(full)
	return slices.Compact(full), err
}

// change applies fn to entries, on the disk and then in the index; without fn it
// removes them. Entries that are being sent or changed are left alone: ErrBusy.
// The first error is returned, the rest done all the same.
func (o *Outbox) change(ids []string, t EventType, fn func(*Entry)) error {
	if !o.enter() {
		return ErrClosed
	}
	defer o.leave()
	items, err := o.claim(ids) // from here to the last step nobody else touches them
	claimed := make([]string, len(items))
	for i, it := range items {
		claimed[i] = it.id
	}
	entries, errs := o.store.loadAll(claimed)
	for i, e := range errs {
		if e != nil {
			o.broken(claimed[i], e)
		}
	}
	o.do(func(x *index) {
		for i, it := range items {
			it.overlay(&entries[i])
			if fn != nil {
				fn(&entries[i])
				entries[i].record.batch = ""
			}
		}
	})
	var results []error
	if fn != nil {
		results = o.store.updateAll(entries, errs)
	} else {
		results = o.store.removeAll(entries, errs)
	}
	o.do(func(x *index) {
		for i, it := range items {
			it.busy = false
			switch {
			case errs[i] != nil, results[i] != nil:
				x.place(it) // as it was, unless it was set aside
			case fn == nil:
				x.remove(it, entries[i].Fingerprint)
			default:
				x.set(it, entries[i])
			}
			if t != "" && errs[i] == nil && results[i] == nil {
				o.event(Event{Type: t, Entry: entries[i]})
			}
		}
	})
	for i, e := range entries {
		if errs[i] != nil || results[i] != nil {
			err = firstError(err, errors.Join(errs[i], results[i]))
			continue
		}
		if fn == nil {
			o.remember(e, upstream.Result{}, "removed", e.To())
		}
	}
	return err
}

// claim takes entries out of the schedule for a change of their files.
func (o *Outbox) claim(ids []string) (items []*item, err error) {
	o.do(func(x *index) {
		for _, id := range ids {
			it := x.items[id]
			if it == nil {
				continue
			}
			if it.busy || it.state == sending {
				err = ErrBusy
				continue
			}
			x.unplace(it)
			it.busy, it.batch = true, 0
			items = append(items, it)
		}
	})
	return items, err
}
