package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"melon/upstream"
)

// Outbox keeps messages and sends them. Its methods may be called from any
// goroutine.
type Outbox struct {
	opts     Options // with every default filled in; Settings is in settings
	settings atomic.Pointer[Settings]
	store    *store
	history  *history
	events   *events
	lock     *lock

	index *index // under guard
	guard *guard
	view  atomic.Pointer[view]

	ctx    context.Context // of attempts; ends with Close
	cancel context.CancelFunc

	mu     sync.Mutex // guards closed, and work.Add against work.Wait
	closed bool
	work   sync.WaitGroup // runners and calls that touch the disk
}

// Open opens the directory, creating it (0700) when it is missing, and starts to
// send what is due. ErrLocked names the process that has it open already;
// ErrNewerState refuses what a newer version wrote. A directory that cannot be
// written is no error here: Problems says it, and Keep fails. Close it.
func Open(dir string, opts Options) (*Outbox, error) {
	if opts.Sender == nil {
		return nil, errors.New("outbox: no sender")
	}
	o := &Outbox{opts: opts.withDefaults(), index: newIndex()}
	s := o.opts.Settings.withDefaults()
	o.settings.Store(&s)
	o.store = newStore(dir, o.opts.FS, o.now)
	if err := o.load(); err != nil {
		o.store.close()
		if o.lock != nil {
			o.lock.release()
		}
		return nil, err
	}
	o.history = newHistory(o.opts.FS, filepath.Join(dir, historyName), s.History)
	o.history.load(o.store.seen)
	o.guard = newGuard()
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.events = newEvents(o.opts.OnEvent)
	go o.loop()
	o.do(func(*index) {}) // sends what is due
	o.store.journal.tend(o.stay)
	return o, nil
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	if o.Account == nil {
		o.Account = func(string) AccountInfo { return AccountInfo{} }
	}
	if o.Owns == nil {
		o.Owns = func(string, string) bool { return false }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.FS == nil {
		o.FS = OS{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxOctets == 0 {
		o.MaxOctets = DefaultMaxOctets
	}
	if o.MaxEntries == 0 {
		o.MaxEntries = DefaultMaxEntries
	}
	if o.Hostname == "" {
		o.Hostname = "localhost"
	}
	return o
}

// now is the wall clock, without the monotonic reading: that one stands still
// while the machine sleeps.
func (o *Outbox) now() time.Time { return o.opts.Now().Round(0) }

// account tells about an account by its present settings.
func (o *Outbox) account(name string) AccountInfo { return o.opts.Account(name) }

// load takes the directory into use and fills the index.
func (o *Outbox) load() error {
	if err := o.store.prepare(); err != nil {
		if !unwritable(err) {
			return err
		}
		o.store.note(storeError("create directory", err))
	}
	lock, err := acquire(o.store.dir)
	switch {
	case err == nil:
		o.lock = lock
		o.store.probe()
	case unwritable(err):
		o.store.note(storeError("lock", err))
	default:
		return err
	}
	if o.lock != nil {
		if err := o.store.openJournal(); err != nil {
			return err
		}
	}
	headers, err := o.store.scan()
	if err != nil && !unwritable(err) {
		return fmt.Errorf("the outbox cannot be read: %w", err)
	}
	o.index.last, o.index.awake = o.now(), time.Now()
	o.index.paused = o.store.exists(pausedName)
	o.fill(append(headers, o.store.journaledHeaders()...))
	return nil
}

// fill puts what the disk says into the index, and draws the conclusions: an
// entry that was being sent when the process ended may have arrived.
func (o *Outbox) fill(headers []header) {
	slices.SortFunc(headers, func(a, b header) int { return strings.Compare(a.ID, b.ID) })
	now, inBatch := o.now(), make(map[string]int)
	for i := range headers {
		h := &headers[i]
		if h.State == Sending {
			// Of entries recorded together, one a connection was on its way.
			inBatch[h.Batch]++
			if h.Batch == "" || inBatch[h.Batch] == 1 {
				h.State, h.Maybe = Unconfirmed, true
			} else {
				h.State, h.Attempts, h.Step = h.wait(), h.Attempts-1, 0
			}
			h.NextAttempt = now
		}
		it := o.index.add(Entry{
			ID: h.ID, Account: h.Account, State: h.State, QueuedAt: h.QueuedAt, Attempts: h.Attempts,
			NextAttempt: h.NextAttempt, Bounce: h.Bounce, Fingerprint: h.Fingerprint, Size: h.Size,
			record: bookkeeping{step: h.Step, cause: h.Cause, since: h.Since},
		})
		err := h.LastError.load()
		switch l := it.lane; {
		case it.state == attention && stops(err):
			l.blocked, l.err = true, err
		case it.scheduled() && whole(err) && it.next > l.gate:
			l.gate, l.failures = it.next, int(it.step)
		}
	}
}

// wait is the state of an entry that goes by itself.
func (h *header) wait() State {
	if h.Maybe {
		return Unconfirmed
	}
	return Waiting
}

// Close ends all attempts (their context ends), records their outcome and
// releases the directory. Entries that are still in flight are unconfirmed when
// the outbox is opened again, so settle them before.
func (o *Outbox) Close() error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return ErrClosed
	}
	o.closed = true
	o.mu.Unlock()
	o.do(func(x *index) { x.closing = true }) // no new runners
	o.store.journal.dismiss("")
	o.cancel()
	o.work.Wait()
	o.store.journal.halt()
	o.store.settleDebts()
	o.store.moveAll()
	o.end()
	o.store.close()
	o.events.close()
	err := o.history.close()
	if o.lock != nil {
		err = firstError(err, o.lock.release())
	}
	return err
}

// enter begins a call that Close waits for; leave ends it.
func (o *Outbox) enter() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.work.Add(1)
	return true
}

func (o *Outbox) leave() { o.work.Done() }

// Configure replaces the settings; what is planned stays planned.
func (o *Outbox) Configure(s Settings) {
	s = s.withDefaults()
	o.settings.Store(&s)
	o.history.resize(s.History)
}

// NewSpool returns an empty Spool for one message.
func (o *Outbox) NewSpool() *Spool { return newSpool(o.store) }

// Keep makes a complete spool an entry and returns when it is durable. Of e it
// takes Account, Envelope, State (default waiting; held), Attempts, LastError
// and, when Attempts > 0, NextAttempt (default: by the retry list). When it
// fails, nothing is kept and the error is a *StoreError (452 4.3.1), ErrClosed
// or ctx's. The spool stays readable until Discard, and more entries may be kept
// of it, for recipients that another account carries.
func (o *Outbox) Keep(ctx context.Context, sp *Spool, e Entry, k KeepOptions) (id string, err error) {
	if !o.enter() {
		return "", ErrClosed
	}
	defer o.leave()
	return o.keep(ctx, sp, e, k)
}

// keep is Keep, also while the outbox closes.
func (o *Outbox) keep(ctx context.Context, sp *Spool, e Entry, k KeepOptions) (id string, err error) {
	if e.ID, err = sp.take(); err != nil {
		return "", err
	}
	e = o.complete(sp, e, k)
	a, err := o.admit(e)
	var p *place
	if err == nil && a.soon && sp.small() && e.State == Waiting && !k.InFlight {
		p, a, err = o.place(e, a)
	}
	soon, recorded := p != nil, e
	if soon && a.next { // its attempt is recorded with it
		o.attempting(&recorded, e.QueuedAt, 0)
	}
	if err == nil {
		err = o.store.add(ctx, sp, e, p, recorded)
	}
	if err != nil {
		sp.giveBack(e.ID)
		var se *StoreError
		if errors.As(err, &se) {
			o.problem(err)
		}
		return "", err
	}
	o.do(func(x *index) {
		o.event(Event{Type: EventKept, Entry: e}) // before anything can happen to it
		it := x.add(e)
		if k.InFlight {
			x.inflight[e.ID] = mark{x.wakes, it.lane.clears}
		}
		if l := it.lane; it.scheduled() && whole(e.LastError) && l.gate == 0 && l.running == 0 {
			// A live attempt has just found out that nothing gets through.
			l.failures, l.gate, l.healthy = 1, it.next, false
		}
		goes, _ := x.goes(e.Account, o.now())
		soon = soon && !goes
	})
	if soon { // no longer: the lane stopped while the entry was written
		o.store.journal.kick(e.Account)
	}
	return e.ID, nil
}

// place finds a place in the journal for an admitted entry; nil when there is
// none. Where that took time the entry is admitted anew.
func (o *Outbox) place(e Entry, a admission) (*place, admission, error) {
	p, waited := o.store.journal.place(e.Account, e.Size, a.pace)
	if !waited {
		return p, a, nil
	}
	a, err := o.admit(e)
	if p != nil && (err != nil || !a.soon) {
		o.store.journal.vacate(p)
		p = nil
	}
	return p, a, err
}

// complete fills in what a new entry starts with.
func (o *Outbox) complete(sp *Spool, e Entry, k KeepOptions) Entry {
	now := o.now()
	e.QueuedAt, e.NextAttempt = now, now
	e.Size, _ = sp.Size()
	e.Envelope.Size = e.Size
	e.Fingerprint = sp.Fingerprint(e.Envelope)
	e.record.maybe = e.LastError != nil && e.LastError.Ambiguous
	if k.InFlight {
		e.State, e.Attempts = Sending, max(1, e.Attempts)
	} else if e.State != Held {
		e.State = e.waitState()
	}
	if e.Attempts > 0 {
		e.record.step, e.LastAttempt = 1, now
		e.NextAttempt = now.Add(o.delay(1))
	}
	return e
}

// Settle tells the outcome of an entry that was kept InFlight. Discard the spool
// before.
func (o *Outbox) Settle(id string, r upstream.Result) error {
	if !o.enter() {
		return ErrClosed
	}
	defer o.leave()
	var it *item
	var m mark
	o.do(func(x *index) {
		var ok bool
		if m, ok = x.inflight[id]; ok {
			it = x.items[id]
			delete(x.inflight, id)
		}
	})
	if it == nil {
		return &IDError{ID: id, Err: ErrUnknownID}
	}
	e, err := o.store.load(id)
	if err != nil {
		o.broken(id, err)
		return err
	}
	o.settle(it, e, r, m)
	return nil
}

// joinWindow is how long byte-identical mail is taken for a repetition.
const joinWindow = 10 * time.Minute

// Join looks for an entry of the same fingerprint (Spool.Fingerprint) whose
// outcome is unknown (sending or unconfirmed) and that was kept less than ten
// minutes ago: the message need not be kept again.
func (o *Outbox) Join(fingerprint string) (id string, ok bool) {
	o.do(func(x *index) {
		it := x.items[x.joinable[fingerprint]]
		if it == nil {
			return
		}
		age := o.now().UnixNano() - it.since
		ok = age < int64(joinWindow) && age > -int64(joinWindow)
		if ok {
			id = it.id
		}
	})
	return id, ok
}

// unwritable reports a directory that is gone or may not be written, with which
// the outbox opens all the same.
func unwritable(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) || readOnly(err)
}
