package lab

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"melon/upstream"
)

// What a client may send in one line. AUTH needs 12,288 octets (RFC 4954
// section 4.5.3); a POP3 or SMTP command far less.
const (
	maxLine   = 16 << 10
	maxBuffer = 64 << 10
)

// How long, and for how much input, a polite end waits for the client's.
const (
	lingerTime   = time.Second
	lingerOctets = 1 << 20
)

// Reasons to end a connection.
var (
	errEnd      = errors.New("lab: end of the session")
	errLongLine = errors.New("lab: line too long")
)

// conn is one client's connection to either server. Its goroutine alone uses
// it; raw.Close may be called by others.
type conn struct {
	p      *Provider
	id     int
	proto  Proto
	client netip.Addr
	raw    *meter   // below TLS
	nc     net.Conn // raw, or the TLS connection on it
	br     *bufio.Reader
	out    []byte // replies that have not left yet
	peer   *x509.Certificate
	tls    bool
	polite bool   // the session ends with a reply that must arrive
	last   int    // trips at the last message
	fault  *Fault // the fault of the command in hand, for those that act in the middle of it
	answer answering
}

func newConn(p *Provider, id int, proto Proto, nc net.Conn) *conn {
	c := &conn{p: p, id: id, proto: proto, client: p.public[proto]}
	if a, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil && !c.client.IsValid() {
		c.client = a.Addr().Unmap()
	}
	c.raw = newMeter(nc)
	c.nc = c.raw
	c.br = bufio.NewReaderSize(c.raw, maxBuffer)
	return c
}

// peerAddr returns the other end's address, whatever SetPublic says; the zero value
// on a network that has none.
func (c *conn) peerAddr() netip.AddrPort {
	a, _ := netip.ParseAddrPort(c.raw.RemoteAddr().String())
	return a
}

// run speaks to the client until either side ends the connection.
func (c *conn) run(implicit bool) {
	r := c.p.rec
	r.update(func() { c.count(1) })
	defer func() {
		c.close()
		r.update(func() {
			c.count(-1)
			r.trips[c.id] = Trips{Total: c.raw.total()}
		})
	}()
	if c.p.opts.Delay > 0 && c.p.opts.Net == nil {
		if !waitTimer(c.p.ctx, handshakeTime(c.p.opts.Delay)) {
			return
		}
	}
	if implicit {
		if err := c.handshake(); err != nil {
			return
		}
	}
	if c.proto == POPProto {
		newPOPSession(c).serve()
	} else {
		newSMTPSession(c).serve()
	}
}

// close sends what waits and ends the connection. A polite end, as after QUIT
// or 421, takes care that the client can still read the last reply: a
// connection closed with input unread is reset.
func (c *conn) close() {
	if c.flush() == nil && c.polite {
		if c.tls {
			c.nc.(*tls.Conn).CloseWrite()
		}
		if w, ok := c.raw.Conn.(interface{ CloseWrite() error }); ok {
			w.CloseWrite()
			c.raw.SetReadDeadline(time.Now().Add(lingerTime))
			io.CopyN(io.Discard, c.br, lingerOctets)
		}
	}
	c.raw.Close()
}

// count adjusts the counters of connections; n is 1 at the start, -1 at the
// end. The caller is in record.update.
func (c *conn) count(n int) {
	s := &c.p.rec.stats
	all, open := &s.SMTPConns, &s.SMTPOpen
	if c.proto == POPProto {
		all, open = &s.POPConns, &s.POPOpen
	}
	*open += n
	if n > 0 {
		*all++
	}
}

// readLine returns the next line without its end. Replies leave first, once
// all that the client sent is read.
func (c *conn) readLine() (string, error) {
	for {
		b, err := c.br.Peek(c.br.Buffered())
		if err != nil {
			return "", err
		}
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line := strings.TrimSuffix(string(b[:i]), "\r")
			c.br.Discard(i + 1)
			if len(line) > maxLine {
				return "", errLongLine
			}
			c.heard()
			return line, nil
		}
		if len(b) > maxLine {
			return "", errLongLine
		}
		if err := c.flushPartial(len(b) > 0); err != nil {
			return "", err
		}
		if _, err := c.br.Peek(len(b) + 1); err != nil {
			return "", err
		}
	}
}

// pipelined reports whether the client has sent more than what was read so far.
func (c *conn) pipelined() bool { return c.br.Buffered() > 0 }

// say adds reply lines; they leave when the client's input is read.
func (c *conn) say(lines ...string) {
	for _, l := range lines {
		c.show(false, l)
		if strings.HasPrefix(l, "-ERR") || len(l) > 3 && (l[0] == '4' || l[0] == '5') && l[3] == ' ' {
			c.p.rec.update(func() { c.p.rec.stats.Refused++ })
		}
		c.out = append(append(c.out, l...), "\r\n"...)
	}
}

// flush sends the replies that wait.
func (c *conn) flush() error { return c.flushPartial(false) }

// flushPartial is flush; partial says that a command has come in part.
func (c *conn) flushPartial(partial bool) error {
	if len(c.out) == 0 {
		return nil
	}
	c.raw.setPartial(partial)
	_, err := c.nc.Write(c.out)
	c.raw.setPartial(false)
	c.out = c.out[:0]
	if err == nil {
		c.answered()
	}
	return err
}

// show hands a line to Options.Transcript.
func (c *conn) show(client bool, text string) {
	if c.p.opts.Transcript == nil {
		return
	}
	c.p.transcript.Lock()
	defer c.p.transcript.Unlock()
	c.p.opts.Transcript(Line{Conn: c.id, Proto: c.proto, Client: client, Text: upstream.CleanLine(text)})
}

// command records a command and shows it, masked when it holds a secret.
func (c *conn) command(line string) (verb, args string) {
	verb, args, _ = strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	c.p.rec.update(func() {
		r := c.p.rec
		if len(r.commands) < maxCommands {
			r.commands = append(r.commands, Command{Conn: c.id, Proto: c.proto, Verb: verb, Line: line, TLS: c.tls})
		}
	})
	c.show(true, mask(verb, args, line))
	return verb, strings.TrimSpace(args)
}

// mask returns a command line without its secret.
func mask(verb, args, line string) string {
	switch verb {
	case "PASS":
		return "PASS ****"
	case "APOP":
		user, _, _ := strings.Cut(args, " ")
		return "APOP " + user + " ****"
	case "AUTH":
		if mech, _, ir := strings.Cut(args, " "); ir {
			return "AUTH " + mech + " ****"
		}
	}
	return line
}

// handshake puts TLS on the connection. What was read before stays unread
// for it, so the caller drops what must not survive.
func (c *conn) handshake() error {
	f := c.p.fault(c.proto, PhaseTLS)
	if f != nil {
		if f.Kind == PlainTLS {
			c.br.Peek(1) // the ClientHello
			c.say("220 ESMTP")
			c.flush()
			return errEnd
		}
		if done, err := c.strike(f); done || err != nil {
			return errors.Join(err, errEnd)
		}
	}
	tc := tls.Server(prefixConn{c.raw, c.br}, c.p.tlsConfig())
	if err := tc.HandshakeContext(c.p.ctx); err != nil {
		return err
	}
	st := tc.ConnectionState()
	if len(st.PeerCertificates) > 0 {
		c.peer = st.PeerCertificates[0]
	}
	c.tls, c.nc = true, tc
	c.br = bufio.NewReaderSize(tc, maxBuffer)
	c.p.rec.update(func() {
		c.p.rec.stats.TLSHandshakes++
		if st.DidResume {
			c.p.rec.stats.TLSResumed++
		}
	})
	return nil
}

// prefixConn is a connection whose input was partly buffered.
type prefixConn struct {
	net.Conn
	r *bufio.Reader
}

// Read reads what was buffered first.
func (c prefixConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// stall waits until Release, until the client leaves (an error) or until Close
// (an error). Nothing is consumed.
func (c *conn) stall() error {
	ctx, cancel := context.WithCancel(c.p.ctx)
	released := c.p.released()
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		select {
		case <-released:
		case <-ctx.Done():
		}
		c.raw.SetReadDeadline(time.Unix(1, 0))
	}()
	var err error
	for err == nil && c.br.Buffered() < maxBuffer {
		_, err = c.br.Peek(c.br.Buffered() + 1)
	}
	var ne net.Error
	timedOut := errors.As(err, &ne) && ne.Timeout()
	if err == nil || timedOut {
		select { // a full buffer, or the deadline
		case <-released:
			err = nil
		case <-c.p.ctx.Done():
			err = errEnd
		}
	}
	cancel()
	<-woken
	c.raw.SetReadDeadline(time.Time{})
	return err
}
