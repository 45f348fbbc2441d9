package pop

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
)

const (
	// maxLine bounds a line of the server in octets. RFC 2449 section 4 allows
	// 512; some capability lists and error texts are longer.
	maxLine = 2048
	// maxCapabilities bounds the lines of CAPA that are kept.
	maxCapabilities = 100
	// maxAnswer bounds a multi-line answer as a whole, in octets: a list of some
	// millions of messages.
	maxAnswer = 64 << 20
)

var (
	errTooLong   = errors.New("the server's line is too long")
	errTooMuch   = errors.New("the server's answer has no end")
	errNotPOP    = errors.New("this is no POP3 answer")
	errChallenge = errors.New("the server asks for more")
)

// expectation is what the next answer may be.
type expectation int

const (
	oneLine   expectation = iota // +OK or -ERR
	manyLines                    // +OK and lines up to ".", or -ERR
	challenge                    // as oneLine, or "+ " (RFC 5034 section 4)
)

// wire stands between go-pop3 and the connection. It hands over one whole line
// in each Read, so that go-pop3's own buffer never holds what came after it, and
// only lines that belong there: a status line where one is due, and nothing but
// the end of a multi-line answer. What it objects to is an error for go-pop3 and
// stays in err.
type wire struct {
	net.Conn
	r    *bufio.Reader
	rest []byte // of the line being handed over

	want  expectation
	multi bool // inside a multi-line answer
	size  int  // octets of it so far
	lines []string

	last string // the last status line, without line end
	err  error
}

func newWire(c net.Conn) *wire { return &wire{Conn: c, r: bufio.NewReaderSize(c, maxLine)} }

// Dial makes the wire go-pop3's Dialer: the connection is there already.
func (w *wire) Dial(string, string) (net.Conn, error) { return w, nil }

// expect says what the answer to the next command may be.
func (w *wire) expect(e expectation) { w.want, w.last = e, "" }

// pending is how many octets the server sent beyond the last line handed over.
func (w *wire) pending() int { return w.r.Buffered() + len(w.rest) }

// restart drops what was read ahead, and the capabilities.
func (w *wire) restart() {
	w.r.Reset(w.Conn)
	w.rest, w.lines = nil, nil
}

// Read implements net.Conn.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		if w.err != nil {
			return 0, w.err
		}
		if w.rest, w.err = w.next(); w.err != nil {
			return 0, w.err
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// next reads the next line that go-pop3 is to see.
func (w *wire) next() ([]byte, error) {
	for {
		line, err := w.r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, errTooLong
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
		text := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if !w.multi {
			return w.status(string(text))
		}
		if string(text) == "." {
			w.multi = false
			return []byte(".\r\n"), nil
		}
		if w.size += len(line); w.size > maxAnswer {
			return nil, errTooMuch
		}
		if len(w.lines) < maxCapabilities {
			w.lines = append(w.lines, string(text))
		}
	}
}

// status checks a status line (RFC 1939 section 3) and puts its indicator into
// the form that go-pop3 knows.
func (w *wire) status(text string) ([]byte, error) {
	word, rest := text, ""
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		word, rest = text[:i], text[i+1:]
	}
	w.last = text
	switch indicator := strings.ToUpper(word); {
	case indicator == "+OK":
		if w.want == manyLines {
			w.multi, w.size, w.lines = true, 0, nil
		}
		return []byte("+OK " + rest + "\r\n"), nil
	case indicator == "-ERR":
		return []byte("-ERR " + rest + "\r\n"), nil
	case indicator == "+" && w.want == challenge:
		// go-pop3 knows no challenges: to it this is an error, and the caller
		// of the command looks at w.last.
		return []byte("-ERR " + errChallenge.Error() + "\r\n"), nil
	}
	return nil, errNotPOP
}

// refused reports whether the last answer was -ERR.
func (w *wire) refused() bool {
	return len(w.last) >= len("-ERR") && strings.EqualFold(w.last[:len("-ERR")], "-ERR")
}

// challenged reports whether the last answer was a SASL challenge.
func (w *wire) challenged() bool { return w.last == "+" || strings.HasPrefix(w.last, "+ ") }

// offers reports whether the lines of the last CAPA name a capability.
func (w *wire) offers(name string) bool {
	return slices.ContainsFunc(w.lines, func(l string) bool {
		word, _, _ := strings.Cut(strings.TrimSpace(l), " ")
		return strings.EqualFold(word, name)
	})
}

// arguments returns a capability's arguments in upper case.
func (w *wire) arguments(name string) []string {
	for _, l := range w.lines {
		if f := strings.Fields(strings.ToUpper(l)); len(f) > 0 && f[0] == name {
			return f[1:]
		}
	}
	return nil
}
