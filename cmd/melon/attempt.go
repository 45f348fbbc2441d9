package main

import (
	"context"
	"io"

	"melon/proxy/outbox"
	"melon/proxy/route"
	"melon/upstream"
)

// sender makes the outbox's attempts, under the settings of the moment.
type sender struct{ d *daemon }

func (s sender) Send(ctx context.Context, e outbox.Entry, body upstream.Body) upstream.Result {
	cfg := s.d.config.Config()
	accounts := cfg.WithFallback(e.Account)
	if accounts == nil { // there was none, or it was renamed or removed
		name, err := s.choose(e, body)
		if err != nil {
			return failed(e, err)
		}
		accounts = cfg.WithFallback(name)
	}
	if accounts == nil {
		return failed(e, &upstream.Error{Account: e.Account, Phase: upstream.PhaseConnect, Class: upstream.ClassTemporaryLocalProblem,
			Sentence: "No account is set up for this message yet."})
	}
	body, done := s.d.web.progress.track(e.ID, body)
	defer done()
	return s.d.relay.Send(ctx, accounts, e.Envelope, body)
}

// choose asks the present settings which account carries an entry that has none.
func (s sender) choose(e outbox.Entry, body upstream.Body) (string, *upstream.Error) {
	header, err := readHeader(body)
	if err != nil {
		return "", upstream.AsError(err, upstream.PhaseConnect)
	}
	q := route.Question{From: e.Envelope.From, HeaderFrom: route.HeaderFrom(header), HeaderKnown: true, Network: s.d.watcher.State()}
	if len(e.Envelope.Recipients) > 0 {
		q.Recipient = e.Envelope.Recipients[0].Address
	}
	a := s.d.router.Load().Choose(q)
	if a.Err != nil {
		// Not the provider's word, and to be mended by adding an account: the
		// message waits.
		a.Err.Reply = upstream.Reply{}
		a.Err.Class = upstream.ClassTemporaryLocalProblem
		return "", a.Err
	}
	return a.Account, nil
}

// readHeader returns the first octets of a message.
func readHeader(body upstream.Body) ([]byte, error) {
	r, err := body.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, 256<<10))
}

// failed is the outcome of an attempt that was not made.
func failed(e outbox.Entry, err *upstream.Error) upstream.Result {
	res := upstream.Result{Err: err, Account: e.Account}
	for _, rc := range e.Envelope.Recipients {
		res.Recipients = append(res.Recipients, upstream.RecipientResult{Recipient: rc, Err: err})
	}
	return res
}
