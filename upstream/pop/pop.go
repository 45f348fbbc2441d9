// Package pop logs in to a POP3 server, which is what opens the relay of a
// provider with POP before SMTP. It never downloads or deletes anything.
package pop

import (
	"context"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
)

// Dialer makes the connection; *dial.Dialer is one.
type Dialer interface {
	DialFirst(ctx context.Context, targets []dial.Target, stagger time.Duration) (*dial.Conn, error)
}

// Capabilities is what is worth remembering about a server, so that the next
// login needs fewer round trips. It is plain data that can be stored as JSON.
type Capabilities struct {
	Port       int      `json:"port"`                 // the port that answered
	TLS        bool     `json:"tls"`                  // the login was encrypted
	STLS       bool     `json:"stls,omitempty"`       // STLS was used
	Pipelining bool     `json:"pipelining,omitempty"` // RFC 2449 section 6.6
	SASL       []string `json:"sasl,omitempty"`       // mechanisms, upper case
	Method     string   `json:"method"`               // how the login succeeded: "apop", "plain" or "user"
}

// Options say what to log in to.
type Options struct {
	Dialer   Dialer
	Account  upstream.Account // POP.Host must not be empty; POP.Port 0 tries 995, then 110
	Password string
	Pin      *dial.Pin
	// Known is what an earlier Session.Capabilities returned on this network,
	// or nil. TLS that was once there is then demanded (starttls-stripped).
	Known   *Capabilities
	Timeout time.Duration    // of each step; 0 means 30 seconds, for the login itself twice that
	Now     func() time.Time // nil: time.Now
}

// Session is a POP3 session after its login and the account's `finish`. It is
// used by one goroutine at a time; Close alone may be called from another.
type Session struct{}

// Open connects, secures the connection, logs in and does what the account's
// PopBeforeSMTP.Finish asks for. With "quit" the session it returns is over
// already. ctx bounds this call only. Errors are *upstream.Error with a POP phase.
func Open(ctx context.Context, o Options) (*Session, error) { return nil, nil }

// LoggedInAt returns when the server's +OK to the login arrived.
func (s *Session) LoggedInAt() time.Time { return time.Time{} }

// Capabilities returns what to remember for the next login.
func (s *Session) Capabilities() Capabilities { return Capabilities{} }

// Noop keeps a held session alive and tells whether it still is (RFC 1939).
func (s *Session) Noop(ctx context.Context) error { return nil }

// Quit ends the session in good order and closes it.
func (s *Session) Quit(ctx context.Context) error { return nil }

// Close closes the connection without ado. It is safe to call more than once.
func (s *Session) Close() error { return nil }
