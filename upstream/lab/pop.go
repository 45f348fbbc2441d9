package lab

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"melon/upstream"
)

// popSession is one POP3 connection.
type popSession struct {
	*conn
	opt     POP
	stamp   string // APOP's timestamp, "" without
	name    string // given by USER
	user    string // logged in
	opened  bool   // it put its address on the list
	quit    bool
	deleted map[int]bool
	ahead   int // octets read ahead that PunishWrong refuses
}

func newPOPSession(c *conn) *popSession {
	s := &popSession{conn: c, deleted: map[int]bool{}}
	c.p.mu.Lock()
	s.opt = c.p.pop
	c.p.mu.Unlock()
	return s
}

func (s *popSession) offers(capability string) bool { return !lacks(s.opt.Without, capability) }

// serve speaks POP3 (RFC 1939) until the client or a fault ends it.
func (s *popSession) serve() {
	defer s.leave()
	if s.p.tooMany(s.conn) {
		s.polite = true
		s.say("-ERR [SYS/TEMP] Too many connections")
		return
	}
	if s.step(upstream.PhasePOPGreeting, s.greet) != nil {
		return
	}
	for {
		line, err := s.readLine()
		if errors.Is(err, errLongLine) {
			s.polite = true
			s.say("-ERR Line too long")
			return
		}
		if err != nil {
			return
		}
		if s.ahead > 0 {
			s.ahead -= len(line) + 2
			s.command(line)
			s.say("-ERR Commands must wait for replies")
			continue
		}
		verb, args := s.command(line)
		if s.pipelined() {
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
		if s.opt.Pipelined == PunishDiscard {
			s.br.Discard(s.br.Buffered())
		}
	}
}

// greet sends the greeting, with a timestamp for APOP.
func (s *popSession) greet() error {
	text := s.opt.GreetingText
	if text == "" {
		text = "POP3 server ready"
	}
	if s.opt.APOP {
		s.stamp = fmt.Sprintf("<%d.%d@provider-a.example>", s.id, s.p.opts.Now().UnixNano())
		text += " " + s.stamp
	}
	s.say("+OK " + text)
	return nil
}

// leave takes back what the session holds.
func (s *popSession) leave() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.opened {
		s.p.list.ended(s.client, s.quit, s.p.rules.PBS)
	}
	if u := s.p.users[s.user]; u != nil {
		u.sessions--
	}
}

// reached notes how far the session got, which may open the relay.
func (s *popSession) reached(steps ...Opens) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	for _, o := range steps {
		if s.p.rules.PBS.Window > 0 && s.p.rules.PBS.OpensAt == o && !s.opened {
			s.opened = true
			s.p.list.opened(s.client, s.p.opts.Now())
		}
	}
}

// verb carries out one command; an error ends the connection.
func (s *popSession) verb(verb, args string) error {
	switch verb {
	case "CAPA":
		return s.step(PhasePOPCapa, s.capa)
	case "STLS":
		return s.step(PhasePOPStls, s.stls)
	case "QUIT":
		return s.step(PhasePOPQuit, func() error {
			s.quit, s.polite = true, true
			if s.user != "" {
				s.reached(OpensAtQuit)
			}
			s.say("+OK Bye")
			return errEnd
		})
	case "USER":
		return s.step(upstream.PhasePOPUser, func() error { return s.userName(args) })
	case "PASS":
		return s.step(upstream.PhasePOPPass, func() error { return s.pass(args) })
	case "APOP":
		return s.step(upstream.PhasePOPPass, func() error { return s.apop(args) })
	case "AUTH":
		return s.step(upstream.PhasePOPPass, func() error { return s.auth(args) })
	}
	if s.user == "" {
		s.say("-ERR Log in first")
		return nil
	}
	switch verb {
	case "STAT":
		return s.step(PhasePOPStat, s.stat)
	case "LIST", "UIDL":
		return s.step(PhasePOPList, func() error { return s.list(verb, args) })
	case "NOOP":
		return s.step(PhasePOPNoop, func() error { s.say("+OK"); return nil })
	}
	s.mailbox(verb, args)
	return nil
}

// capa answers CAPA (RFC 2449).
func (s *popSession) capa() error {
	if !s.offers("CAPA") {
		s.say("-ERR Unknown command")
		return nil
	}
	s.say("+OK Capability list follows")
	for _, k := range []string{"TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES"} {
		if s.offers(k) {
			s.say(k)
		}
	}
	if s.offers("STLS") && !s.tls && !s.has(StripStartTLS) {
		s.say("STLS")
	}
	if ms := s.mechanisms(); len(ms) > 0 {
		s.say("SASL " + strings.Join(ms, " "))
	}
	if s.opt.LoginDelay > 0 {
		s.say(fmt.Sprintf("LOGIN-DELAY %d", int(s.opt.LoginDelay.Seconds())))
	}
	s.say("IMPLEMENTATION lab", ".")
	return nil
}

// mechanisms are those that AUTH takes now: those of the SMTP server, and only
// over TLS or where POP3 logins need none.
func (s *popSession) mechanisms() []string {
	if !s.offers("SASL") || s.opt.RequireTLS && !s.tls {
		return nil
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return s.p.smtp.Mechanisms
}

// stls answers STLS and does the handshake (RFC 2595 section 4).
func (s *popSession) stls() error {
	if s.tls || s.user != "" || !s.offers("STLS") {
		s.say("-ERR STLS not available")
		return nil
	}
	s.say("+OK Begin TLS")
	if err := s.upgrade("+OK\nUSER\n."); err != nil {
		return err
	}
	s.name = ""
	return nil
}

// text returns message n, which is made from its number.
func (s *popSession) text(n int) string {
	return fmt.Sprintf("From: sender%d@other.example\r\nTo: taro@provider-a.example\r\nSubject: message %d\r\n\r\nThis is message %d.\r\n", n, n, n)
}

// stat answers STAT.
func (s *popSession) stat() error {
	count, size := 0, 0
	for n := 1; n <= s.opt.Messages; n++ {
		if !s.deleted[n] {
			count++
			size += len(s.text(n))
		}
	}
	s.reached(OpensAtStat)
	s.say(fmt.Sprintf("+OK %d %d", count, size))
	return nil
}

// list answers LIST and UIDL, with and without a message number.
func (s *popSession) list(verb, args string) error {
	if verb == "UIDL" && !s.offers("UIDL") {
		s.say("-ERR Unknown command")
		return nil
	}
	row := func(n int) string {
		if verb == "UIDL" {
			return fmt.Sprintf("%d lab-%08d", n, n)
		}
		return fmt.Sprintf("%d %d", n, len(s.text(n)))
	}
	if args != "" {
		if n, ok := s.number(args); ok {
			s.reached(OpensAtStat)
			s.say("+OK " + row(n))
		}
		return nil
	}
	s.reached(OpensAtStat, OpensAtList)
	s.say(fmt.Sprintf("+OK %d messages", s.opt.Messages-len(s.deleted)))
	for n := 1; n <= s.opt.Messages; n++ {
		if !s.deleted[n] {
			s.say(row(n))
		}
	}
	s.say(".")
	return nil
}

// number parses a message number; it says -ERR when there is no such message.
func (s *popSession) number(arg string) (int, bool) {
	n, err := strconv.Atoi(arg)
	if err != nil || n < 1 || n > s.opt.Messages || s.deleted[n] {
		s.say("-ERR No such message")
		return 0, false
	}
	return n, true
}

// mailbox answers the commands that Melon never sends.
func (s *popSession) mailbox(verb, args string) {
	arg, _, _ := strings.Cut(args, " ")
	switch verb {
	case "RETR", "TOP":
		if n, ok := s.number(arg); ok {
			s.say("+OK")
			s.say(strings.Split(strings.TrimSuffix(s.text(n), "\r\n"), "\r\n")...)
			s.say(".")
		}
	case "DELE":
		if n, ok := s.number(arg); ok {
			s.deleted[n] = true
			s.say("+OK")
		}
	case "RSET":
		s.deleted = map[int]bool{}
		s.say("+OK")
	default:
		s.say("-ERR Unknown command")
	}
}
