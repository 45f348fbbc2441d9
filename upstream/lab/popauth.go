package lab

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// userName answers USER.
func (s *popSession) userName(args string) error {
	switch {
	case s.user != "":
		s.say("-ERR Already logged in")
	case s.opt.RequireTLS && !s.tls:
		s.say(s.p.word(WordPOPTLS)...)
	case !s.offers("USER"):
		s.say("-ERR Unknown command")
	case args == "":
		s.say("-ERR Who?")
	default:
		s.name = args
		s.say("+OK")
	}
	return nil
}

// pass answers PASS.
func (s *popSession) pass(args string) error {
	if s.name == "" || s.user != "" {
		s.say("-ERR USER first")
		return nil
	}
	name := s.name
	s.name = ""
	return s.enter(name, s.p.check(name, args))
}

// apop answers APOP (RFC 1939 section 7).
func (s *popSession) apop(args string) error {
	if s.stamp == "" || s.user != "" {
		s.say("-ERR APOP not available")
		return nil
	}
	if s.opt.RequireTLS && !s.tls {
		s.say(s.p.word(WordPOPTLS)...)
		return nil
	}
	name, digest, _ := strings.Cut(args, " ")
	password, known := s.p.password(name)
	sum := md5.Sum([]byte(s.stamp + password))
	return s.enter(name, known && digest == hex.EncodeToString(sum[:]))
}

// auth answers AUTH (RFC 5034); without an argument it lists the mechanisms.
func (s *popSession) auth(args string) error {
	ms := s.mechanisms()
	if args == "" && len(ms) > 0 {
		s.say("+OK")
		s.say(ms...)
		s.say(".")
		return nil
	}
	mech, ir, _ := strings.Cut(args, " ")
	mech = strings.ToUpper(mech)
	s.p.mu.Lock()
	opt := s.p.smtp
	s.p.mu.Unlock()
	switch {
	case s.user != "":
		s.say("-ERR Already logged in")
		return nil
	case s.opt.RequireTLS && !s.tls:
		s.say(s.p.word(WordPOPTLS)...)
		return nil
	case !slices.Contains(ms, mech), lacks(opt.Dead, mech):
		s.say("-ERR Unknown mechanism")
		return nil
	}
	user, err := s.sasl(mech, strings.TrimSpace(ir), opt, "+ ")
	var ae authError
	if err != nil && !errors.As(err, &ae) {
		return err
	}
	if ae == authCancelled || ae == authSyntax {
		s.say("-ERR " + string(ae))
		return nil
	}
	if ae == authLocked {
		s.p.rec.update(func() { s.p.rec.stats.POPFailures++ })
		s.say(s.p.word(WordPOPLocked)...)
		return nil
	}
	return s.enterAs(user, err == nil, true)
}

// enter ends a login by USER/PASS or APOP.
func (s *popSession) enter(name string, right bool) error { return s.enterAs(name, right, false) }

// enterAs ends a login: the mailbox may be locked, logins rationed, the account
// locked. counted says that failures were counted already.
func (s *popSession) enterAs(name string, right, counted bool) error {
	word := Word("")
	switch {
	case !right:
		word = WordPOPCredentials
		if !counted {
			s.p.failed(name)
		}
	case !counted && s.p.passed(name) != nil:
		word = WordPOPLocked
	default:
		word = s.admit(name)
	}
	if word != "" {
		s.p.rec.update(func() { s.p.rec.stats.POPFailures++ })
		s.say(s.p.word(word)...)
		return nil
	}
	s.user = name
	s.p.rec.update(func() { s.p.rec.stats.POPLogins++ })
	s.reached(OpensAtLogin)
	s.say("+OK Logged in")
	return nil
}

// admit takes the mailbox for the session, or says why it cannot be had.
func (s *popSession) admit(name string) Word {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	u, now := s.p.users[name], s.p.opts.Now()
	switch {
	case u == nil:
		return WordPOPCredentials
	case u.inUse, s.opt.Exclusive && u.sessions > 0:
		return WordPOPInUse
	case s.opt.LoginDelay > 0 && !u.lastLogin.IsZero() && now.Sub(u.lastLogin) < s.opt.LoginDelay:
		return WordPOPLoginDelay
	}
	u.sessions++
	u.lastLogin = now
	return ""
}
