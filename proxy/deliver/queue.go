package deliver

import (
	"context"
	"io"

	"melon/proxy/config"
	"melon/proxy/route"
	"melon/proxy/smtpin"
	"melon/upstream"
)

// Queue takes a message that nobody waits for into the outbox, whatever
// `delivery` says, and returns when it is durable. Nobody is there to hear a
// refusal either: a recipient for whom there is no account waits for one. The
// body need not be canonical.
func (d *Deliverer) Queue(ctx context.Context, env upstream.Envelope, body io.Reader) (upstream.Reply, error) {
	s := d.o.Settings()
	t := &transaction{
		d: d, client: smtpin.Client{Extended: true}, env: env,
		cfg: s.Config, router: s.Router, network: s.Network, mode: config.DeliveryQueue,
	}
	t.env.Recipients = nil
	sp := d.o.Outbox.NewSpool()
	defer sp.Discard()
	if err := sp.WritePrefix(received(t.client, newTrace(), env.SMTPUTF8, d.o.Now())); err != nil {
		return upstream.Reply{}, err
	}
	var from []string
	c := newCanonicalizer(sp, func(header []byte) error {
		from = route.HeaderFrom(header)
		return nil
	})
	if _, err := io.Copy(c, body); err != nil {
		return upstream.Reply{}, err
	}
	if err := c.Close(); err != nil {
		return upstream.Reply{}, err
	}
	if err := sp.Finish(); err != nil {
		return upstream.Reply{}, err
	}
	for _, rc := range env.Recipients {
		r := &recipient{Recipient: rc}
		if a := t.choose(rc.Address, from, true); a.Err == nil {
			r.account = a.Account
		}
		t.rcpts = append(t.rcpts, r)
	}
	ids, err := t.keepRest(ctx, sp, t.rcpts, nil)
	return kept(ids, "it will be sent as soon as it can be"), err
}
