package auth

import (
	"slices"
	"strings"

	"melon/upstream"
)

// Mechanism is a SASL mechanism's registered name, in upper case.
type Mechanism string

// The mechanisms that Melon speaks.
const (
	Plain       Mechanism = "PLAIN"         // RFC 4616
	Login       Mechanism = "LOGIN"         // draft-murchison-sasl-login
	CRAMMD5     Mechanism = "CRAM-MD5"      // RFC 2195
	SCRAMSHA1   Mechanism = "SCRAM-SHA-1"   // RFC 5802
	SCRAMSHA256 Mechanism = "SCRAM-SHA-256" // RFC 7677
	XOAUTH2     Mechanism = "XOAUTH2"       // Google's and Microsoft's own
	OAuthBearer Mechanism = "OAUTHBEARER"   // RFC 7628
	External    Mechanism = "EXTERNAL"      // RFC 4422 appendix A
)

// Method returns the mechanism as the configuration spells it: "scram-sha-256".
func (m Mechanism) Method() upstream.AuthMethod {
	return upstream.AuthMethod(strings.ToLower(string(m)))
}

// Challenge reports whether the mechanism proves the password without sending
// it: CRAM-MD5 and SCRAM.
func (m Mechanism) Challenge() bool {
	return m == CRAMMD5 || m == SCRAMSHA1 || m == SCRAMSHA256
}

// OAuth reports whether the mechanism takes an access token.
func (m Mechanism) OAuth() bool { return m == XOAUTH2 || m == OAuthBearer }

// Password reports whether the mechanism needs the account's password.
func (m Mechanism) Password() bool { return m.Challenge() || m == Plain || m == Login }

// passwordOrder lists the password mechanisms, strongest first.
func passwordOrder() []Mechanism {
	return []Mechanism{SCRAMSHA256, SCRAMSHA1, CRAMMD5, Plain, Login}
}

// tokenOrder lists the mechanisms for access tokens, the standard one first.
func tokenOrder() []Mechanism { return []Mechanism{OAuthBearer, XOAUTH2} }

// mechanismOf returns the one mechanism that an explicit method names.
func mechanismOf(method upstream.AuthMethod) (Mechanism, bool) {
	m := Mechanism(strings.ToUpper(string(method)))
	return m, m.Password() || m.OAuth() || m == External
}

// Conditions is what Choose must know besides the server's offer.
type Conditions struct {
	TLS            bool // the connection is encrypted
	AllowPlaintext bool // the account's allow_plaintext
	ClientCert     bool // the connection presented a client certificate
	// HaveToken is true when the account signs in with OAuth (it has an oauth
	// block), or its secret is itself an access token.
	HaveToken bool
	// Avoid lists mechanisms that are not to be tried (again): refused on this
	// connection, or known not to work here.
	Avoid []Mechanism
}

// Choose returns the mechanisms to try, strongest first: for the method `auto`
// every usable one that the server offers, for an explicit method that one
// alone. The caller tries the first; on 504 the next in order; upon a refused
// password what NextMechanism says.
//
// offered are the words after AUTH in the EHLO reply (or SASL in CAPA), in any
// case. An empty result without an error means: do not log in (methods `none`
// and `pop-before-smtp`, or `auto` with a server that offers no AUTH at all).
//
// No mechanism, not even a challenge mechanism, runs over an unencrypted
// connection unless the account has AllowPlaintext: CRAM-MD5 and SCRAM do not
// show the password to a listener, but hand him all he needs to guess it at
// leisure, and nothing proves who the server is.
//
// The error is an *upstream.Error of class tls-required, mechanism-unsupported
// or app-password-or-oauth-required.
func Choose(method upstream.AuthMethod, offered []string, c Conditions) ([]Mechanism, error) {
	switch method {
	case upstream.AuthNone, upstream.AuthPOPBeforeSMTP:
		return nil, nil
	case upstream.AuthAuto, "":
		if len(offered) == 0 {
			return nil, nil
		}
	}
	if !c.TLS && !c.AllowPlaintext {
		return nil, fail(upstream.ClassTLSRequired,
			"The connection is not encrypted, so the password was not sent; use security tls or starttls, or set allow_plaintext for this account if the network in between can be trusted.", nil)
	}
	usable, err := candidates(method, c)
	if err != nil {
		return nil, err
	}
	offer := mechanisms(offered)
	var list []Mechanism
	for _, m := range usable {
		if slices.Contains(offer, m) && !slices.Contains(c.Avoid, m) {
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		return nil, unsupported(method, offer, usable, c)
	}
	return list, nil
}

// candidates returns what the account could use, strongest first.
func candidates(method upstream.AuthMethod, c Conditions) ([]Mechanism, error) {
	if method != upstream.AuthAuto && method != "" {
		m, ok := mechanismOf(method)
		if !ok {
			return nil, fail(upstream.ClassMechanismUnsupported,
				"The account's auth setting names a way to log in that Melon does not know.", nil)
		}
		if m.OAuth() && !c.HaveToken {
			return nil, fail(upstream.ClassAppPasswordOrOAuthRequired,
				"This account logs in with "+string(m)+" but has no OAuth 2.0 sign-in; add an oauth block to it and run melon login.", ErrSignIn)
		}
		return []Mechanism{m}, nil
	}
	list := passwordOrder()
	if c.HaveToken {
		list = tokenOrder()
	}
	if c.ClientCert {
		list = append([]Mechanism{External}, list...)
	}
	return list, nil
}

// unsupported says that nothing usable is offered, and what to do about it.
func unsupported(method upstream.AuthMethod, offer, usable []Mechanism, c Conditions) error {
	explicit := method != upstream.AuthAuto && method != ""
	left := slices.DeleteFunc(slices.Clone(offer), func(m Mechanism) bool { return !slices.Contains(usable, m) })
	switch {
	case len(offer) == 0 && !c.TLS:
		return fail(upstream.ClassTLSRequired,
			"The server offers no login on an unencrypted connection; use security tls or starttls for it.", nil)
	case len(offer) == 0:
		return fail(upstream.ClassMechanismUnsupported,
			"The server offers no login on this port; try port 465 or 587, or set auth to none.", nil)
	case len(left) > 0:
		return fail(upstream.ClassMechanismUnsupported,
			"The server offers "+names(left)+" but refused every one of them; try another port, or set auth to the one that the provider names.", nil)
	case explicit:
		return fail(upstream.ClassMechanismUnsupported,
			"The server does not offer "+string(usable[0])+", only "+names(offer)+"; set auth to auto or to one of these.", nil)
	case c.HaveToken:
		return fail(upstream.ClassMechanismUnsupported,
			"The server takes no OAuth 2.0 sign-in, only "+names(offer)+"; use a password for this account instead of the oauth block.", nil)
	case slices.ContainsFunc(offer, Mechanism.OAuth):
		return fail(upstream.ClassAppPasswordOrOAuthRequired,
			"The server takes no password, only a modern sign-in ("+names(offer)+"); add an oauth block to the account and run melon login.", ErrSignIn)
	}
	return fail(upstream.ClassMechanismUnsupported,
		"The server offers only "+names(offer)+" to log in, which Melon does not speak; ask the provider for another port or server.", nil)
}

// NextMechanism returns what may be tried after the server refused the password
// that came by way of refused: only after a challenge mechanism, only inside
// TLS, and only PLAIN (LOGIN where the server has no PLAIN). Some servers keep
// no password that their challenge mechanisms could check. rest is what Choose
// returned. It must not be asked after ErrServerSignature.
func NextMechanism(refused Mechanism, rest []Mechanism, c Conditions) (Mechanism, bool) {
	if !refused.Challenge() || !c.TLS {
		return "", false
	}
	for _, m := range []Mechanism{Plain, Login} {
		if slices.Contains(rest, m) && !slices.Contains(c.Avoid, m) {
			return m, true
		}
	}
	return "", false
}

// maxOffered bounds how many words of an AUTH line are looked at.
const maxOffered = 32

// mechanisms cleans a server's AUTH words: upper case, registered characters
// only (RFC 4422 section 3.1), each once, bounded.
func mechanisms(offered []string) []Mechanism {
	var list []Mechanism
	for _, w := range offered {
		m := Mechanism(strings.ToUpper(strings.TrimSpace(w)))
		if len(list) == maxOffered || !validName(string(m)) || slices.Contains(list, m) {
			continue
		}
		list = append(list, m)
	}
	return list
}

// validName implements sasl-mech of RFC 4422 section 3.1, but for 40 octets.
func validName(s string) bool {
	if s == "" || len(s) > 40 {
		return false
	}
	for _, r := range s {
		if (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

// names lists at most eight mechanisms for a sentence: "PLAIN, LOGIN".
func names(list []Mechanism) string {
	var words []string
	for i, m := range list {
		if i == 8 {
			words = append(words, "…")
			break
		}
		words = append(words, string(m))
	}
	return strings.Join(words, ", ")
}
