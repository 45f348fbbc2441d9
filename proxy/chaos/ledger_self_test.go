package chaos

import (
	"strings"
	"testing"
	"time"
)

// TestLedgerNotices keeps the ledger itself honest: each thing that must not
// happen is noticed, and each excuse holds for its own case alone.
func TestLedgerNotices(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sum := [32]byte{1}
	one := func(order int, change ...func(*arrival)) arrival {
		a := arrival{token: "m", to: "a", order: order, at: at.Add(time.Duration(order) * time.Second), from: "f", sum: sum}
		a.opened = a.at.Add(-100 * time.Millisecond)
		for _, c := range change {
			c(&a)
		}
		return a
	}
	unread := func(a *arrival) { a.unread = "lost" }
	cut := func(a *arrival) { a.cut = func(time.Time) bool { return true } }
	kill := func(after time.Duration, held ...string) end {
		e := end{at: at.Add(after), left: map[string]bool{}}
		for _, h := range held {
			e.left[h] = true
		}
		return e
	}
	early := func(a *arrival) { a.opened = at }
	for _, c := range []struct {
		name     string
		told     told
		arrivals []arrival
		outbox   []string
		ends     []end
		full     []span
		other    bool // there is another recipient, told the same
		ok       bool
		want     func(*balance) int // must be 1
	}{
		{name: "delivered", told: accepted, arrivals: []arrival{one(1)}, ok: true, want: func(b *balance) int { return b.delivered[accepted] }},
		{name: "kept", told: accepted, outbox: []string{"m a"}, ok: true, want: func(b *balance) int { return b.waiting[accepted] }},
		{name: "lost", told: accepted, want: func(b *balance) int { return b.lost }},
		{name: "kept for another", told: accepted, outbox: []string{"m b"}, want: func(b *balance) int { return b.lost }},
		{name: "corrupt", told: accepted, arrivals: []arrival{one(1, func(a *arrival) { a.sum[0]++ })}, want: func(b *balance) int { return b.corrupt }},
		{name: "other sender", told: accepted, arrivals: []arrival{one(1, func(a *arrival) { a.from = "g" })}, want: func(b *balance) int { return b.corrupt }},
		{name: "refused", told: refused5, ok: true, want: func(b *balance) int { return b.told[refused5] }},
		{name: "refused and sent", told: refused5, arrivals: []arrival{one(1, unread)}, want: func(b *balance) int { return b.uninvited }},
		{name: "cut off and sent", told: left, arrivals: []arrival{one(1)}, want: func(b *balance) int { return b.uninvited }},
		{name: "put off and sent", told: refused4, arrivals: []arrival{one(1)}, want: func(b *balance) int { return b.unproved }},
		{name: "put off, reply lost", told: refused4, arrivals: []arrival{one(1, unread)}, ok: true, want: func(b *balance) int { return b.replyLost }},
		{name: "put off, no room for the other", told: refused4, arrivals: []arrival{one(1)}, full: []span{{at.Add(-time.Second), at}}, other: true, ok: true, want: func(b *balance) int { return b.noRoom }},
		{name: "put off, room for the other", told: refused4, arrivals: []arrival{one(1)}, full: []span{{at.Add(-time.Hour), at.Add(-time.Minute)}}, other: true, want: func(b *balance) int { return b.unproved }},
		{name: "put off, no other", told: refused4, arrivals: []arrival{one(1)}, full: []span{{at.Add(-time.Second), at}}, want: func(b *balance) int { return b.unproved }},
		{name: "nobody's", told: accepted, arrivals: []arrival{one(1), one(2, func(a *arrival) { a.token = "x" })}, want: func(b *balance) int { return b.strangers }},
		{name: "another's", told: accepted, arrivals: []arrival{one(1), one(2, func(a *arrival) { a.to = "x" })}, want: func(b *balance) int { return b.strangers }},
		{name: "twice", told: accepted, arrivals: []arrival{one(1), one(2)}, want: func(b *balance) int { return b.unproved }},
		{name: "twice, the second lost", told: accepted, arrivals: []arrival{one(1), one(2, unread)}, want: func(b *balance) int { return b.unproved }},
		{name: "twice, the first lost", told: accepted, arrivals: []arrival{one(1, unread), one(2)}, ok: true, want: func(b *balance) int { return b.replyLost }},
		{name: "twice, cut", told: accepted, arrivals: []arrival{one(1, cut), one(2)}, ok: true, want: func(b *balance) int { return b.replyLost }},
		{name: "twice, killed between", told: accepted, arrivals: []arrival{one(1), one(3)}, ends: []end{kill(2*time.Second, "m a")}, ok: true, want: func(b *balance) int { return b.killed }},
		{name: "twice, killed while it was under way", told: accepted, arrivals: []arrival{one(1), one(3)}, ends: []end{kill(950*time.Millisecond, "m a")}, ok: true, want: func(b *balance) int { return b.killed }},
		{name: "twice, both held up on the line until after the kill", told: accepted, arrivals: []arrival{one(2), one(3, early)}, ends: []end{kill(time.Second, "m a")}, ok: true, want: func(b *balance) int { return b.killed }},
		{name: "three times", told: accepted, arrivals: []arrival{one(1, unread), one(2), one(3)}, want: func(b *balance) int { return b.unproved }},
		{name: "twice, killed before", told: accepted, arrivals: []arrival{one(1), one(3)}, ends: []end{kill(0, "m a")}, want: func(b *balance) int { return b.unproved }},
		{name: "twice, killed after", told: accepted, arrivals: []arrival{one(1), one(3)}, ends: []end{kill(4*time.Second, "m a")}, want: func(b *balance) int { return b.unproved }},
		{name: "twice, killed when recorded", told: accepted, arrivals: []arrival{one(1), one(3)}, ends: []end{kill(2*time.Second, "m b")}, want: func(b *balance) int { return b.unproved }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLedger()
			h := &handed{token: "m", from: "f", sum: sum, to: map[string]told{"a": c.told}, over: at}
			l.add(h)
			l.ends, l.full = c.ends, c.full
			if c.other {
				h.to["b"] = c.told
			}
			box := map[string]bool{}
			for _, o := range c.outbox {
				box[o] = true
			}
			b := l.balance(c.arrivals, box)
			if b.ok() != c.ok || c.want(b) != 1 {
				t.Errorf("balance: %+v", b)
			}
			var s strings.Builder
			b.print(&s)
			if strings.Contains(s.String(), "NOT BALANCE") == c.ok {
				t.Errorf("printed:\n%s", s.String())
			}
		})
	}
}
