package relay

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/dial"
	"melon/upstream/submit"
	"melon/upstream/trace"
)

const (
	// portDelay is the time between the starts of two ports of the ladder.
	portDelay = 300 * time.Millisecond
	// quitTime bounds a polite farewell.
	quitTime = 5 * time.Second
	// maxConnects bounds the connections made to find a mechanism that works.
	maxConnects = 3
)

// line is an SMTP connection on which a message can be sent at once.
type line struct {
	a      *account
	client *submit.Client
	key    string        // of the network it was made on
	tick   int64         // when it was dialled
	auth   string        // how it is logged in: a mechanism in lower case, or "none"
	sent   int           // messages that the server took on it
	reused bool          // it was parked since
	idle   time.Duration // before the attempt of the moment

	counted bool // close gives its slot back

	until   time.Time          // when a parked line is ended
	prompt  time.Time          // until then a message can leave on it in one flight
	watched bool               // somebody watches it; account.mu guards it
	parked  chan error         // what Watch found
	wake    context.CancelFunc // ends Watch
}

// take ends the watch over a parked line, if there is one, and reports whether
// the line is still good. The caller has taken it out of the pool.
func (l *line) take() bool {
	good := false
	if l.watched {
		l.wake()
		good = <-l.parked == nil
	} else {
		good = l.client.Quiet()
	}
	if !good {
		l.close()
	}
	return good
}

// drop closes a line that was taken out of the pool.
func (l *line) drop() {
	if l.watched {
		l.wake()
		<-l.parked
	}
	l.close()
}

// quit ends the line politely. It does not depend on any transaction's context.
func (l *line) quit() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.a.r.ctx), quitTime)
	defer cancel()
	stop := context.AfterFunc(l.a.r.ctx, cancel)
	defer stop()
	l.client.Quit(ctx)
	l.close()
}

// quitLater is quit in the background.
func (l *line) quitLater() {
	if !l.client.Usable() || !l.a.r.goIfOpen(l.quit) {
		l.close()
	}
}

// close ends the line at once.
func (l *line) close() {
	l.client.Close()
	if l.counted {
		l.counted = false
		l.a.giveBack()
	}
}

// connector makes a line for one attempt.
type connector struct {
	a          *account
	key        string
	facts      facts // as learned when the attempt began
	admitted   int   // account.admit's number
	host       string
	lockstep   bool
	noChunking bool
	avoid      []auth.Mechanism // refused or unknown to the server, found now
	prefer     auth.Mechanism   // to be tried although another one is stronger
	skipped    *upstream.Error  // why no login was tried although one is offered
}

// connect dials, encrypts and logs in. Errors are *upstream.Error.
func (c *connector) connect(ctx context.Context) (*line, error) {
	for n := 0; ; n++ {
		l, err := c.open(ctx)
		if err != nil {
			return nil, err
		}
		c.host = l.client.Addr()
		again, err := c.login(ctx, l)
		if err == nil {
			return l, nil
		}
		l.quitLater()
		if !again || n+1 == maxConnects {
			return nil, err
		}
	}
}

// open makes an encrypted connection that is not logged in. Where the account
// leaves the port open, a port that answers but not as an SMTP server does is
// passed over.
func (c *connector) open(ctx context.Context) (*line, error) {
	targets := c.targets()
	var first error
	for {
		tick := c.a.r.tick.Add(1)
		conn, err := c.a.r.o.Dialer.DialFirst(ctx, targets, portDelay)
		if err == nil {
			port := conn.Target().Server.Port
			var l *line
			if l, err = c.converse(ctx, conn, tick); err == nil {
				return l, nil
			}
			targets = slices.DeleteFunc(slices.Clone(targets), func(t dial.Target) bool { return t.Server.Port == port })
		} else {
			targets = nil
		}
		if first == nil {
			first = err
		}
		if e := upstream.AsError(first, upstream.PhaseConnect); len(targets) == 0 || !e.Reply.IsZero() || ctx.Err() != nil {
			return nil, c.stamp(e)
		}
	}
}

// stamp names the account in an error of another package.
func (c *connector) stamp(e *upstream.Error) *upstream.Error {
	s := *e
	if s.Account == "" {
		s.Account = c.a.settings.Name
	}
	if s.Host == "" {
		s.Host = c.host
	}
	return &s
}

// converse opens the conversation and encrypts it.
func (c *connector) converse(ctx context.Context, conn *dial.Conn, tick int64) (*line, error) {
	c.host = conn.Addr()
	client, err := submit.Open(ctx, conn, submit.Options{
		Account:  c.a.settings.Name,
		Lockstep: c.lockstep, NoChunking: c.noChunking, Timeout: c.a.r.o.Timeout,
	})
	if err != nil {
		return nil, err
	}
	if err := c.secure(ctx, client); err != nil {
		client.Close()
		return nil, err
	}
	return &line{a: c.a, client: client, key: c.key, tick: tick}, nil
}

// secure encrypts as the account's security setting has it. Security auto takes
// what is offered, but once TLS was there it never goes back.
func (c *connector) secure(ctx context.Context, client *submit.Client) error {
	s := c.a.settings.SMTP.Security
	if _, on := client.TLS(); !on && s != upstream.SecurityNone {
		seen := c.a.r.store.get(c.a.print, everywhere).TLS
		if !client.Capabilities().StartTLS {
			if s == upstream.SecurityAuto && !seen || s == "" && !seen {
				return nil
			}
			return &upstream.Error{
				Account: c.a.settings.Name, Host: client.Addr(),
				Phase: upstream.PhaseStartTLS, Class: upstream.ClassStartTLSStripped,
				Sentence: "The mail server does not offer encryption here although it is expected to; somebody in between may have taken it away.",
			}
		}
		if err := client.StartTLS(ctx); err != nil {
			return err
		}
	}
	if _, on := client.TLS(); on {
		c.a.r.store.update(c.a.print, everywhere, func(f *facts) { f.TLS = true })
	}
	return nil
}

// targets lists what to dial: the configured port, or the usual ones, the one
// that worked on this network first.
func (c *connector) targets() []dial.Target {
	a := c.a.settings
	ports := []int{a.SMTP.Port}
	if a.SMTP.Port == 0 {
		switch a.SMTP.Security {
		case upstream.SecurityTLS:
			ports = []int{465}
		case upstream.SecurityStartTLS, upstream.SecurityNone:
			ports = []int{587, 25, 2525}
		default:
			ports = []int{465, 587, 25, 2525}
		}
		if i := slices.Index(ports, c.facts.Port); i > 0 {
			ports = append([]int{c.facts.Port}, slices.Delete(ports, i, i+1)...)
		}
	}
	c.a.mu.Lock()
	pin := c.a.pin
	c.a.mu.Unlock()
	var list []dial.Target
	for _, p := range ports {
		server := a.SMTP
		server.Port = p
		list = append(list, dial.Target{
			Server: server, ImplicitTLS: dial.ImplicitTLS(server.Security, p),
			Trust: a.Trust, Protocol: trace.SMTP, Account: a.Name, Pin: pin,
		})
	}
	return list
}

// port returns the port that was connected to.
func (l *line) port() int {
	_, p, err := net.SplitHostPort(l.client.Addr())
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		return 0
	}
	return n
}

// mechanism returns the SASL mechanism's registered name.
func (l *line) mechanism() string { return strings.ToUpper(l.auth) }
