package outbox

import (
	"slices"
	"sync"
	"time"
)

// What an account has in the journal is bounded, so that a flood neither fills it
// nor grows old in it: whoever hands in more than the account's connections carry
// gets a place when an entry has left, as long as the lane moves. Mail that goes
// to files instead costs many times as much, time that a flood takes from sending,
// which then takes longer for what is there already: a lane that moves must not
// get more of it than it can send.
const (
	// shareEntries and shareOctets (of messages) bound what one account has there.
	shareEntries = 512
	shareOctets  = segmentSize / 2
	// briefWait is how fast a lane has to move for an app to wait for a place: so
	// many as wait are sent within it. patience bounds how long it waits.
	briefWait = 250 * time.Millisecond
	patience  = time.Second
	// The pace of a lane is that of the last paceSpan, and of what came before it
	// as long again; paceLeast is the least time that says anything.
	paceSpan  = 500 * time.Millisecond
	paceLeast = 20 * time.Millisecond
)

// share is the places of one account. It is guarded by the journal's lock.
type share struct {
	entries int
	octets  int64
	pace    *pace // of the lane
	queue   []*turn
}

// turn is somebody who waits for a place.
type turn struct {
	size int64
	told chan bool // capacity 1: there is a place, or no use in waiting
}

// place is room for one entry in an account's share.
type place struct {
	share   *share
	account string
	size    int64
}

// place finds a place for a message of n octets in a lane of that pace. It waits a
// moment for one, no longer than patience, when the lane moves. Without a place
// (nil) the entry goes to files. waited says that time has passed.
func (j *journal) place(account string, n int64, lane *pace) (p *place, waited bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.shares[account]
	if s == nil {
		s = new(share)
		j.shares[account] = s
	}
	s.pace = lane
	p = &place{s, account, n}
	if len(s.queue) == 0 && s.has(n) {
		s.take(n)
		return p, false
	}
	if lane.wait(len(s.queue)+1, briefWait) > briefWait {
		return nil, false
	}
	if !j.wait(s, &turn{n, make(chan bool, 1)}) {
		return nil, true
	}
	return p, true
}

// wait waits for a turn, without the lock, and reports whether it has come.
func (j *journal) wait(s *share, t *turn) (come bool) {
	s.queue = append(s.queue, t)
	j.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case come = <-t.told:
		j.mu.Lock()
		return come
	case <-timer.C:
	}
	j.mu.Lock()
	if i := slices.Index(s.queue, t); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
		return false
	}
	return <-t.told // at the last moment
}

// leave gives a place back; nil is none.
func (j *journal) leave(p *place) {
	if p == nil {
		return
	}
	s := p.share
	s.entries--
	s.octets -= p.size
	for len(s.queue) > 0 && s.has(s.queue[0].size) {
		t := s.queue[0]
		s.queue = s.queue[1:]
		s.take(t.size)
		t.told <- true
	}
	if s.entries == 0 && len(s.queue) == 0 {
		delete(j.shares, p.account)
	}
}

// vacate is leave for a place that no entry took.
func (j *journal) vacate(p *place) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.leave(p)
}

// dismiss sends away who waits for a place of an account, or of any with "".
func (j *journal) dismiss(account string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for name, s := range j.shares {
		if account == "" || account == name {
			s.dismiss()
		}
	}
}

// dismiss sends everybody away who waits.
func (s *share) dismiss() {
	for _, t := range s.queue {
		t.told <- false
	}
	s.queue = nil
}

// has reports whether there is a place for n octets. An empty share has one for
// whatever the journal takes.
func (s *share) has(n int64) bool {
	return s.entries < shareEntries && (s.octets+n <= shareOctets || s.entries == 0)
}

func (s *share) take(n int64) {
	s.entries++
	s.octets += n
}

// passes reports whether a lane of that pace sends a whole share soon, so that
// none of it needs files to wait in.
func (p *pace) passes() bool { return p.wait(shareEntries, moveDelay) <= 2*moveDelay }

// pace is how fast a lane moves: how often an entry is delivered. Its methods may
// be called from any goroutine.
type pace struct {
	mu                sync.Mutex
	began, since, now time.Time // the beginning of the last span, and of this one; the last time
	before, n         int       // how many were delivered in the spans
}

// count counts one that was delivered.
func (p *pace) count() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = time.Now()
	switch age := p.now.Sub(p.since); {
	case age >= 2*paceSpan:
		p.began, p.since, p.before, p.n = p.now, p.now, 0, 0
	case age >= paceSpan:
		p.began, p.since, p.before, p.n = p.since, p.now, p.n, 0
	}
	p.n++
}

// wait is how long n entries take; very long when none was delivered within a
// time, or there is no lane (nil).
func (p *pace) wait(n int, within time.Duration) time.Duration {
	if p == nil {
		return time.Hour
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now, done := time.Now(), p.before+p.n
	if done == 0 || now.Sub(p.now) > within {
		return time.Hour
	}
	return max(now.Sub(p.began), paceLeast) * time.Duration(n) / time.Duration(done)
}
