package outbox

import (
	"slices"
	"time"

	"melon/upstream"
)

// verdict is what an attempt's result makes of an entry.
type verdict struct {
	left      Entry // the entry as it is now
	done      bool  // nothing is left of it
	event     EventType
	delivered []upstream.Recipient
	refused   []Refusal // by this attempt
}

// judge applies a result to an entry: delivered recipients leave it, temporary
// failures stay, refusals for good are set apart. It plans nothing.
func judge(e Entry, r upstream.Result) verdict {
	v := verdict{left: e}
	v.left.Envelope.Recipients = nil
	v.left.Refused = slices.Clone(e.Refused)
	if whole(e.LastError) && !whole(r.Err) {
		v.left.record.step = 1 // the failures so far were the network's
	}
	var last *upstream.Error
	for i, rc := range e.Envelope.Recipients {
		err := recipientError(r, i, rc)
		switch {
		case err == nil:
			v.delivered = append(v.delivered, rc)
			continue
		case err.Kind() == upstream.KindTemporary || r.Err != nil && stops(err):
			v.left.Envelope.Recipients = append(v.left.Envelope.Recipients, rc)
			v.left.record.maybe = v.left.record.maybe || err.Ambiguous
			last = err
		default:
			v.refused = append(v.refused, Refusal{rc, err})
			if last == nil {
				last = err
			}
		}
	}
	v.left.Refused = append(v.left.Refused, v.refused...)
	if r.Err != nil {
		last = r.Err
	}
	if last != nil {
		v.left.LastError = last
	}
	v.conclude(r)
	return v
}

// conclude sets the state that follows from what is left.
func (v *verdict) conclude(r upstream.Result) {
	left := &v.left
	switch {
	case stops(r.Err):
		left.State, left.record.cause, v.event = Attention, accountCause(r.Err), EventAttention
		left.NextAttempt = time.Time{}
	case len(left.Envelope.Recipients) > 0:
		left.State, v.event = left.waitState(), EventDeferred
		if left.State == Unconfirmed {
			v.event = EventUnconfirmed
		}
	case len(left.Refused) > 0 && left.Bounce:
		v.done, v.event = true, EventDropped
	case len(left.Refused) > 0:
		left.State, left.record.cause, v.event = Attention, refusedCause(left.Refused), EventAttention
		left.NextAttempt = time.Time{}
	default:
		v.done, v.event = true, EventDelivered
	}
}

// expire gives the entry up: it waits for the person.
func (v *verdict) expire() {
	v.left.State, v.left.record.cause, v.event = Attention, causeExpired, EventExpired
	v.left.NextAttempt = time.Time{}
}

// bounces lists what is to be told to the sender, as far as it was not told
// before: the message's own refusals, and what was given up.
func (v *verdict) bounces() []Refusal {
	var b []Refusal
	for _, r := range v.refused {
		if r.Err.Kind() == upstream.KindMessage {
			b = append(b, r)
		}
	}
	if v.event == EventExpired {
		for _, rc := range v.left.Envelope.Recipients {
			b = append(b, Refusal{rc, v.left.LastError})
		}
	}
	return slices.DeleteFunc(b, func(r Refusal) bool {
		return slices.Contains(v.left.record.bounced, r.Recipient.Address)
	})
}

// recipientError is the outcome for the ith recipient of the entry.
func recipientError(r upstream.Result, i int, rc upstream.Recipient) *upstream.Error {
	if i >= len(r.Recipients) || r.Recipients[i].Recipient.Address != rc.Address {
		i = slices.IndexFunc(r.Recipients, func(rr upstream.RecipientResult) bool {
			return rr.Recipient.Address == rc.Address
		})
	}
	switch {
	case i >= 0 && i < len(r.Recipients) && r.Recipients[i].Err != nil:
		return r.Recipients[i].Err
	default:
		return r.Err
	}
}

// stops reports a failure after which the account makes no attempts until the
// person has acted: a refused login, or a refusal of ours before any message.
func stops(err *upstream.Error) bool {
	return err != nil && err.Kind() == upstream.KindPerson &&
		(err.Class.StopsAttempts() || !err.Phase.InTransaction())
}

// whole reports a temporary failure that the account's next message would meet
// as well: it never got as far as the message, or the server said so.
func whole(err *upstream.Error) bool {
	if err == nil || err.Kind() != upstream.KindTemporary || err.Ambiguous {
		return false
	}
	return !err.Phase.InTransaction() || err.Reply.Code == 421 || err.Class == upstream.ClassRateLimited ||
		err.Class.StopsAttempts() || err.Class.RelayRefusal()
}

// brokeOff reports a conversation that ended in the middle without a word.
func brokeOff(err *upstream.Error) bool {
	return err != nil && err.Phase.InTransaction() && err.Reply.IsZero()
}

// accountCause is the cause of attention after an error that stops the account.
func accountCause(err *upstream.Error) cause {
	if err.Class.RelayRefusal() {
		return causeRelay
	}
	return causeAccount
}

// refusedCause is the cause of attention of refused recipients: what ends with
// the least goes first.
func refusedCause(refused []Refusal) cause {
	c := causeMessage
	for _, r := range refused {
		switch {
		case r.Err == nil || r.Err.Kind() != upstream.KindPerson:
		case r.Err.Class.RelayRefusal():
			return causeRelay
		default:
			c = causePerson
		}
	}
	return c
}
