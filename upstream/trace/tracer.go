package trace

import (
	"bytes"
	"fmt"
	"sync"

	"melon/upstream"
)

const (
	// maxLine bounds, in octets, what is kept of one line; the rest is dropped.
	// It is more than any AUTH line needs (RFC 4954 section 4: 12,288).
	maxLine = 16 << 10
	// masked stands for whatever must not be shown.
	masked = "***"
)

// Tracer watches one conversation. Client and Server may be called from
// different goroutines; the sink is called by one of them at a time, and must
// not call back into the Tracer.
type Tracer struct {
	mu      sync.Mutex
	sink    func(Line)
	reader  reader
	secrets secrets
	client  assembler
	server  assembler
	opaque  bool // TLS octets went by: nothing can be read any more
}

// reader follows one conversation of one protocol. Lines come without their
// line end.
type reader interface {
	// swallow takes from the head of b what is part of a message and returns
	// how many octets that was; 0 means that a command line follows.
	swallow(b []byte) int
	clientLine(line []byte)
	serverLine(line []byte)
	// reset forgets everything: a TLS handshake begins the conversation anew.
	reset()
	// close reports a message that was under way.
	close()
}

// New returns a Tracer that hands its lines to sink.
func New(p Protocol, sink func(Line)) *Tracer {
	t := &Tracer{sink: sink}
	if p == POP3 {
		t.reader = newPOP3(t)
	} else {
		t.reader = newSMTP(t)
	}
	return t
}

// Client takes octets that the client sends. Call it before they are written.
func (t *Tracer) Client(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(b) > 0 && !t.opaque {
		if t.client.empty() {
			if n := t.reader.swallow(b); n > 0 {
				b = b[n:]
				continue
			}
			if t.sawTLS(b, true) {
				return
			}
		}
		var line []byte
		if line, b = t.client.take(b); line != nil {
			t.reader.clientLine(line)
		}
	}
}

// Server takes octets that the server sends.
func (t *Tracer) Server(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(b) > 0 && !t.opaque {
		if t.server.empty() && t.sawTLS(b, false) {
			return
		}
		var line []byte
		if line, b = t.server.take(b); line != nil {
			t.reader.serverLine(line)
		}
	}
}

// sawTLS notices the first octet of a TLS record (RFC 8446 section 5.1: 22 is a
// handshake, 21 an alert) where a line should begin, and falls silent.
func (t *Tracer) sawTLS(b []byte, client bool) bool {
	if b[0] != 22 && b[0] != 21 {
		return false
	}
	t.opaque = true
	t.emit(client, "<TLS>")
	return true
}

// TLS tells that a TLS handshake has just ended and that what follows is inside
// it; note, if any, is shown.
func (t *Tracer) TLS(note string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opaque = false
	t.client.drop()
	t.server.drop()
	t.reader.reset()
	if note != "" {
		t.emit(true, "<"+note+">")
	}
}

// Close says how many octets were left without a line end, if any: a fragment
// may be the head of a secret, so it is never shown.
func (t *Tracer) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reader.close()
	for _, side := range []struct {
		a      *assembler
		client bool
	}{{&t.client, true}, {&t.server, false}} {
		if n := side.a.size; n > 0 && !t.opaque {
			t.emit(side.client, fmt.Sprintf("<%d octets without a line end>", n))
		}
		side.a.drop()
	}
}

// show emits a line after taking known secrets out of it.
func (t *Tracer) show(client bool, line []byte) {
	t.emit(client, string(t.secrets.scrub(line)))
}

// count emits the size of a piece of a message.
func (t *Tracer) count(client bool, octets int64) {
	t.emit(client, fmt.Sprintf("<%d octets>", octets))
}

func (t *Tracer) emit(client bool, text string) {
	t.sink(Line{Client: client, Text: upstream.CleanLine(text)})
}

// assembler collects octets into lines in bounded memory.
type assembler struct {
	buf  []byte
	size int // octets of the line so far, kept or not
}

func (a *assembler) empty() bool { return a.size == 0 }

func (a *assembler) drop() { a.buf, a.size = a.buf[:0], 0 }

// take moves octets from b up to and including a line feed. It returns the line
// without its line end once that has come (nil before), and the rest of b. The
// line is valid until the next call.
func (a *assembler) take(b []byte) (line, rest []byte) {
	if a.size == 0 {
		a.buf = a.buf[:0]
	}
	part, rest, whole := bytes.Cut(b, []byte{'\n'})
	a.size += len(part)
	a.buf = append(a.buf, part[:min(len(part), maxLine-len(a.buf))]...)
	if !whole {
		return nil, nil
	}
	a.size = 0
	line = bytes.TrimSuffix(a.buf, []byte{'\r'})
	if line == nil {
		line = []byte{}
	}
	return line, rest
}
