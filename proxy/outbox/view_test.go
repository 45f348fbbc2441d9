package outbox

import (
	"testing"
	"testing/synctest"
)

// TestLiveMailDoesNotWaitForTheLoop: while the loop is busy a snapshot is there at
// once, and live mail that was delivered wakes nobody when nothing is troubled; it
// does when something is.
func TestLiveMailDoesNotWaitForTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(unreachable)
		account := entry().Account
		look := func() (waiting int, told bool) {
			busy, free, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
			go r.do(func(*index) { close(busy); <-free })
			<-busy
			go func() {
				defer close(done)
				waiting = r.Snapshot().Waiting
				r.Delivered(account)
				told = true
			}()
			synctest.Wait()
			was := told
			close(free)
			<-done
			return waiting, was
		}
		if waiting, told := look(); waiting != 0 || !told {
			t.Errorf("nothing waits: %d waiting, waited for the loop: %v", waiting, !told)
		}
		r.keepN(1)
		synctest.Wait() // it is tried in vain
		r.answer(nil)
		if waiting, told := look(); waiting != 1 || told {
			t.Errorf("one waits: %d waiting, waited for the loop: %v", waiting, !told)
		}
		synctest.Wait()
		if s := r.Snapshot(); s.Total != 0 {
			t.Errorf("live mail went, and %d still wait", s.Total)
		}
	})
}
