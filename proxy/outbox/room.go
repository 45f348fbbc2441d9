package outbox

import (
	"errors"
	"syscall"
)

// The outbox leaves room on the disk: what it has to write to send what it holds
// (attempts, outcomes, what moves out of the journal) always finds some, so that
// a disk that mail has filled is emptied by sending it.
const (
	// DefaultMaxOctets and DefaultMaxEntries bound the outbox unless Options say
	// otherwise.
	DefaultMaxOctets  = 2 << 30
	DefaultMaxEntries = 200_000
	// freeMargin is how many octets new messages leave free.
	freeMargin = 16 << 20
	// roomStep is how many octets a spool writes until it looks again.
	roomStep = 1 << 20
)

// errOutboxFull says that the outbox holds as much as it may.
var errOutboxFull = errors.New("the outbox is full")

// room checks that n octets can be written and the margin stays. Where the free
// space cannot be found out, writing will tell.
func (s *store) room(n int64) error {
	free, err := s.fs.Free(s.dir)
	if err == nil && free < freeMargin+n {
		return storeError("keep", noSpace(free))
	}
	return nil
}

// noSpace is a disk that is full but for the margin.
type noSpace int64

func (noSpace) Error() string { return "too little room is left on the disk" }

// Unwrap makes it what a disk without any room answers.
func (noSpace) Unwrap() error { return syscall.ENOSPC }

// admission is whether an entry may be kept, and where.
type admission struct {
	full       bool
	soon, next bool  // as goes says
	pace       *pace // of its lane; nil: there is none
}

// admit decides on a new entry. Bounces have a place always: there is at most one
// for each attempt.
func (o *Outbox) admit(e Entry) (a admission, err error) {
	if !o.do(func(x *index) {
		a.full = !e.Bounce && (len(x.items) >= o.opts.MaxEntries || x.octets+e.Size > o.opts.MaxOctets)
		a.soon, a.next = x.goes(e.Account, o.now())
		if l := x.lanes[e.Account]; l != nil {
			a.pace = l.pace
		}
	}) {
		return a, ErrClosed
	}
	if a.full {
		err = storeError("keep", errOutboxFull)
	} else if !e.Bounce {
		err = o.store.room(e.Size)
	}
	if err != nil {
		o.store.note(err)
	}
	return a, err
}
