package chaos

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// told is what an app was told about a message for one recipient.
type told int

const (
	left      told = iota // the app went away before the end of the message
	refused5              // it was told 5xx
	refused4              // it was told 4xx
	untold                // all of the message left, and no answer came
	accepted              // it was told 250
	toldKinds             // how many there are
)

func (t told) String() string {
	return [...]string{"the app went away within it", "refused with 5xx", "refused with 4xx", "no answer came", "accepted with 250"}[t]
}

// handed is one message that an app handed in, or began to.
type handed struct {
	token string
	from  string
	kind  string // of app
	sum   [sha256.Size]byte
	to    map[string]told
	over  time.Time // when the app had its answer, or went away
}

// arrival is one acceptance by a provider, for one recipient.
type arrival struct {
	token, to string
	order     int       // over all providers, in time
	opened    time.Time // the connection it came over
	at        time.Time // of acceptance
	from      string
	sum       [sha256.Size]byte // of the message without Melon's line on top
	where     string            // for the reader: provider, number, answer
	// unread says why the provider's last reply cannot have been read; "" when
	// it may have been.
	unread string
	// cut reports whether the connection was cut before until, and the answer not
	// read before. What it had carried may be accepted a moment after the cut.
	cut func(until time.Time) bool
}

// end is one end of the process.
type end struct {
	at   time.Time
	left map[string]bool // what the outbox held afterwards: token and recipient
}

func place(token, to string) string { return token + " " + to }

// ledger is all that is known about a run. Apps write into it; Balance reads.
type ledger struct {
	mu     sync.Mutex
	handed map[string]*handed
	ends   []end
	full   []span // when the disk was full
}

// span is a time from one moment to another.
type span struct{ from, to time.Time }

func newLedger() *ledger { return &ledger{handed: map[string]*handed{}} }

func (l *ledger) add(h *handed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.handed[h.token] != nil {
		panic("the same token twice")
	}
	l.handed[h.token] = h
}

func (l *ledger) ended(e end) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, e)
}

func (l *ledger) messages() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.handed)
}

// balance is the result.
type balance struct {
	messages   int
	kinds      map[string]int
	told       [toldKinds]int // recipients
	delivered  [toldKinds]int // of these, those with at least one arrival
	waiting    [toldKinds]int // and those that are in the outbox and did not arrive
	lost       int
	corrupt    int
	uninvited  int // arrived though refused, or though the app went away
	strangers  int // arrivals that nobody handed in
	copies     int // arrivals too many
	replyLost  int // copies whose earlier one had its last reply lost
	killed     int // copies whose earlier one the kill kept from the record
	noRoom     int // told 4xx as there was no room to keep it for the others
	unproved   int // copies without a cause
	longestGap time.Duration
	problems   []string
}

// ok reports whether the ledger balances.
func (b *balance) ok() bool {
	return b.lost+b.corrupt+b.uninvited+b.strangers+b.unproved == 0 && len(b.problems) == 0
}

// maxProblems bounds what is listed.
const maxProblems = 30

func (b *balance) problem(format string, args ...any) {
	if len(b.problems) < maxProblems {
		b.problems = append(b.problems, fmt.Sprintf(format, args...))
	}
}

// balance compares what apps were told with what arrived and with what the
// outbox holds at the end.
func (l *ledger) balance(arrivals []arrival, outbox map[string]bool) *balance {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &balance{messages: len(l.handed), kinds: map[string]int{}}
	sort.Slice(arrivals, func(i, j int) bool { return arrivals[i].order < arrivals[j].order })
	got := map[string][]arrival{}
	for _, a := range arrivals {
		l.check(b, a)
		got[place(a.token, a.to)] = append(got[place(a.token, a.to)], a)
	}
	for _, h := range l.handed {
		b.kinds[h.kind]++
		for to, t := range h.to {
			key := place(h.token, to)
			b.told[t]++
			as := got[key]
			switch {
			case len(as) > 0:
				b.delivered[t]++
			case outbox[key]:
				b.waiting[t]++
			case t == accepted:
				b.lost++
				b.problem("lost: %s for %s (%s app)", h.token, to, h.kind)
			}
			l.uninvited(b, h, to, t, got)
			l.explain(b, as)
		}
	}
	return b
}

// check looks at one arrival by itself.
func (l *ledger) check(b *balance, a arrival) {
	h := l.handed[a.token]
	if h == nil {
		b.strangers++
		b.problem("nobody handed in %q for %s", a.token, a.to)
		return
	}
	if _, ok := h.to[a.to]; !ok {
		b.strangers++
		b.problem("%s arrived for %s, which it was not for", a.token, a.to)
	}
	if a.sum != h.sum || a.from != h.from {
		b.corrupt++
		b.problem("corrupt: %s for %s, from %q instead of %q (%s app)", a.token, a.to, a.from, h.from, h.kind)
	}
}

// uninvited finds what arrived though the app had been told that it would not.
// A 4xx invites the app to hand it in again, so that an arrival after it counts
// as a copy too many: its last reply must have been lost.
func (l *ledger) uninvited(b *balance, h *handed, to string, t told, got map[string][]arrival) {
	as := got[place(h.token, to)]
	if len(as) == 0 {
		return
	}
	switch t {
	case left, refused5:
		b.uninvited++
		b.problem("%s arrived for %s, though %v (%s app)", h.token, to, t, h.kind)
	case refused4:
		b.copies++
		c := balance{}
		if l.cause(&c, as[len(as)-1], time.Time{}); c.unproved > 0 && l.noRoom(h, got) {
			c = balance{noRoom: 1}
		}
		b.take(c)
	}
}

// noRoom reports whether some of the recipients had a message when the disk was
// too full to keep it for the others: there is one answer for all of them.
func (l *ledger) noRoom(h *handed, got map[string][]arrival) bool {
	for to, t := range h.to {
		if t != refused4 || len(got[place(h.token, to)]) > 0 {
			continue
		}
		for _, f := range l.full {
			if !h.over.Before(f.from) && h.over.Before(f.to.Add(time.Second)) {
				return true
			}
		}
	}
	return false
}

// explain proves a cause for each copy but the last. The order of acceptances is
// the order of attempts but for those that a line still carried when the process
// that sent them was gone, so that other orders are tried as well.
func (l *ledger) explain(b *balance, as []arrival) {
	best := l.causes(as)
	for _, p := range permutations(len(as)) {
		if best.unproved == 0 {
			break
		}
		other := make([]arrival, len(as))
		for i, j := range p {
			other[i] = as[j]
		}
		if c := l.causes(other); c.unproved < best.unproved {
			best = c
		}
	}
	b.take(best)
}

// permutations lists the orders of n things, of few of them.
func permutations(n int) (ps [][]int) {
	if n < 2 || n > 4 {
		return nil
	}
	var grow func(p []int)
	grow = func(p []int) {
		if len(p) == n {
			ps = append(ps, slices.Clone(p))
		}
		for i := range n {
			if !slices.Contains(p, i) {
				grow(append(p, i))
			}
		}
	}
	grow(nil)
	return ps
}

// take adds what was found out about the copies of one message.
func (b *balance) take(c balance) {
	b.copies += c.copies
	b.replyLost += c.replyLost
	b.killed += c.killed
	b.noRoom += c.noRoom
	b.unproved += c.unproved
	b.longestGap = max(b.longestGap, c.longestGap)
	for _, p := range c.problems {
		b.problem("%s", p)
	}
}

// causes finds the causes of copies in this order of attempts.
func (l *ledger) causes(as []arrival) (b balance) {
	for i := 0; i+1 < len(as); i++ {
		b.copies++
		l.cause(&b, as[i], as[i+1].at)
	}
	return b
}

// cause finds why a message that had arrived was sent again before next (zero:
// at any time).
func (l *ledger) cause(b *balance, a arrival, next time.Time) {
	if next.IsZero() {
		next = a.at.Add(24 * time.Hour)
	}
	if a.unread != "" && !a.at.After(next) || a.cut != nil && a.cut(next) {
		b.replyLost++
		return
	}
	for _, e := range l.ends {
		// A connection that is older than the kill died with the process, even
		// when what it carried was accepted a moment later.
		if e.at.After(a.opened) && !e.at.After(next) && e.left[place(a.token, a.to)] {
			b.killed++
			b.longestGap = max(b.longestGap, e.at.Sub(a.at))
			return
		}
	}
	b.unproved++
	b.problem("a copy without a cause: %s for %s, accepted %s (%s), again %s", a.token, a.to,
		a.at.Format("15:04:05.000"), a.where, next.Format("15:04:05.000"))
}

// print writes the table.
func (b *balance) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "messages handed in\t%d\t\t\t\n", b.messages)
	fmt.Fprintf(t, "what the app was told, by recipient\t\tdelivered\tin the outbox\tneither\t\n")
	for k := range toldKinds {
		fmt.Fprintf(t, "%v\t%d\t%d\t%d\t%d\t\n", k, b.told[k], b.delivered[k], b.waiting[k], b.told[k]-b.delivered[k]-b.waiting[k])
	}
	for _, row := range []struct {
		name string
		n    int
	}{
		{"lost", b.lost}, {"corrupt", b.corrupt}, {"arrived though refused or taken back", b.uninvited},
		{"arrived though nobody sent it", b.strangers}, {"copies too many", b.copies},
		{"whose last reply was lost", b.replyLost}, {"killed before the record", b.killed}, {"no room to keep it for the others", b.noRoom}, {"without a cause", b.unproved},
	} {
		fmt.Fprintf(t, "%s\t%d\t\t\t\n", row.name, row.n)
	}
	t.Flush()
	var kinds []string
	for k, n := range b.kinds {
		kinds = append(kinds, fmt.Sprintf("%s %d", k, n))
	}
	sort.Strings(kinds)
	fmt.Fprintf(w, "apps: %s\nlongest time between an acceptance and the kill that kept it from the record: %v\n",
		strings.Join(kinds, ", "), b.longestGap.Round(time.Millisecond))
	for _, p := range b.problems {
		fmt.Fprintln(w, "!", p)
	}
	if b.ok() {
		fmt.Fprintln(w, "the ledger balances")
	} else {
		fmt.Fprintln(w, "THE LEDGER DOES NOT BALANCE")
	}
}
