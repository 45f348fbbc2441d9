package lab

import (
	"errors"
	"fmt"
	"strings"

	"melon/upstream"
)

// smtpSession is one SMTP connection.
type smtpSession struct {
	*conn
	opt    SMTP // as it was when the connection opened
	listed bool // the way in by address, as it was when the connection opened
	hello  bool // EHLO or HELO was answered
	user   string
	mech   string // of the AUTH that succeeded, in lower case
	ahead  int    // octets read ahead that PunishWrong refuses

	messages int // accepted on this connection
	tx       transaction
}

func newSMTPSession(c *conn) *smtpSession {
	s := &smtpSession{conn: c}
	c.p.mu.Lock()
	s.opt = c.p.smtp
	c.p.mu.Unlock()
	s.listed = s.byAddress()
	return s
}

// offers reports whether an EHLO keyword is offered and taken.
func (s *smtpSession) offers(keyword string) bool { return !lacks(s.opt.Without, keyword) }

// lacks reports whether a list of what is left out names a keyword.
func lacks(without []string, keyword string) bool {
	for _, w := range without {
		if strings.EqualFold(w, keyword) {
			return true
		}
	}
	return false
}

// serve speaks SMTP until the client or a fault ends it.
func (s *smtpSession) serve() {
	if s.p.tooMany(s.conn) {
		s.polite = true
		s.refuse(WordConnections)
		return
	}
	if s.step(upstream.PhaseConnect, s.greet) != nil {
		return
	}
	for {
		line, err := s.readLine()
		if errors.Is(err, errLongLine) {
			s.polite = true
			s.say("500 5.5.2 Line too long")
			return
		}
		if err != nil {
			return
		}
		if s.ahead > 0 { // sent ahead of a reply, and punished
			s.ahead -= len(line) + 2
			s.command(line)
			s.say("503 5.5.1 Bad sequence of commands")
			continue
		}
		verb, args := s.command(line)
		if s.pipelined() && verb != "BDAT" {
			switch s.opt.Pipelined {
			case PunishDrop:
				s.out = nil
				return
			case PunishWrong:
				s.ahead = s.br.Buffered()
			}
		}
		if s.verb(verb, args) != nil {
			return
		}
		if s.opt.Pipelined == PunishDiscard && verb != "BDAT" {
			s.br.Discard(s.br.Buffered())
		}
	}
}

// greet sends the greeting, or CheckBanner's refusal.
func (s *smtpSession) greet() error {
	s.p.mu.Lock()
	r := s.p.rules
	s.p.mu.Unlock()
	if r.Check == CheckBanner && !s.listed {
		s.polite = true
		s.refuse(WordBanner)
		return errEnd
	}
	text := s.opt.GreetingText
	if text == "" {
		text = s.opt.Hostname + " ESMTP"
	}
	s.say("220 " + text)
	return nil
}

// verb carries out one command; an error ends the connection.
func (s *smtpSession) verb(verb, args string) error {
	switch verb {
	case "EHLO", "HELO":
		return s.step(upstream.PhaseEHLO, func() error { return s.ehlo(verb, args) })
	case "STARTTLS":
		return s.step(upstream.PhaseStartTLS, s.startTLS)
	case "AUTH":
		return s.step(upstream.PhaseAuth, func() error { return s.auth(args) })
	case "MAIL":
		s.p.rec.update(func() { s.p.rec.stats.Mails++ })
		return s.step(upstream.PhaseMail, func() error { return s.mail(args) })
	case "RCPT":
		s.p.rec.update(func() { s.p.rec.stats.Rcpts++ })
		return s.step(upstream.PhaseRcpt, func() error { return s.rcpt(args) })
	case "DATA":
		return s.data()
	case "BDAT":
		return s.bdat(args)
	case "RSET":
		return s.step(PhaseRset, func() error {
			s.tx = transaction{}
			s.ok("250 2.0.0 Ok")
			return nil
		})
	case "NOOP":
		return s.step(PhaseNoop, func() error { s.ok("250 2.0.0 Ok"); return nil })
	case "VRFY":
		s.ok("252 2.5.0 Try it and see")
	case "QUIT":
		return s.step(PhaseQuit, func() error {
			s.polite = true
			s.ok("221 2.0.0 Bye")
			return errEnd
		})
	default:
		s.ok("502 5.5.2 Command not recognized")
	}
	return nil
}

// ok says one reply of the lab's own, without its enhanced status code where
// these are not offered.
func (s *smtpSession) ok(reply string) {
	if !s.offers("ENHANCEDSTATUSCODES") {
		reply = plainReply(reply)
	}
	s.say(reply)
}

// plainReply leaves the enhanced status code out of "250 2.0.0 Ok".
func plainReply(reply string) string {
	code, rest, _ := strings.Cut(reply, " ")
	enhanced, text, found := strings.Cut(rest, " ")
	if found && strings.Count(enhanced, ".") == 2 && strings.Trim(enhanced, "0123456789.") == "" {
		return code + " " + text
	}
	return reply
}

// refuse says one of the provider's words; those that Options.Words gives leave
// as they are.
func (s *smtpSession) refuse(w Word, vars ...string) {
	vars = append(vars, "ip", s.client.String(), "from", s.tx.env.From, "to", "")
	lines := s.p.word(w, vars...)
	if _, given := s.p.opts.Words[w]; !given && !s.offers("ENHANCEDSTATUSCODES") {
		for i := range lines {
			lines[i] = plainReply(lines[i])
		}
	}
	s.say(lines...)
}

// ehlo answers EHLO and HELO (RFC 5321 section 4.1.1.1).
func (s *smtpSession) ehlo(verb, name string) error {
	if name == "" {
		s.ok("501 5.5.4 Syntax: " + verb + " hostname")
		return nil
	}
	if verb == "EHLO" && !s.offers("EHLO") {
		s.ok("502 5.5.2 Command not recognized")
		return nil
	}
	s.hello, s.tx = true, transaction{}
	first := s.opt.Hostname + " Hello " + name + " [" + s.client.String() + "]"
	if verb == "HELO" {
		s.say("250 " + s.opt.Hostname)
		return nil
	}
	lines := append([]string{first}, s.keywords()...)
	for i, l := range lines {
		if i < len(lines)-1 {
			lines[i] = "250-" + l
		} else {
			lines[i] = "250 " + l
		}
	}
	s.say(lines...)
	return nil
}

// keywords lists what EHLO offers now.
func (s *smtpSession) keywords() (ks []string) {
	for _, k := range []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "ENHANCEDSTATUSCODES"} {
		if s.offers(k) {
			ks = append(ks, k)
		}
	}
	if s.offers("SIZE") {
		s.p.mu.Lock()
		size := s.p.rules.Limits.Size
		s.p.mu.Unlock()
		if size > 0 {
			ks = append(ks, fmt.Sprintf("SIZE %d", size))
		} else {
			ks = append(ks, "SIZE")
		}
	}
	if s.offers("STARTTLS") && !s.tls && !s.has(StripStartTLS) {
		ks = append(ks, "STARTTLS")
	}
	if s.offersAuth() {
		ks = append(ks, "AUTH "+strings.Join(s.opt.Mechanisms, " "))
	}
	return ks
}

// offersAuth reports whether AUTH is offered now.
func (s *smtpSession) offersAuth() bool {
	return s.offers("AUTH") && len(s.opt.Mechanisms) > 0 && (s.tls || s.opt.AuthPlaintext)
}

// startTLS answers STARTTLS and does the handshake (RFC 3207).
func (s *smtpSession) startTLS() error {
	if s.tls || !s.offers("STARTTLS") {
		s.ok("503 5.5.1 STARTTLS not available")
		return nil
	}
	s.ok("220 2.0.0 Ready to start TLS")
	if err := s.upgrade("250-" + s.opt.Hostname + "\n250 AUTH PLAIN LOGIN"); err != nil {
		return err
	}
	s.hello, s.tx = false, transaction{}
	return nil
}

// upgrade sends the reply that waits, drops what the client sent too early and
// does the handshake. forged is what InjectStartTLS adds to the reply.
func (c *conn) upgrade(forged string) error {
	if c.has(InjectStartTLS) {
		c.say(c.faultText(c.fault, forged, forged)...)
	}
	if c.fault != nil {
		switch c.fault.Kind {
		case LostReply, HalfReply, SlowBytes, SplitReply, ExtraReply, DropAfter:
			f := c.fault
			c.fault = nil
			if err := c.spoil(f, 0, nil); err != nil {
				return err
			}
		}
	}
	c.br.Discard(c.br.Buffered())
	if err := c.flush(); err != nil {
		return err
	}
	return c.handshake()
}
