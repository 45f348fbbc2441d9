package deliver

import (
	"context"
	"errors"
	"io"
	"time"

	"melon/proxy/config"
	"melon/proxy/outbox"
	"melon/proxy/route"
	"melon/proxy/smtpin"
	"melon/upstream"
	"melon/upstream/network"
)

// transaction is one message on its way in. smtpin calls its methods one after
// the other from one goroutine.
type transaction struct {
	d       *Deliverer
	client  smtpin.Client
	env     upstream.Envelope // without recipients
	cfg     *config.Config
	router  *route.Router
	network network.State
	mode    config.Delivery

	rcpts    []*recipient  // that were answered 250
	expected []expected    // that live was asked about ahead of Rcpt
	live     Upstream      // nil until an account was certain, and in queue mode
	account  string        // the account of live
	patience time.Duration // what is left of it
}

// recipient is one that the app was answered 250 for.
type recipient struct {
	upstream.Recipient
	account   string  // "" while undecided, or when there is no account at all
	undecided bool    // the header decides
	verdict   Verdict // nil unless live carries it
}

// choose asks the router about one recipient, "" while none is known.
func (t *transaction) choose(rcpt string, headerFrom []string, headerKnown bool) route.Answer {
	return t.router.Choose(route.Question{
		Login: t.client.Login, From: t.env.From,
		HeaderFrom: headerFrom, HeaderKnown: headerKnown, Recipient: rcpt, Network: t.network,
	})
}

// begin starts the provider's part with the named account. The Deliverer's
// context rules it, as it may go on when the app is gone.
func (t *transaction) begin(account string) {
	t.account = account
	t.live = t.d.o.Relay.Begin(t.d.ctx, t.cfg.WithFallback(account), t.env)
}

// Rcpt adds a recipient.
func (t *transaction) Rcpt(ctx context.Context, rc upstream.Recipient) error {
	a := t.choose(rc.Address, nil, false)
	switch {
	case !a.Certain():
		t.rcpts = append(t.rcpts, &recipient{Recipient: rc, undecided: true})
		return nil
	case a.Err != nil:
		t.observeRefusal(a.Err)
		return a.Err
	}
	r := &recipient{Recipient: rc, account: a.Account}
	if err := t.carry(ctx, r); err != nil {
		t.observeRefusal(err)
		return err
	}
	t.rcpts = append(t.rcpts, r)
	return nil
}

// carry hands a recipient whose account is known to the provider, if live
// carries it, and waits for its verdict unless it is the first one.
func (t *transaction) carry(ctx context.Context, r *recipient) *upstream.Error {
	if t.mode == config.DeliveryQueue {
		return nil
	}
	if t.live == nil {
		t.begin(r.account)
	}
	if r.account != t.account {
		return nil
	}
	first := !t.anyLive()
	r.verdict = t.ask(r.Recipient)
	if first && !closed(r.verdict.Done()) {
		return nil
	}
	if !t.wait(ctx, r.verdict.Done()) {
		return nil
	}
	return t.refuses(r.verdict.Result().Err)
}

func (t *transaction) anyLive() bool {
	for _, r := range t.rcpts {
		if r.verdict != nil {
			return true
		}
	}
	return false
}

// refuses returns err when the app is to hear it, and nil when the message is
// kept instead.
func (t *transaction) refuses(err *upstream.Error) *upstream.Error {
	if err == nil || t.mode == config.DeliveryPass {
		return err
	}
	if err.Kind() == upstream.KindTemporary {
		return nil
	}
	return err
}

// Data takes the content and decides.
func (t *transaction) Data(ctx context.Context, body io.Reader) (upstream.Reply, error) {
	t.forgetExpected()
	if err := t.firstRefusal(ctx); err != nil {
		t.stop()
		t.observeRefusal(err)
		return upstream.Reply{}, err
	}
	sp := t.d.o.Outbox.NewSpool()
	id := newTrace()
	if err := sp.WritePrefix(received(t.client, id, t.env.SMTPUTF8, t.d.o.Now())); err != nil {
		sp.Discard()
		return upstream.Reply{}, err
	}
	// A message whose earlier copy has an unknown outcome may have to join it,
	// which is known only when all of it is here.
	unsettled := t.d.o.Outbox.Snapshot()
	join := unsettled.Sending+unsettled.Unconfirmed > 0
	in := &incoming{t: t, sp: sp, waits: join}
	if err := in.receive(body); err != nil {
		t.stop()
		sp.Abort()
		sp.Discard()
		if !errors.Is(err, upstream.ErrBodyAborted) { // the app left: nobody was refused anything
			t.observeRefusal(upstream.AsError(err, upstream.PhaseData))
		}
		return upstream.Reply{}, err
	}
	if join {
		if id, ok := t.d.o.Outbox.Join(sp.Fingerprint(t.envelope(t.rcpts))); ok {
			t.stop()
			sp.Discard()
			return kept([]string{id}, "the same message is on its way already"), nil
		}
		t.send(sp)
	}
	return t.finish(ctx, sp)
}

// firstRefusal returns the refusal of the first recipient, when others heard
// their verdict and this one's came meanwhile: nothing is sent to them then.
func (t *transaction) firstRefusal(ctx context.Context) *upstream.Error {
	var live []*recipient
	for _, r := range t.rcpts {
		if r.verdict != nil {
			live = append(live, r)
		}
	}
	if len(live) == 0 || len(live) == 1 && !closed(live[0].verdict.Done()) {
		return nil
	}
	if !t.wait(ctx, live[0].verdict.Done()) {
		return nil
	}
	return t.refuses(live[0].verdict.Result().Err)
}

// Prompt is a body that knows whether its next Read returns without waiting for
// the app.
type Prompt interface {
	io.Reader
	Prompt() bool
}

// handOver is how much of a message the provider's part has to wait for at most.
const handOver = 32 << 10

// incoming is the content of a message on its way into the spool.
type incoming struct {
	t      *transaction
	sp     *outbox.Spool
	waits  bool // the provider gets nothing before its owner says so
	handed bool // it has the spool
}

// receive copies the content into the spool, to its end. The provider's part gets
// the spool as soon as the app pauses: a short message that comes in one piece is
// handed over whole, which costs fewer wake-ups here and fewer segments on the
// line.
func (in *incoming) receive(body io.Reader) error {
	c := newCanonicalizer(in.sp, in.header)
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	prompt, _ := body.(Prompt)
	for size := 0; ; {
		n, err := body.Read(*buf)
		if _, err := c.Write((*buf)[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if size += n; size > handOver || prompt == nil || !prompt.Prompt() {
			in.send()
		}
	}
	if err := c.Close(); err != nil {
		return err
	}
	if err := in.sp.Finish(); err != nil {
		return err
	}
	in.send()
	return nil
}

// send hands the spool to the provider, once it is known to whom it goes.
func (in *incoming) send() {
	if !in.waits && !in.handed && in.t.decided() {
		in.handed = true
		in.t.send(in.sp)
	}
}

// header decides what waited for the header.
func (in *incoming) header(header []byte) error {
	if looping(header) {
		return &upstream.Error{
			Phase: upstream.PhaseData, Class: upstream.ClassSyntaxOrProtocol,
			Reply: upstream.Reply{Code: 554, Enhanced: upstream.EnhancedCode{5, 4, 6},
				Lines: []string{"too many hops: this message goes round in circles; is Melon's own address set as the provider's server?"}},
		}
	}
	t := in.t
	if t.decided() {
		return nil
	}
	from := route.HeaderFrom(header)
	for _, r := range t.rcpts {
		if !r.undecided {
			continue
		}
		a := t.choose(r.Address, from, true)
		if a.Err != nil {
			return a.Err
		}
		r.account, r.undecided = a.Account, false
		if t.mode == config.DeliveryQueue {
			continue
		}
		if t.live == nil {
			t.begin(r.account)
		}
		if r.account == t.account {
			r.verdict = t.live.Rcpt(r.Recipient)
		}
	}
	return nil
}

// decided reports whether every recipient's account is known.
func (t *transaction) decided() bool {
	for _, r := range t.rcpts {
		if r.undecided {
			return false
		}
	}
	return true
}

// send hands the spool to the provider, if one is at work.
func (t *transaction) send(sp *outbox.Spool) {
	if t.live == nil {
		return
	}
	if !t.anyLive() { // all recipients are another account's, or refused
		t.stop()
		return
	}
	t.live.Data(sp)
}

// Reset ends the transaction.
func (t *transaction) Reset() { t.stop() }

// stop cuts the provider's part; nothing is sent.
func (t *transaction) stop() {
	if t.live != nil {
		t.live.Cancel()
		t.live = nil
	}
}

// wait waits for ch as long as the app's patience lasts. It returns false when it
// gave up.
func (t *transaction) wait(ctx context.Context, ch <-chan struct{}) bool {
	return closed(ch) || t.waitFor(ctx, func(ctx context.Context) bool {
		select {
		case <-ch:
			return true
		case <-ctx.Done():
			return closed(ch)
		}
	})
}

// waitFor has await wait no longer than the app's patience lasts, and takes what it
// waited from it.
func (t *transaction) waitFor(ctx context.Context, await func(context.Context) bool) bool {
	start := time.Now()
	ctx, cancel := context.WithDeadline(ctx, start.Add(t.patience))
	defer cancel()
	defer func() { t.patience = max(0, t.patience-time.Since(start)) }()
	return await(ctx)
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
