package submit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"

	"melon/upstream"
)

// errBare is the cause of the refusal of a body that is not canonical. Servers
// disagree about what a bare CR or LF ends, which is how one message is
// smuggled inside another.
var errBare = errors.New("bare CR or LF in the body")

// wellFormed reports whether every CR and LF of p belongs to a CRLF. p must not
// begin or end within one.
func wellFormed(p []byte) bool {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			return bytes.IndexByte(p, '\r') < 0
		}
		if i == 0 || p[i-1] != '\r' || bytes.IndexByte(p[:i-1], '\r') >= 0 {
			return false
		}
		p = p[i+1:]
	}
}

// blocks reads a body in blocks that never split a CRLF, and checks them.
type blocks struct {
	r    io.Reader
	buf  []byte
	held bool // the last block ended in CR, which is yet to be given out
	end  error
}

// next returns the next block; it is valid until the call after. With full it
// waits until the buffer is full or the body over. The error is io.EOF after
// the last block, errBare, or the reader's own.
func (b *blocks) next(full bool) ([]byte, error) {
	if b.end != nil && !b.held {
		return nil, b.end
	}
	n := 0
	if b.held {
		b.buf[0], n, b.held = '\r', 1, false
	}
	for b.end == nil && n < len(b.buf) {
		m, err := b.r.Read(b.buf[n:])
		n += m
		b.end = err
		// A block of a lone CR says nothing yet.
		if !full && n > 0 && (n > 1 || b.buf[0] != '\r') {
			break
		}
	}
	if b.end != nil && b.end != io.EOF {
		return nil, b.end
	}
	p := b.buf[:n]
	if b.end == nil && n > 0 && p[n-1] == '\r' {
		p, b.held = p[:n-1], true
	}
	if !wellFormed(p) {
		b.end, b.held = errBare, false
		return nil, errBare
	}
	if len(p) == 0 && b.end != nil {
		return nil, b.end
	}
	return p, nil
}

// stuffer writes lines with a dot before each that begins with one (RFC 5321
// section 4.5.2).
type stuffer struct {
	w   *bufio.Writer
	mid bool // in the middle of a line
}

func (s *stuffer) write(p []byte) error {
	for len(p) > 0 {
		if !s.mid && p[0] == '.' {
			s.w.WriteByte('.')
		}
		n := len(p)
		if i := bytes.Index(p, []byte("\n.")); i >= 0 {
			n = i + 1
		}
		if _, err := s.w.Write(p[:n]); err != nil {
			return err
		}
		s.mid = p[n-1] != '\n'
		p = p[n:]
	}
	return nil
}

// errHalted ends the sending of a body that the server has already refused.
var errHalted = errors.New("the rest of the body is not needed")

// source is an open body. One that still grows is read by a goroutine of its
// own, one block when it is asked for one, so that a server that hangs up or
// refuses is heard while the app is slow.
type source struct {
	x      *Exchange
	r      io.ReadCloser
	b      blocks
	grows  *growing // nil when the body is all there
	isLast bool     // the block given out last ended the body
}

// growing is what a source and its goroutine share.
type growing struct {
	want   chan bool
	got    chan block
	closed chan struct{}
	stop   func() bool
}

type block struct {
	p    []byte
	last bool
	err  error
}

// open opens the body; close it. The reader of one that grows is closed when the
// transaction's context ends too, which unblocks it.
func (x *Exchange) open() (*source, bool) {
	_, complete := x.body.Size()
	r, err := x.body.Open()
	if err != nil {
		x.bodyFault(err)
		return nil, false
	}
	if x.c.buf == nil {
		x.c.buf = make([]byte, bufferSize)
	}
	s := &source{x: x, r: r, b: blocks{r: r, buf: x.c.buf}}
	if !complete {
		g := &growing{
			want: make(chan bool, 1), got: make(chan block, 1), closed: make(chan struct{}),
			stop: context.AfterFunc(x.ctx, func() { r.Close() }),
		}
		s.grows = g
		go func() {
			defer close(g.closed)
			for full := range g.want {
				g.got <- s.read(full)
			}
		}()
	}
	return s, true
}

// read reads the next block.
func (s *source) read(full bool) block {
	p, err := s.b.next(full)
	return block{p, s.b.end == io.EOF && !s.b.held, err}
}

// next returns the next block, as blocks.next does, or errHalted.
func (s *source) next(full bool) ([]byte, error) {
	if s.grows == nil {
		b := s.read(full)
		s.isLast = b.last
		return b.p, b.err
	}
	s.grows.want <- full
	for {
		s.x.c.ask()
		select {
		case b := <-s.grows.got:
			s.isLast = b.last
			return b.p, b.err
		case a := <-s.x.c.got:
			s.x.handle(a)
			if s.x.halt != nil || s.x.over {
				return nil, errHalted
			}
		}
	}
}

func (s *source) close() {
	s.r.Close()
	if g := s.grows; g != nil {
		g.stop()
		close(g.want)
		<-g.closed
	}
}

// bodyFault notes why the body cannot be sent.
func (x *Exchange) bodyFault(err error) {
	if errors.Is(err, errHalted) {
		return // the reason is noted
	}
	if errors.Is(err, errBare) {
		e := x.c.local(upstream.PhaseData, 554, upstream.EnhancedCode{5, 6, 0}, "The message holds a bare CR or LF, which cannot be sent.")
		e.Err = err
		x.stop(e)
		return
	}
	x.stop(&upstream.Error{
		Account: x.c.o.Account, Host: x.c.Addr(), Phase: upstream.PhaseData,
		Class: upstream.ClassTemporaryLocalProblem, Sentence: "The message could not be read to its end.", Err: err,
	})
}

// send writes a part of the body and then looks whether the server has said
// anything. It returns false when the rest need not be sent. With last it is the
// end of the message, flushed: a write that failed has not handed over its last
// octet, so only one that succeeded leaves the outcome open.
func (x *Exchange) send(last bool, write func() error) bool {
	c := x.c
	if err := c.bounded(phaseBlock, write); err != nil {
		x.harvest()
		x.broke(err)
		return false
	}
	x.lastLeft = last
	if last && c.readsAlone() {
		return true
	}
	for {
		c.ask()
		select {
		case a := <-c.got:
			x.handle(a)
			if x.halt != nil || x.over {
				return false
			}
			continue
		default:
		}
		return true
	}
}

// sendData sends the body after 354, and the dot. What is not whole is cut: no
// dot, and the connection is given up.
func (x *Exchange) sendData() {
	c := x.c
	x.stage = stageBody
	b, ok := x.open()
	if !ok {
		c.botched = true
		return
	}
	defer b.close()
	c.pending = append(c.pending, step{phase: upstream.PhaseDataEnd})
	s := &stuffer{w: c.bw}
	for {
		p, err := b.next(false)
		if err == io.EOF {
			break
		}
		if err != nil {
			x.bodyFault(err)
			c.botched = true
			return
		}
		if !x.send(false, func() error { return s.write(p) }) {
			c.botched = true
			return
		}
	}
	end := ".\r\n"
	if s.mid {
		end = "\r\n.\r\n"
	}
	x.send(true, func() error {
		c.bw.WriteString(end)
		return c.bw.Flush()
	})
}

// sendChunks sends the body by BDAT (RFC 3030): in one chunk when it is whole,
// in chunks of a buffer while it grows.
func (x *Exchange) sendChunks() {
	size, complete := x.body.Size()
	if !complete && size < bufferSize {
		// The body is not at hand: the envelope does not wait for it.
		if err := x.c.flush(x.phase()); err != nil {
			x.harvest()
			x.broke(err)
			return
		}
	}
	x.stage = stageBody
	b, ok := x.open()
	if !ok {
		return
	}
	defer b.close()
	if complete {
		x.oneChunk(b, size)
		return
	}
	for x.growingChunk(b) {
	}
}

// growingChunk sends what fills the buffer, or the rest. It reports whether
// there is more.
func (x *Exchange) growingChunk(b *source) bool {
	c := x.c
	p, err := b.next(true)
	if err != nil && err != io.EOF {
		x.bodyFault(err) // nothing half is on the line: it stays clean
		return false
	}
	last := b.isLast
	x.chunk(len(p), last)
	if !x.send(last, func() error {
		c.bw.Write(p)
		return c.bw.Flush()
	}) {
		return false
	}
	return !last && (c.Pipelining() || x.drained())
}

// drained waits, with a server that does not pipeline, for the chunk's reply.
func (x *Exchange) drained() bool {
	for len(x.c.pending) > 0 && x.halt == nil && !x.over {
		x.wait(context.Background(), nil)
	}
	return x.halt == nil && !x.over
}

// oneChunk sends a whole body of the given size as the only chunk.
func (x *Exchange) oneChunk(b *source, size int64) {
	c := x.c
	if size == 0 {
		x.chunk(0, true)
		x.send(true, c.bw.Flush)
		return
	}
	for left := size; left > 0; {
		p, err := b.next(false)
		if err == io.EOF || err == nil && int64(len(p)) > left {
			err = io.ErrUnexpectedEOF // it is not as long as it said
		}
		if err != nil {
			x.bodyFault(err)
			c.botched = c.botched || left < size
			return
		}
		if left == size {
			x.chunk(int(size), true)
		}
		left -= int64(len(p))
		if !x.send(left == 0, func() error {
			if _, err := c.bw.Write(p); err != nil || left > 0 {
				return err
			}
			return c.bw.Flush()
		}) {
			c.botched = c.botched || left > 0
			return
		}
	}
}

// chunk puts a BDAT command.
func (x *Exchange) chunk(size int, last bool) {
	line := "BDAT " + strconv.Itoa(size)
	s := step{phase: phaseBlock}
	if last {
		line += " LAST"
		s = step{phase: upstream.PhaseDataEnd}
	}
	x.c.put(s, line)
}
