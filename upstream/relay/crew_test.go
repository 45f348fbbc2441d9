package relay

import (
	"sync"
	"testing"
	"testing/synctest"

	"melon/upstream/lab"
)

// In a series of messages one goroutine carries all; after a crowd no more rest
// than may, and Close ends them.
func TestCrewRests(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		for range 5 {
			h.mustSend()
			synctest.Wait()
			if n := h.r.crew.resting.Load(); n != 1 {
				t.Errorf("%d rest", n)
			}
		}
		var wg sync.WaitGroup
		for range 3 * maxResting {
			wg.Go(func() { h.mustSend() })
		}
		wg.Wait()
		synctest.Wait()
		if n := h.r.crew.resting.Load(); n != maxResting {
			t.Errorf("%d rest", n)
		}
		h.r.Close()
		if h.r.work(func() { t.Error("work after the end") }) {
			t.Error("work was taken after the end")
		}
	})
}
