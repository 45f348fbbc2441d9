package relay

import "sync/atomic"

// maxResting is how many goroutines wait for another transaction when theirs is
// over.
const maxResting = 8

// crew are goroutines that carry one transaction after the other, so that in a
// series of messages none has to grow its stack anew.
type crew struct {
	jobs    chan func() // to one that rests
	resting atomic.Int32
}

// work is goIfOpen for a transaction. Close waits for it all the same.
func (r *Relay) work(f func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	select {
	case r.crew.jobs <- f:
	default:
		r.wg.Go(func() { r.crew.serve(r, f) })
	}
	return true
}

// serve does f and then what else there is, until the Relay closes or there are
// enough others who rest.
func (c *crew) serve(r *Relay, f func()) {
	for {
		f()
		f = nil // it holds the message
		if c.resting.Add(1) > maxResting {
			c.resting.Add(-1)
			return
		}
		select {
		case f = <-c.jobs:
			c.resting.Add(-1)
		case <-r.ctx.Done():
			return
		}
	}
}
