package smtpin

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

// Limits of a line in octets without its end. RFC 5321 section 4.5.3.1.4 asks
// for 512 at least, extensions add to it (RFC 3461 section 5.4: 500 for RCPT);
// AUTH has its own limit (RFC 4954 section 4).
const (
	maxCommandLine = 2048
	maxAuthLine    = 12288
)

// maxIdleCommands bounds the commands without effect between two messages.
const maxIdleCommands = 1000

// nextLine returns the next line for go-smtp, without its end. Its error is
// io.EOF whenever the connection is over: the app has been told then.
func (c *conn) nextLine() (string, error) {
	if c.frame.state == frameBody {
		// The session has the body; go-smtp looks for its end.
		c.frame.state = frameCommand
		return ".", nil
	}
	for {
		if err := c.skipChunk(); err != nil {
			return "", io.EOF
		}
		c.frame.chunk = chunk{}
		if c.out.over {
			return "", io.EOF
		}
		if c.budget.bad > c.set.limits.BadCommands || c.budget.idle > maxIdleCommands {
			c.cut("too many commands without a message", "421 4.7.0 Too many commands without a message, goodbye")
			return "", io.EOF
		}
		line := c.frame.back
		c.frame.back = ""
		if line == "" {
			var err error
			if line, err = c.readLine(); err != nil {
				return "", io.EOF
			}
		}
		if c.frame.state == frameSASL {
			c.frame.state = frameCommand
			return line, nil
		}
		if out, ok := c.command(line); ok {
			return out, nil
		}
	}
}

// readLine reads one line and returns it without its end. A line that no mail
// app would send ends the connection at its first wrong octet, before the rest
// of it has come. The whole line has to come within the idle time.
func (c *conn) readLine() (string, error) {
	until := time.Now().Add(c.set.limits.Idle)
	var line []byte // of one that comes in pieces
	for {
		if err := c.await(until); err != nil {
			return "", c.readFailed(err)
		}
		part, _ := c.in.Peek(c.in.Buffered())
		end := bytes.IndexByte(part, '\n')
		if end >= 0 {
			part = part[:end+1]
		}
		c.in.Discard(len(part)) // what Peek returned stays until the next read
		if end < 0 || line != nil {
			line = append(line, part...)
			part = line
		}
		switch {
		case foreign(part):
			c.cut("not a mail app: binary data", "")
			return "", io.EOF
		case len(part) > maxLine(part, c.frame.state)+2:
			c.cut("command line too long", "500 5.5.6 Line too long, closing the connection")
			return "", io.EOF
		case end >= 0:
			part = bytes.TrimSuffix(part[:len(part)-1], []byte{'\r'})
			if bytes.IndexByte(part, '\r') >= 0 {
				c.cut("not a mail app: bare CR", "")
				return "", io.EOF
			}
			return string(part), nil
		}
	}
}

// readFailed ends a connection whose app went away or said nothing for too
// long.
func (c *conn) readFailed(err error) error {
	if !c.out.over && errors.Is(err, os.ErrDeadlineExceeded) {
		c.say("421 4.4.2 Nothing came for too long, goodbye")
	}
	c.out.over = true
	return io.EOF
}

// maxLine returns the limit for a line that begins so.
func maxLine(line []byte, state frameState) int {
	if state == frameSASL || len(line) >= 5 && bytes.EqualFold(line[:5], []byte("AUTH ")) {
		return maxAuthLine
	}
	return maxCommandLine
}

// foreign reports whether the line is none that a mail app would send: a TLS
// ClientHello on a plain port begins with the octet 22, older ones and other
// protocols with one that is no ASCII, and none of them keeps control
// characters out.
func foreign(line []byte) bool {
	if line[0] >= 0x80 {
		return true
	}
	for _, b := range line {
		if b < ' ' && b != '\t' && b != '\r' && b != '\n' || b == 0x7f {
			return true
		}
	}
	return false
}

// speaksHTTP reports whether the verb is a method of HTTP: a web page has the
// browser send a form to this port (RFC 9110 section 9, RFC 5789; PRI begins
// HTTP/2, RFC 9113 section 3.4). None of them is an SMTP command.
func speaksHTTP(verb string) bool {
	switch verb {
	case "GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "PRI":
		return true
	}
	return false
}

// verbOf returns the first word of a command in capitals, and what follows it.
func verbOf(line string) (verb, arg string) {
	verb, arg, _ = strings.Cut(line, " ")
	return strings.ToUpper(verb), strings.TrimSpace(arg)
}
