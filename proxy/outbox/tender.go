package outbox

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

const (
	// idleDelay is how long the journal waits for company before it makes what
	// nobody waits for durable, and how long it is unused before it is wiped.
	idleDelay = 50 * time.Millisecond
	// moveDelay is how long an entry may wait in the journal for its turn; then
	// it is moved to files, unless its lane moves well.
	moveDelay = 2 * time.Second
)

// tender looks after a journal when nobody waits: one goroutine, which sleeps
// while there is nothing to do.
type tender struct {
	armed   bool          // it is awake; under the journal's lock
	wake    chan struct{} // capacity 1: there is something to do soon
	kicked  chan struct{} // capacity 1: a lane stands still
	stop    chan struct{}
	stopped chan struct{} // nil until it was started
	// settle moves those of the entries to files that nobody is busy with: all,
	// or those of lanes that stand still.
	settle func(ids []string, all bool)
	aside  func() error // sets a damaged file aside
}

func (t *tender) init() {
	t.wake, t.kicked, t.stop = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{})
}

// tend starts the goroutine. close ends it.
func (j *journal) tend(settle func(ids []string, all bool)) {
	t := &j.tender
	t.settle, t.stopped = settle, make(chan struct{})
	go j.run()
}

// arm wakes the goroutine unless it is awake.
func (j *journal) arm() {
	if !j.tender.armed {
		j.tender.armed = true
		j.tender.wake <- struct{}{}
	}
}

// kick tells that entries of an account, or of any with "", may have to wait, as
// their lane stands still.
func (j *journal) kick(account string) {
	j.dismiss(account)
	j.mu.Lock()
	n := len(j.live)
	j.mu.Unlock()
	if n > 0 {
		select {
		case j.tender.kicked <- struct{}{}:
		default:
		}
	}
}

// run sleeps until there is something to do, and does it after a delay, so that
// under load it is done once for many.
func (j *journal) run() {
	t := &j.tender
	defer close(t.stopped)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-t.wake:
			timer.Reset(idleDelay)
		case <-timer.C:
			if next := j.tidy(); next > 0 {
				timer.Reset(next)
			}
		case <-t.kicked:
			t.settle(j.ids(), false)
		case <-t.stop:
			return
		}
	}
}

// tidy makes durable what nobody waited for, wipes a journal that is not used,
// and moves what waits too long. It returns when to look again; 0: when woken.
func (j *journal) tidy() (next time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.live) > 0 {
		if j.file.durable < j.file.written && !j.file.syncing && j.file.err == nil {
			j.file.sync()
		}
		if ids := j.stale(); len(ids) > 0 {
			j.mu.Unlock()
			j.tender.settle(ids, true)
			j.mu.Lock()
		}
	}
	if len(j.live) == 0 {
		if !j.empty() {
			return idleDelay
		}
		if len(j.live) == 0 {
			j.tender.armed = false
			return 0
		}
	}
	return j.next()
}

// stale lists the entries that have been here for too long in a lane that hardly
// moves; all, when the file is given up. Each is listed once: what somebody is
// busy with ends by itself.
func (j *journal) stale() (ids []string) {
	now := time.Now()
	for id, k := range j.live {
		long := now.Sub(k.since) >= moveDelay && (k.place == nil || !k.place.share.pace.passes())
		if !k.looked && (j.file.err != nil || long) {
			k.looked = true
			ids = append(ids, id)
		}
	}
	return ids
}

// next is when the next entry will have been here for too long. Without one, the
// goroutine sleeps until an entry has ended.
func (j *journal) next() time.Duration {
	next := time.Duration(0)
	if j.file.durable < j.file.written && j.file.err == nil {
		next = idleDelay // written since
	}
	for _, k := range j.live {
		if wait := max(idleDelay, time.Until(k.since.Add(moveDelay))); !k.looked && (next == 0 || wait < next) {
			next = wait
		}
	}
	j.tender.armed = next != 0
	return next
}

// empty leaves a file without a trace of an entry, nothing being alive: it is
// wiped, or removed when it was given up, or set aside when it is damaged. It
// returns false when that is to be tried again.
func (j *journal) empty() bool {
	switch {
	case j.off:
	case (j.file.err != nil || j.damaged) && (j.file.waiting > 0 || j.file.syncing):
		return false // somebody has yet to hear of it
	case j.damaged:
		if j.file.giveUp(); j.tender.aside() == nil {
			j.damaged = false
		} else {
			j.off = true // it stays where it is
		}
	case j.file.err != nil:
		j.file.giveUp()
		if err := j.file.fs.Remove(j.file.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			j.off = true
		}
		j.file.fs.SyncDir(j.file.dir) // a name that comes back costs a second copy
	default:
		j.file.wipe() // a failure is met again, or the file removed
		return j.file.err == nil
	}
	return true
}

// close ends the goroutine; halt may have done so before.
func (j *journal) halt() {
	if j.tender.stopped != nil {
		close(j.tender.stop)
		<-j.tender.stopped
		j.tender.stopped = nil
	}
}

// close ends the use of the file, and wipes it when nothing in it is alive.
func (j *journal) close() {
	j.halt()
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.live) == 0 && !j.empty() {
		j.empty() // what could not be wiped is removed
	}
	j.file.giveUp()
}

// setAsideJournal moves a damaged journal out of the way.
func (s *store) setAsideJournal() error {
	folder := filepath.Join(s.dir, unreadable)
	err := s.fs.Mkdir(folder)
	if err == nil {
		err = s.fs.Rename(filepath.Join(s.dir, journalName), filepath.Join(folder, journalName+"."+s.newID()))
	}
	return err
}
