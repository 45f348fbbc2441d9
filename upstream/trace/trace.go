// Package trace turns the bytes of an SMTP or POP3 conversation into lines that
// a person may read, and is the only place where secrets are masked. It sits
// above TLS, on either end of the conversation.
//
// How a line comes about:
//
//  1. Client and Server collect octets until a line is whole (Tracer).
//  2. A small reader of the protocol, smtp or pop3, follows the conversation
//     just far enough to know what a line is: a command, an answer inside AUTH,
//     a reply, a piece of a message. Commands are shown from a list of known
//     ones; whatever else a client says is "***". What follows AUTH MECHANISM,
//     PASS, APOP NAME and every line of an AUTH exchange is "***" as well, and so
//     are the server's challenges. Messages are only counted: "<1234 octets>".
//  3. What was masked is remembered while the connection lasts, so that a
//     server that repeats a secret in an error message does not give it away
//     (secrets).
//  4. What is left is cleaned and cut by upstream.CleanLine.
//
// Wherever the conversation goes off the rails the reader hides too much
// rather than too little.
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

// Conn returns c with a Tracer around it: every Read and Write goes past sink.
// It belongs above TLS; below it the sink hears of the handshake and no more.
// Octets to be written are traced before they leave, so that no reply overtakes
// its command. With a nil sink it returns c itself. Close closes c.
func Conn(c net.Conn, p Protocol, side Side, sink func(Line)) net.Conn {
	if sink == nil {
		return c
	}
	return &conn{Conn: c, tracer: New(p, sink), side: side}
}

// conn is a net.Conn that a Tracer watches.
type conn struct {
	net.Conn
	tracer *Tracer
	side   Side
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.side == ClientSide {
		c.tracer.Server(b[:n])
	} else {
		c.tracer.Client(b[:n])
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	if c.side == ClientSide {
		c.tracer.Client(b)
	} else {
		c.tracer.Server(b)
	}
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	c.tracer.Close()
	return c.Conn.Close()
}
