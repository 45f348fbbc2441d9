// Package pop logs in to a POP3 server (RFC 1939), which is what opens the relay
// of a provider with POP before SMTP. It never downloads or deletes anything: of
// a mailbox with five thousand messages it learns nothing, unless the account's
// `finish` asks for the list.
//
// The course of Open:
//
//  1. connect: package dial makes the connection; with port 0 it tries 995 and
//  110. The greeting may carry a timestamp for APOP.
//  2. secure: STLS (RFC 2595) as the account's `security` has it. TLS that was
//     there before and is not now is starttls-stripped.
//  3. login: APOP in clear, as it sends no password; else AUTH PLAIN (RFC 5034)
//     when offered, else USER and PASS. A password leaves in clear only when the
//     account allows it.
//  4. finish: STAT, LIST or QUIT for providers that open their relay only then.
//
// What an earlier login learned (Capabilities) saves the CAPA command and lets
// USER and PASS travel together.
//
// The commands go through github.com/knadh/go-pop3, which sets no deadlines,
// takes an empty line for success, reads lines without a limit and sends what it
// is given, line ends and all. So it talks to a wire, which hands it one checked
// line at a time, and credentials are looked at before it sees them.
package pop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	pop3 "github.com/knadh/go-pop3"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/trace"
)

const (
	// defaultTimeout bounds each step that sets no other.
	defaultTimeout = 30 * time.Second
	// portDelay is the time between tries of the usual ports.
	portDelay = 300 * time.Millisecond
	// knownPortDelay is the start that a port has which worked before.
	knownPortDelay = 3 * time.Second
)

// Dialer makes the connection; *dial.Dialer is one.
type Dialer interface {
	DialFirst(ctx context.Context, targets []dial.Target, stagger time.Duration) (*dial.Conn, error)
}

// Capabilities is what is worth remembering about a server, so that the next
// login needs fewer round trips. It is plain data that can be stored as JSON.
type Capabilities struct {
	Port       int      `json:"port"`                 // the port that answered
	TLS        bool     `json:"tls"`                  // the login was encrypted
	STLS       bool     `json:"stls,omitempty"`       // STLS was used
	Pipelining bool     `json:"pipelining,omitempty"` // RFC 2449 section 6.6
	SASL       []string `json:"sasl,omitempty"`       // mechanisms, upper case
	Method     string   `json:"method"`               // how the login succeeded: "apop", "plain" or "user"
}

// Options say what to log in to.
type Options struct {
	Dialer   Dialer
	Account  upstream.Account // POP.Host must not be empty; POP.Port 0 tries 995, then 110
	Password string
	Pin      *dial.Pin
	// Known is what an earlier Session.Capabilities returned on this network,
	// or nil. TLS that was once there is then demanded (starttls-stripped).
	Known   *Capabilities
	Timeout time.Duration    // of each step; 0 means 30 seconds, for the login itself twice that
	Now     func() time.Time // nil: time.Now
}

// Session is a POP3 session after its login and the account's `finish`. It is
// used by one goroutine at a time; Close alone may be called from another.
type Session struct {
	o     Options
	conn  *dial.Conn
	wire  *wire
	pop   *pop3.Conn
	stamp string // APOP timestamp, "" when there is none
	caps  Capabilities
	asked bool // caps come from a CAPA of this connection or from a login before
	at    time.Time
	close func() error
}

// Open connects, secures the connection, logs in and does what the account's
// PopBeforeSMTP.Finish asks for. With "quit" the session it returns is over
// already. ctx bounds this call only. Errors are *upstream.Error with a POP phase.
func Open(ctx context.Context, o Options) (*Session, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Session{o: o}
	if err := s.checkCredentials(); err != nil {
		return nil, err
	}
	targets := s.targets()
	conn, err := o.Dialer.DialFirst(ctx, targets, s.stagger(targets))
	if err != nil {
		e := *upstream.AsError(err, upstream.PhasePOPGreeting)
		e.Phase, e.Account = upstream.PhasePOPGreeting, o.Account.Name
		return nil, &e
	}
	s.conn, s.close = conn, sync.OnceValue(conn.Close)
	defer conn.Use(ctx)()
	for _, step := range []func(context.Context) error{s.greet, s.secure, s.login, s.finish} {
		if err := step(ctx); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// LoggedInAt returns when the server's +OK to the login arrived.
func (s *Session) LoggedInAt() time.Time { return s.at }

// Capabilities returns what to remember for the next login.
func (s *Session) Capabilities() Capabilities { return s.caps }

// Addr returns the server as "host:port".
func (s *Session) Addr() string { return s.conn.Addr() }

// Noop keeps a held session alive and tells whether it still is (RFC 1939).
func (s *Session) Noop(ctx context.Context) error {
	defer s.conn.Use(ctx)()
	_, err := s.command(upstream.PhasePOPPass, "NOOP", s.o.Timeout)
	return err
}

// Quit ends the session in good order and closes it. A server that answers -ERR
// or just hangs up has ended it as well.
func (s *Session) Quit(ctx context.Context) error {
	defer s.conn.Use(ctx)()
	return s.quit()
}

func (s *Session) quit() error {
	defer s.Close()
	_, err := s.command(upstream.PhasePOPPass, "QUIT", s.o.Timeout)
	var e *upstream.Error
	if errors.As(err, &e) && (!e.Reply.IsZero() || e.Class == upstream.ClassServerBroken) {
		return nil
	}
	return err
}

// Close closes the connection without ado. It is safe to call more than once.
func (s *Session) Close() error { return s.close() }

// targets lists the ports to try: the configured one, or the usual ones with the
// one that worked before in front.
func (s *Session) targets() []dial.Target {
	server := s.o.Account.POP.Server
	ports := []int{server.Port}
	if server.Port == 0 {
		switch server.Security {
		case upstream.SecurityTLS:
			ports = []int{995}
		case upstream.SecurityStartTLS, upstream.SecurityNone:
			ports = []int{110}
		default:
			ports = []int{995, 110}
		}
		if k := s.o.Known; k != nil && slices.Contains(ports, k.Port) {
			ports = append([]int{k.Port}, slices.DeleteFunc(ports, func(p int) bool { return p == k.Port })...)
		}
	}
	var out []dial.Target
	for _, p := range ports {
		server.Port = p
		out = append(out, dial.Target{
			Server:      server,
			ImplicitTLS: dial.ImplicitTLS(server.Security, p),
			Trust:       s.o.Account.Trust,
			Protocol:    trace.POP3,
			Account:     s.o.Account.Name,
			Pin:         s.o.Pin,
			Timeout:     s.o.Timeout,
		})
	}
	return out
}

// stagger is the start that the first target has before the second.
func (s *Session) stagger(targets []dial.Target) time.Duration {
	if k := s.o.Known; k != nil && targets[0].Server.Port == k.Port {
		return knownPortDelay
	}
	return portDelay
}

// greet reads the greeting and finds the timestamp for APOP in it.
func (s *Session) greet(context.Context) error {
	s.wire = newWire(s.conn)
	s.limit(s.o.Timeout)
	p, err := pop3.New(pop3.Opt{Dialer: s.wire}).NewConn()
	if err != nil {
		return s.fault(upstream.PhasePOPGreeting, err)
	}
	s.pop, s.stamp = p, timestamp(s.wire.last)
	s.caps.Port = s.conn.Target().Server.Port
	return nil
}

// timestamp returns the msg-id in a greeting (RFC 1939 section 7), or "". Only a
// well-formed one is answered: others help an attacker in between to find out
// the password (CVE-2007-1558).
func timestamp(greeting string) string {
	_, rest, found := strings.Cut(greeting, "<")
	id, _, closed := strings.Cut(rest, ">")
	left, right, at := strings.Cut(id, "@")
	if !found || !closed || !at || left == "" || right == "" {
		return ""
	}
	if strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' }) {
		return ""
	}
	return "<" + id + ">"
}

// secure encrypts the connection as far as the account's settings and what was
// there before demand, and finds out the capabilities where they matter.
func (s *Session) secure(ctx context.Context) error {
	known := s.o.Known
	security := s.o.Account.POP.Security
	_, encrypted := s.conn.TLS()
	switch {
	case encrypted, security == upstream.SecurityNone:
	case security == upstream.SecurityStartTLS, known != nil && known.STLS:
		if err := s.stls(ctx); err != nil {
			return err
		}
	default:
		if err := s.capabilities(); err != nil {
			return err
		}
		if s.wire.offers("STLS") {
			if err := s.stls(ctx); err != nil {
				return err
			}
		} else if known != nil && known.TLS {
			return s.stripped(errors.New("STLS is not offered any more"))
		}
	}
	_, s.caps.TLS = s.conn.TLS()
	if known != nil && known.Port == s.caps.Port && known.TLS == s.caps.TLS {
		s.caps.Pipelining, s.caps.SASL, s.asked = known.Pipelining, known.SASL, true
	}
	if s.asked || security == upstream.SecurityNone && !s.caps.TLS {
		return nil // without TLS to find, CAPA would save no round trip
	}
	return s.capabilities()
}

// stls upgrades the connection. Everything learned before is forgotten (RFC 2595
// section 4).
func (s *Session) stls(ctx context.Context) error {
	if _, err := s.command(upstream.PhasePOPGreeting, "STLS", s.o.Timeout); err != nil {
		var e *upstream.Error
		if errors.As(err, &e) && !e.Reply.IsZero() {
			return s.stripped(err)
		}
		return err
	}
	if err := s.conn.StartTLS(ctx, s.wire.pending()); err != nil {
		return err
	}
	s.wire.restart()
	s.caps.STLS, s.caps.Pipelining, s.caps.SASL, s.asked = true, false, nil, false
	return nil
}

// stripped is TLS that should be there.
func (s *Session) stripped(err error) *upstream.Error {
	e := s.errorf(upstream.PhasePOPGreeting, upstream.ClassStartTLSStripped, err,
		"%s does not offer encryption (STLS) although it should; somebody in between may have taken it away.", s.conn.Addr())
	var said *upstream.Error
	if errors.As(err, &said) {
		e.Reply = said.Reply
	}
	return e
}

// capabilities asks for them (RFC 2449). A server without CAPA has none.
func (s *Session) capabilities() error {
	s.asked = true
	_, err := s.multiline(upstream.PhasePOPGreeting, "CAPA", s.o.Timeout)
	var e *upstream.Error
	if errors.As(err, &e) && !e.Reply.IsZero() {
		return nil
	}
	if err != nil {
		return err
	}
	s.caps.Pipelining = s.wire.offers("PIPELINING")
	s.caps.SASL = s.wire.arguments("SASL")
	return nil
}

// finish takes the session as far as the provider wants it.
func (s *Session) finish(context.Context) error {
	var err error
	switch s.o.Account.PopBeforeSMTP.Finish {
	case "stat":
		_, err = s.command(upstream.PhasePOPPass, "STAT", 2*s.o.Timeout)
	case "list":
		_, err = s.multiline(upstream.PhasePOPPass, "LIST", 2*s.o.Timeout)
	case "quit":
		err = s.quit()
	}
	return err
}

// command sends one command and returns the text of its +OK.
func (s *Session) command(phase upstream.Phase, line string, timeout time.Duration) (string, error) {
	s.limit(timeout)
	s.wire.expect(oneLine)
	b, err := s.pop.Cmd(line, false)
	if err != nil {
		return "", s.fault(phase, err)
	}
	return b.String(), nil
}

// multiline is command for an answer of several lines. Those of CAPA are kept by
// the wire; of LIST it only waits for the end.
func (s *Session) multiline(phase upstream.Phase, line string, timeout time.Duration) (string, error) {
	s.limit(timeout)
	s.wire.expect(manyLines)
	b, err := s.pop.Cmd(line, true)
	if err != nil {
		return "", s.fault(phase, err)
	}
	return b.String(), nil
}

// limit bounds a step as a whole, so that a server which sends an octet now and
// then does not hold it up for ever.
func (s *Session) limit(timeout time.Duration) {
	s.conn.SetStep(timeout)
	s.conn.SetDeadline(time.Now().Add(timeout))
}

// errorf builds an error of this session.
func (s *Session) errorf(phase upstream.Phase, class upstream.Class, err error, sentence string, args ...any) *upstream.Error {
	e := &upstream.Error{
		Account: s.o.Account.Name, Phase: phase, Class: class, Err: err,
		Sentence: upstream.CleanLine(fmt.Sprintf(sentence, args...)),
	}
	if s.conn != nil {
		e.Host = s.conn.Addr()
	}
	return e
}
