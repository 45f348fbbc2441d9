package deliver

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	"melon/proxy/config"
	"melon/proxy/outbox"
	"melon/proxy/smtpin"
	"melon/upstream"
)

// finish waits for the provider's verdict on a complete message and turns it
// into the app's.
func (t *transaction) finish(ctx context.Context, sp *outbox.Spool) (upstream.Reply, error) {
	if t.live == nil {
		ids, err := t.keepRest(ctx, sp, t.rcpts, nil)
		return kept(ids, "it will be sent as soon as it can be"), err
	}
	if !t.waitFor(ctx, t.live.Await) {
		return t.unanswered(ctx, sp)
	}
	res := t.live.Result()
	t.live = nil
	if err := t.refuses(res.Err); err != nil {
		t.record(sp, res, "refused")
		t.observeRefusal(err)
		sp.Discard()
		return upstream.Reply{}, err
	}
	if res.Err != nil {
		ids, err := t.keepRest(ctx, sp, t.rcpts, &res)
		return kept(ids, why(res.Err)), err
	}
	t.observeSent(sp, res)
	t.d.o.Outbox.Delivered(t.account)
	rest := t.notDelivered(res)
	if len(rest) == 0 {
		t.record(sp, res, "delivered")
		sp.Discard()
		return res.Reply, nil
	}
	ids, err := t.keepRest(ctx, sp, rest, &res)
	return kept(ids, "for the recipients that are left; the others have it"), err
}

// notDelivered returns the recipients that the app was answered 250 for and
// that the provider's 250 does not cover.
func (t *transaction) notDelivered(res upstream.Result) []*recipient {
	failed := map[string]bool{}
	for _, rr := range res.Recipients {
		if rr.Err != nil {
			failed[rr.Recipient.Address] = true
		}
	}
	var rest []*recipient
	for _, r := range t.rcpts {
		if r.verdict == nil || failed[r.Address] {
			rest = append(rest, r)
		}
	}
	return rest
}

// unanswered ends the app's wait for a provider that has not answered yet. The
// provider's work goes on; its outcome settles the entry.
func (t *transaction) unanswered(ctx context.Context, sp *outbox.Spool) (upstream.Reply, error) {
	if t.mode == config.DeliveryPass {
		err := &upstream.Error{Account: t.account, Phase: upstream.PhaseDataEnd, Class: upstream.ClassServerUnreachable,
			Sentence: "The provider did not answer in time."}
		t.stop()
		sp.Discard()
		t.observeRefusal(err)
		return upstream.Reply{}, err
	}
	var mine, others []*recipient
	for _, r := range t.rcpts {
		if r.verdict != nil {
			mine = append(mine, r)
		} else {
			others = append(others, r)
		}
	}
	ids, err := t.keepUntried(ctx, sp, others)
	id := ""
	if err == nil {
		id, err = t.keep(ctx, sp, mine, true)
	}
	if err != nil {
		t.stop()
		sp.Discard()
		return upstream.Reply{}, err
	}
	live := t.live
	t.live = nil
	t.d.wg.Go(func() {
		res := live.Result()
		sp.Discard()
		t.d.settle(id, res)
	})
	return kept(append(ids, id), "the provider has not answered yet"), nil
}

// keepRest keeps the message for these recipients and discards the spool. res is
// the outcome of the live attempt for those that had one; nil when there was none.
func (t *transaction) keepRest(ctx context.Context, sp *outbox.Spool, rcpts []*recipient, res *upstream.Result) ([]string, error) {
	var tried, untried []*recipient
	for _, r := range rcpts {
		if res != nil && r.verdict != nil {
			tried = append(tried, r)
		} else {
			untried = append(untried, r)
		}
	}
	ids, err := t.keepUntried(ctx, sp, untried)
	id := ""
	if err == nil && len(tried) > 0 {
		id, err = t.keep(ctx, sp, tried, true)
	}
	sp.Discard()
	if err != nil {
		return nil, err
	}
	if id != "" {
		t.d.settle(id, *res)
		ids = append(ids, id)
	}
	return ids, nil
}

// keepUntried keeps the message for recipients that no provider was asked about,
// an entry for each account. After an error some entries may be kept all the
// same: the app tries again, and a second copy is better than none.
func (t *transaction) keepUntried(ctx context.Context, sp *outbox.Spool, rcpts []*recipient) (ids []string, err error) {
	for len(rcpts) > 0 {
		account := rcpts[0].account
		var same, others []*recipient
		for _, r := range rcpts {
			if r.account == account {
				same = append(same, r)
			} else {
				others = append(others, r)
			}
		}
		id, err := t.keep(ctx, sp, same, false)
		if err != nil {
			return nil, err
		}
		ids, rcpts = append(ids, id), others
	}
	return ids, nil
}

// keep commits one entry for recipients of one account. The spool stays the
// caller's to discard.
func (t *transaction) keep(ctx context.Context, sp *outbox.Spool, rcpts []*recipient, inFlight bool) (string, error) {
	e := outbox.Entry{Account: rcpts[0].account, Envelope: t.envelope(rcpts)}
	// The app may be gone, but its message is complete: whether it is kept is
	// for the disk to say, not for the app's patience.
	id, err := t.d.o.Outbox.Keep(context.WithoutCancel(ctx), sp, e, outbox.KeepOptions{InFlight: inFlight})
	if err != nil {
		t.observeRefusal(upstream.AsError(err, upstream.PhaseData))
		return "", err
	}
	n, _ := sp.Size()
	t.d.o.Observe(Event{Outcome: "kept", ID: id, Account: e.Account, From: t.env.From, To: addresses(rcpts), Size: n})
	return id, nil
}

// settle tells the outbox the outcome of an entry that was kept in flight.
func (d *Deliverer) settle(id string, res upstream.Result) {
	if err := d.o.Outbox.Settle(id, res); err != nil {
		d.o.Log.Error("the outcome could not be recorded", "id", id, "error", err)
	}
}

// envelope returns the envelope for these recipients.
func (t *transaction) envelope(rcpts []*recipient) upstream.Envelope {
	env := t.env
	env.Recipients = make([]upstream.Recipient, len(rcpts))
	for i, r := range rcpts {
		env.Recipients[i] = r.Recipient
	}
	return env
}

// kept is the reply that the message is in the outbox.
func kept(ids []string, why string) upstream.Reply {
	return upstream.Reply{Code: 250, Enhanced: upstream.EnhancedCode{2, 0, 0},
		Lines: []string{"kept as " + strings.Join(ids, ", ") + "; " + why}}
}

// why says in half a sentence why there was no verdict.
func why(err *upstream.Error) string {
	switch {
	case err.Ambiguous:
		return "the line broke before the provider's last reply, so it may be sent once more"
	case !err.Reply.IsZero():
		return "the provider says: " + err.Reply.String()
	case err.Sentence != "":
		return strings.ToLower(err.Sentence[:1]) + strings.TrimSuffix(err.Sentence[1:], ".")
	}
	return "the provider could not be reached"
}

func (t *transaction) observeSent(sp *outbox.Spool, res upstream.Result) {
	n, _ := sp.Size()
	var to []string
	for _, r := range res.Recipients {
		if r.Err == nil {
			to = append(to, r.Recipient.Address)
		}
	}
	t.d.o.Observe(Event{Outcome: "sent", Account: res.Account, From: t.env.From, To: to, Size: n, Reply: res.Reply})
}

func (t *transaction) observeRefusal(err *upstream.Error) {
	account := err.Account
	if account == "" {
		account = t.account
	}
	t.d.o.Observe(Event{Outcome: "refused", Account: account, From: t.env.From, To: addresses(t.rcpts), Err: err})
}

// record adds the message to the history.
func (t *transaction) record(sp *outbox.Spool, res upstream.Result, outcome string) {
	n, _ := sp.Size()
	reply := res.Reply
	if res.Err != nil {
		reply = res.Err.Reply
	}
	err := t.d.o.Outbox.Record(outbox.Record{
		Time: t.d.o.Now(), Account: t.account, From: t.env.From, To: addresses(t.rcpts),
		Size: n, Outcome: outcome, Host: res.Host, Code: reply.Code, Text: reply.Text(), Attempts: 1,
	})
	if err != nil {
		t.d.o.Log.Error("the history could not be written", "error", err)
	}
}

func addresses(rcpts []*recipient) []string {
	to := make([]string, len(rcpts))
	for i, r := range rcpts {
		to[i] = r.Address
	}
	return to
}

// received is the one line that Melon adds to a message (RFC 5321 section 4.4).
// It tells nobody the app's address or the machine's name.
func received(c smtpin.Client, id string, utf8 bool, now time.Time) []byte {
	return fmt.Appendf(nil, "Received: from localhost by localhost with %s id %s; %s\r\n",
		c.With(utf8), id, now.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
}

// newTrace returns the id of a Received line, which says nothing but itself.
func newTrace() string { return rand.Text()[:16] }

// copyBuffers hold what is on its way from the app into a spool.
var copyBuffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}
