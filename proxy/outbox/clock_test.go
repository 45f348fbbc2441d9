package outbox

import (
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

func TestFirstTenDelays(t *testing.T) {
	t.Parallel()
	minutes := []int{1, 2, 5, 10, 30, 60, 60, 60, 60, 60}
	for _, tt := range []struct {
		name   string
		err    *upstream.Error
		jitter float64
	}{
		{"unreachable", unreachable, 0},
		{"unreachable, most jitter", unreachable, 0.999},
		{"greylisted", greylisted, 0},
		{"greylisted, most jitter", greylisted, 0.999},
		{"last reply lost", lostReply, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{Jitter: func() float64 { return tt.jitter }})
				r.answer(tt.err)
				start := time.Now()
				id := r.keep("m", entry(), KeepOptions{})
				seen := r.attempts()
				if len(seen) != 1 || !seen[0].at.Equal(start) {
					t.Fatalf("not tried at once: %v", seen)
				}
				last := seen[0].at
				for i, m := range minutes {
					want := last.Add(time.Duration(float64(m) * (1 + 0.1*tt.jitter) * float64(time.Minute)))
					if e := r.show(id); e.NextAttempt.Sub(want).Abs() > time.Millisecond || e.Attempts != i+1 {
						t.Errorf("delay %d: %d attempts, next at %v, want %v", i+1, e.Attempts, e.NextAttempt, want)
					}
					time.Sleep(time.Until(want) - time.Millisecond)
					if early := r.attempts(); len(early) > 0 {
						t.Errorf("delay %d is too short: %v", i+1, early[0].at.Sub(last))
					}
					time.Sleep(3 * time.Millisecond)
					if seen = r.attempts(); len(seen) != 1 {
						t.Fatalf("delay %d: %d attempts", i+1, len(seen))
					}
					last = seen[0].at
				}
			})
		})
	}
}

func TestNeverTriedHasNoAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.Pause()
		id := r.keep("m", entry(), KeepOptions{})
		time.Sleep(240 * time.Hour)
		if e := r.show(id); e.Attempts != 0 || !e.LastAttempt.IsZero() || e.State != Waiting {
			t.Errorf("%+v", e)
		}
	})
}

func TestSleepOfEightHours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(unreachable)
		r.keepN(3)
		if seen := r.attempts(); len(seen) != 1 {
			t.Fatalf("%d attempts", len(seen))
		}
		r.shift(8 * time.Hour) // the wall clock went on, timers stood still
		r.answer(nil)
		r.Resumed()
		if seen := r.attempts(); len(seen) != 3 {
			t.Errorf("%d attempts after the wake-up, want 3", len(seen))
		}
	})
}

func TestSleepThatNobodyTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Settings: Settings{Expire: 5 * time.Hour}})
		r.answer(unreachable)
		r.keepN(1)
		time.Sleep(time.Hour)
		r.attempts()
		slow := make(chan struct{})
		r.script(func(Entry) upstream.Result { <-slow; return upstream.Result{Err: unreachable} })
		r.SendNow()
		synctest.Wait()
		r.shift(8 * time.Hour) // in the middle of an attempt
		close(slow)
		// It fails on a line that died in the sleep: another try at once, and no
		// bounce yet for a message of nine hours; that one fails while awake.
		if seen := r.attempts(); len(seen) != 2 {
			t.Errorf("%d attempts, want the one from before and one more", len(seen))
		}
		if s := r.Snapshot(); s.Attention != 1 || s.Bounces != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestClockSetBack(t *testing.T) {
	t.Parallel()
	for _, notified := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			r.answer(unreachable)
			r.keepN(1)
			r.attempts()
			r.shift(-48 * time.Hour)
			if notified {
				r.ClockChanged()
			} else {
				time.Sleep(time.Minute) // the timer that was set notices by itself
			}
			if seen := r.attempts(); len(seen) != 1 {
				t.Errorf("notified %v: %d attempts after the clock was set back, want 1", notified, len(seen))
			}
			before := r.keep("later", entry(), KeepOptions{})
			entries, _ := r.List()
			if entries[len(entries)-1].ID != before {
				t.Error("a message kept later sorts before an older one")
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Settings: Settings{Expire: 5 * time.Hour}})
		r.answer(unreachable)
		ids := r.keepN(2)
		r.attempts()
		r.shift(100 * time.Hour)
		r.Pause()
		r.Resumed()
		for _, id := range ids {
			if e := r.show(id); e.State != Waiting {
				t.Fatalf("%s after the wake-up, before any attempt", e.State)
			}
		}
		r.Resume()
		if seen := r.attempts(); len(seen) != 1 {
			t.Fatalf("%d attempts, want one for both", len(seen))
		}
		for _, id := range ids {
			e := r.show(id)
			if e.State != Attention || e.record.cause != causeExpired || e.LastError == nil {
				t.Errorf("%s (%s) after a failed attempt at 100 h", e.State, e.record.cause)
			}
		}
		if s := r.Snapshot(); s.Bounces != 2 || s.Attention != 2 {
			t.Errorf("%+v, want two bounces and two in attention", s)
		}
		if err := r.Release(ids[0]); err != nil {
			t.Fatal(err)
		}
		if e := r.show(ids[0]); e.State != Waiting || e.Attempts < 2 {
			t.Errorf("released: %s after %d attempts; expiry should count anew", e.State, e.Attempts)
		}
	})
}

func TestExpiryNeedsAttemptAfterJump(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Settings: Settings{Expire: 5 * time.Hour}})
		slow := make(chan *upstream.Error)
		r.script(func(Entry) upstream.Result { return upstream.Result{Err: <-slow} })
		ids := r.keepN(3)
		for _, err := range []*upstream.Error{greylisted, unreachable} {
			synctest.Wait()
			r.shift(100 * time.Hour) // while an attempt is under way
			r.Resumed()
			r.Pause()
			slow <- err
			for _, id := range ids {
				if e := r.show(id); e.State != Waiting {
					t.Errorf("%v: %s by an attempt from before the wake-up", err, e.State)
				}
			}
			r.Resume()
		}
		synctest.Wait()
		r.Pause()
		slow <- unreachable
	})
}

func TestNoWakeUpsWhileNothingIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.Pause()
		synctest.Wait()
		before := r.reads
		time.Sleep(1000 * time.Hour)
		synctest.Wait()
		if r.reads != before {
			t.Errorf("the clock was read %d times while idle", r.reads-before)
		}
	})
}
