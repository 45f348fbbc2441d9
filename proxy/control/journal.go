package control

import (
	"context"
	"sync"
	"time"

	"melon/proxy/control/api"
)

// journalSize is how many events a client may lag behind.
const journalSize = 1000

// Journal numbers what happens and remembers the last of it, so that a client
// which lost the line can ask for what it missed. It is safe for concurrent use.
type Journal struct {
	mu     sync.Mutex
	events []api.Event // a ring: number n is at (n-1) % journalSize
	last   uint64
	more   chan struct{} // closed and replaced at each event
	now    func() time.Time
}

// NewJournal returns an empty Journal; now is the wall clock.
func NewJournal(now func() time.Time) *Journal {
	return &Journal{more: make(chan struct{}), now: now}
}

// Add numbers and dates an event and wakes whoever waits for it.
func (j *Journal) Add(e api.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	e.Seq, e.Time = j.last, j.now()
	if len(j.events) < journalSize {
		j.events = append(j.events, e)
	} else {
		j.events[(e.Seq-1)%journalSize] = e
	}
	close(j.more)
	j.more = make(chan struct{})
}

// Last returns the number of the newest event, 0 before the first.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Since returns the events after number seq that are still remembered, without
// waiting, and a channel that is closed at the next event. A seq of the future,
// which is one of another process's life, returns all.
func (j *Journal) Since(seq uint64) ([]api.Event, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq > j.last {
		seq = 0
	}
	seq = max(seq, j.last-uint64(len(j.events))) // nothing older is left
	events := make([]api.Event, 0, j.last-seq)
	for n := seq + 1; n <= j.last; n++ {
		events = append(events, j.events[(n-1)%journalSize])
	}
	return events, j.more
}

// Follow calls f with every event after seq, oldest first, until ctx ends or f
// fails.
func (j *Journal) Follow(ctx context.Context, seq uint64, f func(api.Event) error) error {
	for {
		events, more := j.Since(seq)
		for _, e := range events {
			if err := f(e); err != nil {
				return err
			}
			seq = e.Seq
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
