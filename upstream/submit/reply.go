package submit

import (
	"bufio"
	"bytes"
	"errors"
	"strings"

	"melon/upstream"
)

// Bounds on what one reply may be, in octets and lines. RFC 4954 section 4
// lets a challenge have 12288 octets; no reply needs more lines than an EHLO.
const (
	maxLine  = 12288 + 8
	maxLines = 200
	maxReply = 64 << 10
)

// errReply is the cause of every reply that makes no sense.
var errReply = errors.New("malformed reply")

// raw is a reply as it came, not cleaned: lines without code and line end.
type raw struct {
	code  int
	lines []string
	// trail is what already lay behind the reply in the read buffer, at most
	// four octets of it. A server that was asked one thing and says two shows
	// here.
	trail string
}

// extra reports whether the server said more than it was asked, other than
// that it is about to close (RFC 5321 section 3.8).
func (r raw) extra() bool { return r.trail != "" && !strings.HasPrefix(r.trail, "421") }

// lineReader reads lines of bounded length.
type lineReader struct{ br *bufio.Reader }

// readReply reads one reply (RFC 5321 section 4.2.1).
func (l lineReader) readReply() (raw, error) {
	var r raw
	total := 0
	for {
		line, err := l.readLine()
		if err != nil {
			return raw{}, err
		}
		total += len(line)
		code, last, text, ok := splitLine(line)
		switch {
		case !ok, r.code != 0 && code != r.code:
			return raw{}, errReply
		case len(r.lines) >= maxLines, total > maxReply:
			return raw{}, errReply
		}
		r.code = code
		r.lines = append(r.lines, text)
		if last {
			break
		}
	}
	if n := min(l.br.Buffered(), 4); n > 0 {
		b, _ := l.br.Peek(n)
		r.trail = string(b)
	}
	return r, nil
}

// wholeReply reports whether b begins with a whole reply, or with something that
// can be seen to be none.
func wholeReply(b []byte) bool {
	for {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return false
		}
		if end < 4 || b[3] != '-' {
			return true
		}
		b = b[end+1:]
	}
}

// readLine reads one line without its end. A lone LF ends a line too: what a
// server says is only read, never passed on raw.
func (l lineReader) readLine() (string, error) {
	var line []byte // of one that is longer than the buffer
	for {
		part, err := l.br.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return "", errReply
		}
		if err == nil {
			if line != nil {
				part = append(line, part...)
			}
			return string(bytes.TrimSuffix(bytes.TrimSuffix(part, []byte("\n")), []byte("\r"))), nil
		}
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return "", err
		}
	}
}

// splitLine takes "250-text", "250 text" or "250" apart.
func splitLine(line string) (code int, last bool, text string, ok bool) {
	if len(line) < 3 {
		return 0, false, "", false
	}
	for i := range 3 {
		if line[i] < '0' || line[i] > '9' {
			return 0, false, "", false
		}
		code = code*10 + int(line[i]-'0')
	}
	if code < 200 || code > 599 {
		return 0, false, "", false
	}
	if len(line) == 3 {
		return code, true, "", true
	}
	switch line[3] {
	case ' ':
		return code, true, line[4:], true
	case '-':
		return code, false, line[4:], true
	}
	return 0, false, "", false
}

// clean makes the reply fit to be shown and passed on, and takes the enhanced
// status code (RFC 2034) off each line.
func (r raw) clean() upstream.Reply {
	out := upstream.Reply{Code: r.code, Lines: make([]string, 0, len(r.lines))}
	for _, line := range r.lines {
		if e, rest, ok := cutEnhanced(line, r.code/100); ok {
			if out.Enhanced.IsZero() {
				out.Enhanced = e
			}
			line = rest
		}
		out.Lines = append(out.Lines, cleanLine(line))
	}
	return out
}

// cleanLine is upstream.CleanLine, without a copy of what needs no cleaning.
func cleanLine(s string) string {
	if len(s) > upstream.MaxReplyLine || strings.HasSuffix(s, " ") {
		return upstream.CleanLine(s)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return upstream.CleanLine(s)
		}
	}
	return s
}

// cutEnhanced takes "5.7.1 text" apart. The first digit must be that of the
// reply code (RFC 2034 section 4); anything else is text.
func cutEnhanced(line string, class int) (upstream.EnhancedCode, string, bool) {
	word, rest, _ := strings.Cut(line, " ")
	var e upstream.EnhancedCode
	for i := range e {
		p, more, dot := strings.Cut(word, ".")
		if word = more; p == "" || len(p) > 3 || dot != (i < len(e)-1) {
			return upstream.EnhancedCode{}, line, false
		}
		for _, d := range p {
			if d < '0' || d > '9' {
				return upstream.EnhancedCode{}, line, false
			}
			e[i] = e[i]*10 + int(d-'0')
		}
	}
	if e[0] != class {
		return upstream.EnhancedCode{}, line, false
	}
	return e, rest, true
}
