package upstream

import (
	"errors"
	"fmt"
)

// Kind says whose business a failure is, and so what becomes of the message.
type Kind int

const (
	// KindTemporary is the network's or the server's: the message is kept and
	// tried again. Every unknown failure is of this kind.
	KindTemporary Kind = iota
	// KindMessage is the message's own: the provider will not take this
	// message, however often it is tried.
	KindMessage
	// KindPerson is the person's: another password, another sender, another
	// server is needed. The message is kept (or refused to the app), the
	// account asks for attention, nothing is ever bounced.
	KindPerson
)

// String returns "temporary", "message" or "person".
func (k Kind) String() string {
	switch k {
	case KindMessage:
		return "message"
	case KindPerson:
		return "person"
	}
	return "temporary"
}

// Error is the one typed error of a failed attempt. Status, web page, log and
// the app's reply read nothing but this.
type Error struct {
	Account string // the account's name
	Host    string // "smtp.example.net:465", or "" before a server was chosen
	Phase   Phase
	// Class is what the failure means; "" until somebody classified it.
	Class Class
	// Reply is what the server said; its zero value when no server spoke.
	Reply Reply
	// Sentence says what happened in one plain English sentence without the
	// server's words, file paths or secrets. It is shown to people and sent to
	// the app when no server spoke.
	Sentence string
	// Ambiguous is true when the last byte of the message had left and no
	// reply came: the provider may have taken it.
	Ambiguous bool
	// Err is the cause, for logs and errors.Is; it may hold paths and is never
	// shown to the app. It may be nil.
	Err error
}

// Error returns a line for logs.
func (e *Error) Error() string {
	s := string(e.Phase)
	if e.Host != "" {
		s += " " + e.Host
	}
	switch {
	case !e.Reply.IsZero():
		s += ": " + e.Reply.String()
	case e.Sentence != "":
		s += ": " + e.Sentence
	}
	if e.Err != nil {
		s += fmt.Sprintf(" (%v)", e.Err)
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Kind decides whose business the failure is, from reply, class and phase
// alone. A temporary reply stays temporary whatever its words; what no server
// said is the network's, unless the account's own settings forbid the step; a
// permanent reply before MAIL that is not the person's says something about
// the server, not about the message.
func (e *Error) Kind() Kind {
	switch {
	case e.Ambiguous, e.Reply.Temporary():
		return KindTemporary
	case e.Class.personal():
		return KindPerson
	case e.Reply.Permanent() && e.Phase.InTransaction():
		return KindMessage
	}
	return KindTemporary
}

// AsError returns the *Error in err's chain. An error that holds none becomes a
// temporary one of the given phase with a general sentence, so that nothing
// unknown is ever taken for a refusal. It returns nil for nil.
func AsError(err error, phase Phase) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{
		Phase:    phase,
		Class:    ClassTemporaryLocalProblem,
		Sentence: "Something went wrong inside Melon; the message will be tried again.",
		Err:      err,
	}
}
