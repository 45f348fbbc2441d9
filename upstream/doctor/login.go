package doctor

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/dial"
	"melon/upstream/pop"
)

// loginFinding is how far the account got.
type loginFinding struct {
	held  *upstream.Error // why no login was made: an earlier refusal
	pop   *upstream.Error // why the POP login failed
	smtp  *upstream.Error // why the SMTP conversation ended before the envelope
	relay *upstream.Error // the refusal of the envelope
	open  bool            // the provider would take a message for the outside

	popDone  bool // the POP login succeeded
	popNeed  bool // the relay needs it
	opened   bool // it was shut before the POP login and open after it
	popAddr  netip.Addr
	smtpAddr netip.Addr

	token    string // OAuth 2.0 access token, fetched once before all
	tokenErr error
}

// maxSettle bounds the account's own pause after a POP login.
const maxSettle = 3 * time.Second

// retryPauses are the waits before another try after a POP login: some servers
// need a moment before it counts.
func retryPauses() []time.Duration { return []time.Duration{0, time.Second, 2 * time.Second} }

// logIn does what Melon would do to send a message, in its order: the POP login
// first where the account says so, else when the relay refuses; then the
// envelope, and nothing after it. A password that was refused is not tried again
// elsewhere: two wrong logins are worse than one.
func (x *examination) logIn(ctx context.Context) {
	a, l := x.o.Account, &x.login
	if reason := x.whyNot(); reason != "" {
		x.noteUntried(ctx, reason)
		return
	}
	if !a.OAuth.IsZero() && x.o.Tokens != nil {
		l.token, l.tokenErr = x.o.Tokens.Token(ctx, a)
	}
	pin := dial.NewPin(a.SMTP.Host)
	if a.POP.Host != "" {
		pin = dial.NewPin(a.SMTP.Host, a.POP.Host)
	}
	var session *pop.Session
	defer func() { farewell(ctx, session) }()
	l.popNeed = a.Auth == upstream.AuthPOPBeforeSMTP
	var t *trial
	tries := retryPauses()[:1]
	if !l.popNeed {
		t = x.try(ctx, pin)
		if t.settled() || a.POP.Host == "" || !t.refusedRelay() {
			tries = nil
		} else {
			l.popNeed = true
		}
	}
	if l.popNeed && a.POP.Host != "" {
		if session = x.logInByPOP(ctx, pin, StatusFail); session == nil {
			x.noteTrial(t)
			return
		}
		tries = retryPauses()
	}
	t = x.tryAgain(ctx, pin, t, tries)
	x.noteTrial(t)
	if a.POP.Host != "" && !l.popNeed && (l.smtp == nil || !l.smtp.Class.StopsAttempts()) {
		session = x.logInByPOP(ctx, pin, StatusWarn)
	}
	x.noteAddresses()
}

// tryAgain makes another try after each pause, as long as the relay is refused. t
// is the one before, or nil.
func (x *examination) tryAgain(ctx context.Context, pin *dial.Pin, t *trial, pauses []time.Duration) *trial {
	for i, pause := range pauses {
		if i == 0 {
			pause = max(pause, min(x.o.Account.PopBeforeSMTP.Settle, maxSettle))
		}
		if wait(ctx, pause) != nil {
			break
		}
		again := t != nil
		t = x.try(ctx, pin)
		x.login.opened = t.open && x.login.popDone && again
		if !t.refusedRelay() {
			break
		}
	}
	return t
}

// noteUntried writes down that no login is made. A secret that is not there is
// told all the same: fetching it is no login.
func (x *examination) noteUntried(ctx context.Context, reason string) {
	now, a := time.Now(), x.o.Account
	if a.POP.Host != "" {
		x.note(checkPOPLogin, StatusSkip, now, reason)
	}
	status, why := StatusSkip, reason
	if x.login.held != nil && a.OAuth.IsZero() && !a.Password.IsZero() {
		if _, err := x.o.Secrets.Get(ctx, a.Password); err != nil {
			x.login.held = x.stamp(upstream.AsError(err, upstream.PhaseAuth), a.SMTP.Host)
			status, why = StatusFail, x.sayFault(x.login.held)
		}
	}
	x.note(checkSMTPLogin, status, now, why)
	x.note(checkRelay, StatusSkip, now, reason)
}

// whyNot says why no login is made, or "".
func (x *examination) whyNot() string {
	a := x.o.Attention
	switch p := x.smtp.best; {
	case p == nil || !p.spoke():
		return x.say(sayNotReached)
	case p.strange:
		return x.say(sayNoPassword, shown(p.name))
	case a != nil && refusedPassword(a.Class) && !x.o.Force:
		x.login.held = a
		return x.say(sayHeld)
	}
	return ""
}

// refusedPassword reports whether a refusal is of a kind that another login with
// the same secret makes worse.
func refusedPassword(c upstream.Class) bool {
	switch c {
	case upstream.ClassCredentialsRejected, upstream.ClassPOPCredentialsRejected,
		upstream.ClassAppPasswordOrOAuthRequired, upstream.ClassAccountDisabledOrLocked:
		return true
	}
	return false
}

// wait waits, or returns the context's error.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// farewell ends a POP session in good order: some servers shut the relay
// otherwise.
func farewell(ctx context.Context, s *pop.Session) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s.Quit(ctx)
	s.Close()
}

// popDialer keeps the connection that package pop makes, for its address.
type popDialer struct {
	*dial.Dialer
	conn *dial.Conn
}

// DialFirst implements pop.Dialer.
func (d *popDialer) DialFirst(ctx context.Context, targets []dial.Target, stagger time.Duration) (*dial.Conn, error) {
	c, err := d.Dialer.DialFirst(ctx, targets, stagger)
	d.conn = c
	return c, err
}

// logInByPOP returns the session, which the caller ends, or nil. bad is the
// status of a failure. Without `hold` the session is over when it returns.
func (x *examination) logInByPOP(ctx context.Context, pin *dial.Pin, bad Status) *pop.Session {
	start, a, l := time.Now(), x.o.Account, &x.login
	fail := func(err error) *pop.Session {
		l.pop = upstream.AsError(err, upstream.PhasePOPPass)
		x.note(checkPOPLogin, bad, start, x.sayFault(l.pop))
		return nil
	}
	password, err := x.o.Secrets.Get(ctx, a.POP.Password)
	if err != nil {
		return fail(err)
	}
	d := &popDialer{Dialer: x.dialer()}
	s, err := pop.Open(ctx, pop.Options{
		Dialer: d, Account: a, Password: password, Pin: pin,
		Known: x.popKnown(), Timeout: stepTime, Now: x.o.Now,
	})
	if err != nil {
		return fail(err)
	}
	l.popDone, l.popAddr = true, localAddr(d.conn)
	x.note(checkPOPLogin, StatusOK, start, x.say(sayPOPLogin, s.Addr(), strings.ToUpper(s.Capabilities().Method)))
	if !a.PopBeforeSMTP.Hold {
		farewell(ctx, s)
	}
	return s
}

func localAddr(c *dial.Conn) netip.Addr {
	if ap, err := netip.ParseAddrPort(c.LocalAddr().String()); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// noteTrial writes down the last try.
func (x *examination) noteTrial(t *trial) {
	l := &x.login
	if t == nil {
		x.note(checkRelay, StatusSkip, time.Now(), x.say(sayRelayUntried))
		return
	}
	l.smtp, l.relay, l.open, l.smtpAddr = t.fault, t.refused, t.open, t.local
	switch {
	case t.fault != nil:
		x.note(checkSMTPLogin, StatusFail, t.start, x.sayFault(t.fault))
	case t.auth == noAuth:
		x.note(checkSMTPLogin, StatusSkip, t.start, x.say(sayNoLogin))
	default:
		x.note(checkSMTPLogin, StatusOK, t.start, x.say(saySMTPLogin, t.addr, strings.ToUpper(t.auth)))
	}
	switch {
	case t.open && l.opened:
		x.note(checkRelay, StatusOK, t.envelope, x.say(sayRelayOpened, x.o.Outside, t.answer))
	case t.open && l.popDone && l.popNeed:
		x.note(checkRelay, StatusOK, t.envelope, x.say(sayRelayAfterPOP, x.o.Outside, t.answer))
	case t.open:
		x.note(checkRelay, StatusOK, t.envelope, x.say(sayRelayOpen, x.o.Outside, t.answer))
	case t.refused != nil && l.popDone:
		x.note(checkRelay, StatusFail, t.envelope, x.say(sayRelayStillShut, x.sayFault(t.refused)))
	case t.refused != nil:
		x.note(checkRelay, StatusFail, t.envelope, x.sayFault(t.refused))
	default:
		x.note(checkRelay, StatusSkip, time.Now(), x.say(sayRelayUntried))
	}
}

// noteAddresses compares the addresses by which the two connections left: the
// relay opens for the one that logged in by POP.
func (x *examination) noteAddresses() {
	l := &x.login
	if !l.popAddr.IsValid() || !l.smtpAddr.IsValid() {
		return
	}
	if l.popAddr == l.smtpAddr {
		x.note(checkAddress, StatusOK, time.Now(), x.say(sayAddressSame, l.popAddr))
		return
	}
	x.note(checkAddress, StatusWarn, time.Now(), x.say(sayAddressDiffers, l.popAddr, l.smtpAddr))
}

// credentials fetches what a mechanism needs.
func (x *examination) credentials(ctx context.Context, m auth.Mechanism) (auth.Credentials, error) {
	a := x.o.Account
	cred := auth.Credentials{Username: a.Username, Host: a.SMTP.Host, Port: x.smtp.best.server.Port}
	var err error
	switch {
	case m == auth.External:
	case m.OAuth() && !a.OAuth.IsZero() && x.o.Tokens != nil:
		cred.Token, err = x.login.token, x.login.tokenErr
	case m.OAuth():
		cred.Token, err = x.o.Secrets.Get(ctx, a.Password)
	default:
		cred.Password, err = x.o.Secrets.Get(ctx, a.Password)
	}
	return cred, err
}

// intercepted reports whether the login showed that somebody is in between.
func intercepted(e *upstream.Error) bool {
	return e != nil && (e.Class == upstream.ClassSMTPIntercepted || errors.Is(e, auth.ErrServerSignature))
}
