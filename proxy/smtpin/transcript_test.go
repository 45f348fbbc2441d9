package smtpin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/smtp"
	"os"
	"reflect"
	"strings"
	"testing"

	"melon/upstream"
)

// TestTranscripts plays whole conversations; each is the protocol of one path.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		opts Options
		say  string
		want []string // bodies of complete messages
	}{
		{name: "one message", say: `
			C: EHLO laptop.example
			S: 250-Hello laptop.example
			C: MAIL FROM:<taro@a.example>
			S: 250 2.0.0
			C: RCPT TO:<hanako@b.example>
			S: 250 2.0.0
			C: DATA
			S: 354
			C: Subject: x
			C:: 
			C: ..dot
			C: .
			S: 250 2.6.0 taken
			C: QUIT
			S: 221 2.0.0
			S: .`, want: []string{"Subject: x\r\n\r\n.dot\r\n"}},
		{name: "HELO", say: `
			C: HELO laptop
			S: 250 2.0.0 Hello laptop
			C: MAIL FROM:<taro@a.example>
			S: 250
			C: RCPT TO:<hanako@b.example>
			S: 250
			C: DATA
			S: 354
			C: .
			S: 250`, want: []string{""}},
		{name: "out of order", say: `
			C: MAIL FROM:<taro@a.example>
			S: 502 5.5.1
			C: EHLO x
			S: 250-
			C: RCPT TO:<a@b.example>
			S: 502 5.5.1
			C: DATA
			S: 502 5.5.1
			C: MAIL FROM:<taro@a.example>
			S: 250
			C: MAIL FROM:<other@a.example>
			S: 503 5.5.1
			C: DATA
			S: 502 5.5.1
			C: RCPT TO:<a@b.example>
			S: 250
			C: RSET
			S: 250
			C: DATA
			S: 502`},
		{name: "small talk", say: `
			C: HELP
			S: 214 2.0.0
			C: EHLO x
			S: 250-
			C: NOOP
			S: 250
			C: VRFY taro
			S: 252
			C: EXPN taro
			S: 502 5.5.1
			C: XCLIENT NAME=x
			S: 500 5.5.2
			C: LHLO x
			S: 500 5.5.2
			C:: 
			S: 500 5.5.2
			C: QUI
			S: 500 5.5.2
			C: DATA x
			S: 501 5.5.4
			C: QUIT 
			S: 221`},
		{name: "BDAT", say: `
			C: EHLO x
			S: 250-
			C: MAIL FROM:<taro@a.example> BODY=8BITMIME
			S: 250
			C: RCPT TO:<a@b.example>
			S: 250
			C: BDAT 5
			C: abc
			S: 250 2.0.0 5 octets received
			C: NOOP
			S: 250
			C: MAIL FROM:<x@y.example>
			S: 503
			C: BDAT 3 LAST
			C: .
			S: 250 2.6.0 taken
			C: BDAT 2 LAST
			C:: 
			S: 502
			C: QUIT
			S: 221`, want: []string{"abc\r\n.\r\n"}},
		{name: "BDAT taken back", say: `
			C: EHLO x
			S: 250-
			C: MAIL FROM:<taro@a.example>
			S: 250
			C: RCPT TO:<a@b.example>
			S: 250
			C: BDAT 5
			C: abc
			S: 250
			C: RSET
			S: 250 2.0.0 Session reset
			C: BDAT 5 LAST
			C: abc
			S: 502
			C: MAIL FROM:<taro@a.example>
			S: 250
			C: RCPT TO:<a@b.example>
			S: 250
			C: BDAT 0 LAST
			S: 250
			C: MAIL FROM:<taro@a.example>
			S: 250
			C: RCPT TO:<a@b.example>
			S: 250
			C: BDAT 2
			C:: 
			S: 250
			C: QUIT
			S: 221
			S: .`, want: []string{""}},
		{name: "BDAT without a size", say: `
			C: EHLO x
			S: 250-
			C: BDAT 99999999999999999999 LAST
			S: 501 5.5.4
			S: .`},
		{name: "bad addresses", say: `
			C: EHLO x
			S: 250-
			C: MAIL FROM:<taro>
			S: 501
			C: MAIL FROM:<a@b@c.example>
			S: 501 5.1.7
			C: MAIL FROM:<tarö@a.example>
			S: 553 5.6.7
			C: MAIL FROM:taro@a.example
			S: 250
			C: RCPT TO:<>
			S: 501
			C: RCPT TO:<"a> NOTIFY=NEVER"@b.example>
			S: 250
			C: RCPT TO:<a@b.example\>
			S: 501 5.1.3
			C: RCPT TO:<ä@b.example>
			S: 553 5.6.7`},
		{name: "login off", opts: Options{Login: Login{Mode: LoginOff}}, say: `
			C: EHLO x
			S: 250-
			C: AUTH PLAIN AGEAYg==
			S: 502 5.5.1`},
		{name: "STARTTLS not offered", say: `
			C: EHLO x
			S: 250-
			C: STARTTLS
			S: 502 5.5.1
			C: STARTTLS now
			S: 501`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{}
			tc.opts.Handler = r
			s := start(t, tc.opts)
			dial(t, s, 0).play(tc.say)
			var got []string
			for _, m := range r.complete() {
				if m.env.Recipients != nil && m.body != unread {
					got = append(got, m.body)
				}
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("messages %q, want %q", got, tc.want)
			}
		})
	}
}

// TestEHLO pins what an app is offered.
func TestEHLO(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Limits: Limits{Message: 1234, Recipients: 7}})
	got := dial(t, s, 0).cmd("EHLO x", "250-")
	want := "250-Hello x\n250-PIPELINING\n250-8BITMIME\n250-ENHANCEDSTATUSCODES\n250-CHUNKING\n" +
		"250-AUTH PLAIN LOGIN\n250-SMTPUTF8\n250-DSN\n250-SIZE 1234\n250 LIMITS RCPTMAX=7"
	if got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestEnvelope checks that all of an envelope is handed on.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	a := dial(t, start(t, Options{Handler: r, Limits: Limits{Message: 1 << 40}}), 0)
	a.cmd("EHLO laptop", "250-")
	a.cmd("AUTH LOGIN", "334 VXNlcm5hbWU6")
	a.cmd("aG9tZQ==", "334 UGFzc3dvcmQ6")
	a.cmd("eA==", "235")
	a.cmd("MAIL FROM:<\"t> x\"@a.example> SIZE=5000000000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=q+2Bq", "250")
	a.cmd("RCPT TO:<@relay.example:ä..@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+40y.example", "250")
	a.cmd("DATA", "354")
	a.cmd("x\r\n.", "250")
	a.cmd("NOOP", "250") // after the reset that follows the verdict
	m := r.all()[0]
	want := upstream.Envelope{
		From: `"t> x"@a.example`, Body: "8BITMIME", SMTPUTF8: true, Size: 5000000000, Return: "HDRS", EnvelopeID: "q+q",
		Recipients: []upstream.Recipient{{Address: "ä..@b.example", Notify: []string{"SUCCESS", "DELAY"},
			OriginalType: "RFC822", Original: "x@y.example"}},
	}
	if !reflect.DeepEqual(m.env, want) {
		t.Errorf("envelope %+v\nwant     %+v", m.env, want)
	}
	c := m.client
	if c.Login != "home" || c.HELO != "laptop" || !c.Extended || c.TLS || !c.Peer.Addr().IsLoopback() {
		t.Errorf("client %+v", c)
	}
	if got := c.With(true); got != "UTF8SMTPA" {
		t.Errorf("with %q", got)
	}
	if m.resets != 1 {
		t.Errorf("%d resets", m.resets)
	}
}

func TestWith(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		c    Client
		utf8 bool
		want string
	}{
		{Client{}, false, "SMTP"},
		{Client{Extended: true}, false, "ESMTP"},
		{Client{Extended: true, TLS: true}, false, "ESMTPS"},
		{Client{Extended: true, Login: "x"}, false, "ESMTPA"},
		{Client{Extended: true, TLS: true, Login: "x"}, false, "ESMTPSA"},
		{Client{Extended: true, TLS: true, Login: "x"}, true, "UTF8SMTPSA"},
	} {
		if got := tc.c.With(tc.utf8); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.c, got, tc.want)
		}
	}
}

// TestNetSMTP lets Go's own client send.
func TestNetSMTP(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	s := start(t, Options{Handler: r})
	msg := "Subject: hi\r\n\r\n.\r\n..\r\nend\r\n"
	err := smtp.SendMail(s.Addresses()[0].Addr, nil, "taro@a.example", []string{"x@b.example", "y@b.example"}, []byte(msg))
	if err != nil {
		t.Fatal(err)
	}
	got := r.complete()
	if len(got) != 1 || got[0].body != msg || len(got[0].env.Recipients) != 2 {
		t.Errorf("got %+v", got)
	}
}

// TestPipelined sends a whole conversation in one write.
func TestPipelined(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	a := dial(t, start(t, Options{Handler: r}), 0)
	a.say("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\none\r\n.\r\n" +
		"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 3\r\ntwoBDAT 2 LAST\r\n\r\nQUIT\r\n")
	for _, want := range []string{"250-", "250", "250", "354", "250", "250", "250", "250 2.0.0 3", "250 2.6.0", "221", ""} {
		a.expect(want)
	}
	got := r.complete()
	if len(got) != 2 || got[0].body != "one\r\n" || got[1].body != "two\r\n" {
		t.Errorf("got %+v", got)
	}
}

// TestVerdicts checks what becomes of the transaction's errors at each verb.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	refused := &upstream.Error{Phase: upstream.PhaseRcpt, Class: upstream.ClassRecipientUnknown,
		Reply: upstream.Reply{Code: 550, Enhanced: upstream.EnhancedCode{5, 1, 1}, Lines: []string{"no such user"}}}
	r := &recorder{
		begin: func(_ context.Context, _ Client, env upstream.Envelope) error {
			if env.From == "panic@a.example" {
				panic("secret")
			}
			if env.From == "plain@a.example" {
				return &os.PathError{Op: "open", Path: "/home/taro/x", Err: os.ErrPermission}
			}
			return nil
		},
		rcpt: func(_ context.Context, rc upstream.Recipient) error {
			if rc.Address == "no@b.example" {
				return fmt.Errorf("wrapped: %w", refused)
			}
			return nil
		},
		data: func(_ context.Context, body io.Reader) (upstream.Reply, error) {
			b, err := io.ReadAll(body)
			switch {
			case err != nil:
				return upstream.Reply{}, err
			case strings.HasPrefix(string(b), "lie"):
				return upstream.Reply{Code: 550, Lines: []string{"nope"}}, nil
			case strings.HasPrefix(string(b), "zero"):
				return upstream.Reply{}, nil
			}
			return upstream.Reply{}, errors.New("/var/secret")
		},
	}
	s := start(t, Options{Handler: r})
	a := dial(t, s, 0)
	a.play(`
		C: EHLO x
		S: 250-
		C: MAIL FROM:<plain@a.example>
		S: 451 4.3.0 Melon could not take this just now
		C: MAIL FROM:<a@a.example>
		S: 250
		C: RCPT TO:<no@b.example>
		S: 550 5.1.1 no such user
		C: RCPT TO:<yes@b.example>
		S: 250
		C: DATA
		S: 354
		C: x
		C: .
		S: 451 4.3.0 Melon could not take this just now
		C: MAIL FROM:<a@a.example>
		S: 250
		C: RCPT TO:<yes@b.example>
		S: 250
		C: DATA
		S: 354
		C: lie
		C: .
		S: 550 5.0.0 nope
		C: MAIL FROM:<a@a.example>
		S: 250
		C: RCPT TO:<yes@b.example>
		S: 250
		C: DATA
		S: 354
		C: zero
		C: .
		S: 250 2.0.0 accepted
		C: MAIL FROM:<panic@a.example>
		S: 421 4.3.0 Melon had an internal problem
		S: .`)
}

// TestUnread: a handler that accepts what it has not read does not get away
// with it, and one that refuses early leaves the next command in place.
func TestUnread(t *testing.T) {
	t.Parallel()
	accept := true
	r := &recorder{data: func(_ context.Context, body io.Reader) (upstream.Reply, error) {
		if accept {
			return upstream.Reply{Code: 250}, nil
		}
		return upstream.Reply{}, &upstream.Error{Phase: upstream.PhaseData, Class: upstream.ClassContentRejectedSpam,
			Reply: upstream.Reply{Code: 554, Lines: []string{"spam"}}}
	}}
	a := dial(t, start(t, Options{Handler: r}), 0)
	a.cmd("EHLO x", "250-")
	open := func() {
		t.Helper()
		a.cmd("MAIL FROM:<a@b.example>", "250")
		a.cmd("RCPT TO:<c@d.example>", "250")
	}
	open()
	a.cmd("DATA", "354")
	a.cmd("MAIL FROM:<x@y.example>\r\n.", "451 4.3.0 The message was not taken completely")
	accept = false
	open()
	a.say("BDAT 3\r\nxyz")
	a.expect("554 5.0.0 spam")
	a.say("BDAT 3 LAST\r\nxyz")
	a.expect("502")
	a.cmd("NOOP", "250")
}
