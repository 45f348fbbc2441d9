//go:build unix

package chaos

import (
	"context"
	"testing"
	"time"
)

// TestBriefChaos is some moments of all of it, for every run of the tests.
func TestBriefChaos(t *testing.T) {
	w := newWorld(t, seedOf(t), true)
	w.chaos(3*time.Second, provoke, 6, 20*time.Millisecond)
	if b := w.settle(); b.told[accepted] == 0 || b.delivered[accepted] == 0 {
		t.Error("nothing was accepted and delivered: this shows nothing")
	} else if b.messages != w.ledger.messages() {
		t.Errorf("%d messages of %d are in the balance", b.messages, w.ledger.messages())
	}
}

// chaos lets apps and weather have their way for a time, and then clears up.
func (w *world) chaos(d time.Duration, events []event, apps int, rest time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	w.chaosUntil(ctx, cancel, apps, rest, func() { w.weather(ctx, events) })
}

// chaosUntil runs apps as long as the storm lasts, lets them end what they have
// begun, and clears up.
func (w *world) chaosUntil(ctx context.Context, stop func(), apps int, rest time.Duration, storm func()) {
	w.t.Helper()
	for _, p := range w.providers {
		for _, x := range p.wires {
			x.latency(8 * time.Millisecond)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.apps(ctx, apps, rest)
	}()
	storm()
	stop()
	for _, p := range w.providers {
		p.SetFaults()
		p.Release() // for the apps that still wait
	}
	<-done
	w.clear(context.Background())
}
