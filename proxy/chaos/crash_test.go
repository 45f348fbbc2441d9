//go:build crash && unix

package chaos

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestCrash kills the program CRASH_KILLS times (default 200) at random moments
// under load, live and through the outbox, with a provider that is slow, flaky
// and down at times, on the machine's own disk.
func TestCrash(t *testing.T) {
	kills := 200
	if s := os.Getenv("CRASH_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal("CRASH_KILLS: ", err)
		}
	}
	w := newWorld(t, seedOf(t), false)
	w.crash(kills, 8)
	b := w.settle()
	t.Logf("%d kills, %d messages", w.count["kills"], b.messages)
	if w.count["kills"] < kills || b.messages < 5*kills {
		t.Errorf("%d kills with %d messages show too little", w.count["kills"], b.messages)
	}
	if kills >= 100 && b.killed == 0 {
		t.Error("no kill fell between an acceptance and its record: the moments are not the right ones")
	}
}

// crash is chaos until there were that many kills.
func (w *world) crash(kills, apps int) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.chaosUntil(ctx, cancel, apps, 40*time.Millisecond, func() {
		for w.count["kills"] < kills && !w.t.Failed() {
			w.faults(ctx)
			switch w.rng.IntN(10) {
			case 0:
				w.outage(ctx)
			case 1:
				w.holdUp(ctx)
			case 2, 3:
				w.wire().cut(1)
			}
			if w.rng.IntN(4) == 0 {
				w.reload(ctx)
			}
			pause(ctx, time.Duration(w.rng.IntN(600))*time.Millisecond)
			w.killed()
		}
	})
}
