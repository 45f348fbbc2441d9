package doctor

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/dial"
	"melon/upstream/submit"
	"melon/upstream/trace"
)

// noAuth is the login of a trial that made none.
const noAuth = "none"

// trial is one SMTP conversation up to the answer to RCPT.
type trial struct {
	start    time.Time
	envelope time.Time // when MAIL left
	addr     string
	local    netip.Addr
	auth     string
	fault    *upstream.Error // before the envelope: connection, TLS, login
	refused  *upstream.Error // MAIL or RCPT
	open     bool
	answer   string // to RCPT
}

// settled reports whether nothing more is to be learned by another try.
func (t *trial) settled() bool { return t.open }

// refusedRelay reports whether a POP login may help.
func (t *trial) refusedRelay() bool {
	for _, e := range []*upstream.Error{t.refused, t.fault} {
		if e != nil && !e.Reply.IsZero() && e.Class.RelayRefusal() {
			return true
		}
	}
	return false
}

// try connects to the port that was found to be best, logs in and offers the
// envelope: MAIL, RCPT, RSET, QUIT.
func (x *examination) try(ctx context.Context, pin *dial.Pin) *trial {
	t := &trial{start: time.Now(), envelope: time.Now()}
	p := *x.smtp.best
	conn, err := x.dialer().Dial(ctx, dial.Target{
		Server: p.server, ImplicitTLS: dial.ImplicitTLS(p.server.Security, p.server.Port),
		Trust: x.o.Account.Trust, Protocol: trace.SMTP, Account: x.o.Account.Name, Pin: pin, Timeout: stepTime,
	})
	if err != nil {
		t.fault = upstream.AsError(err, upstream.PhaseConnect)
		return t
	}
	t.addr, t.local = conn.Addr(), localAddr(conn)
	client, err := submit.Open(ctx, conn, x.submitOptions(stepTime))
	if err != nil {
		t.fault = upstream.AsError(err, upstream.PhaseConnect)
		return t
	}
	defer client.Close()
	if err := x.encrypt(ctx, &p, client); err != nil {
		t.fault = upstream.AsError(err, upstream.PhaseStartTLS)
		return t
	}
	if t.auth, t.fault = x.authenticate(ctx, client); t.fault == nil {
		t.envelope = time.Now()
		x.offer(ctx, client, t)
	}
	if client.Usable() {
		quit, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		client.Quit(quit) // the answer does not matter
	}
	return t
}

// maxAuths bounds the AUTH commands on one connection: servers count them.
const maxAuths = 2

// authenticate logs in as the account wants it and returns the mechanism in
// lower case, or "none".
func (x *examination) authenticate(ctx context.Context, client *submit.Client) (string, *upstream.Error) {
	a := x.o.Account
	_, encrypted := client.TLS()
	cond := auth.Conditions{
		TLS: encrypted, AllowPlaintext: a.AllowPlaintext, ClientCert: a.Auth == upstream.AuthExternal,
		HaveToken: !a.OAuth.IsZero() || a.Auth == upstream.AuthXOAUTH2 || a.Auth == upstream.AuthOAUTHBEARER,
	}
	mechs, err := auth.Choose(a.Auth, client.Capabilities().Auth, cond)
	if err != nil {
		if (a.Auth == upstream.AuthAuto || a.Auth == "") && a.POP.Host != "" {
			return noAuth, nil // as it is: the POP login may open the relay
		}
		return "", x.stamp(upstream.AsError(err, upstream.PhaseAuth), client.Addr())
	}
	if len(mechs) == 0 {
		return noAuth, nil
	}
	var last *upstream.Error
	for range maxAuths {
		m := mechs[0]
		if last = x.exchange(ctx, client, m); last == nil {
			return strings.ToLower(string(m)), nil
		}
		unknown := last.Reply.Code == 504 || last.Class == upstream.ClassMechanismUnsupported
		next, other := auth.NextMechanism(m, mechs, cond)
		switch {
		case last.Reply.IsZero() || !client.Usable() || last.Reply.Temporary():
			return "", last
		case unknown && len(mechs) > 1:
			mechs = slices.Clone(mechs[1:])
		case other:
			mechs = []auth.Mechanism{next}
		default:
			return "", last
		}
	}
	return "", last
}

// exchange carries one mechanism.
func (x *examination) exchange(ctx context.Context, client *submit.Client, m auth.Mechanism) *upstream.Error {
	cred, err := x.credentials(ctx, m)
	if err == nil {
		var sasl *auth.Exchange
		if sasl, err = auth.NewExchange(m, cred); err == nil {
			err = client.Auth(ctx, sasl)
		}
	}
	if err == nil {
		return nil
	}
	return x.stamp(upstream.AsError(err, upstream.PhaseAuth), client.Addr())
}

// stamp names account and server in an error of another package.
func (x *examination) stamp(e *upstream.Error, host string) *upstream.Error {
	s := *e
	s.Account = x.o.Account.Name
	if s.Host == "" {
		s.Host = host
	}
	return &s
}

// offer puts MAIL and RCPT to the server, and RSET after them.
func (x *examination) offer(ctx context.Context, client *submit.Client, t *trial) {
	env := upstream.Envelope{From: x.o.Account.Address}
	f := &envelopeFeed{rcpt: upstream.Recipient{Address: x.o.Outside}}
	out := client.Transact(ctx, env, f, submit.TransactOptions{})
	switch {
	case f.answered && f.err == nil:
		t.open, t.answer = true, shown(f.reply.String())
	case f.answered && recipientOnly(f.err):
		t.open, t.answer = true, shown(f.reply.String())
	case f.answered:
		t.refused = f.err
	default:
		t.refused = out.Err
	}
	if client.Usable() {
		client.Reset(ctx) // what comes of it does not matter: QUIT is next
	}
}

// recipientOnly reports whether RCPT was refused for the recipient's own sake: the
// server then looked at him, which it would not for somebody it does not relay for.
func recipientOnly(e *upstream.Error) bool {
	switch e.Class {
	case upstream.ClassRecipientUnknown, upstream.ClassRecipientDomainUnknown,
		upstream.ClassMailboxFull, upstream.ClassGreylisted:
		return true
	}
	return false
}

// envelopeFeed is a transaction that ends with the answer to its one recipient.
// It never has a body to give.
type envelopeFeed struct {
	rcpt     upstream.Recipient
	answered bool
	reply    upstream.Reply
	err      *upstream.Error
}

// Next implements submit.Feed.
func (f *envelopeFeed) Next(n int) submit.Supply {
	if n > 0 {
		return submit.Supply{}
	}
	return submit.Supply{Recipients: []upstream.Recipient{f.rcpt}}
}

// Verdict implements submit.Feed; it always ends the transaction.
func (f *envelopeFeed) Verdict(_ int, r upstream.Reply, e *upstream.Error) bool {
	f.answered, f.reply, f.err = true, r, e
	return false
}
