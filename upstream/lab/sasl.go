package lab

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/xdg-go/scram"
)

// authError is why an AUTH failed.
type authError string

func (e authError) Error() string { return "lab: auth: " + string(e) }

const (
	authWrong     authError = "wrong credentials"
	authCancelled authError = "cancelled"
	authSyntax    authError = "bad syntax"
	authBasic     authError = "basic authentication disabled"
	authLocked    authError = "locked"
)

// mechanism is the server's side of a SASL mechanism. It gets the client's
// response (nil when there is none yet) and returns a challenge, or done.
type mechanism func(resp []byte) (challenge []byte, done bool, err error)

// sasl carries out one exchange and returns the user. ir is the initial
// response as sent ("" for none, "=" for an empty one), challenges begin with
// prefix. An error that is no authError ends the connection.
func (c *conn) sasl(mech, ir string, opt SMTP, prefix string) (string, error) {
	var user string
	m := c.mechanism(mech, opt, &user)
	var resp []byte
	if ir != "" {
		if resp = decode64(ir); resp == nil {
			return "", authSyntax
		}
	}
	for {
		challenge, done, err := m(resp)
		if err != nil {
			c.p.failed(user)
			return "", err
		}
		if done {
			return user, c.p.passed(user)
		}
		c.say(prefix + base64.StdEncoding.EncodeToString(challenge))
		line, err := c.readLine()
		if err != nil {
			return "", err
		}
		c.show(true, "****")
		if f := c.p.fault(c.proto, PhaseAuthStep); f != nil {
			if done, err := c.strike(f); done || err != nil {
				return "", errEnd
			}
		}
		if line == "*" {
			return "", authCancelled
		}
		if resp = decode64(line); resp == nil {
			return "", authSyntax
		}
	}
}

// decode64 returns nil for what is no base64, and an empty slice for "" and "=".
func decode64(s string) []byte {
	if s == "=" || s == "" {
		return []byte{}
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// mechanism returns the mechanism, which sets *user as soon as it knows it.
func (c *conn) mechanism(name string, opt SMTP, user *string) mechanism {
	var m mechanism
	switch name {
	case "PLAIN":
		m = c.plain(user)
	case "LOGIN":
		m = c.login(user)
	case "CRAM-MD5":
		m = c.cramMD5(opt.Hostname, user)
	case "SCRAM-SHA-1":
		m = c.scram(scram.SHA1, name, opt.FalseSignature, user)
	case "SCRAM-SHA-256":
		m = c.scram(scram.SHA256, name, opt.FalseSignature, user)
	case "XOAUTH2", "OAUTHBEARER":
		return c.bearer(user)
	case "EXTERNAL":
		return c.external(opt.ClientCertUser, user)
	default:
		return func([]byte) ([]byte, bool, error) { return nil, false, authWrong }
	}
	if opt.BasicDisabled {
		return func(resp []byte) ([]byte, bool, error) {
			ch, done, err := m(resp)
			if done || err == authWrong {
				return nil, false, authBasic
			}
			return ch, done, err
		}
	}
	return m
}

// check reports whether a password is right.
func (p *Provider) check(user, password string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.users[user]
	return u != nil && u.Password == password
}

// password returns a user's password, for mechanisms that need it.
func (p *Provider) password(user string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.users[user]; u != nil {
		return u.Password, true
	}
	return "", false
}

// failed counts a failure against the user.
func (p *Provider) failed(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.users[user]; u != nil {
		u.failures++
	}
}

// passed ends a row of failures, unless they have locked the account.
func (p *Provider) passed(user string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.users[user]
	if u == nil {
		return authWrong
	}
	if n := p.rules.Limits.AuthFailures; n > 0 && u.failures >= n {
		return authLocked
	}
	u.failures = 0
	return nil
}

// plain is RFC 4616.
func (c *conn) plain(user *string) mechanism {
	return func(resp []byte) ([]byte, bool, error) {
		if resp == nil {
			return nil, false, nil
		}
		parts := bytes.Split(resp, []byte{0})
		if len(parts) != 3 {
			return nil, false, authSyntax
		}
		*user = string(parts[1])
		if !c.p.check(*user, string(parts[2])) {
			return nil, false, authWrong
		}
		return nil, true, nil
	}
}

// login is the LOGIN mechanism, with the user name as an initial response too.
func (c *conn) login(user *string) mechanism {
	asked, named := false, false
	return func(resp []byte) ([]byte, bool, error) {
		switch {
		case resp == nil && !asked:
			asked = true
			return []byte("Username:"), false, nil
		case !named:
			named = true
			*user = string(resp)
			return []byte("Password:"), false, nil
		case !c.p.check(*user, string(resp)):
			return nil, false, authWrong
		}
		return nil, true, nil
	}
}

// cramMD5 is RFC 2195.
func (c *conn) cramMD5(host string, user *string) mechanism {
	var challenge []byte
	return func(resp []byte) ([]byte, bool, error) {
		if challenge == nil {
			challenge = fmt.Appendf(nil, "<%s@%s>", rand.Text(), host)
			return challenge, false, nil
		}
		name, digest, _ := strings.Cut(string(resp), " ")
		*user = name
		password, known := c.p.password(name)
		h := hmac.New(md5.New, []byte(password))
		h.Write(challenge)
		if !known || digest != hex.EncodeToString(h.Sum(nil)) {
			return nil, false, authWrong
		}
		return nil, true, nil
	}
}

// scram is RFC 5802; lie makes the server's signature wrong.
func (c *conn) scram(h scram.HashGeneratorFcn, name string, lie bool, user *string) mechanism {
	var conv *scram.ServerConversation
	return func(resp []byte) ([]byte, bool, error) {
		if resp == nil {
			return nil, false, nil
		}
		if conv == nil {
			server, err := h.NewServer(func(u string) (scram.StoredCredentials, error) {
				*user = u
				return c.p.scramCredentials(h, name, u)
			})
			if err != nil {
				return nil, false, err
			}
			conv = server.NewConversation()
		}
		if conv.Done() {
			if !conv.Valid() {
				return nil, false, authWrong
			}
			return nil, true, nil
		}
		out, err := conv.Step(string(resp))
		if err != nil {
			return nil, false, authWrong
		}
		if lie && conv.Done() {
			out = "v=" + base64.StdEncoding.EncodeToString(make([]byte, h().Size()))
		}
		return []byte(out), false, nil
	}
}

// scramIterations is the least that RFC 7677 section 4 allows.
const scramIterations = 4096

// scramCredentials returns what the server keeps of a password, made once.
func (p *Provider) scramCredentials(h scram.HashGeneratorFcn, name, user string) (scram.StoredCredentials, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.users[user]
	if u == nil {
		return scram.StoredCredentials{}, authWrong
	}
	if s, ok := u.scram[name]; ok {
		return s, nil
	}
	cl, err := h.NewClient(user, u.Password, "")
	if err != nil {
		return scram.StoredCredentials{}, err
	}
	s, err := cl.GetStoredCredentialsWithError(scram.KeyFactors{Salt: rand.Text(), Iters: scramIterations})
	if err == nil {
		u.scram[name] = s
	}
	return s, err
}

// bearer is XOAUTH2 and OAUTHBEARER (RFC 7628): a refused token is explained
// in a challenge, and the client's answer to that brings the refusal.
func (c *conn) bearer(user *string) mechanism {
	refused := false
	return func(resp []byte) ([]byte, bool, error) {
		if resp == nil {
			return nil, false, nil
		}
		if refused {
			return nil, false, authWrong
		}
		token := ""
		for field := range strings.SplitSeq(string(resp), "\x01") {
			switch {
			case strings.HasPrefix(field, "user="):
				*user = field[len("user="):]
			case strings.HasPrefix(field, "n,a="):
				*user = strings.TrimSuffix(field[len("n,a="):], ",")
			case len(field) > 12 && strings.EqualFold(field[:12], "auth=Bearer "):
				token = field[12:]
			}
		}
		name, ok := c.p.tokenUser(token)
		if ok {
			*user = name
			return nil, true, nil
		}
		refused = true
		return []byte(`{"status":"401","schemes":"bearer","scope":"https://provider-a.example/mail"}`), false, nil
	}
}

// tokenUser returns the user whom an access token lets in.
func (p *Provider) tokenUser(token string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if token == "" {
		return "", false
	}
	for _, u := range p.users {
		if u.Token == token {
			return u.Name, true
		}
	}
	if p.tokens != nil {
		return p.tokens(token)
	}
	return "", false
}

// external is the EXTERNAL mechanism (RFC 4422 appendix A): the certificate of
// the TLS handshake counts.
func (c *conn) external(name string, user *string) mechanism {
	return func(resp []byte) ([]byte, bool, error) {
		if resp == nil {
			return nil, false, nil
		}
		*user = name
		if c.peer == nil || name == "" {
			return nil, false, authWrong
		}
		return nil, true, nil
	}
}
