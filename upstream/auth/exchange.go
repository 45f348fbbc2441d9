package auth

import (
	"errors"
	"fmt"

	"github.com/emersion/go-sasl"

	"melon/upstream"
)

// Bounds for what a server may send within one exchange.
const (
	// MaxChallenge bounds one decoded challenge, in octets. RFC 4954 section 4
	// allows 12288 octets of base64.
	MaxChallenge = 12288 / 4 * 3
	// maxChallenges bounds how often the server may ask: no mechanism here
	// needs more than two, some servers add an empty one.
	maxChallenges = 4
)

// Credentials is what a mechanism may need. Fields that it does not need are
// ignored.
type Credentials struct {
	Username string // authentication identity
	Password string // for PLAIN, LOGIN, CRAM-MD5 and SCRAM
	Token    string // access token, for XOAUTH2 and OAUTHBEARER
	Identity string // authorization identity for EXTERNAL; usually empty
	Host     string // server's name without port, for OAUTHBEARER (RFC 7628 section 3.1); may be empty
	Port     int    // and its port; may be 0
}

// Exchange is the client side of one SASL exchange (RFC 4422 section 3) on one
// connection. It holds secrets: drop it when it is over. Not safe for
// concurrent use.
//
// The caller base64s and carries: Start once; Next for each challenge (334, or
// "+ " in POP3); Done when the server reports success. An error from any of them
// means that the caller cancels with "*" and closes the connection; it is an
// *upstream.Error. After the server's refusal OAuthError tells what an OAuth
// server said about the token.
type Exchange struct {
	mech       Mechanism
	client     sasl.Client
	challenges int
	err        error // the first failure; every later call returns it
}

// NewExchange returns the client side of mechanism m. It fails with
// ErrCredentials in the chain when the credentials cannot be expressed in it.
func NewExchange(m Mechanism, cred Credentials) (*Exchange, error) {
	client, err := newClient(m, cred)
	if err != nil {
		return nil, err
	}
	return &Exchange{mech: m, client: client}, nil
}

// Mechanism returns the mechanism's name.
func (x *Exchange) Mechanism() Mechanism { return x.mech }

// Start returns the mechanism's name and its initial response. A nil response
// means that the server speaks first; an empty one that is not nil is sent as
// "=" (RFC 4954 section 4). A caller that cannot send it with the AUTH command
// (RFC 4954 section 4: the command line's limit) sends it as the answer to the
// server's first, empty challenge, without asking Next.
func (x *Exchange) Start() (mech string, ir []byte, err error) {
	if x.err != nil {
		return "", nil, x.err
	}
	mech, ir, err = x.client.Start()
	if err != nil {
		return "", nil, x.fail(err)
	}
	return mech, ir, nil
}

// Next answers one decoded challenge. The answer may be empty.
func (x *Exchange) Next(challenge []byte) ([]byte, error) {
	if x.err != nil {
		return nil, x.err
	}
	x.challenges++
	switch {
	case x.challenges > maxChallenges:
		return nil, x.fail(fmt.Errorf("%w: the server keeps asking", ErrChallenge))
	case len(challenge) > MaxChallenge:
		return nil, x.fail(fmt.Errorf("%w: %d octets", ErrChallenge, len(challenge)))
	}
	answer, err := x.client.Next(challenge)
	if err != nil {
		return nil, x.fail(err)
	}
	return answer, nil
}

// verifier is a client that has to be convinced before success counts.
type verifier interface{ verify() error }

// Done is called when the server reports success (235, +OK). It returns an
// error with ErrServerSignature in the chain when a SCRAM server did not prove
// itself; the connection must not be used then.
func (x *Exchange) Done() error {
	if x.err != nil {
		return x.err
	}
	if v, ok := x.client.(verifier); ok {
		if err := v.verify(); err != nil {
			return x.fail(err)
		}
	}
	return nil
}

// OAuthError is what a server said about an access token it refused (RFC 7628
// section 3.2.2): cleaned and bounded.
type OAuthError struct {
	Status  string // "invalid_token", "insufficient_scope", or for XOAUTH2 an HTTP status such as "401"
	Schemes string
	Scope   string
}

// OAuthError returns the server's word about the token, if it gave one.
func (x *Exchange) OAuthError() (OAuthError, bool) {
	if c, ok := x.client.(*tokenClient); ok && c.failure != nil {
		return *c.failure, true
	}
	return OAuthError{}, false
}

// fail remembers and types the exchange's failure.
func (x *Exchange) fail(err error) error {
	x.err = exchangeError(x.mech, err)
	return x.err
}

// exchangeError is the *upstream.Error for a failure that the client side found.
func exchangeError(m Mechanism, err error) *upstream.Error {
	if errors.Is(err, ErrServerSignature) {
		return fail(upstream.ClassSMTPIntercepted,
			"The server could not prove that it knows the account's password: somebody may be in between, so nothing more was sent to it.", err)
	}
	return fail(upstream.ClassServerBroken,
		"The server's part of the "+string(m)+" login makes no sense; the login was broken off.", err)
}
