package upstream

import (
	"errors"
	"io"
)

// Envelope is the SMTP envelope of one message (RFC 5321 section 2.3.1) with
// the ESMTP parameters that the app gave.
type Envelope struct {
	From       string // reverse-path without brackets; "" is the empty sender
	Recipients []Recipient
	Body       BodyType // the app's BODY= parameter, "" when it gave none
	SMTPUTF8   bool     // envelope or header need SMTPUTF8 (RFC 6531)
	Size       int64    // the app's SIZE= or the known size in octets, 0 when unknown
	Return     string   // RET=: "FULL", "HDRS" or "" (RFC 3461 section 4.3)
	EnvelopeID string   // ENVID=, decoded (RFC 3461 section 4.4)
}

// BodyType is the value of the BODY parameter (RFC 6152).
type BodyType string

// The body types that Melon passes on.
const (
	Body7Bit     BodyType = "7BIT"
	Body8BitMIME BodyType = "8BITMIME"
)

// Recipient is one forward-path with its DSN parameters (RFC 3461).
type Recipient struct {
	Address      string   // without brackets
	Notify       []string // NEVER, or any of SUCCESS, FAILURE, DELAY; nil when not given
	OriginalType string   // ORCPT address type, "" when not given
	Original     string   // ORCPT address, decoded
}

// ErrBodyAborted is what a Body's reader returns when the app went away before
// the end of the message: what was read must not be completed.
var ErrBodyAborted = errors.New("the message was not completed")

// Body is the content of one message in canonical form: CRLF line ends, no bare
// CR or LF, no dot-stuffing, ended by CRLF unless empty. It can be read again from the start
// as often as needed, and while it is still being written.
type Body interface {
	// Open returns a reader from the first octet. A Read that has caught up
	// with the writer blocks until there is more; it returns io.EOF after the
	// last octet of a complete message and ErrBodyAborted when the writer gave
	// up. The caller closes it; Close unblocks a Read.
	Open() (io.ReadCloser, error)
	// Size returns the octets written so far and whether that is all.
	Size() (n int64, complete bool)
}

// RecipientResult is the outcome for one recipient: Err is nil when the
// provider took the message for it.
type RecipientResult struct {
	Recipient Recipient
	Reply     Reply
	Err       *Error
}

// Result is the outcome of one transaction.
type Result struct {
	// Reply is the provider's reply to the end of the message, or zero.
	Reply Reply
	// Err is nil when the provider took the message for at least one
	// recipient; otherwise it says why it took it for none.
	Err *Error
	// Recipients has one entry for each recipient, in the envelope's order.
	Recipients []RecipientResult
	// Auth is how the account authenticated: a SASL mechanism's name in lower
	// case, "pop-before-smtp" or "none"; "" when it did not get that far.
	Auth string
	// Account is the name of the account that carried it (a fallback may have).
	Account string
	// Host is the server that was talked to, as "host:port".
	Host string
}
