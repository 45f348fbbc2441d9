package deliver

import (
	"context"
	"reflect"

	"melon/proxy/config"
	"melon/upstream"
)

// expected is a recipient that the provider was asked about before the app's own
// RCPT was handed in.
type expected struct {
	rc      upstream.Recipient
	verdict Verdict
}

// Expect asks the provider about recipients that the app has sent already, all
// in one flight; Rcpt then finds their verdicts on the way. It implements
// smtpin.Expecter.
func (t *transaction) Expect(_ context.Context, rcs []upstream.Recipient) {
	if t.mode == config.DeliveryQueue || len(t.expected) > 0 {
		return
	}
	for _, rc := range rcs {
		a := t.choose(rc.Address, nil, false)
		if !a.Certain() || a.Err != nil {
			continue // Rcpt says so
		}
		if t.live == nil {
			t.begin(a.Account)
		}
		if a.Account == t.account {
			t.expected = append(t.expected, expected{rc, t.live.Rcpt(rc)})
		}
	}
}

// ask returns the verdict to come on a recipient that live carries. One that was
// expected has been asked about already.
func (t *transaction) ask(rc upstream.Recipient) Verdict {
	if len(t.expected) > 0 {
		next := t.expected[0]
		if reflect.DeepEqual(next.rc, rc) {
			t.expected = t.expected[1:]
			return next.verdict
		}
		t.forgetExpected()
	}
	return t.live.Rcpt(rc)
}

// forgetExpected makes sure that a recipient which was expected and did not come
// gets nothing: the provider is asked anew, about those that did come alone.
func (t *transaction) forgetExpected() {
	if len(t.expected) == 0 {
		return
	}
	t.expected = nil
	t.stop()
	t.begin(t.account)
	for _, r := range t.rcpts {
		if r.verdict != nil {
			r.verdict = t.live.Rcpt(r.Recipient)
		}
	}
}
