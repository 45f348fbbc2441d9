package relay

import (
	"context"
	"errors"
	"slices"
	"strings"

	"melon/upstream"
	"melon/upstream/auth"
)

// maxAuths bounds the AUTH commands on one connection: servers count them, and
// some lock the account.
const maxAuths = 2

const noAuth = "none"

// login logs l in as the account wants it. again is true when another connection
// is worth a try, with what was found out in c.avoid and c.prefer. Errors are
// *upstream.Error.
func (c *connector) login(ctx context.Context, l *line) (again bool, err error) {
	mechs, err := c.choose(l)
	if err != nil {
		return false, err
	}
	if len(mechs) == 0 {
		l.auth = noAuth
		return false, nil
	}
	done, err := c.a.prove(ctx, c.admitted)
	if err != nil {
		return false, err
	}
	defer done()
	for n := range maxAuths {
		m := mechs[0]
		var refused *upstream.Error
		if refused, err = c.try(ctx, l, m); refused == nil {
			if err == nil {
				l.auth = strings.ToLower(string(m))
				c.a.setProven(true)
			}
			// A server that hung up after its refusal gets a new connection.
			return n > 0 && err != nil && !l.client.Usable() && ctx.Err() == nil && !errors.Is(err, auth.ErrServerSignature), err
		}
		err = refused
		rest, stop := c.afterRefusal(l, m, mechs, refused)
		if stop {
			if refused.Class.StopsAttempts() && refused.Kind() == upstream.KindPerson {
				c.a.setProven(false)
				c.a.shut(refused)
			}
			return false, refused
		}
		mechs = rest
		if !l.client.Usable() {
			break
		}
	}
	return true, err
}

// choose lists the mechanisms to try, the one that worked before first.
func (c *connector) choose(l *line) ([]auth.Mechanism, error) {
	a := c.a.settings
	_, tls := l.client.TLS()
	cond := auth.Conditions{
		TLS: tls, AllowPlaintext: a.AllowPlaintext,
		ClientCert: a.Auth == upstream.AuthExternal,
		HaveToken:  c.haveToken(), Avoid: c.avoid,
	}
	offered := l.client.Capabilities().Auth
	c.skipped = nil
	mechs, err := auth.Choose(a.Auth, offered, cond)
	if err != nil {
		e := c.stamp(upstream.AsError(err, upstream.PhaseAuth))
		automatic := a.Auth == upstream.AuthAuto || a.Auth == ""
		if automatic && a.POP.Host != "" && len(c.avoid) == 0 {
			c.skipped = e
			return nil, nil // as it is: the POP login may open the relay
		}
		return nil, e
	}
	first := c.prefer
	if first == "" {
		first = auth.Mechanism(c.facts.Mechanism)
	}
	if i := slices.Index(mechs, first); i > 0 {
		mechs = append([]auth.Mechanism{first}, slices.Delete(mechs, i, i+1)...)
	}
	return mechs, nil
}

func (c *connector) haveToken() bool {
	a := c.a.settings
	return !a.OAuth.IsZero() || a.Auth == upstream.AuthXOAUTH2 || a.Auth == upstream.AuthOAUTHBEARER
}

// try carries one exchange. refused is the server's refusal; err any other
// failure.
func (c *connector) try(ctx context.Context, l *line, m auth.Mechanism) (refused *upstream.Error, err error) {
	cred, err := c.credentials(ctx, m)
	if err != nil {
		return nil, c.stamp(upstream.AsError(err, upstream.PhaseAuth))
	}
	x, err := auth.NewExchange(m, cred)
	if err != nil {
		return nil, c.stamp(upstream.AsError(err, upstream.PhaseAuth))
	}
	err = l.client.Auth(ctx, x)
	if err == nil {
		return nil, nil
	}
	e := c.stamp(upstream.AsError(err, upstream.PhaseAuth))
	if e.Reply.IsZero() || errors.Is(err, auth.ErrServerSignature) {
		return nil, e // the line, or somebody on it; never followed by another mechanism
	}
	if m.OAuth() && c.a.r.o.Tokens != nil && !c.a.settings.OAuth.IsZero() && e.Reply.Permanent() {
		c.a.r.o.Tokens.Reject(c.a.settings.Name, cred.Token)
	}
	return e, nil
}

// credentials fetches what the mechanism needs.
func (c *connector) credentials(ctx context.Context, m auth.Mechanism) (auth.Credentials, error) {
	a := c.a.settings
	cred := auth.Credentials{Username: a.Username, Host: a.SMTP.Host, Port: a.SMTP.Port}
	var err error
	switch {
	case m == auth.External:
	case m.OAuth() && !a.OAuth.IsZero() && c.a.r.o.Tokens != nil:
		cred.Token, err = c.a.r.o.Tokens.Token(ctx, a)
	case m.OAuth():
		cred.Token, err = c.a.r.o.Secrets.Get(ctx, a.Password)
	default:
		cred.Password, err = c.a.r.o.Secrets.Get(ctx, a.Password)
	}
	return cred, err
}

// afterRefusal decides what follows a refused AUTH: after 504 the next mechanism
// in order; after a refused challenge mechanism PLAIN, once, inside TLS; after a
// refused access token a fresh one, once; else nothing.
func (c *connector) afterRefusal(l *line, m auth.Mechanism, mechs []auth.Mechanism, e *upstream.Error) (rest []auth.Mechanism, stop bool) {
	if e.Reply.Temporary() {
		return nil, true
	}
	_, tls := l.client.TLS()
	unknown := e.Reply.Code == 504 || e.Class == upstream.ClassMechanismUnsupported || e.Class == upstream.ClassSyntaxOrProtocol
	switch {
	case unknown && len(mechs) > 1:
		c.avoid = append(c.avoid, m)
		return mechs[1:], false
	case m.OAuth() && !slices.Contains(c.avoid, m) && c.a.r.o.Tokens != nil && !c.a.settings.OAuth.IsZero():
		c.avoid = append(c.avoid, m) // not for this try, but for the one after
		return mechs, false
	}
	next, ok := auth.NextMechanism(m, mechs, auth.Conditions{TLS: tls, Avoid: c.avoid})
	if !ok {
		return nil, true
	}
	c.prefer = next
	c.avoid = append(c.avoid, m)
	return []auth.Mechanism{next}, false
}

// prove waits for its turn when nobody knows yet whether the account's password
// is right, and fails with the refusal when it turned out to be wrong since the
// transaction was admitted. done must be called.
func (a *account) prove(ctx context.Context, admitted int) (done func(), err error) {
	if a.isProven() {
		return func() {}, nil
	}
	select {
	case a.proving <- struct{}{}:
	case <-ctx.Done():
		return nil, cancelled(a.settings.Name, upstream.PhaseAuth, ctx)
	}
	done = func() { <-a.proving }
	if e := a.shutSince(admitted); e != nil {
		done()
		return nil, e
	}
	if a.isProven() {
		done()
		return func() {}, nil
	}
	return done, nil
}

func (a *account) isProven() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proven
}

func (a *account) setProven(v bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proven = v
}

// cancelled is the error of an attempt whose context ended.
func cancelled(name string, p upstream.Phase, ctx context.Context) *upstream.Error {
	return &upstream.Error{
		Account: name, Phase: p, Class: upstream.ClassTemporaryLocalProblem,
		Sentence: "Sending was broken off.", Err: context.Cause(ctx),
	}
}
