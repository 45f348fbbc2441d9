package smtpin

import (
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/emersion/go-smtp"

	"melon/upstream"
)

// session is the go-smtp Session: a verb a method, each of which checks the
// state and its arguments and hands on. go-smtp calls them one after the other
// from the connection's goroutine.
type session struct {
	c        *conn
	hello    func() string // the argument of the last EHLO or HELO
	state    state
	loggedIn bool
	login    string
	tx       Transaction // not nil in stateMail and stateData
	env      upstream.Envelope
	asked    int // recipients that were asked for, refused ones too
	ahead    int // recipients that were announced and are yet to be asked for
}

// state is how far the transaction is.
type state int

const (
	stateReady state = iota // no transaction
	stateMail               // after MAIL
	stateData               // the content is coming in
)

// newSession is go-smtp's Backend; a session begins at the first EHLO or HELO.
func newSession(sc *smtp.Conn) (smtp.Session, error) {
	c, ok := sc.Conn().(*conn)
	if !ok {
		return nil, refuse(421, 4, 3, 0, "Melon had an internal problem, goodbye")
	}
	return &session{c: c, hello: sc.Hostname}, nil
}

// guard turns a panic into 421, which ends the connection, and into a log line.
func (s *session) guard(err *error) {
	r := recover()
	if r == nil {
		return
	}
	s.c.srv.log.Error("panic while taking mail", "conn", s.c.who.ID, "panic", r, "stack", string(debug.Stack()))
	if err != nil {
		*err = refuse(421, 4, 3, 0, "Melon had an internal problem; please try again later")
	}
}

// fail returns what the app hears of a transaction's error.
func (s *session) fail(err error) error {
	s.c.out.verdict = true
	return s.words().smtpError(err)
}

func (s *session) words() words {
	return words{explain: s.c.set.explain, utf8: s.env.SMTPUTF8}
}

// Mail begins a transaction.
func (s *session) Mail(_ string, opts *smtp.MailOptions) (err error) {
	defer s.guard(&err)
	switch {
	case s.state != stateReady:
		return refuse(503, 5, 5, 1, "A transaction is open already")
	case s.c.set.login.Mode == LoginRequired && !s.loggedIn:
		return refuse(530, 5, 7, 0, "Authentication required: log in with Melon's local password")
	case s.c.who.other && !s.c.srv.slow.rates.allow(s.c.who.user, s.c.set.limits.MessagesOther):
		return refuse(450, 4, 7, 1, "Too many messages from "+upstream.CleanLine(s.c.who.user)+" within a minute; please try again later")
	}
	env, err := s.envelope(opts)
	if err != nil {
		return err
	}
	client := s.c.who.Client
	client.Login, client.HELO = s.login, upstream.CleanLine(s.hello())
	s.env = env // its SMTPUTF8 decides how a refusal is written
	tx, err := s.c.set.handler.Begin(s.c.ctx, client, env)
	if err != nil {
		err = s.fail(err)
		s.env = upstream.Envelope{}
		return err
	}
	s.tx, s.state, s.asked, s.ahead = tx, stateMail, 0, 0
	s.c.setBusy(true)
	return nil
}

// envelope checks MAIL's arguments.
func (s *session) envelope(opts *smtp.MailOptions) (upstream.Envelope, error) {
	from, err := s.address("FROM:")
	if err != nil {
		return upstream.Envelope{}, badAddress(err, 7)
	}
	env := upstream.Envelope{
		From:       from,
		Body:       upstream.BodyType(opts.Body),
		SMTPUTF8:   opts.UTF8,
		Size:       max(opts.Size, s.c.frame.size),
		Return:     string(opts.Return),
		EnvelopeID: opts.EnvelopeID,
	}
	if !opts.UTF8 && !isASCII(from) {
		return env, needsUTF8()
	}
	return env, nil
}

// Rcpt adds a recipient.
func (s *session) Rcpt(_ string, opts *smtp.RcptOptions) (err error) {
	defer s.guard(&err)
	if s.state != stateMail {
		return refuse(503, 5, 5, 1, "MAIL first")
	}
	// go-smtp counts those that were accepted; each one that is refused is a
	// question to the provider as well.
	if s.asked >= 2*s.c.set.limits.Recipients {
		return refuse(452, 4, 5, 3, "Too many recipients were refused")
	}
	addr, err := s.address("TO:")
	switch {
	case err == nil && addr == "":
		err = errPath
		fallthrough
	case err != nil:
		return badAddress(err, 3)
	case !s.env.SMTPUTF8 && !isASCII(addr):
		return needsUTF8()
	}
	rc := upstream.Recipient{
		Address:      addr,
		OriginalType: string(opts.OriginalRecipientType),
		Original:     opts.OriginalRecipient,
	}
	for _, n := range opts.Notify {
		rc.Notify = append(rc.Notify, string(n))
	}
	s.asked++
	s.announce(rc)
	if err := s.tx.Rcpt(s.c.ctx, rc); err != nil {
		return s.fail(err)
	}
	return nil
}

// address returns the path of the command that is being handled, as the app
// wrote it.
func (s *session) address(prefix string) (string, error) {
	_, arg := verbOf(s.c.frame.line)
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", errPath
	}
	addr, _, err := parsePath(arg[len(prefix):])
	return addr, err
}

// badAddress refuses an address; detail is 7 for a sender's and 3 for a
// recipient's (RFC 3463 section 3.2).
func badAddress(err error, detail int) error {
	if errors.Is(err, errPathTooLong) {
		return refuse(501, 5, 1, detail, "The address is too long")
	}
	return refuse(501, 5, 1, detail, "The address cannot be understood")
}

func needsUTF8() error { // RFC 6531 section 3.5
	return refuse(553, 5, 6, 7, "An address with other characters than ASCII needs SMTPUTF8")
}

// Data takes the content. go-smtp's reader is left alone: it is empty, the
// content is the conn's.
func (s *session) Data(io.Reader) (err error) {
	defer s.guard(&err)
	b := s.c.openBody()
	if s.state != stateMail {
		b.finish()
		return refuse(503, 5, 5, 1, "MAIL first")
	}
	s.state = stateData
	defer b.finish()
	reply, err := s.tx.Data(s.c.ctx, b)
	s.c.out.verdict = true
	switch {
	case errors.Is(b.err, ErrTooLarge):
		return refuse(552, 5, 3, 4, "Message is larger than Melon's limit")
	case err != nil:
		return s.fail(err)
	case b.err == nil || !isEOF(b.err):
		if b.err == nil {
			s.c.srv.log.Error("a message was accepted unread", "conn", s.c.who.ID)
		}
		return refuse(451, 4, 3, 0, "The message was not taken completely; please try again later.")
	}
	s.c.budget = budget{login: s.c.budget.login}
	return s.words().accepted(reply)
}

// isEOF reports the end of a complete message, and no error that wraps io.EOF.
func isEOF(err error) bool { return err == io.EOF }

// Reset ends the transaction, if there is one.
func (s *session) Reset() {
	defer s.guard(nil)
	tx := s.tx
	s.tx, s.state, s.env, s.asked = nil, stateReady, upstream.Envelope{}, 0
	s.c.setBusy(false)
	if tx != nil {
		tx.Reset()
	}
}

// Logout ends the session.
func (s *session) Logout() error {
	s.Reset()
	return nil
}

// goSMTPLog receives what go-smtp has to say, which is about its own faults.
type goSMTPLog struct{ log *slog.Logger }

func (l goSMTPLog) Printf(format string, v ...any) {
	l.log.Error("smtp: "+strings.TrimSpace(format), "detail", v)
}

func (l goSMTPLog) Println(v ...any) { l.log.Error("smtp", "detail", v) }
