package deliver

import (
	"bytes"
	"io"

	"melon/upstream"
)

// maxHeader bounds how much of a message's header is looked at, in octets.
const maxHeader = 256 << 10

// canonicalizer writes a message in the form that is kept and sent: every line
// ends in CRLF, and so does the message unless it is empty. A bare CR or LF
// becomes a line end, as what one server takes for a line end another does not
// (SMTP smuggling); a NUL passes, except in a line that would be a lone dot
// without it, which a server that drops NULs would take for the end of the
// message.
//
// It also gathers the header (RFC 5322 section 2.1) and hands it to onHeader
// once, as soon as its end has passed by.
type canonicalizer struct {
	w        io.Writer
	onHeader func(header []byte) error // may be nil
	cr       bool                      // the last octet was a CR whose line end is not written yet
	column   int                       // octets of the current line so far
	dots     int                       // of them dots
	nuls     int                       // of them NULs
	header   []byte
	inHeader bool
}

func newCanonicalizer(w io.Writer, onHeader func([]byte) error) *canonicalizer {
	return &canonicalizer{w: w, onHeader: onHeader, inHeader: true}
}

var crlf = []byte("\r\n")

// Write takes the next octets of the message. It fails with an *upstream.Error
// of KindMessage for a message that must not be passed on, or with the error of
// the writer below or of onHeader.
func (c *canonicalizer) Write(p []byte) (int, error) {
	n := len(p)
	first, lines := cleanLines(p, c.column == 0 && !c.cr)
	if len(lines) > 0 {
		if err := c.slowly(first); err != nil {
			return 0, err
		}
		if err := c.clean(lines); err != nil {
			return 0, err
		}
		p = p[len(first)+len(lines):]
	}
	if err := c.slowly(p); err != nil {
		return 0, err
	}
	return n, nil
}

// clean takes whole lines that are as they have to be.
func (c *canonicalizer) clean(lines []byte) error {
	if c.inHeader {
		header, rest, ends := cutHeader(lines)
		if err := c.text(header); err != nil {
			return err
		}
		if !ends {
			return nil
		}
		if err := c.endHeader(); err != nil || len(rest) == 0 {
			return err
		}
		lines = rest
	}
	_, err := c.w.Write(lines)
	return err
}

// cutHeader returns the lines up to the first empty one, that included, and
// those behind it.
func cutHeader(lines []byte) (header, rest []byte, ends bool) {
	end := 0
	switch i := bytes.Index(lines, []byte("\r\n\r\n")); {
	case bytes.HasPrefix(lines, crlf):
		end = 2
	case i >= 0:
		end = i + 4
	default:
		return lines, nil, false
	}
	return lines[:end], lines[end:], true
}

// cleanLines returns the whole lines of p that are as they have to be, almost
// always all of them, and what comes before: the end of a line, unless p begins
// one.
func cleanLines(p []byte, begins bool) (first, lines []byte) {
	if !begins {
		i := bytes.IndexByte(p, '\n')
		if i < 1 || p[i-1] != '\r' {
			return nil, nil
		}
		first, p = p[:i+1], p[i+1:]
	}
	lines = p[:bytes.LastIndexByte(p, '\n')+1]
	if bytes.IndexByte(lines, 0) >= 0 {
		return nil, nil
	}
	for rest := lines; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\r')
		if i < 0 || i+1 == len(rest) || rest[i+1] != '\n' || bytes.IndexByte(rest[:i], '\n') >= 0 {
			return nil, nil
		}
		rest = rest[i+2:]
	}
	return first, lines
}

// slowly takes octets one by one.
func (c *canonicalizer) slowly(p []byte) error {
	start := 0 // first octet of p that is not written yet
	for i, b := range p {
		if c.cr {
			c.cr = false
			if b == '\n' {
				if err := c.endLine(); err != nil {
					return err
				}
				start = i + 1
				continue
			}
			if err := c.endLine(); err != nil {
				return err
			}
			start = i
		}
		switch b {
		case '\r', '\n':
			if err := c.text(p[start:i]); err != nil {
				return err
			}
			start = i + 1
			if b == '\r' {
				c.cr = true
			} else if err := c.endLine(); err != nil {
				return err
			}
		case '.':
			c.dots++
			c.column++
		case 0:
			c.nuls++
			c.column++
		default:
			c.column++
		}
	}
	if start < len(p) && !c.cr {
		if err := c.text(p[start:]); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the last line and the header. The message is complete after it.
func (c *canonicalizer) Close() error {
	if c.cr || c.column > 0 {
		c.cr = false
		if err := c.endLine(); err != nil {
			return err
		}
	}
	return c.endHeader()
}

func (c *canonicalizer) text(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if c.inHeader && len(c.header) < maxHeader {
		if c.header == nil {
			c.header = make([]byte, 0, max(len(p), 512))
		}
		c.header = append(c.header, p[:min(len(p), maxHeader-len(c.header))]...)
	}
	_, err := c.w.Write(p)
	return err
}

func (c *canonicalizer) endLine() error {
	if c.nuls > 0 && c.dots == 1 && c.column == c.dots+c.nuls {
		return &upstream.Error{
			Phase: upstream.PhaseData, Class: upstream.ClassSyntaxOrProtocol,
			Reply: upstream.Reply{Code: 554, Enhanced: upstream.EnhancedCode{5, 6, 0},
				Lines: []string{"the message has a line of NUL octets around a single dot, which a server could take for its end"}},
			Sentence: "The message has a line of NUL octets around a single dot, which a server could take for its end.",
		}
	}
	empty := c.column == 0
	c.column, c.dots, c.nuls = 0, 0, 0
	if err := c.text(crlf); err != nil {
		return err
	}
	if empty {
		return c.endHeader()
	}
	return nil
}

func (c *canonicalizer) endHeader() error {
	if !c.inHeader {
		return nil
	}
	c.inHeader = false
	header := c.header
	c.header = nil
	if c.onHeader == nil {
		return nil
	}
	return c.onHeader(header)
}

// maxHops is how many Received lines a message may bear before it is taken for
// one that goes round in circles (RFC 5321 section 6.3 asks for at least 100).
const maxHops = 100

// looping reports whether a header bears more Received lines than a sane way
// through the world leaves.
func looping(header []byte) bool {
	hops := 0
	for line := range bytes.Lines(header) {
		if len(line) >= 9 && bytes.EqualFold(line[:9], []byte("Received:")) {
			hops++
		}
	}
	return hops > maxHops
}
