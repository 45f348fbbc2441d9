//go:build chaos && unix

package chaos

import (
	"testing"
	"time"
)

// TestChaos is the long run: DURATION (default 10m) of everything that can go
// wrong. Where it lasts ten minutes it is more than 20,000 messages.
func TestChaos(t *testing.T) {
	d := duration(t, 10*time.Minute)
	w := newWorld(t, seedOf(t), true)
	w.chaos(d, provoke, 10, 90*time.Millisecond)
	b := w.settle()
	t.Logf("%d messages in %v", b.messages, d)
	if want := int(d / time.Minute * 2000); b.messages < want {
		t.Errorf("%d messages, want more than %d", b.messages, want)
	}
	for _, e := range provoke {
		if d >= 5*time.Minute && w.count[e.name] == 0 {
			t.Errorf("there were no %s", e.name)
		}
	}
}
