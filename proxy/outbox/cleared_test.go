package outbox

import (
	"sync/atomic"
	"testing"
	"testing/synctest"

	"melon/upstream"
)

// The new settings come while an attempt under the old ones is on its way, which
// then fails: it says nothing about the new ones.
func TestClearedDuringAttempt(t *testing.T) {
	t.Parallel()
	for name, old := range map[string]*upstream.Error{
		"a refused password": wrongPassword,
		"no account yet":     {Phase: upstream.PhaseConnect, Class: upstream.ClassOther, Sentence: "There is no account yet."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				slow := make(chan struct{})
				n := 0
				r.script(func(Entry) upstream.Result {
					if n++; n == 1 {
						<-slow
						return upstream.Result{Err: old}
					}
					return upstream.Result{}
				})
				r.keepN(2)
				synctest.Wait()
				r.AccountCleared("home")
				close(slow)
				if seen := r.attempts(); len(seen) != 3 {
					t.Errorf("%d attempts, want the failed one and two more", len(seen))
				}
			})
		})
	}
}

// hookFS calls a function once, before the next rename.
type hookFS struct {
	OS
	before atomic.Pointer[func()]
}

func (f *hookFS) Rename(from, to string) error {
	if fn := f.before.Swap(nil); fn != nil {
		(*fn)()
	}
	return f.OS.Rename(from, to)
}

// The new settings come after an attempt failed under the old ones, while that is
// being written down.
func TestClearedWhileTheOutcomeIsWritten(t *testing.T) {
	t.Parallel()
	for name, old := range map[string]*upstream.Error{"a refused password": wrongPassword, "not reached": unreachable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				disk := &hookFS{}
				r := newRig(t, Options{FS: disk})
				n := 0
				r.script(func(Entry) upstream.Result {
					if n++; n > 1 {
						return upstream.Result{}
					}
					clear := func() {
						if err := r.AccountCleared("home"); err != nil {
							t.Error(err)
						}
					}
					disk.before.Store(&clear)
					return upstream.Result{Err: old}
				})
				r.keepN(1)
				if seen := r.attempts(); len(seen) != 2 || n != 2 {
					t.Errorf("%d attempts, want the failed one and another at once", len(seen))
				}
			})
		})
	}
}
