package outbox

import (
	"context"
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// moment is the disk before one call of the file system, and what was known then.
type moment struct {
	after       string
	disks       map[crashMode]*memFS
	acked, sent map[string]bool
}

// watch records every moment of a file system.
type watch struct {
	mu          sync.Mutex
	acked, sent map[string]bool
	moments     []moment
}

func newWatch(m *memFS) *watch {
	w := &watch{acked: make(map[string]bool), sent: make(map[string]bool)}
	m.step = func(op string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		mo := moment{after: op, disks: make(map[crashMode]*memFS), acked: maps.Clone(w.acked), sent: maps.Clone(w.sent)}
		for _, mode := range crashModes {
			mo.disks[mode] = m.crash(mode)
		}
		w.moments = append(w.moments, mo)
		return nil
	}
	return w
}

// sender returns a sender that notes what it was given and answers with err.
func (w *watch) sender(err *upstream.Error) Sender {
	return senderFunc(func(_ context.Context, _ Entry, b upstream.Body) upstream.Result {
		r, oerr := b.Open()
		if oerr != nil {
			return upstream.Result{Err: unreachable}
		}
		defer r.Close()
		message, _ := io.ReadAll(r)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent[subjectOf(string(message))] = true
		return upstream.Result{Err: err}
	})
}

// TestCrashAtEachStep lets messages arrive and be sent, or not, and looks at
// what a new process finds after each kind of crash at every single call of the
// file system: what was acknowledged is there once, or was sent, and what may
// have been sent is unconfirmed.
func TestCrashAtEachStep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  *upstream.Error
		do   func(o *Outbox)
	}{
		{"delivered", nil, func(*Outbox) {}},
		{"deferred", greylisted, func(*Outbox) {}},
		{"nothing goes", unreachable, func(*Outbox) {}},
		{"lost", lostReply, func(*Outbox) {}},
		{"paused", nil, func(o *Outbox) { o.Pause() }},
		{"wiped", nil, func(*Outbox) { time.Sleep(time.Second) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newMemFS()
				w := newWatch(m)
				o, err := openMem(t, m, w.sender(tt.err))
				if err != nil {
					t.Fatal(err)
				}
				for i, s := range []string{"one", "two", "three"} {
					sp := spoolOf(t, o, s)
					if _, err := o.Keep(t.Context(), sp, entry(), KeepOptions{}); err != nil {
						t.Fatal(err)
					}
					w.mu.Lock()
					w.acked[s] = true
					w.mu.Unlock()
					sp.Discard()
					if i == 1 {
						tt.do(o)
					}
				}
				synctest.Wait()
				o.Close()
				if len(w.moments) < 20 {
					t.Fatalf("%d steps", len(w.moments))
				}
				for i, mo := range w.moments {
					for mode, disk := range mo.disks {
						w.check(t, fmt.Sprintf("%s at call %d (%s)", mode, i, mo.after), mo, mode, disk, tt.err != nil)
					}
				}
			})
		})
	}
}

// check looks at one moment. stays says that nothing is ever delivered.
func (w *watch) check(t *testing.T, what string, mo moment, mode crashMode, disk *memFS, stays bool) {
	t.Helper()
	found := entriesOf(t, disk)
	for s := range mo.acked {
		state, there := found[s]
		if !there && (stays || !mo.sent[s]) {
			t.Errorf("%s: %q was acknowledged and is neither here nor there", what, s)
		}
		if there && mo.sent[s] && !stays && mode == killed && state != Unconfirmed {
			t.Errorf("%s: %q may have arrived and is %s", what, s, state)
		}
	}
}
