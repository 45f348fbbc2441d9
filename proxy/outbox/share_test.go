package outbox

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// flood is an outbox into which apps hand in as fast as they are answered: an app
// takes a millisecond for a message.
type flood struct {
	*Outbox
	t       *testing.T
	m       *memFS
	mu      sync.Mutex
	sent    map[string]int
	each    time.Duration // that the provider takes for a message
	hold    chan struct{} // when not nil, the provider answers after it is closed
	longest time.Duration // that an app waited
}

func newFlood(t *testing.T, each time.Duration) *flood {
	t.Helper()
	f := &flood{t: t, m: newMemFS(), sent: make(map[string]int), each: each}
	var err error
	if f.Outbox, err = openMem(t, f.m, senderFunc(f.send)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func (f *flood) send(_ context.Context, e Entry, _ upstream.Body) upstream.Result {
	f.mu.Lock()
	each, hold := f.each, f.hold
	f.mu.Unlock()
	if hold != nil {
		<-hold
	}
	time.Sleep(each)
	f.mu.Lock()
	f.sent[e.ID]++
	f.mu.Unlock()
	return upstream.Result{}
}

// stop lets the provider answer nothing more until release.
func (f *flood) stop() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hold := make(chan struct{})
	f.hold = hold
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.hold = nil
		close(hold)
	}
}

// keep hands in one message of about n octets.
func (f *flood) keep(n int) {
	time.Sleep(time.Millisecond)
	sp := f.NewSpool()
	defer sp.Discard()
	fmt.Fprintf(sp, "Subject: m\r\n\r\n%s\r\n", strings.Repeat("x", n))
	sp.Finish()
	start := time.Now()
	if _, err := f.Keep(f.t.Context(), sp, entry(), KeepOptions{}); err != nil {
		f.t.Error(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.longest = max(f.longest, time.Since(start))
}

// apps lets 16 apps hand in each messages at once, and starts to look anew at how
// long they wait. done tells when all are answered.
func (f *flood) apps(each, size int) (done func()) {
	f.mu.Lock()
	f.longest = 0
	f.mu.Unlock()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range each {
				f.keep(size)
			}
		})
	}
	return wg.Wait
}

// files counts the message files that were ever made.
func (f *flood) files() (n int) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	for _, op := range f.m.log {
		if strings.HasPrefix(op, "create ") && strings.HasSuffix(op, ".eml") {
			n++
		}
	}
	return n
}

// all waits until n messages are sent, each once.
func (f *flood) all(n int) {
	f.t.Helper()
	time.Sleep(10 * time.Minute)
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, times := range f.sent {
		if times != 1 {
			f.t.Errorf("%s was sent %d times", id, times)
		}
	}
	if s := f.Snapshot(); len(f.sent) != n || s.Total != 0 {
		f.t.Errorf("%d of %d were sent, %d are left", len(f.sent), n, s.Total)
	}
	f.store.journal.mu.Lock()
	defer f.store.journal.mu.Unlock()
	if len(f.store.journal.shares) != 0 {
		f.t.Errorf("places are left: %+v", f.store.journal.shares)
	}
}

// TestFloodMakesNoFiles: who hands in faster than the provider takes is answered
// at the provider's pace, a little later each, and needs no files.
func TestFloodMakesNoFiles(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 8 << 10} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlood(t, 4*time.Millisecond)
			f.apps(60, size)()
			if f.files() != 0 || f.longest > briefWait {
				t.Errorf("%d octets: %d files, an app waited for %v", size, f.files(), f.longest)
			}
			if n := f.Snapshot().Total; n > shareEntries+16 {
				t.Errorf("%d wait", n)
			}
			f.all(16 * 60)
		})
	}
}

// TestNobodyWaitsForALaneThatStands: neither when nothing was ever sent nor when
// that is long ago.
func TestNobodyWaitsForALaneThatStands(t *testing.T) {
	t.Parallel()
	for _, before := range []int{0, 300} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlood(t, time.Millisecond)
			for range before {
				f.keep(10)
			}
			release := f.stop()
			time.Sleep(10 * time.Second)
			f.apps(50, 10)()
			if f.longest != 0 || f.files() == 0 {
				t.Errorf("%d before: an app waited for %v, %d files", before, f.longest, f.files())
			}
			release()
			f.all(before + 800)
		})
	}
}

// TestLaneThatComesToAStand: whoever waits for a place then is answered within
// the bound, and nobody waits after that. When the lane moves again, what has gone
// to files meanwhile is no reason for more of it.
func TestLaneThatComesToAStand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFlood(t, time.Millisecond)
		done := f.apps(100, 10)
		time.Sleep(500 * time.Millisecond)
		release := f.stop()
		done()
		if f.longest > patience || f.longest < patience/2 {
			t.Errorf("an app waited for %v", f.longest)
		}
		f.apps(10, 10)()
		if f.longest != 0 {
			t.Errorf("another app waited for %v", f.longest)
		}
		if f.files() < 500 {
			t.Errorf("%d files", f.files())
		}
		before := f.files()
		release()
		time.Sleep(100 * time.Millisecond)
		f.apps(60, 10)()
		if more := f.files() - before; more > 100 {
			t.Errorf("%d messages of %d went to files after that", more, 16*60)
		}
		f.all(16 * 170)
	})
}

// TestPauseEndsTheWait: and a failure, and the end, do so at once.
func TestPauseEndsTheWait(t *testing.T) {
	t.Parallel()
	for _, end := range []func(f *flood){
		func(f *flood) { f.Pause() },
		func(f *flood) { f.Close() },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlood(t, 2*time.Millisecond)
			f.apps(50, 10)()
			release := f.stop()
			synctest.Wait()
			answered := f.apps(1, 10)
			time.Sleep(2 * time.Millisecond)
			f.store.journal.mu.Lock()
			if n := len(f.store.journal.shares["home"].queue); n < 10 {
				t.Errorf("%d wait for a place", n)
			}
			f.store.journal.mu.Unlock()
			start := time.Now()
			ended := make(chan struct{})
			go func() { end(f); close(ended) }()
			answered()
			if waited := time.Since(start); waited != 0 {
				t.Errorf("it waited for another %v", waited)
			}
			release()
			<-ended
		})
	}
}

// TestSlowLaneMovesToFiles: entries that leave, but not at a pace that empties the
// share soon, are moved to files, as is what waits where nothing leaves.
func TestSlowLaneMovesToFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		each time.Duration
		want bool
	}{{5 * time.Millisecond, false}, {100 * time.Millisecond, true}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlood(t, tt.each)
			f.apps(shareEntries/16, 10)()
			time.Sleep(moveDelay + time.Second)
			synctest.Wait()
			if got := f.files() > 0; got != tt.want {
				t.Errorf("%v a message: %d files", tt.each, f.files())
			}
			f.all(shareEntries)
		})
	}
}

// TestAccountsHaveSharesOfTheirOwn: one that stands does not slow the other down.
func TestAccountsHaveSharesOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		gate := make(chan struct{})
		o, err := openMem(t, m, senderFunc(func(_ context.Context, e Entry, _ upstream.Body) upstream.Result {
			if e.Account == "slow" {
				<-gate
			}
			return upstream.Result{}
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		keep := func(account string) {
			sp := spoolOf(t, o, "m")
			defer sp.Discard()
			e := entry()
			e.Account = account
			if _, err := o.Keep(t.Context(), sp, e, KeepOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		for range shareEntries + 10 {
			keep("slow")
		}
		if n := o.store.journal.shares["slow"].entries; n != shareEntries {
			t.Errorf("%d entries of one account", n)
		}
		for range 2 * shareEntries {
			keep("home")
			synctest.Wait()
		}
		if n := strings.Count(strings.Join(m.log, "\n"), ".eml"); n == 0 || o.Snapshot().Total != shareEntries+10 {
			t.Errorf("%+v, %d calls for files", o.Snapshot(), n)
		}
		close(gate)
		synctest.Wait()
	})
}
