package submit

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"melon/upstream"
)

// SASL is the client side of one exchange (RFC 4422); *auth.Exchange is one.
type SASL interface {
	Start() (mech string, ir []byte, err error)
	Next(challenge []byte) ([]byte, error)
	// Done tells whether the server's success counts.
	Done() error
}

// Limits of RFC 4954 section 4: the AUTH command's line with CRLF, and how many
// challenges a server may send.
const (
	maxAuthLine   = 12288
	maxChallenges = 8
)

// Auth carries one SASL exchange (RFC 4954). It returns nil upon 235. The error
// is an *upstream.Error; with a reply in it the server refused, and another
// exchange may follow as long as the conversation is Usable.
func (c *Client) Auth(ctx context.Context, m SASL) error {
	mech, ir, err := m.Start()
	if err != nil {
		return c.authFault(err)
	}
	if !argument(mech) || strings.Contains(mech, " ") {
		return c.authFault(fmt.Errorf("mechanism name %q", mech))
	}
	defer c.conn.Use(ctx)()
	line := "AUTH " + mech
	if full := line + " " + initial(ir); ir != nil && len(full)+2 <= maxAuthLine {
		line, ir = full, nil
	}
	r, err := c.command(ctx, upstream.PhaseAuth, line)
	for range maxChallenges {
		if err != nil {
			return err
		}
		if r.code != 334 {
			break
		}
		var response string
		if response, err = c.respond(m, r, ir); err != nil {
			return c.cancelAuth(ctx, err)
		}
		ir = nil
		r, err = c.command(ctx, upstream.PhaseAuth, response)
	}
	switch {
	case err != nil:
		return err
	case r.code == 334:
		return c.cancelAuth(ctx, errReply)
	case r.code != 235:
		return c.refused(upstream.PhaseAuth, r.clean())
	}
	if err := m.Done(); err != nil {
		c.botched = true // somebody is in between
		return c.authFault(err)
	}
	return nil
}

// initial encodes an initial response; an empty one is "=" (RFC 4954 section 4).
func initial(ir []byte) string {
	if len(ir) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(ir)
}

// respond answers one challenge. ir is an initial response that did not fit
// the command's line: it answers the first challenge, which is empty.
func (c *Client) respond(m SASL, r raw, ir []byte) (string, error) {
	answer := ir
	if ir == nil {
		challenge, err := base64.StdEncoding.DecodeString(strings.TrimSpace(strings.Join(r.lines, "")))
		if err != nil {
			return "", fmt.Errorf("%w: challenge is not base64", errReply)
		}
		if answer, err = m.Next(challenge); err != nil {
			return "", err
		}
	}
	line := base64.StdEncoding.EncodeToString(answer)
	if len(line)+2 > maxAuthLine {
		return "", fmt.Errorf("response of %d octets", len(line))
	}
	return line, nil
}

// cancelAuth ends an exchange that the client will not go on with: "*" (RFC
// 4954 section 4). The conversation is over after it: what the server makes of
// it is not worth knowing.
func (c *Client) cancelAuth(ctx context.Context, cause error) error {
	_, err := c.command(ctx, upstream.PhaseAuth, "*")
	c.botched = true
	if err != nil && ctx.Err() != nil {
		return err
	}
	return c.authFault(cause)
}

// authFault is the error for a failure on the client's side of the exchange.
func (c *Client) authFault(err error) error { return c.broken(upstream.PhaseAuth, err) }
