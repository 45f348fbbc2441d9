package submit

import (
	"errors"
	"os"

	"melon/upstream"
	"melon/upstream/reply"
)

// errTimeout is the cause of an error after a reply that did not come, or a
// write that did not end, in time.
var errTimeout = os.ErrDeadlineExceeded

// refused is the error for a server's negative reply.
func (c *Client) refused(p upstream.Phase, r upstream.Reply) *upstream.Error {
	return &upstream.Error{
		Account: c.o.Account, Host: c.conn.Addr(), Phase: p,
		Class: reply.Classify(p, r), Reply: r,
	}
}

// local is the error for what Melon itself will not send: a permanent refusal
// of the message, in the form of the reply that a server would have given.
func (c *Client) local(p upstream.Phase, code int, e upstream.EnhancedCode, sentence string) *upstream.Error {
	return &upstream.Error{
		Account: c.o.Account, Host: c.conn.Addr(), Phase: p,
		Class:    upstream.ClassSyntaxOrProtocol,
		Reply:    upstream.Reply{Code: code, Enhanced: e, Lines: []string{sentence}},
		Sentence: sentence,
	}
}

// broken is the error for a conversation that cannot go on: I/O, time-out,
// nonsense.
func (c *Client) broken(p upstream.Phase, err error) *upstream.Error {
	e := &upstream.Error{
		Class: upstream.ClassServerBroken, Err: err,
		Sentence: "The mail server's answer makes no sense.",
	}
	if !errors.Is(err, errReply) {
		if f := c.conn.Fault(p, err); f != nil {
			copied := *f // it may be shared
			e = &copied
		}
	}
	e.Account, e.Host, e.Phase = c.o.Account, c.conn.Addr(), p
	return e
}
