package sendmail

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// MaxHeader bounds the header of a message, in octets.
const MaxHeader = 4 << 20

// lines reads a message line by line, however its lines end, to the end of
// the input or, unless dots are ignored, a line with a single dot.
type lines struct {
	in         *bufio.Reader // of lineEnds
	ignoreDots bool
	inLine     bool // the last piece did not end its line
	done       bool
}

// newLines reads through a buffer of size octets.
func newLines(in io.Reader, size int, ignoreDots bool) *lines {
	return &lines{in: bufio.NewReaderSize(&lineEnds{in: in}, size), ignoreDots: ignoreDots}
}

// lineEnds makes LF of every line end: CRLF, LF and CR alone. The relay makes a
// line end of a CR as well, so what follows one would else be a line that nobody
// had looked at.
type lineEnds struct {
	in io.Reader
	cr bool // the last octet was a CR
}

// Read implements io.Reader.
func (l *lineEnds) Read(p []byte) (int, error) {
	for {
		n, err := l.in.Read(p)
		out := p[:0]
		for _, b := range p[:n] {
			switch {
			case b == '\n' && l.cr: // the second half of a line end
			case b == '\r':
				out = append(out, '\n')
			default:
				out = append(out, b)
			}
			l.cr = b == '\r'
		}
		if len(out) > 0 || err != nil || n == 0 {
			return len(out), err
		}
	}
}

// next returns the next piece of a line without its end, and whether the line
// ends with it. A line is cut into pieces only when it is longer than the
// reader's buffer. The piece is good until the next call.
func (l *lines) next() (piece []byte, eol bool, err error) {
	if l.done {
		return nil, false, io.EOF
	}
	piece, err = l.in.ReadSlice('\n')
	switch {
	case err == nil:
		piece, eol = piece[:len(piece)-1], true
	case errors.Is(err, bufio.ErrBufferFull):
		err = nil
	case errors.Is(err, io.EOF) && (len(piece) > 0 || l.inLine):
		eol, l.done, err = true, true, nil // a last line without its end
	default:
		return nil, false, err
	}
	if !l.inLine && eol && !l.ignoreDots && string(piece) == "." {
		l.done = true
		return nil, false, io.EOF
	}
	l.inLine = !eol
	return piece, eol, nil
}

// headerField is one field, its raw lines joined by CRLF and without the last.
type headerField struct {
	name string // as written
	raw  []byte
}

func (f headerField) is(name string) bool { return strings.EqualFold(f.name, name) }

// value is the unfolded value.
func (f headerField) value() string {
	_, v, _ := bytes.Cut(f.raw, []byte(":"))
	return string(bytes.ReplaceAll(v, []byte("\r\n"), nil))
}

// readFields reads the header. A line that cannot be a header's begins the
// body, also without an empty line in between; it is returned.
func readFields(l *lines) (header []headerField, body []byte, err error) {
	size := 0
	for {
		line, err := readLine(l)
		if size += len(line); size > MaxHeader {
			return nil, nil, &Error{ExDataErr, errors.New("the message's header is too long")}
		}
		switch {
		case errors.Is(err, io.EOF):
			return header, nil, nil
		case err != nil:
			return nil, nil, err
		case len(line) == 0:
			return header, nil, nil
		case len(header) == 0 && bytes.HasPrefix(line, []byte("From ")): // a mailbox file's separator
			continue
		case len(header) > 0 && (line[0] == ' ' || line[0] == '\t'):
			last := &header[len(header)-1]
			last.raw = append(append(last.raw, "\r\n"...), line...)
			continue
		}
		name, ok := fieldName(line)
		if !ok {
			return header, line, nil
		}
		header = append(header, headerField{name, line})
	}
}

// readLine returns a whole line, which the caller keeps.
func readLine(l *lines) (line []byte, err error) {
	for {
		piece, eol, err := l.next()
		if err != nil {
			return nil, err
		}
		line = append(line, piece...)
		if eol || len(line) > MaxHeader {
			return line, nil
		}
	}
}

// fieldName returns the name of the field that a line begins (RFC 5322 section
// 3.6.8; blanks before the colon are its obsolete syntax).
func fieldName(line []byte) (string, bool) {
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	bad := func(r rune) bool { return r <= ' ' || r > '~' }
	return string(name), ok && len(name) > 0 && bytes.IndexFunc(name, bad) < 0
}

// recipients are the command line's and, with -t, the header's, each once.
func recipients(o Options, header []headerField) ([]string, error) {
	var all []string
	add := func(list string) error {
		some, err := addressList(list)
		if err != nil {
			return err
		}
		for _, a := range some {
			if !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
		return nil
	}
	for _, a := range o.to {
		// An argument is not folded as a header is: a line end in it is an attempt
		// at something else.
		if strings.ContainsFunc(a, unicode.IsControl) {
			return nil, &Error{ExDataErr, fmt.Errorf("%q cannot be read as an address", clip(a))}
		}
		if err := add(a); err != nil {
			return nil, &Error{ExDataErr, err}
		}
	}
	if o.fromHeader {
		for _, f := range recipientFields(header) {
			if err := add(f.value()); err != nil {
				return nil, &Error{ExDataErr, fmt.Errorf("header %s: %w", f.name, err)}
			}
		}
	}
	if len(all) == 0 {
		return nil, &Error{ExUsage, errors.New("sendmail: the message names no recipient")}
	}
	return all, nil
}

// recipientFields returns the fields that name recipients: those of a resent
// message (RFC 5322 section 3.6.6) if it is one.
func recipientFields(header []headerField) []headerField {
	var first, resent []headerField
	for _, f := range header {
		switch strings.ToLower(f.name) {
		case "to", "cc", "bcc":
			first = append(first, f)
		case "resent-to", "resent-cc", "resent-bcc":
			resent = append(resent, f)
		}
	}
	if len(resent) > 0 {
		return resent
	}
	return first
}

func joinHeader(header []headerField) []byte {
	var b bytes.Buffer
	for _, f := range header {
		b.Write(f.raw)
		b.WriteString("\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// copyBody copies the rest of the message with CRLF line ends.
func copyBody(w io.Writer, first []byte, l *lines) error {
	if first != nil {
		if _, err := w.Write(append(first, "\r\n"...)); err != nil {
			return err
		}
	}
	for {
		piece, eol, err := l.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := w.Write(piece); err != nil {
			return err
		}
		if eol {
			if _, err := w.Write([]byte("\r\n")); err != nil {
				return err
			}
		}
	}
}
