// Package trace turns the bytes of an SMTP or POP3 conversation into lines that
// a person may read, and is the only place where secrets are masked.
package trace

import "net"

// Protocol is the protocol that a connection speaks.
type Protocol string

// The protocols that a Tracer knows.
const (
	SMTP Protocol = "smtp"
	POP3 Protocol = "pop3"
)

// Side says which end of the conversation this program is.
type Side int

// The sides.
const (
	ClientSide Side = iota // this program is the client
	ServerSide             // this program is the server
)

// Line is one masked, bounded and cleaned line of a conversation.
type Line struct {
	Client bool   // the client said it; otherwise the server did
	Text   string // without line end
}

// String returns the line as "C: QUIT" or "S: 221 Bye".
func (l Line) String() string {
	if l.Client {
		return "C: " + l.Text
	}
	return "S: " + l.Text
}

// Tracer watches one conversation. Client and Server may be called from
// different goroutines; the sink is called by one of them at a time.
type Tracer struct{ sink func(Line) }

// New returns a Tracer that hands its lines to sink.
func New(p Protocol, sink func(Line)) *Tracer { return &Tracer{sink: sink} }

// Client takes octets that the client sends. Call it before they are written.
func (t *Tracer) Client(b []byte) {}

// Server takes octets that the server sends.
func (t *Tracer) Server(b []byte) {}

// TLS tells that a TLS handshake has just ended and that what follows is inside.
func (t *Tracer) TLS(note string) {}

// Close says how many octets were left without a line end, if any.
func (t *Tracer) Close() {}

// Conn returns c with a Tracer around it: every Read and Write goes past sink.
// It belongs above TLS. With a nil sink it returns c itself.
func Conn(c net.Conn, p Protocol, side Side, sink func(Line)) net.Conn { return c }
