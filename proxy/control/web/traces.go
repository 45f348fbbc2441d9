package web

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// What is remembered of conversations, in all.
const (
	maxTraces     = 60        // conversations
	maxTraceLines = 300       // of one conversation: the head and the tail of it
	traceHead     = 40        // lines of the head
	maxTraceBytes = 512 << 10 // of text, of all of them
)

// Traces remembers the masked lines of the last conversations, in bounded
// memory. It masks nothing itself: what is added has gone through upstream/trace.
// It is safe for concurrent use; the zero value is not usable.
type Traces struct {
	now   func() time.Time
	mu    sync.Mutex
	all   []*Trace // the one with the newest line last
	bytes int
}

// Trace is one conversation.
type Trace struct {
	ID      string // of the connection
	Peer    string // who is at the other end: an account and its server, or an app
	Account string // "" for an app
	Lines   []Line
	Dropped int // lines left out after the head
}

// NewTraces returns an empty Traces; now is the wall clock.
func NewTraces(now func() time.Time) *Traces { return &Traces{now: now} }

// Add notes one line of the conversation of a connection.
func (t *Traces) Add(id, peer, account string, l Line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.Time.IsZero() {
		l.Time = t.now()
	}
	i := slices.IndexFunc(t.all, func(c *Trace) bool { return c.ID == id })
	var c *Trace
	if i < 0 {
		c = &Trace{ID: id, Peer: peer, Account: account}
	} else {
		c = t.all[i]
		t.all = slices.Delete(t.all, i, i+1)
	}
	t.all = append(t.all, c)
	c.Lines = append(c.Lines, l)
	t.bytes += len(l.Text)
	if len(c.Lines) > maxTraceLines {
		t.bytes -= len(c.Lines[traceHead].Text)
		c.Lines = slices.Delete(c.Lines, traceHead, traceHead+1)
		c.Dropped++
	}
	for len(t.all) > maxTraces || t.bytes > maxTraceBytes && len(t.all) > 1 {
		for _, l := range t.all[0].Lines {
			t.bytes -= len(l.Text)
		}
		t.all = slices.Delete(t.all, 0, 1)
	}
}

// List returns the conversations without their lines, the newest first.
func (t *Traces) List() []Trace {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Trace, 0, len(t.all))
	for _, c := range slices.Backward(t.all) {
		one := *c
		one.Lines = one.Lines[len(one.Lines)-1:] // its last word, for the time
		one.Lines = slices.Clone(one.Lines)
		out = append(out, one)
	}
	return out
}

// Get returns a conversation.
func (t *Traces) Get(id string) (Trace, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		if c.ID == id {
			one := *c
			one.Lines = slices.Clone(c.Lines)
			return one, true
		}
	}
	return Trace{}, false
}

// Of finds the conversation with the provider in which a message from this
// sender was the last to be talked about before at, or, when the conversation
// never got that far, the account's last one before that.
func (t *Traces) Of(account, from string, at time.Time) (id string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	want := "mail from:<" + strings.ToLower(from) + ">"
	var best time.Time
	found := false
	at = at.Add(time.Second) // the event follows its lines
	for _, c := range t.all {
		if c.Account != account {
			continue
		}
		for _, l := range slices.Backward(c.Lines) {
			if l.Time.After(at) {
				continue
			}
			named := l.Client && strings.HasPrefix(strings.ToLower(l.Text), want)
			if named && (!found || l.Time.After(best)) {
				id, ok, found, best = c.ID, true, true, l.Time
			} else if !found && l.Time.After(best) {
				id, ok, best = c.ID, true, l.Time
			}
			if named {
				break
			}
		}
	}
	return id, ok
}
