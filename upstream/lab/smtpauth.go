package lab

import (
	"slices"
	"strings"
)

// auth answers AUTH (RFC 4954).
func (s *smtpSession) auth(args string) error {
	mech, ir, _ := strings.Cut(args, " ")
	mech = strings.ToUpper(mech)
	switch {
	case !s.hello || s.user != "" || s.tx.open:
		s.ok("503 5.5.1 Bad sequence of commands")
		return nil
	case s.opt.RequireTLS && !s.tls, !s.offersAuth() && s.offers("AUTH") && !s.tls:
		s.refuse(WordTLS)
		return nil
	case !s.offersAuth():
		s.ok("502 5.5.1 AUTH not available")
		return nil
	case !slices.Contains(s.opt.Mechanisms, mech), lacks(s.opt.Dead, mech):
		s.refuse(WordMechanism)
		return nil
	}
	user, err := s.sasl(mech, strings.TrimSpace(ir), s.opt, "334 ")
	switch e := err.(type) {
	case nil:
		s.user, s.mech = user, strings.ToLower(mech)
		s.p.rec.update(func() { s.p.rec.stats.Auths++ })
		s.ok("235 2.7.0 Authentication successful")
	case authError:
		s.p.rec.update(func() { s.p.rec.stats.AuthFailures++ })
		switch e {
		case authCancelled:
			s.ok("501 5.7.0 Authentication cancelled")
		case authSyntax:
			s.ok("501 5.5.2 Cannot decode response")
		case authBasic:
			s.refuse(WordBasicDisabled)
		case authLocked:
			s.refuse(WordLocked)
		default:
			s.refuse(WordCredentials)
		}
	default:
		return err
	}
	return nil
}
