package upstream

import (
	"fmt"
	"strings"
)

// EnhancedCode is an enhanced status code (RFC 3463). The zero value means that
// the server gave none.
type EnhancedCode [3]int

// IsZero reports whether the server gave no enhanced status code.
func (e EnhancedCode) IsZero() bool { return e == EnhancedCode{} }

// String returns "5.7.1", or "" when there is none.
func (e EnhancedCode) String() string {
	if e.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", e[0], e[1], e[2])
}

// Reply is what a server said. Its lines are data from a stranger: bounded in
// length and number and free of control characters (whoever builds a Reply
// cleans them with CleanLine).
type Reply struct {
	// Code is the SMTP reply code, 200 to 599. It is 0 for a POP3 answer and
	// for none at all.
	Code int
	// Enhanced is the enhanced status code, if the reply carried one.
	Enhanced EnhancedCode
	// Lines are the text lines, without reply code and enhanced status code. A
	// POP3 line is whole, "-ERR" included.
	Lines []string
}

// Text returns the lines joined with a space.
func (r Reply) Text() string { return strings.Join(r.Lines, " ") }

// String returns the reply on one line, as a server would have written it:
// "550 5.7.1 Relaying denied".
func (r Reply) String() string {
	var b strings.Builder
	if r.Code != 0 {
		fmt.Fprintf(&b, "%d ", r.Code)
	}
	if !r.Enhanced.IsZero() {
		b.WriteString(r.Enhanced.String() + " ")
	}
	b.WriteString(r.Text())
	return strings.TrimSpace(b.String())
}

// IsZero reports whether no server spoke.
func (r Reply) IsZero() bool { return r.Code == 0 && len(r.Lines) == 0 }

// Temporary reports a 4yz reply (RFC 5321 section 4.2.1).
func (r Reply) Temporary() bool { return r.Code/100 == 4 }

// Permanent reports a 5yz reply.
func (r Reply) Permanent() bool { return r.Code/100 == 5 }

// MaxReplyLine bounds, in octets, one cleaned line of a Reply.
const MaxReplyLine = 512

// CleanLine makes one line of a server's text safe to show, to log and to pass
// on: control characters, line ends, bidirectional overrides and invalid UTF-8
// become "?", a tab a space, and the line is cut at MaxReplyLine octets.
func CleanLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t':
			r = ' '
		case r == '\uFFFD', r < 0x20, r == 0x7f, r >= 0x80 && r < 0xa0,
			r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == '\uFEFF':
			r = '?'
		}
		if b.Len()+len(string(r)) > MaxReplyLine {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimRight(b.String(), " ")
}
