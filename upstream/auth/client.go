package auth

import (
	"fmt"
	"net/smtp"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"

	"melon/upstream"
)

// maxCredential bounds user name, password and token, in octets, so that one
// line of base64 (RFC 4954 section 4: 12288 octets) holds any of them.
const maxCredential = 8192

// newClient returns the client side of m without the bounds that Exchange adds.
func newClient(m Mechanism, cred Credentials) (sasl.Client, error) {
	if err := checkCredentials(m, cred); err != nil {
		return nil, err
	}
	switch m {
	case Plain:
		// RFC 4616 section 2: the client sends the strings as they are, the
		// server prepares them.
		return noChallenge{sasl.NewPlainClient("", cred.Username, cred.Password)}, nil
	case Login:
		return &loginClient{answers: []string{cred.Username, cred.Password}}, nil
	case CRAMMD5:
		return &cramClient{auth: smtp.CRAMMD5Auth(cred.Username, cred.Password)}, nil
	case SCRAMSHA1:
		return newSCRAM(m, scram.SHA1, cred)
	case SCRAMSHA256:
		return newSCRAM(m, scram.SHA256, cred)
	case XOAUTH2, OAuthBearer:
		return newTokenClient(m, cred), nil
	case External:
		return noChallenge{sasl.NewExternalClient(cred.Identity)}, nil
	}
	return nil, fail(upstream.ClassMechanismUnsupported,
		"The account's auth setting names a way to log in that Melon does not know.", nil)
}

// checkCredentials refuses what a mechanism cannot carry: it would be cut, or
// mistaken for another field.
func checkCredentials(m Mechanism, cred Credentials) error {
	bad := func(class upstream.Class, sentence, why string) error {
		return fail(class, sentence, fmt.Errorf("%w: %s", ErrCredentials, why))
	}
	if m != External && !usable(cred.Username) || m == External && cred.Identity != "" && !usable(cred.Identity) {
		return bad(upstream.ClassCredentialsRejected,
			"The account's user name is empty, too long or has a control character in it; correct username in the configuration.", "user name")
	}
	if m.Password() && (cred.Password == "" || len(cred.Password) > maxCredential || strings.ContainsRune(cred.Password, 0)) {
		return bad(upstream.ClassCredentialsRejected,
			"The account's password is empty, too long or has a NUL in it; store it again.", "password")
	}
	if m.OAuth() && !bearerToken(cred.Token) {
		return bad(upstream.ClassAppPasswordOrOAuthRequired,
			"The account's access token is empty or has characters in it that no token has; sign in again with melon login.", "token")
	}
	return nil
}

// usable reports whether s can be a user name: not empty, UTF-8, no control
// characters.
func usable(s string) bool {
	if s == "" || len(s) > maxCredential || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// bearerToken reports whether s can stand after "Bearer " (RFC 6750 section
// 2.1, with the few characters more that providers use).
func bearerToken(s string) bool {
	if s == "" || len(s) > maxCredential {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r >= 0x7f })
}

// noChallenge says it in our words when a server answers a mechanism of one
// message with a challenge.
type noChallenge struct{ sasl.Client }

func (noChallenge) Next([]byte) ([]byte, error) {
	return nil, fmt.Errorf("%w: the mechanism has none", ErrChallenge)
}

// loginClient answers by position: the prompts are spelled in many ways, and
// some servers translate them. It sends no initial response, which not every
// LOGIN server takes.
type loginClient struct{ answers []string }

func (c *loginClient) Start() (string, []byte, error) { return string(Login), nil, nil }

func (c *loginClient) Next([]byte) ([]byte, error) {
	if len(c.answers) == 0 {
		return nil, fmt.Errorf("%w: LOGIN has two", ErrChallenge)
	}
	answer := c.answers[0]
	c.answers = c.answers[1:]
	return []byte(answer), nil
}

// cramClient puts net/smtp's CRAM-MD5 behind the SASL interface.
type cramClient struct {
	auth smtp.Auth
	done bool
}

func (c *cramClient) Start() (string, []byte, error) { return string(CRAMMD5), nil, nil }

// Next answers the one challenge. RFC 2195 section 2 wants a msg-id; anything
// printable will do, but not nothing: an empty challenge would make the answer
// the same every time.
func (c *cramClient) Next(challenge []byte) ([]byte, error) {
	if c.done || !usable(string(challenge)) {
		return nil, fmt.Errorf("%w: CRAM-MD5 has one, of printable text", ErrChallenge)
	}
	c.done = true
	return c.auth.Next(challenge, true)
}
