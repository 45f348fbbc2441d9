package lab

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"strconv"
	"strings"

	"melon/upstream"
)

// transaction is one message on its way in, from MAIL to its last octet.
type transaction struct {
	open   bool // MAIL was accepted
	env    upstream.Envelope
	params []string
	body   *body  // the chunks so far; nil before the first
	failed bool   // a chunk was refused: the rest is too (RFC 3030 section 2)
	struck *Fault // strikes within the body, once Fault.After octets have come
}

// body is what came of a message.
type body struct {
	keep int // octets to keep at most
	data []byte
	size int64
	sum  hash.Hash
}

func (p *Provider) newBody() *body {
	keep := p.opts.KeepBody
	if keep == 0 {
		keep = 16 << 20
	}
	return &body{keep: keep, sum: sha256.New()}
}

// Write takes more of the message; it never fails.
func (b *body) Write(d []byte) (int, error) {
	b.size += int64(len(d))
	b.sum.Write(d)
	if b.size <= int64(b.keep) {
		b.data = append(b.data, d...)
	} else {
		b.data = nil
	}
	return len(d), nil
}

// mail answers MAIL (RFC 5321 section 4.1.1.2).
func (s *smtpSession) mail(args string) error {
	l := s.limits()
	switch {
	case !s.hello:
		s.ok("503 5.5.1 Say EHLO first")
		return nil
	case s.tx.open:
		s.ok("503 5.5.1 Nested MAIL command")
		return nil
	case s.opt.RequireTLS && !s.tls:
		s.refuse(WordTLS)
		return nil
	case l.PerConnection > 0 && s.messages >= l.PerConnection:
		s.polite = true
		s.refuse(WordPerConnection)
		return errEnd
	}
	from, params, ok := parsePath(args, "FROM:")
	if !ok {
		s.ok("501 5.1.7 Bad sender address syntax")
		return nil
	}
	tx := transaction{open: true, params: params}
	tx.env.From = from
	if reply := s.mailParams(&tx.env, params); reply != "" {
		s.ok(reply)
		return nil
	}
	s.tx = tx
	if w, refused := s.refusesSender(l); refused {
		s.refuse(w)
		s.tx = transaction{}
		return nil
	}
	s.ok("250 2.1.0 Ok")
	return nil
}

// refusesSender looks at the rules that MAIL can be judged by.
func (s *smtpSession) refusesSender(l Limits) (Word, bool) {
	s.p.mu.Lock()
	r := s.p.rules
	own := ""
	if u := s.p.users[s.user]; u != nil {
		own = u.Address
	}
	s.p.mu.Unlock()
	from := s.tx.env.From
	switch {
	case l.Size > 0 && s.tx.env.Size > l.Size:
		return WordSize, true
	case s.overRate():
		return WordRate, true
	case r.Check == CheckMail && !s.mayRelay(""):
		return s.relayWord(), true
	case from == "":
		return "", false
	case r.Senders != nil && !in(r.Senders, domainOf(from)):
		return WordSender, true
	case r.OwnSender && s.user != "" && !strings.EqualFold(from, own):
		return WordOwnSender, true
	}
	return "", false
}

// rcpt answers RCPT (RFC 5321 section 4.1.1.3).
func (s *smtpSession) rcpt(args string) error {
	if !s.tx.open {
		s.ok("503 5.5.1 Need MAIL first")
		return nil
	}
	to, params, ok := parsePath(args, "TO:")
	if !ok || to == "" {
		s.ok("501 5.1.3 Bad recipient address syntax")
		return nil
	}
	rc := upstream.Recipient{Address: to}
	if reply := s.rcptParams(&rc, params); reply != "" {
		s.ok(reply)
		return nil
	}
	s.p.mu.Lock()
	r := s.p.rules
	s.p.mu.Unlock()
	late := r.Check == CheckData || r.Check == CheckMail
	switch {
	case r.Limits.Recipients > 0 && len(s.tx.env.Recipients) >= r.Limits.Recipients:
		s.refuse(WordRecipients, "to", to)
	case !late && !s.mayRelay(to):
		s.refuse(s.relayWord(), "to", to)
	case in(r.Unknown, to):
		s.refuse(WordUnknown, "to", to)
	case s.greylisted(to):
		s.refuse(WordGreylist, "to", to)
	default:
		s.tx.env.Recipients = append(s.tx.env.Recipients, rc)
		s.ok("250 2.1.5 Ok")
	}
	return nil
}

// refusesBody says why no body is taken, and says it to the client.
func (s *smtpSession) refusesBody() bool {
	switch {
	case !s.tx.open:
		s.ok("503 5.5.1 Need MAIL first")
		return true
	case len(s.tx.env.Recipients) == 0:
		s.ok("554 5.5.1 No valid recipients")
		return true
	}
	s.p.mu.Lock()
	late := s.p.rules.Check == CheckData
	s.p.mu.Unlock()
	if !late {
		return false
	}
	for _, rc := range s.tx.env.Recipients {
		if !s.mayRelay(rc.Address) {
			s.refuse(s.relayWord(), "to", rc.Address)
			return true
		}
	}
	return false
}

// data answers DATA and takes the message (RFC 5321 section 4.1.1.4).
func (s *smtpSession) data() error {
	go354 := false
	err := s.step(upstream.PhaseData, func() error {
		s.tx.struck = s.bodyFault()
		if s.refusesBody() {
			return nil
		}
		go354 = true
		s.ok("354 End data with <CR><LF>.<CR><LF>")
		return nil
	})
	if err != nil || !go354 {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	s.tx.body = s.p.newBody()
	if err := s.readDotted(s.tx.body); err != nil {
		return err
	}
	s.show(true, "<"+strconv.FormatInt(s.tx.body.size, 10)+" octets>")
	return s.end(false)
}

// bodyFault returns the fault that strikes within the body, if the one in hand
// does.
func (s *smtpSession) bodyFault() *Fault {
	if s.fault != nil && s.fault.After > 0 && (s.fault.Kind == Drop || s.fault.Kind == Stall) {
		return s.fault
	}
	return nil
}

// bodyStrikes does the fault within the body once that many octets have come.
func (s *smtpSession) bodyStrikes(b *body) error {
	f := s.tx.struck
	if f == nil || b.size < f.After {
		return nil
	}
	s.tx.struck = nil
	if f.Kind == Stall {
		return s.stall()
	}
	return errEnd
}

// readDotted reads up to the line with a lone dot and undoes dot-stuffing
// (RFC 5321 section 4.5.2). Only CRLF ends a line.
func (s *smtpSession) readDotted(b *body) error {
	begin := true // at the beginning of a line
	cr := false   // the last octet was CR
	for {
		part, err := s.br.ReadSlice('\n')
		if err != nil && !errors.Is(err, errBufferFull) {
			return err
		}
		if begin && bytes.Equal(part, []byte(".\r\n")) {
			return nil
		}
		crlf := bytes.HasSuffix(part, []byte("\r\n")) || cr && len(part) == 1 && part[0] == '\n'
		cr = part[len(part)-1] == '\r'
		if begin && part[0] == '.' {
			part = part[1:]
		}
		begin = crlf
		b.Write(part)
		if err := s.bodyStrikes(b); err != nil {
			return err
		}
	}
}

// bdat answers BDAT and takes its chunk (RFC 3030 section 2).
func (s *smtpSession) bdat(args string) error {
	fields := strings.Fields(args)
	last := len(fields) == 2 && strings.EqualFold(fields[1], "LAST")
	n := int64(-1)
	if len(fields) == 1 || last {
		if v, err := strconv.ParseUint(fields[0], 10, 40); err == nil {
			n = int64(v)
		}
	}
	if n < 0 || !s.offers("CHUNKING") {
		s.polite = true
		s.ok("501 5.5.4 Syntax: BDAT size [LAST]") // what follows cannot be told from commands
		return errEnd
	}
	var err error
	if s.tx.body == nil && !s.tx.failed {
		err = s.step(upstream.PhaseData, func() error { return s.chunk(n, last) })
		if err == nil && s.tx.body == nil && !s.tx.failed { // a fault answered; the octets come all the same
			s.tx.failed = true
			err = s.readChunk(&body{keep: -1, sum: sha256.New()}, n)
		}
	} else {
		err = s.chunk(n, last)
	}
	if err != nil || !last || s.tx.failed {
		return err
	}
	return s.end(true)
}

// chunk reads one chunk; all but a good last one are answered here.
func (s *smtpSession) chunk(n int64, last bool) error {
	refused := s.tx.failed
	switch {
	case refused:
		s.ok("503 5.5.1 An earlier chunk was refused")
	case s.tx.body == nil:
		if refused = s.refusesBody(); refused {
			s.tx.failed = true
		} else {
			s.tx.body = s.p.newBody()
			s.tx.struck = s.bodyFault()
		}
	}
	b := s.tx.body
	if refused {
		b = &body{keep: -1, sum: sha256.New()} // read and thrown away
	}
	if err := s.readChunk(b, n); err != nil {
		return err
	}
	s.show(true, "<"+strconv.FormatInt(n, 10)+" octets>")
	if !refused && !last {
		s.ok("250 2.0.0 " + strconv.FormatInt(n, 10) + " octets received")
	}
	return nil
}

// readChunk copies n octets of input to b. Replies that wait leave when the
// input runs dry; that ends no flight, as the command is not complete.
func (s *smtpSession) readChunk(b *body, n int64) error {
	for n > 0 {
		if s.br.Buffered() == 0 {
			if err := s.flushPartial(true); err != nil {
				return err
			}
			if _, err := s.br.Peek(1); err != nil {
				return err
			}
		}
		step := min(n, int64(s.br.Buffered()))
		if _, err := io.CopyN(b, s.br, step); err != nil {
			return err
		}
		n -= step
		if err := s.bodyStrikes(b); err != nil {
			return err
		}
	}
	return nil
}

// end answers a message that has come, and ends the transaction whatever the
// answer is (RFC 5321 section 4.1.1.4).
func (s *smtpSession) end(chunked bool) error {
	err := s.step(upstream.PhaseDataEnd, func() error { return s.accept(chunked) })
	s.tx = transaction{}
	return err
}

// accept records the message, or refuses it for its size.
func (s *smtpSession) accept(chunked bool) error {
	b, tx := s.tx.body, s.tx
	if l := s.limits(); l.Size > 0 && b.size > l.Size {
		s.refuse(WordSize)
		return nil
	}
	total := s.raw.total()
	m := Message{
		At: s.p.opts.Now(), Conn: s.id, Peer: s.peerAddr(), Envelope: tx.env, MailParams: tx.params, Data: b.data, Size: b.size,
		SHA256: [32]byte(b.sum.Sum(nil)), Chunked: chunked, Auth: s.mech, TLS: s.tls, Client: s.client,
		Trips: Trips{Total: total, Message: total - s.last},
	}
	s.last = total
	s.messages++
	s.sent()
	id := s.p.rec.accepted(m)
	s.answer.waiting = id
	s.refuse(WordAccepted, "id", strconv.Itoa(id))
	return nil
}
