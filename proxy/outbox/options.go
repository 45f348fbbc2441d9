package outbox

import (
	"context"
	"log/slog"
	"time"

	"melon/upstream"
)

// Sender makes one attempt to send an entry.
type Sender interface {
	// Send sends the message to the recipients in e.Envelope, under the settings
	// that e.Account has at that moment. It returns when the outcome is known or
	// ctx ends; the Result has one entry for each recipient. An account that
	// does not exist (or "", none yet) is a temporary error.
	Send(ctx context.Context, e Entry, body upstream.Body) upstream.Result
}

// Settings are what the configuration says about the outbox. Zero values take
// the defaults.
type Settings struct {
	// Retry lists the delays between attempts; the last one repeats. Up to a
	// tenth is added at random, nothing is taken away.
	Retry []time.Duration
	// Expire is the age at which an entry is given up: bounced, and left to the
	// person.
	Expire time.Duration
	// History is how many finished messages are remembered; negative: none.
	History int
	// Language of bounces: "en" or "ja".
	Language string
}

// withDefaults fills in the defaults.
func (s Settings) withDefaults() Settings {
	if len(s.Retry) == 0 {
		s.Retry = []time.Duration{
			time.Minute, 2 * time.Minute, 5 * time.Minute,
			10 * time.Minute, 30 * time.Minute, time.Hour,
		}
	}
	if s.Expire <= 0 {
		s.Expire = 120 * time.Hour
	}
	if s.History == 0 {
		s.History = 1000
	}
	if s.Language == "" {
		s.Language = "en"
	}
	return s
}

// AccountInfo is what the outbox needs to know of an account.
type AccountInfo struct {
	// Connections bounds the concurrent attempts; 0 means 1.
	Connections int
	// BounceFrom is the envelope sender of bounces: "" for the empty sender, the
	// account's address where the provider refuses that.
	BounceFrom string
}

// Options are what the outbox depends on. Only Sender is needed.
type Options struct {
	Sender   Sender
	Settings Settings
	// Account tells about an account by its present settings; nil: defaults. It
	// is called while others wait: it must be quick and must not call the outbox.
	Account func(name string) AccountInfo
	// Owns reports whether the address is one of the account's own, the only
	// ones that bounces go to; nil: none, so nothing is ever bounced.
	Owns func(account, address string) bool
	// Explain returns a sentence or two of advice for a bounce; may be nil.
	Explain func(e *upstream.Error, language string) string
	// OnEvent is called with one event after the other, from a goroutine of its
	// own; it may call the outbox. nil: nobody listens.
	OnEvent func(Event)
	// Now is the wall clock; nil: time.Now.
	Now func() time.Time
	// Jitter returns a number in [0,1); nil: random.
	Jitter func() float64
	// FS is the file system; nil: the real one.
	FS FS
	// MaxOctets and MaxEntries bound what the outbox holds, bounces aside; 0: the
	// defaults.
	MaxOctets  int64
	MaxEntries int
	// Log; nil: discarded.
	Log *slog.Logger
	// Hostname names this machine in bounces' Reporting-MTA; "": localhost.
	Hostname string
}

// KeepOptions say how a message is kept.
type KeepOptions struct {
	// InFlight: a live transaction still works on the message. The entry is
	// `sending`, and nothing is attempted until Settle tells the outcome.
	InFlight bool
}

// EventType names what happened to an entry or to the outbox.
type EventType string

// The events.
const (
	EventKept        EventType = "kept"        // a message was kept
	EventSending     EventType = "sending"     // an attempt begins
	EventDelivered   EventType = "delivered"   // the provider took it for all recipients that were left
	EventDeferred    EventType = "deferred"    // the attempt failed; it waits
	EventUnconfirmed EventType = "unconfirmed" // the last reply was lost; it waits
	EventAttention   EventType = "attention"   // it waits for the person
	EventExpired     EventType = "expired"     // given up; it waits for the person
	EventDropped     EventType = "dropped"     // a bounce was refused
	EventHeld        EventType = "held"
	EventReleased    EventType = "released"
	EventRemoved     EventType = "removed" // by the person
	EventPaused      EventType = "paused"
	EventResumed     EventType = "resumed"
	EventProblem     EventType = "problem" // see Problems
)

// Event is one thing that happened. Entry is zero for paused, resumed and
// problem.
type Event struct {
	Type   EventType
	Time   time.Time
	Entry  Entry
	Result upstream.Result // of delivered, deferred, unconfirmed, attention
}

// Problem is something about the outbox that a person should know.
type Problem struct {
	Time     time.Time
	ID       string // of the entry, "" when it is about the outbox as a whole
	Sentence string // in plain English
	Err      error  // for logs
}

// Snapshot counts the entries by state. Bounces are in Bounces and Total alone.
// Entries that wait because their account asks for the person's attention count
// in Attention.
type Snapshot struct {
	Waiting, Sending, Attention, Unconfirmed, Held, Bounces, Total int
	Paused                                                         bool
	// Next is the earliest planned attempt, zero when there is none.
	Next time.Time
}

// Record is one line of the history: a finished message without its body.
type Record struct {
	Time     time.Time `json:"time"`
	ID       string    `json:"id,omitempty"` // "" for live mail that was never kept
	Account  string    `json:"account"`
	From     string    `json:"from"`
	To       []string  `json:"to"`
	Size     int64     `json:"size"`
	Outcome  string    `json:"outcome"` // "delivered", "refused", "expired", "removed", "dropped"
	Host     string    `json:"host,omitempty"`
	Code     int       `json:"code,omitempty"`
	Text     string    `json:"text,omitempty"` // the server's last words
	Attempts int       `json:"attempts"`
	Bounce   bool      `json:"bounce,omitempty"`
}
