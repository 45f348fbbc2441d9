package outbox

import (
	"bytes"
	"testing"
	"time"

	"melon/upstream"
)

// FuzzState: what is read as a state is written as the same state.
func FuzzState(f *testing.F) {
	e := entry("hanako@provider-b.example", "jiro@provider-c.example")
	e.ID, e.State, e.QueuedAt, e.Attempts, e.LastAttempt = "0123456789", Unconfirmed, stoppedClock(), 3, stoppedClock()
	e.NextAttempt, e.LastError, e.Bounce, e.Fingerprint = stoppedClock().Add(time.Hour), noSuchUser, true, "f"
	e.Envelope.Recipients[0].Notify = []string{"NEVER"}
	e.Refused = []Refusal{{upstream.Recipient{Address: "x@x.example"}, relayDenied}}
	e.record = bookkeeping{step: 2, batch: "b", bounced: []string{"x@x.example"}, cause: causeRelay, since: stoppedClock(), maybe: true}
	data, err := encode(e)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"id":"0123456789","state":"waiting"}`))
	f.Add([]byte(`{"version":1,"id":"0123456789","state":"held","refused":[{"error":null}],"last_error":{"enhanced":"5.x.1"}}`))
	f.Add([]byte(`{"version":1,"id":"another","state":"waiting"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, herr := decodeHeader("0123456789", data)
		e, err := decode("0123456789", data)
		if err != nil {
			return
		}
		if herr != nil || h.State != e.State || h.Attempts != e.Attempts {
			t.Errorf("the header differs: %+v, %v", h, herr)
		}
		once, err := encode(e)
		if err != nil {
			return // a time that RFC 3339 cannot say
		}
		again, err := decode("0123456789", once)
		if err != nil {
			t.Fatalf("%v: %s", err, once)
		}
		if twice, _ := encode(again); !bytes.Equal(once, twice) {
			t.Errorf("\n%s\n%s", once, twice)
		}
	})
}
