package submit

import (
	"net"
	"testing"

	"melon/upstream"
)

func TestCommandLines(t *testing.T) {
	t.Parallel()
	all := Capabilities{Size: true, EightBitMIME: true, SMTPUTF8: true, DSN: true}
	env := upstream.Envelope{From: "a@b.example", Body: upstream.Body8BitMIME, Size: 9, Return: "HDRS", EnvelopeID: "x+y z="}
	utf := upstream.Envelope{From: "メロン@b.example"}
	for _, r := range []struct {
		caps Capabilities
		env  upstream.Envelope
		want string
	}{
		{all, env, "MAIL FROM:<a@b.example> SIZE=9 BODY=8BITMIME RET=HDRS ENVID=x+2By+20z+3D"},
		{Capabilities{}, env, "MAIL FROM:<a@b.example>"},
		{all, upstream.Envelope{}, "MAIL FROM:<>"},
		{all, utf, "MAIL FROM:<メロン@b.example> SMTPUTF8"},
		{Capabilities{}, utf, "553 5.6.7"},
		{all, upstream.Envelope{From: "a@b.example", SMTPUTF8: true}, "MAIL FROM:<a@b.example> SMTPUTF8"},
		{Capabilities{}, upstream.Envelope{From: "a@b.example", SMTPUTF8: true}, "MAIL FROM:<a@b.example>"},
		{all, upstream.Envelope{From: "a@b.example> AUTH=<"}, "501 5.1.7"},
		{all, upstream.Envelope{From: "a\x00@b.example"}, "501 5.1.7"},
		{all, upstream.Envelope{From: "a@b.example", EnvelopeID: "x\r\nRSET"}, "501 5.1.7"},
		{all, upstream.Envelope{From: `"a b>"@b.example`}, `MAIL FROM:<"a b>"@b.example>`},
		{all, upstream.Envelope{From: `"a\"@b.example`}, "501 5.1.7"},
	} {
		c := &Client{conn: &fakeConn{}, caps: r.caps}
		got, err := c.mailLine(r.env)
		check(t, got, err, r.want)
	}
	for _, r := range []struct {
		caps Capabilities
		rc   upstream.Recipient
		want string
	}{
		{all, upstream.Recipient{Address: "a@b.example", Notify: []string{"SUCCESS", "x", "delay"}, OriginalType: "rfc822", Original: "a+b@c.example"},
			"RCPT TO:<a@b.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c.example"},
		{all, upstream.Recipient{Address: "a@b.example", Notify: []string{"NEVER"}}, "RCPT TO:<a@b.example> NOTIFY=NEVER"},
		{all, upstream.Recipient{Address: "a@b.example", OriginalType: "utf-8", Original: "メ@c.example"}, `RCPT TO:<a@b.example> ORCPT=utf-8;\x{30E1}@c.example`},
		{all, upstream.Recipient{Address: "a@b.example", OriginalType: "Ϟ", Original: "x"}, "RCPT TO:<a@b.example> ORCPT=rfc822;x"},
		{Capabilities{}, upstream.Recipient{Address: "a@b.example", Notify: []string{"NEVER"}, Original: "x"}, "RCPT TO:<a@b.example>"},
		{Capabilities{}, upstream.Recipient{Address: "メ@b.example"}, "553 5.6.7"},
		{all, upstream.Recipient{Address: ""}, "501 5.1.3"},
		{all, upstream.Recipient{Address: "a@b.example\n"}, "501 5.1.3"},
		{all, upstream.Recipient{Address: "a@b.example", Original: "x\r\ny"}, "501 5.1.3"},
	} {
		c := &Client{conn: &fakeConn{}, caps: r.caps}
		got, err := c.rcptLine(r.rc)
		check(t, got, err, r.want)
	}
}

func check(t *testing.T, got string, err *upstream.Error, want string) {
	t.Helper()
	if err != nil {
		got = err.Reply.String()[:9]
		if err.Kind() != upstream.KindMessage {
			t.Errorf("%s: kind %v", want, err.Kind())
		}
	}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAddressLiteral(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1": "[192.0.2.1]", "2001:db8::1": "[IPv6:2001:db8::1]", "fe80::1%eth0": "[IPv6:fe80::1]", "::ffff:192.0.2.1": "[192.0.2.1]",
	} {
		ip, zone := addr, ""
		if i := len("fe80::1"); len(addr) > i && addr[i] == '%' {
			ip, zone = addr[:i], addr[i+1:]
		}
		if got := addressLiteral(&net.TCPAddr{IP: net.ParseIP(ip), Zone: zone, Port: 4}); got != want {
			t.Errorf("%s: %s", addr, got)
		}
	}
	if got := addressLiteral(nil); got != "[127.0.0.1]" {
		t.Error(got)
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"250 2.1.0 ok":       "250 2.1.0 ok",
		"550 2.1.0 ok":       "550 2.1.0 ok",
		"550 5.7.1":          "550 5.7.1",
		"550 192.0.2.1 no":   "550 192.0.2.1 no",
		"550 5.7.x no":       "550 5.7.x no",
		"550 5.7.1 \x1b[31m": "550 5.7.1 ?[31m",
	} {
		code, last, rest, ok := splitLine(text)
		if !ok || !last {
			t.Fatal(text)
		}
		r := raw{code: code, lines: []string{rest}}.clean()
		if got := r.String(); got != want || (want == "550 2.1.0 ok") != (r.Enhanced.IsZero() && code == 550 && rest == "2.1.0 ok") {
			t.Errorf("%q: %q %v", text, got, r.Enhanced)
		}
	}
	caps := parseCapabilities([]string{"x", "auth=LOGIN plain", "AUTH PLAIN CRAM-MD5", "size 1000", "", "pipelining"})
	if !caps.Pipelining || caps.MaxSize != 1000 || len(caps.Auth) != 3 {
		t.Errorf("%+v", caps)
	}
}
