package smtpin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// AuthMechanisms lists what EHLO offers: nothing where login is off, or where
// the password would go over the network in the clear.
func (s *session) AuthMechanisms() []string {
	if s.c.set.login.Mode == LoginOff || s.c.who.door.remote && !s.c.who.TLS {
		return nil
	}
	return []string{sasl.Plain, sasl.Login}
}

// Auth begins an AUTH exchange (RFC 4954).
func (s *session) Auth(mech string) (sasl.Server, error) {
	switch {
	case len(s.AuthMechanisms()) == 0:
		return nil, refuse(502, 5, 5, 1, "AUTH is not offered here")
	case s.state != stateReady: // RFC 4954 section 4
		return nil, refuse(503, 5, 5, 1, "AUTH is not permitted during a transaction")
	case mech == sasl.Plain:
		return &plainServer{check: s.logIn}, nil
	case mech == sasl.Login:
		return &loginServer{check: s.logIn}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

// logIn checks a login. The answer 535 5.7.8 belongs to this check alone: no
// provider's refusal is ever reported with it, as the app would ask for another
// local password.
func (s *session) logIn(name, password string) (err error) {
	defer s.guard(&err)
	if len(name) > 512 || hasControl(name) {
		return refuse(501, 5, 5, 2, "The user name cannot be understood")
	}
	want := ""
	if get := s.c.set.login.Password; get != nil {
		if want, err = get(s.c.ctx); err != nil {
			s.c.srv.log.Error("the local password cannot be read", "conn", s.c.who.ID, "err", err)
			return refuse(454, 4, 7, 0, "Melon's local password cannot be read at the moment")
		}
	}
	if want == "" {
		if s.c.set.login.Mode == LoginRequired {
			return refuse(454, 4, 7, 0, "Melon has no local password set")
		}
		s.loggedIn, s.login = true, name
		return nil
	}
	addr := s.c.who.Peer.Addr()
	if !s.c.srv.slow.logins.wait(s.c.ctx, addr) {
		s.c.out.final = true
		return refuse(454, 4, 7, 0, "Too many refused logins; please try again later")
	}
	a, b := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(a[:], b[:]) == 1 {
		s.c.srv.slow.logins.right(addr)
		s.loggedIn, s.login = true, name
		return nil
	}
	s.c.srv.slow.logins.wrong(addr)
	s.c.budget.login++
	s.c.srv.refused(s.c.who, "wrong local password")
	if s.c.budget.login >= s.c.set.limits.LoginAttempts {
		s.c.out.final = true
	}
	return refuse(535, 5, 7, 8, "This is not Melon's local password")
}

func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// plainServer is PLAIN (RFC 4616). The authorization identity is not used.
type plainServer struct {
	check func(name, password string) error
}

func (p *plainServer) Next(response []byte) ([]byte, bool, error) {
	if response == nil {
		return []byte{}, false, nil
	}
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 {
		return nil, false, refuse(501, 5, 5, 2, "Malformed PLAIN response")
	}
	return nil, true, p.check(string(parts[1]), string(parts[2]))
}

// loginServer is LOGIN (draft-murchison-sasl-login).
type loginServer struct {
	check func(name, password string) error
	name  []byte
	step  int
}

func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	l.step++
	switch {
	case l.step == 1 && response == nil:
		l.step-- // no initial response
		if l.name == nil {
			l.name = []byte{}
			return []byte("Username:"), false, nil
		}
		return nil, false, refuse(501, 5, 5, 2, "Malformed LOGIN response")
	case l.step == 1:
		l.name = bytes.Clone(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(string(l.name), string(response))
}

// Guessing is slowed down: each refused login makes the next one from the same
// address wait longer, and after many none is tried for a while. The person's
// own machine is never shut out that way, as another program of theirs could
// otherwise stop their mail.
const (
	loginDelay    = 500 * time.Millisecond // times the refused ones
	maxLoginDelay = 10 * time.Second
	maxRefused    = 50               // from one address beyond loopback
	loginMemory   = 15 * time.Minute // without another one, all is forgotten
	maxRemembered = 4096
)

// logins remembers refused logins by address. Its zero value is ready.
type logins struct {
	mu      sync.Mutex
	refused map[netip.Addr]refusedLogins
}

type refusedLogins struct {
	count int
	last  time.Time
}

// wait waits as long as the address deserves, in the connection's own
// goroutine. It returns false when no login from there is tried now.
func (l *logins) wait(ctx context.Context, a netip.Addr) bool {
	l.mu.Lock()
	r := l.refused[a]
	l.mu.Unlock()
	switch {
	case r.count == 0 || time.Since(r.last) > loginMemory:
		return true
	case r.count >= maxRefused && !a.IsLoopback():
		return false
	}
	t := time.NewTimer(min(time.Duration(r.count)*loginDelay, maxLoginDelay))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *logins) wrong(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused == nil || len(l.refused) >= maxRemembered {
		l.refused = make(map[netip.Addr]refusedLogins)
	}
	r := l.refused[a]
	if time.Since(r.last) > loginMemory {
		r.count = 0
	}
	l.refused[a] = refusedLogins{count: r.count + 1, last: time.Now()}
}

func (l *logins) right(a netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.refused, a)
}
