package outbox

import (
	"slices"
	"time"
)

// What an account has in the journal is bounded, so that a flood neither fills it
// nor grows old in it: whoever hands in more than the account's connections carry
// gets a place when an entry has left, as long as that is a matter of moments.
// Only mail that would wait for longer goes to files, which costs many times as
// much, time that a flood takes from sending.
const (
	// shareEntries and shareOctets (of messages) bound what one account has there.
	shareEntries = 512
	shareOctets  = segmentSize / 2
	// briefWait is the longest that an app is expected to wait for a place for it
	// to try, patience the longest that it does wait.
	briefWait = 250 * time.Millisecond
	patience  = time.Second
	// The pace of a share is that of the last paceSpan, and of what came before it
	// as long again; paceLeast is the least time that says anything.
	paceSpan  = 500 * time.Millisecond
	paceLeast = 20 * time.Millisecond
)

// share is the places of one account. It is guarded by the journal's lock.
type share struct {
	entries int
	octets  int64
	pace    pace
	slow    bool // somebody waited in vain: nobody does until half of it is empty
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

// place finds a place for a message of n octets. It waits a moment for one, no
// longer than patience, when the account's entries leave at a pace. Without a
// place (nil) the entry goes to files. waited says that time has passed.
func (j *journal) place(account string, n int64) (p *place, waited bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.shares[account]
	if s == nil {
		s = new(share)
		j.shares[account] = s
	}
	p = &place{s, account, n}
	if len(s.queue) == 0 && s.has(n) {
		s.take(n)
		return p, false
	}
	if s.slow || s.pace.wait(len(s.queue)+1, time.Now()) > briefWait {
		return nil, false
	}
	t := &turn{n, make(chan bool, 1)}
	s.queue = append(s.queue, t)
	j.mu.Unlock()
	timer := time.NewTimer(patience)
	got := false
	select {
	case got = <-t.told:
	case <-timer.C:
	}
	timer.Stop()
	j.mu.Lock()
	if !got && slices.Contains(s.queue, t) { // nobody told
		s.slow = true
		s.dismiss()
	}
	select {
	case got = <-t.told: // at the last moment
	default:
	}
	if !got {
		return nil, true
	}
	return p, true
}

// leave gives a place back; nil is none. left says that an entry had it, which
// counts for the pace.
func (j *journal) leave(p *place, left bool) {
	if p == nil {
		return
	}
	s := p.share
	s.entries--
	s.octets -= p.size
	if left {
		s.pace.left(time.Now())
	}
	if s.entries <= shareEntries/2 && s.octets <= shareOctets/2 {
		s.slow = false
	}
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
	j.leave(p, false)
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

// passes reports whether all that is in the share will have left soon, so that
// none of it needs files to wait in.
func (s *share) passes(now time.Time) bool { return s.pace.wait(s.entries, now) <= 2*moveDelay }

// pace is how fast entries leave a share.
type pace struct {
	began, since time.Time // the beginning of the last span, and of this one
	before, n    int       // how many left in them
}

// left counts one that leaves.
func (p *pace) left(now time.Time) {
	switch age := now.Sub(p.since); {
	case age >= 2*paceSpan:
		*p = pace{began: now, since: now}
	case age >= paceSpan:
		*p = pace{began: p.since, before: p.n, since: now}
	}
	p.n++
}

// wait is how long n entries take to leave; very long when none does.
func (p *pace) wait(n int, now time.Time) time.Duration {
	left := p.before + p.n
	if left == 0 || now.Sub(p.since) >= 2*paceSpan {
		return time.Hour
	}
	return max(now.Sub(p.began), paceLeast) * time.Duration(n) / time.Duration(left)
}
