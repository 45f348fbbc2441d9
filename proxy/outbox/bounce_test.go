package outbox

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/emersion/go-message"

	"melon/upstream"
)

// bounced keeps a message that the provider answers with err, and returns the
// bounce that was sent for it, if any.
func bounced(t *testing.T, opts Options, e Entry, err *upstream.Error) (b *Entry, text string) {
	t.Helper()
	r := newRig(t, opts)
	r.script(func(e Entry) upstream.Result {
		if e.Bounce {
			b = &e
			return upstream.Result{}
		}
		return upstream.Result{Err: err, Account: "home", Host: "smtp.provider-a.example:465"}
	})
	r.keep("lunch", e, KeepOptions{})
	synctest.Wait()
	if b != nil {
		text = r.bodies[b.ID]
	}
	return b, text
}

func TestBounce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := entry("hanako@provider-b.example", "quiet@provider-b.example")
		e.Envelope.EnvelopeID = "Q-1"
		e.Envelope.Recipients[0].OriginalType, e.Envelope.Recipients[0].Original = "rfc822", "h@x.example"
		e.Envelope.Recipients[1].Notify = []string{"NEVER"}
		b, text := bounced(t, Options{
			Hostname: "laptop.example",
			Explain:  func(*upstream.Error, string) string { return "There is no such mailbox." },
		}, e, noSuchUser)
		if b == nil || b.Envelope.From != "" || b.To()[0] != "taro@provider-a.example" || b.Account != "home" {
			t.Fatalf("%+v", b)
		}
		if strings.Count(text, "\n") != strings.Count(text, "\r\n") || strings.Count(text, "\r") != strings.Count(text, "\r\n") {
			t.Error("line ends")
		}
		m, err := message.Read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if ct, params, _ := m.Header.ContentType(); ct != "multipart/report" || params["report-type"] != "delivery-status" {
			t.Errorf("%s %v", ct, params)
		}
		for k, want := range map[string]string{
			"Auto-Submitted": "auto-replied", "To": "<taro@provider-a.example>",
			"References": "<lunch@provider-a.example>", "From": "Melon <taro@provider-a.example>",
		} {
			if got := m.Header.Get(k); got != want {
				t.Errorf("%s: %q", k, got)
			}
		}
		mr := m.MultipartReader()
		var parts []string
		for {
			p, err := mr.NextPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			data, _ := io.ReadAll(p.Body)
			parts = append(parts, string(data))
		}
		if len(parts) != 3 {
			t.Fatalf("%d parts", len(parts))
		}
		for i, wants := range [][]string{
			{"<hanako@provider-b.example>", "550 5.1.1 No such user here", "There is no such mailbox.", "still in your outbox"},
			{"Reporting-MTA: dns; laptop.example\r\nOriginal-Envelope-Id: Q-1\r\n", "Original-Recipient: rfc822; h@x.example\r\n",
				"Final-Recipient: rfc822; hanako@provider-b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n" +
					"Remote-MTA: dns; smtp.provider-a.example\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user here\r\n"},
			{"Subject: lunch\r\n"},
		} {
			for _, w := range wants {
				if !strings.Contains(parts[i], w) {
					t.Errorf("part %d lacks %q:\n%s", i+1, w, parts[i])
				}
			}
		}
		if strings.Contains(text, "quiet@") || strings.Contains(parts[2], "hello") {
			t.Error("it says more than it should")
		}
	})
}

func TestWhoGetsABounce(t *testing.T) {
	t.Parallel()
	with := func(change func(*Entry)) Entry {
		e := entry()
		change(&e)
		return e
	}
	for name, tt := range map[string]struct {
		entry Entry
		err   *upstream.Error
		want  bool
	}{
		"refused":                {entry(), noSuchUser, true},
		"a foreign sender":       {with(func(e *Entry) { e.Envelope.From = "someone@else.example" }), noSuchUser, false},
		"the empty sender":       {with(func(e *Entry) { e.Envelope.From = "" }), noSuchUser, false},
		"NOTIFY=NEVER":           {with(func(e *Entry) { e.Envelope.Recipients[0].Notify = []string{"NEVER"} }), noSuchUser, false},
		"NOTIFY=SUCCESS":         {with(func(e *Entry) { e.Envelope.Recipients[0].Notify = []string{"SUCCESS"} }), noSuchUser, false},
		"NOTIFY=SUCCESS,failure": {with(func(e *Entry) { e.Envelope.Recipients[0].Notify = []string{"SUCCESS", "failure"} }), noSuchUser, true},
		"a wrong password":       {entry(), wrongPassword, false},
		"a refused relay":        {entry(), relayDenied, false},
		"a busy server":          {entry(), greylisted, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if b, _ := bounced(t, Options{}, tt.entry, tt.err); (b != nil) != tt.want {
					t.Errorf("bounced: %v", b != nil)
				}
			})
		})
	}
}

func TestBounceReturnsAllWhenAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := entry()
		e.Envelope.Return = "FULL"
		b, text := bounced(t, Options{
			Settings: Settings{Language: "ja"},
			Account:  func(string) AccountInfo { return AccountInfo{BounceFrom: "taro@provider-a.example"} },
		}, e, noSuchUser)
		if b == nil || b.Envelope.From != "taro@provider-a.example" {
			t.Fatalf("%+v", b)
		}
		m, err := message.Read(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if s, _ := m.Header.Text("Subject"); s != wordsFor("ja").subject {
			t.Errorf("%q", s)
		}
		p, err := m.MultipartReader().NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if data, _ := io.ReadAll(p.Body); !bytes.Contains(data, []byte("送信箱に残っています")) {
			t.Errorf("%s", data)
		}
		if !strings.Contains(text, "message/rfc822") || !strings.Contains(text, "\r\n\r\nhello\r\n") {
			t.Error("the message is missing")
		}
	})
}

func TestRefusedBounceIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// A bounce that has a sender could be bounced in its turn.
		r := newRig(t, Options{Account: func(string) AccountInfo { return AccountInfo{BounceFrom: "taro@provider-a.example"} }})
		r.answer(noSuchUser)
		id := r.keep("m", entry(), KeepOptions{})
		if n := len(r.attempts()); n != 2 {
			t.Errorf("%d attempts, want the message and its bounce", n)
		}
		if got := r.states(); len(got) != 1 || got[id] != Attention {
			t.Errorf("%v", got)
		}
		if s := r.Snapshot(); s.Attention != 1 || s.Bounces != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestBounceIsNotCountedInAttention(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.script(func(e Entry) upstream.Result {
			if e.Bounce {
				return upstream.Result{Err: wrongPassword}
			}
			return upstream.Result{Err: noSuchUser}
		})
		r.keep("m", entry(), KeepOptions{})
		synctest.Wait()
		if s := r.Snapshot(); s.Attention != 1 || s.Bounces != 1 || s.Total != 2 {
			t.Errorf("%+v", s)
		}
	})
}
