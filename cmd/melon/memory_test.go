package main

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Memory is given back once, some seconds after the last thing that happened,
// and not after the end.
func TestMemoryIsGivenBackAtRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var freed atomic.Int32
		m := &memory{free: func() { freed.Add(1) }}
		want := func(n int32, what string) {
			t.Helper()
			synctest.Wait()
			if got := freed.Load(); got != n {
				t.Errorf("%s: given back %d times, want %d", what, got, n)
			}
		}
		for range 10 {
			m.touch()
			time.Sleep(restAfter - time.Millisecond)
		}
		want(0, "in a burst")
		time.Sleep(time.Hour)
		want(1, "at rest")
		m.touch()
		time.Sleep(time.Hour)
		want(2, "after another message")
		m.touch()
		m.stop()
		m.touch()
		time.Sleep(time.Hour)
		want(2, "after the end")
	})
}
