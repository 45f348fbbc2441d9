package submit

import (
	"context"
	"testing"
	"time"

	"melon/upstream"
)

const (
	helloCmd = "C: EHLO [127.0.0.1]"
	mailCmd  = "C: MAIL FROM:<taro@provider-a.example>"
	rcptA    = "C: RCPT TO:<a@elsewhere.example>"
	rcptB    = "C: RCPT TO:<b@elsewhere.example>"
	addrA    = "a@elsewhere.example"
	addrB    = "b@elsewhere.example"
	letter   = textBody("Subject: x\r\n\r\n.dot\r\nend\r\n")
	letterB  = `B: Subject: x\r\n\r\n.dot\r\nend\r\n`
	chunk    = "C: BDAT 25 LAST"
	yes      = "S: 250 2.0.0 ok"
	queued   = "S: 250 2.0.0 queued as 7"
	taken    = "250 2.0.0 queued as 7"
)

// greeted is the server's opening with the given keywords.
func greeted(keywords ...string) []string {
	out := []string{"S: 220 mail.provider-a.example ESMTP", helloCmd, "S: 250-mail.provider-a.example you are 192.0.2.7"}
	for _, k := range keywords {
		out = append(out, "S+ 250-"+k)
	}
	return append(out, "S+ 250 HELP")
}

func join(first []string, rest ...string) []string { return append(first, rest...) }

var dataLines = []string{"C: Subject: x", "C: ", "C: ..dot", "C: end", "C: ."}

// transaction is one row: a whole conversation and what the client makes of it.
type transaction struct {
	name   string
	server []string
	to     []string
	body   upstream.Body // letter when nil
	lock   bool          // Options.Lockstep
	flight bool          // TransactOptions.OneFlight
	want   string        // the reply to the end, or of the error
	phase  upstream.Phase
	class  upstream.Class
	kind   upstream.Kind
	broken bool // not usable afterwards
	taken  int
}

// A script whose server reads several commands before it replies proves that
// they came in one flight: the client would wait for ever otherwise. One whose
// server replies in between proves that nothing was sent ahead.
func accepted() []transaction {
	full := []string{"PIPELINING", "CHUNKING"}
	return []transaction{
		{
			name: "one flight by BDAT", to: []string{addrA}, flight: true, want: taken, taken: 1,
			server: join(greeted(full...), mailCmd, rcptA, chunk, letterB, yes, yes, queued),
		},
		{
			name: "the body waits for the envelope", to: []string{addrA}, want: taken, taken: 1,
			server: join(greeted(full...), mailCmd, rcptA, yes, yes, chunk, letterB, queued),
		},
		{
			name: "DATA in the envelope's flight, dots stuffed", to: []string{addrA}, flight: true, want: taken, taken: 1,
			server: join(join(join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, yes, "S: 354 go"), dataLines...), queued),
		},
		{
			name: "lockstep where nothing is offered", to: []string{addrA, addrB}, flight: true, want: taken, taken: 2,
			server: join(join(join(greeted("SIZE"), mailCmd, yes, rcptA, yes, rcptB, yes, "C: DATA", "S: 354 go"), dataLines...), queued),
		},
		{
			name: "lockstep where it was learned", to: []string{addrA}, lock: true, flight: true, want: taken, taken: 1,
			server: join(greeted(full...), mailCmd, yes, rcptA, yes, chunk, letterB, queued),
		},
		{
			name: "HELO", to: []string{addrA}, flight: true, want: "250 ok", taken: 1,
			server: join([]string{"S: 220 hi", helloCmd, "S: 502 what?", "C: HELO [127.0.0.1]", "S: 250 hi", mailCmd, yes, rcptA, yes,
				"C: DATA", "S: 354 go"}, append(dataLines, "S: 250 ok")...),
		},
		{
			name: "an empty body by BDAT", to: []string{addrA}, body: textBody(""), flight: true, want: taken, taken: 1,
			server: join(greeted(full...), mailCmd, rcptA, "C: BDAT 0 LAST", yes, yes, queued),
		},
		{
			name: "an empty body by DATA", to: []string{addrA}, body: textBody(""), want: taken, taken: 1,
			server: join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, yes, "S: 354 go", "C: .", queued),
		},
		{
			name: "one of several refused: the rest gets it", to: []string{addrA, addrB}, flight: true, want: taken, taken: 1,
			server: join(greeted(full...), mailCmd, rcptA, rcptB, yes, "S: 550 5.1.1 no such user", yes, chunk, letterB, queued),
		},
		{
			name: "421 behind the last reply", to: []string{addrA}, flight: true, want: taken, taken: 1,
			server: join(greeted(full...), mailCmd, rcptA, chunk, letterB, yes, yes, queued+"\r\n421 4.3.2 closing"),
		},
	}
}

func refusals() []transaction {
	full := []string{"PIPELINING", "CHUNKING"}
	return []transaction{
		{
			name: "MAIL refused, in one flight", to: []string{addrA}, flight: true,
			server: join(greeted(full...), mailCmd, rcptA, chunk, letterB, "S: 552 5.3.4 too big", "S: 503 no", "S: 503 no"),
			want:   "552 5.3.4 too big", phase: upstream.PhaseMail, kind: upstream.KindMessage,
		},
		{
			name: "the only recipient refused, in one flight", to: []string{addrA}, flight: true,
			server: join(greeted(full...), mailCmd, rcptA, chunk, letterB, yes, "S: 550 5.1.1 no such user", "S: 503 5.5.1 no recipient"),
			want:   "550 5.1.1 no such user", phase: upstream.PhaseRcpt, kind: upstream.KindMessage,
		},
		{
			name: "the only recipient refused, and the message taken for nobody", to: []string{addrA}, flight: true,
			server: join(greeted(full...), mailCmd, rcptA, chunk, letterB, yes, "S: 550 5.1.1 no such user", queued),
			want:   "550 5.1.1 no such user", phase: upstream.PhaseRcpt, kind: upstream.KindMessage,
		},
		{
			name: "the only recipient refused, and DATA with it", to: []string{addrA},
			server: join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, "S: 450 4.2.1 later", "S: 554 no valid recipients"),
			want:   "450 4.2.1 later", phase: upstream.PhaseRcpt,
		},
		{
			name: "354 although nobody was taken: cut, no lone dot", to: []string{addrA}, broken: true,
			server: join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, "S: 550 no", "S: 354 go", "SILENCE"),
			want:   "550 no", phase: upstream.PhaseRcpt, kind: upstream.KindMessage,
		},
		{
			name: "DATA refused", to: []string{addrA}, taken: 1,
			server: join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, yes, "S: 451 4.3.0 not now"),
			want:   "451 4.3.0 not now", phase: upstream.PhaseData,
		},
		{
			name: "the message refused", to: []string{addrA}, flight: true, taken: 1,
			server: join(greeted(full...), mailCmd, rcptA, chunk, letterB, yes, yes, "S: 554 5.6.1 will not have it"),
			want:   "554 5.6.1 will not have it", phase: upstream.PhaseDataEnd, kind: upstream.KindMessage,
		},
		{
			name: "421 instead of the last reply is an answer", to: []string{addrA}, flight: true, taken: 1, broken: true,
			server: join(greeted(full...), mailCmd, rcptA, chunk, letterB, yes, yes, "S: 421 4.3.2 closing", "HANGUP"),
			want:   "421 4.3.2 closing", phase: upstream.PhaseDataEnd,
		},
		{
			name: "421 to MAIL, body in flight: nothing was taken", to: []string{addrA}, flight: true, broken: true,
			server: join(greeted(full...), mailCmd, rcptA, chunk, letterB, "S: 421 4.3.2 closing", "HANGUP"),
			want:   "421 4.3.2 closing", phase: upstream.PhaseMail,
		},
		{
			name: "hang-up after a refused MAIL is that refusal", to: []string{addrA}, flight: true, broken: true,
			server: join(greeted(full...), mailCmd, rcptA, chunk, letterB, "S: 552 5.3.4 no", "HANGUP"),
			want:   "552 5.3.4 no", phase: upstream.PhaseMail, kind: upstream.KindMessage,
		},
	}
}

// nonsense is what servers should not say, and what Melon should not send.
func nonsense() []transaction {
	full := []string{"PIPELINING", "CHUNKING"}
	return []transaction{
		{
			name: "2xx to DATA makes no sense", to: []string{addrA}, taken: 1, broken: true,
			server: join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, yes, yes, "SILENCE"),
			phase:  upstream.PhaseData, class: upstream.ClassServerBroken,
		},
		{
			name: "an extra reply is noticed", to: []string{addrA}, lock: true, broken: true,
			server: join(greeted(full...), mailCmd, yes+"\r\n250 again", "SILENCE"),
			phase:  upstream.PhaseRcpt, class: upstream.ClassServerBroken,
		},
		{
			name: "garbage", to: []string{addrA}, broken: true,
			server: join(greeted(full...), mailCmd, rcptA, "S: what do you mean", "SILENCE"),
			phase:  upstream.PhaseMail, class: upstream.ClassServerBroken,
		},
		{
			name: "codes that differ within one reply", to: []string{addrA}, broken: true,
			server: join(greeted(full...), mailCmd, rcptA, "S: 250-ok", "S+ 550 no", "SILENCE"),
			phase:  upstream.PhaseMail, class: upstream.ClassServerBroken,
		},
		{
			name: "no recipient", body: letter,
			server: greeted(full...),
			want:   "554 5.5.1 The message has no recipient.", phase: upstream.PhaseData, class: upstream.ClassSyntaxOrProtocol, kind: upstream.KindMessage,
		},
		{
			name: "a recipient that would inject a command", to: []string{"a@b.example>\r\nRCPT TO:<evil@c.example"},
			server: join(greeted(full...), mailCmd, yes),
			want:   "501 5.1.3 The recipient's address holds characters that cannot be sent.", phase: upstream.PhaseRcpt, class: upstream.ClassSyntaxOrProtocol, kind: upstream.KindMessage,
		},
		{
			name: "bare LF, by BDAT", to: []string{addrA}, body: textBody("a\r\nb\nc\r\n"), taken: 1,
			server: join(greeted(full...), mailCmd, rcptA, yes, yes),
			want:   "554 5.6.0 The message holds a bare CR or LF, which cannot be sent.", phase: upstream.PhaseData, class: upstream.ClassSyntaxOrProtocol, kind: upstream.KindMessage,
		},
		{
			name: "bare CR at the end, by DATA", to: []string{addrA}, body: textBody("a\r\n.\r"), taken: 1, broken: true,
			server: join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, yes, "S: 354 go", "SILENCE"),
			want:   "554 5.6.0 The message holds a bare CR or LF, which cannot be sent.", phase: upstream.PhaseData, class: upstream.ClassSyntaxOrProtocol, kind: upstream.KindMessage,
		},
	}
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	for _, r := range append(append(accepted(), refusals()...), nonsense()...) {
		t.Run(r.name, func(t *testing.T) { t.Parallel(); r.run(t, false) })
		t.Run(r.name+", read alone", func(t *testing.T) { t.Parallel(); r.run(t, true) })
	}
}

// run plays the row, on a connection that can be looked at if looks is set.
func (r transaction) run(t *testing.T, looks bool) {
	o := testOptions()
	o.Lockstep = r.lock
	s := play(t, r.server...)
	s.conn.looks = looks
	c := open(t, s, o)
	if r.body == nil {
		r.body = letter
	}
	f := feed(r.body, r.to...)
	var o2 TransactOptions
	if r.flight {
		o2.OneFlight = time.Minute
	}
	out := c.Transact(context.Background(), envelope, f, o2)
	if out.Taken != r.taken || c.Usable() == r.broken {
		t.Errorf("taken %d, usable %v", out.Taken, c.Usable())
	}
	if r.phase == "" {
		if out.Err != nil || out.Reply.String() != r.want {
			t.Fatalf("got %v, %v", out.Reply, out.Err)
		}
		return
	}
	e := out.Err
	if e == nil {
		t.Fatalf("accepted: %v", out.Reply)
	}
	if e.Phase != r.phase || e.Reply.String() != r.want || e.Ambiguous || e.Account != "home" || e.Host == "" {
		t.Errorf("got %+v", e)
	}
	if e.Kind() != r.kind || r.class != "" && e.Class != r.class {
		t.Errorf("kind %v, class %v", e.Kind(), e.Class)
	}
}
