package relay

import (
	"net/netip"
	"strings"
	"time"

	"melon/upstream"
)

// opener is what one message has done so far to get a refused relay opened.
//
// A refusal to relay, where the account has POP, is answered in this order: when
// somebody logged in after the refused connection was dialled, another
// connection; a login and another connection; the same again 1 s later, and 2 s
// after that, without a login. Then the provider's answer stands, and for ten
// minutes other messages get one try. A refusal that names the client's address
// or the sender's domain says that waiting is no use.
type opener struct {
	reconnected bool          // without a login
	logins      int           // asked for upon a refusal
	pauses      int           // waited
	stale       time.Duration // age of the login that did not count any more, 0 when none was there
}

// longestSettle bounds the pause that is learned.
const longestSettle = 5 * time.Second

// step is what comes next.
type step int

const (
	giveUp step = iota
	reconnect
	login
	pause
)

// pauses returns how long each pause is.
func pauses() []time.Duration { return []time.Duration{time.Second, 2 * time.Second} }

func (o *opener) tried() bool { return o.reconnected || o.logins > 0 }

// plan decides what follows the refusal e.
func (c *carrier) plan(e *upstream.Error) step {
	if !c.usesPOP() || !closed(e) || c.win.hopeless() {
		return giveUp
	}
	if e.Phase == upstream.PhaseDataEnd && e.Class != upstream.ClassPOPBeforeSMTPRequired {
		return giveUp // the content was looked at: the words are about that
	}
	last, _ := c.win.lastLogin()
	o := &c.pbs
	switch {
	case !o.reconnected && o.logins == 0 && last > c.tick:
		return reconnect
	case o.logins == 0:
		return login
	case c.named(e):
		return giveUp
	case o.pauses < len(pauses()):
		return pause
	}
	return giveUp
}

// closed reports whether e says that the relay is closed: by its class, or by
// refusing the client in the greeting.
func closed(e *upstream.Error) bool {
	return !e.Ambiguous && (e.Class.RelayRefusal() || e.Phase == upstream.PhaseConnect && e.Reply.Permanent())
}

// another reports whether the refusal e of a recipient is not the last word:
// another attempt, or a fallback, follows.
func (c *carrier) another(e *upstream.Error) bool {
	return c.plan(e) != giveUp || c.spare && fallsBack(e) || c.breaksPipelining(e)
}

// reopen does what the plan says and reports whether another attempt follows.
// A POP login that fails is the attempt's outcome; it is put into e.
func (c *carrier) reopen(e *upstream.Error) bool {
	o := &c.pbs
	s := c.plan(e)
	last, age := c.win.lastLogin()
	switch s {
	case reconnect:
		o.reconnected = true
	case login:
		o.logins++
		if c.win.open() {
			o.stale = age
		}
		c.win.refused(last)
		// A login after the refused connection was tried by reconnecting; so
		// the next one must be later than the last.
		if pe := c.win.ensure(c.t.span.prep, last); pe != nil {
			*e = *pe
			return false
		}
		if c.conn.facts.Sequence || c.set.PopBeforeSMTP.Settle > 0 || c.conn.facts.Settle > 0 {
			if se := c.settle(c.t.span.prep); se != nil {
				*e = *se
				return false
			}
		}
	case pause:
		d := pauses()[o.pauses]
		o.pauses++
		if se := c.sleep(c.t.span.prep, d); se != nil {
			*e = *se
			return false
		}
	default:
		if o.tried() && closed(e) {
			c.win.setHopeless()
			c.t.r.o.Log.Info("pop login does not open the relay here", "account", c.set.Name)
		}
		return false
	}
	c.again.fresh = c.tick // a connection that was refused, or is older, is of no use
	if tick, _ := c.win.lastLogin(); tick > c.again.fresh {
		c.again.fresh = tick
	}
	return true
}

// learn notes how the relay was opened, after a message was taken.
func (o *opener) learn(c *carrier, f *facts, tick int64, age time.Duration) {
	if tick == 0 {
		return // no login was needed
	}
	if !o.tried() {
		// The server has learned AUTH since the login was needed.
		if c.line.auth != noAuth && c.conn.facts.NeedPOP && c.conn.facts.Mechanism == "" {
			f.NeedPOP = false
		}
		return
	}
	if o.logins == 0 {
		f.Sequence = true // the connection was made before the login was over
	}
	f.NeedPOP = true
	if o.pauses > 0 {
		f.Settle = min(max(f.Settle, age.Truncate(100*time.Millisecond)), longestSettle)
	}
	if o.pauses == 0 && o.stale > shortest {
		length := windowLength(c.set.PopBeforeSMTP.Window, f.Window)
		if shorter := max(o.stale/2, shortest); shorter < length {
			f.Window = shorter
		}
	}
}

// named reports whether the refusal names the client's address or the sender's
// domain: those do not change by waiting.
func (c *carrier) named(e *upstream.Error) bool {
	if e.Class == upstream.ClassPOPBeforeSMTPRequired || e.Phase == upstream.PhaseConnect {
		return false
	}
	text := strings.ToLower(e.Reply.Text())
	if _, domain, ok := strings.Cut(c.envelope().From, "@"); ok && strings.Contains(text, strings.ToLower(domain)) {
		return true
	}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'f' || r == '.' || r == ':')
	}) {
		if a, err := netip.ParseAddr(strings.Trim(word, ".:")); err == nil && a.IsValid() {
			return true
		}
	}
	return false
}

// fallsBack reports whether e is a reason to try the account's fallback: it
// cannot be reached, or refuses to relay from here. A refused password is none,
// nor is anything after the last octet of the message left.
func fallsBack(e *upstream.Error) bool {
	if e.Ambiguous {
		return false
	}
	switch e.Class {
	case upstream.ClassPOPBeforeSMTPRequired, upstream.ClassAuthRequired,
		upstream.ClassRelayDeniedIP, upstream.ClassSenderIPBlocklisted:
		return true
	case upstream.ClassServerUnreachable, upstream.ClassServerBroken, upstream.ClassPortBlocked,
		upstream.ClassDNSFailure, upstream.ClassDNSHijacked, upstream.ClassCertificateInvalid,
		upstream.ClassSMTPIntercepted, upstream.ClassStartTLSStripped, upstream.ClassCaptivePortal:
		return e.Reply.IsZero()
	}
	return e.Phase == upstream.PhaseConnect && !e.Reply.IsZero() && !e.Class.StopsAttempts()
}
