package pop

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"

	"melon/upstream"
	"melon/upstream/reply"
)

// The ways to log in, as Capabilities.Method names them.
const (
	methodAPOP  = "apop"
	methodPlain = "plain"
	methodUser  = "user"
)

// maxInitial is the longest AUTH command with an initial response (RFC 5034
// section 4: 255 octets with its line end).
const maxInitial = 253

// checkCredentials refuses what would become a command of its own on the wire.
func (s *Session) checkCredentials() error {
	for _, c := range []struct{ what, value string }{
		{"user name", s.o.Account.POP.Username}, {"password", s.o.Password},
	} {
		if strings.ContainsAny(c.value, "\r\n\x00") {
			return s.errorf(upstream.PhasePOPUser, upstream.ClassPOPCredentialsRejected, nil,
				"The POP %s of account %s contains a line break or a NUL and cannot be sent.", c.what, s.o.Account.Name)
		}
	}
	return nil
}

// login tries the ways to log in, the best one first. The next one is tried only
// where the server does not know this one; a refused password is final.
func (s *Session) login(context.Context) error {
	methods := s.methods()
	if len(methods) == 0 {
		return s.plaintextRefused(nil)
	}
	var err error
	for i := 0; i < len(methods); i++ {
		if err = s.try(methods[i]); err == nil {
			s.at = s.o.Now()
			s.caps.Method = methods[i]
			return nil
		}
		if !another(methods[i], err) {
			return err
		}
		if methods[i] == methodUser && !s.asked { // no USER, and CAPA was saved: ask now
			if err := s.capabilities(); err != nil {
				return err
			}
			if slices.Contains(s.caps.SASL, "PLAIN") {
				methods = append(methods, methodPlain)
			}
		}
	}
	if methods[len(methods)-1] == methodAPOP && unknownCommand(err) {
		return s.plaintextRefused(err)
	}
	return err
}

// methods lists the ways to log in over this connection.
func (s *Session) methods() []string {
	var out []string
	clear := !s.caps.TLS
	if clear && s.stamp != "" && !strings.Contains(s.o.Account.POP.Username, " ") {
		out = append(out, methodAPOP)
	}
	if clear && !s.o.Account.AllowPlaintext {
		return out
	}
	if slices.Contains(s.caps.SASL, "PLAIN") {
		out = append(out, methodPlain)
	}
	out = append(out, methodUser)
	// What worked before goes first: a server that refused APOP then would again.
	if k := s.o.Known; k != nil && k.TLS == s.caps.TLS {
		if i := slices.Index(out, k.Method); i > 0 {
			out = append([]string{k.Method}, slices.Delete(out, i, i+1)...)
		}
	}
	return out
}

// another reports whether a failed try leaves room for another way: the server
// knows no such command or mechanism, or refuses APOP, for which it would have
// to know the password itself and often does not although it greets as if.
func another(method string, err error) bool {
	var e *upstream.Error
	if !errors.As(err, &e) || e.Reply.IsZero() {
		return false
	}
	return unknownCommand(err) ||
		method == methodAPOP && (e.Class == upstream.ClassPOPCredentialsRejected || e.Class == upstream.ClassOther)
}

// noCommand are the words for a command or mechanism that the server does not
// know, as far as they cannot be about a user.
var noCommand = regexp.MustCompile(`(?i)\b(unknown|unrecogni[sz]ed|invalid|bad|unimplemented|unsupported|no such)\b.*\b(command|mechanism|verb|method|sasl)\b` +
	`|\b(command|mechanism|verb|method|sasl|apop|auth)\b.*\b(unknown|unrecogni[sz]ed|unimplemented|unsupported|disabled|not (known|recogni[sz]ed|implemented|supported|available|enabled|valid))\b` +
	`|\buser\b.*\bnot (implemented|supported)\b`)

// unknownCommand reports whether the server does not know the command.
func unknownCommand(err error) bool {
	var e *upstream.Error
	if !errors.As(err, &e) || e.Reply.IsZero() {
		return false
	}
	return e.Class == upstream.ClassMechanismUnsupported || e.Class == upstream.ClassSyntaxOrProtocol ||
		noCommand.MatchString(e.Reply.Text())
}

// plaintextRefused is a password that is not sent over this connection.
func (s *Session) plaintextRefused(err error) *upstream.Error {
	return s.errorf(upstream.PhasePOPUser, upstream.ClassTLSRequired, err,
		"The connection to %s is not encrypted, so the password of account %s was not sent; set pop.security to tls or starttls, or allow_plaintext to true.",
		s.conn.Addr(), s.o.Account.Name)
}

// try logs in one way.
func (s *Session) try(method string) error {
	switch method {
	case methodAPOP:
		sum := md5.Sum([]byte(s.stamp + s.o.Password)) // RFC 1939 section 7
		_, err := s.command(upstream.PhasePOPPass,
			"APOP "+s.o.Account.POP.Username+" "+hex.EncodeToString(sum[:]), 2*s.o.Timeout)
		return err
	case methodPlain:
		return s.plain()
	}
	return s.user()
}

// plain is AUTH PLAIN (RFC 5034, RFC 4616), with the initial response in the
// command where it fits.
func (s *Session) plain() error {
	response := base64.StdEncoding.EncodeToString(
		[]byte("\x00" + s.o.Account.POP.Username + "\x00" + s.o.Password))
	line := "AUTH PLAIN " + response
	if len(line) > maxInitial {
		line = "AUTH PLAIN"
	}
	s.limit(2 * s.o.Timeout)
	s.wire.expect(challenge)
	_, err := s.pop.Cmd(line, false)
	if err != nil && s.wire.err == nil && s.wire.challenged() {
		s.wire.expect(oneLine)
		_, err = s.pop.Cmd(response, false)
	}
	if err != nil {
		return s.fault(upstream.PhasePOPPass, err)
	}
	return nil
}

// user is USER and PASS, in one write where the server is known to take
// commands ahead of its answers.
func (s *Session) user() error {
	user, pass := "USER "+s.o.Account.POP.Username, "PASS "+s.o.Password
	if !s.caps.Pipelining {
		if _, err := s.command(upstream.PhasePOPUser, user, s.o.Timeout); err != nil {
			return err
		}
		_, err := s.command(upstream.PhasePOPPass, pass, 2*s.o.Timeout)
		return err
	}
	s.limit(2 * s.o.Timeout)
	s.wire.expect(oneLine)
	if err := s.pop.Send(user + "\r\n" + pass); err != nil {
		return s.fault(upstream.PhasePOPUser, err)
	}
	var refused error
	if _, err := s.pop.ReadOne(); err != nil {
		if refused = s.fault(upstream.PhasePOPUser, err); s.wire.err != nil {
			return refused
		}
	}
	if _, err := s.pop.ReadOne(); err != nil && refused == nil {
		refused = s.fault(upstream.PhasePOPPass, err)
	}
	return refused
}

// fault turns what went wrong with a command into an *upstream.Error: the
// server's refusal, words that are no POP3, or the connection's end.
func (s *Session) fault(phase upstream.Phase, err error) *upstream.Error {
	name := s.conn.Addr()
	switch cause := s.wire.err; {
	case errors.Is(cause, errNotPOP):
		return s.errorf(phase, upstream.ClassServerBroken, cause, "%s does not answer like a POP3 server.", name)
	case errors.Is(cause, errTooLong), errors.Is(cause, errTooMuch):
		return s.errorf(phase, upstream.ClassServerBroken, cause, "%s sent an answer without an end.", name)
	case cause != nil:
		return s.conn.Fault(phase, cause)
	case s.wire.refused():
		e := s.errorf(phase, upstream.ClassOther, nil, "The POP3 server %s refused the login of account %s.", name, s.o.Account.Name)
		if phase == upstream.PhasePOPGreeting {
			e.Sentence = upstream.CleanLine("The POP3 server " + name + " does not serve now.")
		}
		e.Reply = upstream.Reply{Lines: []string{upstream.CleanLine(s.wire.last)}}
		e.Class = classify(phase, e.Reply)
		return e
	case s.wire.challenged():
		return s.errorf(phase, upstream.ClassServerBroken, err, "%s asks for more than a user name and a password.", name)
	}
	return s.conn.Fault(phase, err)
}

// classify lets a response code (RFC 2449 section 8, RFC 3206) overrule the
// words after it where it is unmistakable, and decide where they say nothing.
func classify(phase upstream.Phase, r upstream.Reply) upstream.Class {
	class := reply.Classify(phase, r)
	_, text, _ := strings.Cut(r.Text(), " ")
	code, _, found := strings.Cut(strings.TrimLeft(text, " "), "]")
	if !found || !strings.HasPrefix(code, "[") {
		return class
	}
	switch code := strings.ToUpper(code[1:]); {
	case code == "IN-USE":
		return upstream.ClassPOPMailboxInUse
	case code == "LOGIN-DELAY":
		return upstream.ClassPOPLoginDelay
	case code == "SYS/TEMP":
		return upstream.ClassPOPTemporary
	case class != upstream.ClassOther:
		return class
	case code == "AUTH":
		return upstream.ClassPOPCredentialsRejected
	case code == "SYS/PERM":
		return upstream.ClassAccountDisabledOrLocked
	}
	return class
}
