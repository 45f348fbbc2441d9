package lab

import (
	"testing"
	"time"

	"melon/upstream"
)

// TestAnswerTellsWhetherTheReplyLeft: of a message that was accepted, the lab
// knows whether the client can have learned it.
func TestAnswerTellsWhetherTheReplyLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault Kind
		none  bool // no fault at all
		after string
		want  Answer
	}{
		{name: "read", none: true, after: "NOOP\r\n", want: AnswerRead},
		{name: "sent", none: true, want: AnswerSent},
		{name: "lost", fault: LostReply, want: AnswerNone},
		{name: "half", fault: HalfReply, want: AnswerNone},
		{name: "slow", fault: SlowBytes, want: AnswerSent},
		{name: "split", fault: SplitReply, after: "NOOP\r\n", want: AnswerRead},
		{name: "dropped after", fault: DropAfter, want: AnswerSent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var faults []Fault
			if !c.none {
				faults = []Fault{{Phase: upstream.PhaseDataEnd, Kind: c.fault, Every: time.Microsecond}}
			}
			p := Run(t, Options{SMTP: SMTP{AuthPlaintext: true}, Faults: faults})
			k, _ := phaseTalk(t, p, upstream.PhaseDataEnd)
			if c.want != AnswerNone {
				k.want("250")
			}
			if c.after != "" {
				k.write(c.after)
				k.want("250")
			} else {
				k.nc.Close()
				if err := p.WaitIdle(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			m := p.Messages()
			if len(m) != 1 || m[0].At.IsZero() || !m[0].Peer.IsValid() || m[0].Peer.String() != k.nc.LocalAddr().String() {
				t.Fatalf("messages: %+v", m)
			}
			if got := p.Answer(1); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// TestChunkUnderAFault: a provider that refuses a chunk out of turn still reads
// it; its octets are no commands.
func TestChunkUnderAFault(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Rules: Rules{Open: true}, Faults: []Fault{{Phase: upstream.PhaseData, Kind: WrongReply, Text: "451 4.3.0 later", Attempt: 1}}})
	c := smtpTo(t, p)
	c.cmd("EHLO x", "250")
	c.write(chunked.write + "RSET\r\n")
	for _, want := range []string{"250", "250", "451", "250"} {
		c.want(want)
	}
	c.write(chunked.write)
	for range 3 {
		c.want("250")
	}
	if n := len(p.Messages()); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
}

// TestRefusedMessageIsOver: a fault that refuses a whole message leaves nothing
// of it to the next one.
func TestRefusedMessageIsOver(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Rules: Rules{Open: true}, Faults: []Fault{{Phase: upstream.PhaseDataEnd, Kind: WrongReply, Text: "451 4.3.0 later", Attempt: 1}}})
	c := smtpTo(t, p)
	c.cmd("EHLO x", "250")
	for _, want := range []string{"451", "250"} {
		c.write(chunked.write)
		c.want("250")
		c.want("250")
		c.want(want)
	}
	if m := p.Messages(); len(m) != 1 || string(m[0].Data) != message || len(m[0].Envelope.Recipients) != 1 {
		t.Errorf("%+v", m)
	}
}
