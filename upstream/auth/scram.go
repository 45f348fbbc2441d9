package auth

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"

	"melon/upstream"
)

// Bounds for a SCRAM server's first message (RFC 5802 section 7).
const (
	// maxIterations bounds the work a server may ask for: about a second.
	// RFC 7677 section 4 wants at least 4096, which the library enforces.
	maxIterations = 2_000_000
	// maxSCRAMMessage bounds either message of the server, in octets.
	maxSCRAMMessage = 4096
)

// scramClient is one SCRAM conversation without channel binding (gs2 flag "n",
// RFC 5802 section 6: Melon does not speak the -PLUS mechanisms):
//
//	C: n,,n=user,r=NONCE                    client-first-message
//	S: r=NONCEnonce,s=SALT,i=4096           server-first-message, bounded here
//	C: c=biws,r=NONCEnonce,p=PROOF          client-final-message
//	S: v=SIGNATURE  or  e=invalid-proof     server-final-message
//	C: (empty)
//
// The library computes; this type decides what a server may ask of it.
type scramClient struct {
	mech   Mechanism
	conv   *scram.ClientConversation
	nonce  string // the client's own
	step   int
	failed string // the server's e= value (RFC 5802 section 7), if it sent one
}

// newSCRAM prepares user name and password with SASLprep (RFC 5802 section 5.1).
// What SASLprep cannot take, such as emoji, goes as it is: servers that accept
// such a password do not prepare it either.
func newSCRAM(m Mechanism, hash scram.HashGeneratorFcn, cred Credentials) (*scramClient, error) {
	client, err := hash.NewClient(cred.Username, cred.Password, "")
	if err != nil {
		client, err = hash.NewClientUnprepped(cred.Username, cred.Password, "")
	}
	if err != nil {
		return nil, fail(upstream.ClassCredentialsRejected,
			"The account's user name or password cannot be used with "+string(m)+".", ErrCredentials)
	}
	return &scramClient{mech: m, conv: client.NewConversation()}, nil
}

func (c *scramClient) Start() (string, []byte, error) {
	first, err := c.conv.Step("")
	if err != nil {
		return "", nil, err
	}
	if i := strings.LastIndex(first, ",r="); i >= 0 {
		c.nonce = first[i+len(",r="):]
	}
	c.step = 1
	return string(c.mech), []byte(first), nil
}

// Next answers the server's first message with the proof, and its final one,
// once its signature is right, with nothing.
func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	msg := string(challenge)
	if len(msg) > maxSCRAMMessage {
		return nil, fmt.Errorf("%w: SCRAM message of %d octets", ErrChallenge, len(msg))
	}
	switch c.step {
	case 0:
		return nil, fmt.Errorf("%w: SCRAM was not started", ErrChallenge)
	case 1:
		c.step = 2
		if err := checkServerFirst(msg, c.nonce); err != nil {
			return nil, err
		}
		final, err := c.conv.Step(msg)
		if err != nil {
			// The library's texts quote the message: they are the server's
			// words, not for errors of ours.
			return nil, fmt.Errorf("%w: SCRAM server-first-message", ErrChallenge)
		}
		return []byte(final), nil
	case 2:
		c.step = 3
		return c.final(msg)
	}
	return nil, fmt.Errorf("%w: SCRAM has two", ErrChallenge)
}

// final checks the server-final-message. A server-error is the server's word
// about the login, which its reply will repeat: it is answered, not judged.
func (c *scramClient) final(msg string) ([]byte, error) {
	if e, ok := strings.CutPrefix(msg, "e="); ok {
		c.failed = upstream.CleanLine(e)
		return []byte{}, nil
	}
	if _, err := c.conv.Step(msg); err != nil || !c.conv.Valid() {
		return nil, ErrServerSignature
	}
	return []byte{}, nil
}

// verify reports whether the server proved itself (RFC 5802 section 3: the
// client must not take the login for done otherwise).
func (c *scramClient) verify() error {
	if !c.conv.Valid() {
		return ErrServerSignature
	}
	return nil
}

// checkServerFirst bounds what the library does not: the server's nonce must be
// longer than ours, and the iteration count one that a laptop gets through.
func checkServerFirst(msg, nonce string) error {
	bad := func(why string) error { return fmt.Errorf("%w: SCRAM %s", ErrChallenge, why) }
	fields := strings.Split(msg, ",")
	if len(fields) < 3 {
		return bad("server-first-message is too short")
	}
	r, ok := strings.CutPrefix(fields[0], "r=")
	if !ok || !strings.HasPrefix(r, nonce) || len(r) == len(nonce) || !bearerToken(r) {
		return bad("nonce does not extend ours")
	}
	if s, ok := strings.CutPrefix(fields[1], "s="); !ok || s == "" {
		return bad("salt is missing")
	}
	i, _ := strings.CutPrefix(fields[2], "i=")
	n, err := strconv.Atoi(i)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && n > maxIterations:
		return bad("iteration count is too high")
	case err != nil:
		return bad("iteration count is no number")
	}
	return nil
}
