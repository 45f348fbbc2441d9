package trace

import (
	"bytes"
	"strconv"
	"strings"
)

// smtp reads an SMTP conversation (RFC 5321, with AUTH, PIPELINING, CHUNKING).
type smtp struct {
	t *Tracer
	// waiting is how many replies are owed, the greeting among them, so that
	// the reply to AUTH or DATA is known from those to the commands before it.
	waiting int
	last    string // verb of the last command

	auth bool // between AUTH and its last reply
	x    exchange

	chunk int64 // octets of a BDAT chunk still to come (RFC 3030)
	body  bool  // after DATA, until the final dot
	begun bool  // the 354 has come
	octet int64 // octets of the message so far
	dot   dotState
	skip  bool // inside a line whose head was hidden
}

func newSMTP(t *Tracer) *smtp { return &smtp{t: t, waiting: 1} }

func (s *smtp) reset() { *s = smtp{t: s.t} }

func (s *smtp) close() {
	if s.octet > 0 {
		s.t.count(true, s.octet)
	}
	s.octet = 0
}

// smtpVerbs are the commands that are shown whole; none carries a secret.
var smtpVerbs = []string{
	"EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP",
	"VRFY", "EXPN", "HELP", "QUIT", "STARTTLS", "ETRN",
}

func (s *smtp) swallow(b []byte) int {
	switch {
	case s.chunk > 0:
		n := int(min(s.chunk, int64(len(b))))
		s.chunk -= int64(n)
		s.octet += int64(n)
		if s.chunk == 0 {
			s.t.count(true, s.octet)
			s.octet = 0
		}
		return n
	case s.body:
		n, end := s.dot.scan(b)
		s.octet += int64(n)
		if end {
			s.t.count(true, max(0, s.octet-int64(len(".\r\n"))))
			s.t.emit(true, ".")
			s.body, s.octet = false, 0
			s.last = "."
			s.waiting++
		}
		return n
	case s.skip:
		n := bytes.IndexByte(b, '\n') + 1
		if n == 0 {
			return len(b)
		}
		s.skip = false
		return n
	}
	return 0
}

func (s *smtp) clientLine(line []byte) {
	s.waiting++
	if s.auth {
		s.t.secrets.answer(&s.x, line)
		s.t.emit(true, masked)
		return
	}
	verb, args, _ := bytes.Cut(bytes.TrimLeft(line, " "), []byte{' '})
	s.last = strings.ToUpper(string(verb))
	switch {
	case s.last == "AUTH":
		var show string
		s.x, show = s.t.secrets.begin(args)
		s.auth = true
		s.t.emit(true, show)
	case !known(s.last, smtpVerbs):
		s.t.secrets.addUnknown(line)
		s.t.emit(true, masked)
	default:
		s.t.show(true, line)
		s.follow(args)
	}
}

// follow prepares for the message that comes after DATA and BDAT. After DATA
// everything is hidden at once: a client that does not wait for the 354 sends
// its message all the same.
func (s *smtp) follow(args []byte) {
	switch s.last {
	case "DATA":
		s.body, s.begun, s.octet, s.dot = true, false, 0, lineStart
	case "BDAT":
		size, _, _ := bytes.Cut(bytes.TrimSpace(args), []byte{' '})
		n, err := strconv.ParseInt(string(size), 10, 64)
		if err == nil && n > 0 {
			s.chunk, s.octet = n, 0
		}
	}
}

func (s *smtp) serverLine(line []byte) {
	code, final := replyCode(line)
	if final && s.waiting > 0 {
		s.waiting--
	}
	if code == 334 { // a challenge, or a failure's details (RFC 7628)
		s.t.emit(false, "334 "+masked)
		return
	}
	s.t.show(false, line)
	if !final {
		return
	}
	if s.auth && code != 354 && (s.waiting == 0 || code == 235) {
		s.auth = false
	}
	switch {
	case code == 354 && s.body:
		s.begun = true
	case code == 354 && s.last == "DATA":
		s.body, s.begun, s.octet, s.dot = true, true, 0, lineStart
	case code >= 400 && s.body && !s.begun && s.waiting == 0: // DATA was refused
		s.skip = s.octet > 0 && s.dot != lineStart
		s.body = false
		s.close()
	}
}

// replyCode returns the code of a reply line, 0 when it has none, and whether
// the reply ends with this line (RFC 5321 section 4.2.1).
func replyCode(line []byte) (code int, final bool) {
	if len(line) < 3 {
		return 0, false
	}
	code, err := strconv.Atoi(string(line[:3]))
	if err != nil || code < 200 || code > 599 {
		return 0, false
	}
	if len(line) == 3 {
		return code, true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, false
	}
	return code, line[3] == ' '
}

// known reports whether verb is in the list.
func known(verb string, list []string) bool {
	for _, v := range list {
		if v == verb {
			return true
		}
	}
	return false
}

// dotState finds the end of a message after DATA: CRLF "." CRLF and nothing
// else (RFC 5321 section 4.1.1.4).
type dotState int

const (
	inLine       dotState = iota
	inLineCR              // CR inside a line
	lineStart             // after CRLF, or at the very beginning
	lineStartDot          // "." at the start
	lineDotCR             // "." CR at the start
)

// scan takes octets up to the end of the message; n is how many, the final dot
// included.
func (d *dotState) scan(b []byte) (n int, end bool) {
	for i := 0; i < len(b); i++ {
		if *d == inLine { // the fast way through a line
			j := bytes.IndexByte(b[i:], '\r')
			if j < 0 {
				return len(b), false
			}
			i += j
		}
		switch c := b[i]; {
		case c == '\n' && *d == lineDotCR:
			*d = lineStart
			return i + 1, true
		case c == '\n' && *d == inLineCR:
			*d = lineStart
		case c == '\r' && *d == lineStartDot:
			*d = lineDotCR
		case c == '\r':
			*d = inLineCR
		case c == '.' && *d == lineStart:
			*d = lineStartDot
		default:
			*d = inLine
		}
	}
	return len(b), false
}
