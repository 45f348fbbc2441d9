package smtpin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"melon/upstream"
)

// body is the content of one message as it comes in, after DATA or as a
// sequence of BDAT chunks.
//
// DATA ends at CRLF "." CRLF and at nothing else (RFC 5321 section 4.1.1.4),
// where the CRLF before the dot may be the one that ended the DATA command; a
// dot at the start of a line, after CRLF, is taken off (section 4.5.2). CR and
// LF alone are content like any other octet: they begin no line here. That is
// how every octet that the app sent as one message stays one message, however
// the next server might have read its line ends.
//
// After a chunk that was not the last the body answers 250 and reads commands
// until the next BDAT; a command that ends the transaction ends the body, and
// is then given to go-smtp.
type body struct {
	c       *conn
	chunked bool
	bol     bool // DATA: the next octet begins a line
	cr      bool // DATA: the last octet was a CR
	limit   int64
	count   int64         // octets delivered
	budget  time.Duration // of waiting that is left
	err     error         // sticky; io.EOF when the message is complete
}

// openBody returns the body after go-smtp said 354.
func (c *conn) openBody() *body {
	b := &body{
		c:       c,
		chunked: c.frame.chunk.active,
		bol:     true,
		limit:   c.set.limits.Message,
		budget:  c.set.limits.Body,
	}
	c.frame.body = b
	return b
}

// Read implements io.Reader; see Transaction.Data.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.read(p)
	b.count += int64(n)
	if b.count > b.limit {
		n, err = 0, ErrTooLarge
	}
	b.err = err
	return n, err
}

// Prompt reports whether there is more at hand: the next Read does not wait for
// the app, except for the end of a line that begins with a dot.
func (b *body) Prompt() bool { return b.c.in.Buffered() > 0 }

// read is Read without the limit.
func (b *body) read(p []byte) (int, error) {
	if b.chunked {
		return b.readChunk(p)
	}
	for {
		if err := b.fill(1); err != nil {
			return 0, err
		}
		if b.bol {
			if end, err := b.lineStart(); end || err != nil {
				return 0, err
			}
			continue // past a dot, or not at the start of a line any more
		}
		n := b.scan(p)
		b.c.in.Discard(n)
		return n, nil
	}
}

// lineStart looks at the start of a line: the end of the message is io.EOF, a
// dot before anything else is taken off.
func (b *body) lineStart() (end bool, err error) {
	b.bol = false
	first, _ := b.c.in.Peek(1)
	if first[0] != '.' {
		return false, nil
	}
	// Whatever follows, the message cannot end with fewer than three more
	// octets: waiting for them delays nothing.
	if err := b.fill(3); err != nil {
		return true, err
	}
	if head, _ := b.c.in.Peek(3); string(head) == ".\r\n" {
		b.c.in.Discard(3)
		return true, io.EOF
	}
	b.c.in.Discard(1)
	return false, b.fill(1)
}

// scan copies what is buffered to p, at most up to the start of a line that
// begins with a dot, and notes how it ends.
func (b *body) scan(p []byte) int {
	buf, _ := b.c.in.Peek(min(b.c.in.Buffered(), len(p)))
	if b.cr && buf[0] == '\n' {
		b.cr, b.bol = false, true
		return copy(p, buf[:1])
	}
	if i := bytes.Index(buf, []byte("\r\n.")); i >= 0 {
		buf = buf[:i+2]
	}
	b.cr = buf[len(buf)-1] == '\r'
	b.bol = bytes.HasSuffix(buf, []byte("\r\n"))
	return copy(p, buf)
}

// readChunk reads from the chunks.
func (b *body) readChunk(p []byte) (int, error) {
	ch := &b.c.frame.chunk
	for ch.left == 0 {
		if ch.last {
			return 0, io.EOF
		}
		b.c.say(fmt.Sprintf("250 2.0.0 %d octets received", ch.size))
		if err := b.nextChunk(); err != nil {
			return 0, err
		}
	}
	if err := b.fill(1); err != nil {
		return 0, err
	}
	n, err := b.c.in.Read(p[:min(int64(len(p)), ch.left)])
	ch.left -= int64(n)
	return n, err
}

// nextChunk reads commands until the next BDAT.
func (b *body) nextChunk() error {
	c := b.c
	for {
		if c.out.over || c.budget.bad > c.set.limits.BadCommands || c.budget.idle > maxIdleCommands {
			return b.gone(errors.New("the connection ended between two chunks"))
		}
		line, err := c.readLine()
		if err != nil {
			return b.gone(err)
		}
		verb, arg := verbOf(line)
		switch verb {
		case "BDAT":
			ch, ok := parseBDAT(arg)
			if !ok {
				c.cut("BDAT without a size", "501 5.5.4 Malformed BDAT command, closing the connection")
				return b.gone(errors.New("not a mail app"))
			}
			c.frame.chunk = ch
			return nil
		case "NOOP":
			c.budget.idle++
			c.say("250 2.0.0 OK")
		case "RSET", "EHLO", "HELO", "QUIT", "STARTTLS":
			// The app took the message back. go-smtp's reply to the chunks
			// is dropped, then it gets this command.
			c.frame.back = line
			c.out.quiet = true
			return fmt.Errorf("%w: %s came between two chunks", upstream.ErrBodyAborted, verb)
		default:
			if speaksHTTP(verb) {
				c.cut("not a mail app: HTTP", "")
				return b.gone(errors.New("not a mail app"))
			}
			c.budget.bad++
			c.say("503 5.5.1 Another BDAT, or RSET, is expected")
		}
	}
}

// fill waits until n octets are buffered. The app may pause as long as between
// commands, and all pauses together as long as Limits.Body.
func (b *body) fill(n int) error {
	if b.c.in.Buffered() >= n {
		return nil
	}
	start := time.Now()
	wait := min(b.c.set.limits.Idle, b.budget)
	if b.c.out.over || wait <= 0 {
		return b.gone(os.ErrDeadlineExceeded)
	}
	b.c.Conn.SetReadDeadline(start.Add(wait))
	_, err := b.c.in.Peek(n)
	b.budget -= time.Since(start)
	if err != nil {
		return b.gone(err)
	}
	return nil
}

// gone ends the connection in the middle of a message and returns the error for
// the reader of the body.
func (b *body) gone(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.c.cut("message content too slow", "421 4.4.2 The message took too long, closing the connection")
	}
	b.c.out.over = true
	// The cause is not wrapped: io.EOF would be, and that means a whole message.
	return fmt.Errorf("%w: %v", upstream.ErrBodyAborted, err)
}

// finish reads what the transaction left unread, so that the reply comes after
// the content and the next command is found: to the end of DATA, or of the
// chunk.
func (b *body) finish() {
	ch := &b.c.frame.chunk
	defer func() { b.c.frame.body, ch.active = nil, false }()
	if b.chunked {
		b.c.skipChunk()
		return
	}
	if b.err != nil && b.err != ErrTooLarge {
		return
	}
	var waste [1024]byte
	for {
		if _, err := b.read(waste[:]); err != nil {
			return
		}
	}
}

// skipChunk drops what is left of a chunk that nobody reads.
func (c *conn) skipChunk() error {
	ch := &c.frame.chunk
	b := body{c: c, budget: c.set.limits.Body}
	for ch.left > 0 {
		if err := b.fill(1); err != nil {
			ch.left = 0
			return err
		}
		n, _ := c.in.Discard(int(min(ch.left, int64(c.in.Buffered()))))
		ch.left -= int64(n)
	}
	return nil
}
