package relay

import (
	"testing"

	"melon/upstream"
	"melon/upstream/lab"
)

// A recipient that was refused, and told so, stays refused when the line breaks
// and the others are sent again: the app shows its person that it did not go.
func TestRefusedStaysRefused(t *testing.T) {
	o := lab.Options{Faults: []lab.Fault{
		{Phase: upstream.PhaseRcpt, Attempt: 2, Kind: lab.WrongReply, Text: "550 5.1.1 User unknown"},
		{Phase: upstream.PhaseRcpt, Attempt: 3, Kind: lab.Drop},
	}}
	in(t, o, func(h *house) {
		x := h.live()
		a := x.Rcpt(upstream.Recipient{Address: "a@elsewhere.example"})
		b := x.Rcpt(upstream.Recipient{Address: "b@elsewhere.example"})
		if a.Result().Err != nil || b.Result().Err == nil {
			t.Fatalf("%v, %v", a.Result().Err, b.Result().Err)
		}
		c := x.Rcpt(upstream.Recipient{Address: "c@elsewhere.example"})
		if c.Result().Err != nil {
			t.Fatal(c.Result().Err)
		}
		x.Data(letter)
		res := x.Result()
		if res.Err != nil || len(res.Recipients) != 3 || res.Recipients[1].Err == nil || res.Recipients[1].Err.Reply.Code != 550 ||
			res.Recipients[0].Err != nil || res.Recipients[2].Err != nil {
			t.Errorf("%+v", res)
		}
		ms := h.p.Messages()
		if len(ms) != 1 || len(ms[0].Envelope.Recipients) != 2 || ms[0].Envelope.Recipients[1].Address != "c@elsewhere.example" {
			t.Errorf("%+v", ms)
		}
	})
}

// When all that there were are refused and the line breaks, the refusal is the
// message's outcome, in the provider's words.
func TestAllRefusedThenTheLineBreaks(t *testing.T) {
	o := lab.Options{Faults: []lab.Fault{
		{Phase: upstream.PhaseRcpt, Attempt: 1, Kind: lab.WrongReply, Text: "550 5.1.1 User unknown"},
		{Phase: upstream.PhaseRcpt, Attempt: 2, Kind: lab.Drop},
	}}
	in(t, o, func(h *house) {
		x := h.live()
		a := x.Rcpt(upstream.Recipient{Address: "a@elsewhere.example"})
		if a.Result().Err == nil {
			t.Fatal("taken")
		}
		b := x.Rcpt(upstream.Recipient{Address: "b@elsewhere.example"})
		if b.Result().Err != nil {
			t.Fatal(b.Result().Err)
		}
		x.Data(letter)
		if res := x.Result(); res.Err != nil || res.Recipients[0].Err == nil || res.Recipients[1].Err != nil {
			t.Errorf("%+v", res)
		}
	})
	t.Run("and nobody is left", func(t *testing.T) {
		o.Faults = []lab.Fault{
			{Phase: upstream.PhaseRcpt, Attempt: 1, Kind: lab.WrongReply, Text: "550 5.1.1 User unknown"},
			{Phase: upstream.PhaseData, Attempt: 1, Kind: lab.Drop},
			{Phase: lab.PhaseRset, Attempt: 1, Kind: lab.Drop},
		}
		in(t, o, func(h *house) {
			x := h.live()
			if x.Rcpt(upstream.Recipient{Address: "a@elsewhere.example"}).Result().Err == nil {
				t.Fatal("taken")
			}
			x.Data(letter)
			if res := x.Result(); res.Err == nil || res.Err.Reply.Code != 550 {
				t.Errorf("%+v", res.Err)
			}
			if ms := h.p.Messages(); len(ms) != 0 {
				t.Errorf("%+v", ms)
			}
		})
	})
}

// A provider that is out of step on a connection that was kept warm costs the
// message nothing: it goes over a new one, and nobody hears of it.
func TestOutOfStepOnAWarmLine(t *testing.T) {
	o := lab.Options{SMTP: lab.SMTP{Without: []string{"PIPELINING"}}}
	in(t, o, func(h *house) {
		h.mustSend()
		h.p.SetFaults(lab.Fault{Phase: upstream.PhaseMail, Attempt: 1, Kind: lab.WrongReply, Text: "503 5.5.1 Nested MAIL command"})
		h.mustSend()
		if s := h.p.Stats(); s.Messages != 2 || s.SMTPConns != 2 {
			t.Errorf("%+v", s)
		}
	})
}
