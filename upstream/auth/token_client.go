package auth

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"

	"melon/upstream"
)

// tokenClient speaks XOAUTH2 and OAUTHBEARER. Both are one message; a server
// that refuses the token says why in a JSON challenge, gets a dummy response,
// and only then gives its refusal (RFC 7628 section 3.2.3). So the JSON is
// remembered, and the refusal left to the reply.
type tokenClient struct {
	mech    Mechanism
	ir      []byte
	dummy   []byte
	failure *OAuthError
}

func newTokenClient(m Mechanism, cred Credentials) *tokenClient {
	if m == XOAUTH2 {
		return &tokenClient{
			mech:  m,
			ir:    []byte("user=" + cred.Username + "\x01auth=Bearer " + cred.Token + "\x01\x01"),
			dummy: []byte{}, // "an empty response", by Google's and Microsoft's documents
		}
	}
	// RFC 5801 section 4: "=" and "," of an authorization identity are escaped.
	user := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(cred.Username)
	inner := sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{
		Username: user, Token: cred.Token, Host: cred.Host, Port: cred.Port,
	})
	_, ir, _ := inner.Start() // cannot fail
	return &tokenClient{mech: m, ir: ir, dummy: []byte{0x01}}
}

func (c *tokenClient) Start() (string, []byte, error) { return string(c.mech), c.ir, nil }

// Next takes the server's word about the token. What is no JSON counts as a
// refusal without reasons.
func (c *tokenClient) Next(challenge []byte) ([]byte, error) {
	if c.failure != nil {
		return nil, fmt.Errorf("%w: %s has one", ErrChallenge, c.mech)
	}
	c.failure = parseOAuthError(challenge)
	return c.dummy, nil
}

// parseOAuthError reads the JSON of RFC 7628 section 3.2.2; XOAUTH2 has the same
// with an HTTP status, which some servers send as a number.
func parseOAuthError(challenge []byte) *OAuthError {
	var raw struct {
		Status  json.RawMessage `json:"status"`
		Schemes string          `json:"schemes"`
		Scope   string          `json:"scope"`
	}
	if err := json.Unmarshal(challenge, &raw); err != nil {
		return &OAuthError{}
	}
	return &OAuthError{
		Status:  upstream.CleanLine(strings.Trim(string(raw.Status), `"`)),
		Schemes: upstream.CleanLine(raw.Schemes),
		Scope:   upstream.CleanLine(raw.Scope),
	}
}
