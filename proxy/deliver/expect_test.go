package deliver

import (
	"slices"
	"strings"
	"testing"

	"melon/proxy/smtpin"
	"melon/upstream"
)

func recipients(to ...string) (rcs []upstream.Recipient) {
	for _, a := range to {
		rcs = append(rcs, upstream.Recipient{Address: a})
	}
	return rcs
}

// together is the script of a provider that answers no recipient before it has
// heard of n, and takes everything.
func together(n int) func(*fakeTx) {
	return func(tx *fakeTx) {
		var vs []*fakeVerdict
		var rs []upstream.RecipientResult
		for range n {
			select {
			case v := <-tx.rcpts:
				vs = append(vs, v)
			case <-tx.canceled:
				tx.end(upstream.Result{Err: &upstream.Error{Phase: upstream.PhaseData}})
				return
			}
		}
		for _, v := range vs {
			v.answer(nil)
			rs = append(rs, upstream.RecipientResult{Recipient: v.res.Recipient})
		}
		if _, err := tx.read(); err != nil {
			tx.end(upstream.Result{Err: &upstream.Error{Phase: upstream.PhaseData, Err: err}})
			return
		}
		tx.end(upstream.Result{Account: tx.account, Reply: taken, Recipients: rs})
	}
}

// sent returns whom the last message that the provider took went to.
func sent(tx *fakeTx) (to []string) {
	for _, rr := range tx.Result().Recipients {
		to = append(to, rr.Recipient.Address)
	}
	return to
}

// Recipients that the app has sent already leave together, but for those that
// another account carries or the outbox.
func TestExpectedRecipientsLeaveTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t, testConfig, together(3))
	ctx := t.Context()
	rcs := recipients("a@x.example", "b@work.example", "c@x.example", "d@x.example")
	tx, err := b.d.Begin(ctx, smtpin.Client{}, upstream.Envelope{From: "taro@provider-a.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Reset()
	tx.(smtpin.Expecter).Expect(ctx, rcs)
	for _, rc := range rcs {
		if err := tx.Rcpt(ctx, rc); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Data(ctx, strings.NewReader(testMessage)); err != nil {
		t.Fatal(err)
	}
	txs := b.relay.all()
	if got := sent(txs[0]); len(txs) != 1 || !slices.Equal(got, []string{"a@x.example", "c@x.example", "d@x.example"}) {
		t.Errorf("%d transactions; sent to %v", len(txs), got)
	}
	if e := b.entries(); len(e) != 1 || e[0].Account != "work" {
		t.Errorf("kept: %+v", e)
	}
}

// A recipient that was expected and did not come gets nothing, whichever it is.
func TestExpectedRecipientsThatDoNotCome(t *testing.T) {
	t.Parallel()
	all := recipients("a@x.example", "b@x.example", "c@x.example")
	for _, c := range []struct{ name, come string }{
		{"the first", "b@x.example c@x.example"},
		{"one between", "a@x.example c@x.example"},
		{"the last", "a@x.example b@x.example"},
		{"all but one", "a@x.example"},
		{"instead of another", "a@x.example other@x.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, testConfig, nil)
			come := strings.Fields(c.come)
			b.relay.script = func(tx *fakeTx) {
				n := len(come)
				if b.relay.all()[0] == tx {
					n = len(all)
				}
				together(n)(tx)
			}
			ctx := t.Context()
			tx, err := b.d.Begin(ctx, smtpin.Client{}, upstream.Envelope{From: "taro@provider-a.example"})
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Reset()
			tx.(smtpin.Expecter).Expect(ctx, all)
			for _, rc := range recipients(come...) {
				if err := tx.Rcpt(ctx, rc); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := tx.Data(ctx, strings.NewReader(testMessage)); err != nil {
				t.Fatal(err)
			}
			txs := b.relay.all()
			<-txs[0].canceled
			if got := sent(txs[len(txs)-1]); len(txs) != 2 || !slices.Equal(got, come) {
				t.Errorf("%d transactions, the last to %v", len(txs), got)
			}
		})
	}
}

// With delivery: queue nobody is asked about anything.
func TestExpectedInQueue(t *testing.T) {
	t.Parallel()
	b := newBench(t, testConfig+"delivery: queue\n", together(1))
	tx, err := b.d.Begin(t.Context(), smtpin.Client{}, upstream.Envelope{From: "taro@provider-a.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Reset()
	tx.(smtpin.Expecter).Expect(t.Context(), recipients("a@x.example", "b@x.example"))
	if n := len(b.relay.all()); n != 0 {
		t.Errorf("%d transactions", n)
	}
}
