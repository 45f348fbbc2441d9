// Package api holds the plain types that the control API speaks: what `--json`
// prints, what the tray reads and what the web page's live updates carry. It
// imports nothing of Melon. Fields and values are added, never renamed.
package api

import "time"

// Version is the version of the API, the first part of every path ("/v1/").
const Version = "v1"

// State is what the relay as a whole is doing; the tray's icon follows it.
type State string

// The states of the relay. The one that asks most of a person wins.
const (
	StateIdle      State = "idle"
	StateSending   State = "sending"
	StateWaiting   State = "waiting"   // messages wait for a network or a server
	StateAttention State = "attention" // something that only the person can mend
	StateOffline   State = "offline"
	StatePaused    State = "paused"
)

// AccountState is what is known of one account.
type AccountState string

// The states of an account.
const (
	AccountReady     AccountState = "ready"
	AccountSending   AccountState = "sending"
	AccountAttention AccountState = "attention"
	AccountUnknown   AccountState = "unknown" // not tried since the start
)

// EntryState is the state of one message in the outbox.
type EntryState string

// The states of a message that waits.
const (
	EntryWaiting     EntryState = "waiting"
	EntrySending     EntryState = "sending"
	EntryAttention   EntryState = "attention"
	EntryUnconfirmed EntryState = "unconfirmed" // sent, but the provider's last reply never came
	EntryHeld        EntryState = "held"
)

// Status is the whole of `melon status --json` and GET /v1/status.
type Status struct {
	State     State      `json:"state"`
	Version   string     `json:"version"`
	Accounts  []Account  `json:"accounts"`
	Outbox    Counts     `json:"outbox"`
	Listeners []Listener `json:"listeners"`
	// Paused is true between `melon pause` and `melon resume`.
	Paused bool `json:"paused"`
	// SameUser is true when only processes of this user may connect.
	SameUser bool `json:"same_user_enforced"`
	// Problems are sentences about what is wrong with the installation itself:
	// an outbox that cannot be written, a configuration that was not taken.
	Problems []string `json:"problems"`
	// Config is the configuration file in use, or the one that would be.
	Config string `json:"config"`
	// Event is the number of the newest event when the status was taken; a
	// client that follows /v1/events?since=Event misses nothing.
	Event uint64 `json:"event"`
}

// Account is one account's state.
type Account struct {
	Name           string       `json:"name"`
	Address        string       `json:"address"`
	State          AccountState `json:"state"`
	Auth           string       `json:"auth"`
	RelayOpenUntil *time.Time   `json:"relay_open_until"`
	LastError      *Error       `json:"last_error"`
	Default        bool         `json:"default"`
}

// Error is a failure as a person may read it.
type Error struct {
	Class    string `json:"class"`
	Code     int    `json:"code"` // 0 when no server spoke
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"`
	Phase    string `json:"phase"`
	// Summary and Advice explain it in the language that was asked for.
	Summary string   `json:"summary,omitempty"`
	Advice  []string `json:"advice,omitempty"`
}

// Counts is what waits.
type Counts struct {
	Waiting   int `json:"waiting"`
	Attention int `json:"attention"`
}

// Listener is one address that the relay listens on.
type Listener struct {
	Kind    string `json:"kind"` // "smtp", "smtps" or "web"
	Address string `json:"address"`
}

// Entry is one message of the outbox.
type Entry struct {
	ID          string     `json:"id"`
	Account     string     `json:"account"`
	From        string     `json:"from"`
	To          []string   `json:"to"`
	Size        int64      `json:"size"`
	QueuedAt    time.Time  `json:"queued_at"`
	State       EntryState `json:"state"`
	Attempts    int        `json:"attempts"`
	NextAttempt *time.Time `json:"next_attempt"`
	LastError   *Error     `json:"last_error"`
	// Progress is how far the attempt under way has come; nil when there is none
	// or it is not known.
	Progress *Progress `json:"progress,omitempty"`
}

// Progress is how much of a message has left for the provider.
type Progress struct {
	Sent  int64     `json:"sent"` // octets of the message
	Since time.Time `json:"since"`
}

// Outcome is what became of a message.
type Outcome string

// The outcomes in the history.
const (
	OutcomeSent    Outcome = "sent"
	OutcomeKept    Outcome = "kept"
	OutcomeRefused Outcome = "refused"
	OutcomeBounced Outcome = "bounced"
	OutcomeRemoved Outcome = "removed"
)

// Event is one thing that happened. Events are numbered from 1 in the life of
// one relay process.
type Event struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"` // "message", "account", "outbox", "relay"
	Outcome Outcome   `json:"outcome,omitempty"`
	ID      string    `json:"id,omitempty"`
	Account string    `json:"account,omitempty"`
	From    string    `json:"from,omitempty"`
	To      []string  `json:"to,omitempty"`
	Size    int64     `json:"size,omitempty"`
	Text    string    `json:"text,omitempty"`
	Error   *Error    `json:"error,omitempty"`
}

// IDs names messages of the outbox; empty means all that the command applies to.
type IDs struct {
	IDs []string `json:"ids"`
}

// Done answers a command that changed messages: their whole IDs.
type Done struct {
	IDs []string `json:"ids"`
}

// Open asks for a link to a page.
type Open struct {
	Page string `json:"page"` // "" is the first; "outbox", "/outbox/ID", …
}

// Link is an address that opens the web page once, soon.
type Link struct {
	URL string `json:"url"`
}

// Problem is the body of every answer that is not 2xx.
type Problem struct {
	Error string `json:"error"` // one sentence
}
