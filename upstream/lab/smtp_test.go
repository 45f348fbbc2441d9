package lab

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"melon/upstream"
)

// TestSequence is commands out of order and malformed ones.
func TestSequence(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Rules: Rules{Open: true}})
	c := smtpTo(t, p)
	for _, step := range [][2]string{
		{"MAIL FROM:<a@b.example>", "503"},
		{"EHLO", "501"},
		{"HELO x", "250"},
		{"EHLO x", "250"},
		{"RCPT TO:<a@b.example>", "503"},
		{"DATA", "503"},
		{"MAIL FROM:a@b.example", "501"},
		{"MAIL TO:<a@b.example>", "501"},
		{"MAIL FROM:<a@b.example>x", "501"},
		{"MAIL FROM:<nobody>", "501"},
		{"MAIL FROM:<a@b.example> X=1", "555"},
		{"MAIL FROM:<é@b.example>", "553"},
		{"MAIL FROM:<é@b.example> SMTPUTF8", "250"},
		{"MAIL FROM:<a@b.example>", "503"},
		{"DATA", "554"},
		{"RCPT TO:<>", "501"},
		{"RCPT TO:<postmaster>", "250"},
		{`RCPT TO:<"a>b"@b.example>`, "250"},
		{"RSET", "250"},
		{"DATA", "503"},
		{"NOOP", "250"},
		{"VRFY x", "252"},
		{"XYZZY", "502"},
		{"STARTTLS", "220"},
	} {
		c.cmd(step[0], step[1])
	}
	c.tls(p)
	c.cmd("STARTTLS", "503")
	c.cmd("QUIT", "221")
	c.wantEnd()
}

// TestWithout leaves each extension out: it is not offered and not taken.
func TestWithout(t *testing.T) {
	t.Parallel()
	for keyword, param := range map[string]string{
		"8BITMIME": "BODY=8BITMIME", "SMTPUTF8": "SMTPUTF8", "DSN": "RET=HDRS", "SIZE": "SIZE=5", "PIPELINING": "", "CHUNKING": "",
	} {
		p := Run(t, Options{SMTP: SMTP{Without: []string{keyword}}})
		c := smtpTo(t, p)
		if r := c.cmd("EHLO x", "250"); strings.Contains(r, keyword) {
			t.Errorf("%s is offered: %q", keyword, r)
		}
		if param != "" {
			c.cmd("MAIL FROM:<a@b.example> "+param, "555 5.5.4")
		}
		if keyword == "CHUNKING" {
			c.cmd("BDAT 1", "501")
			c.wantEnd()
		}
	}
	p := Run(t, Options{SMTP: SMTP{Without: []string{"EHLO", "STARTTLS"}}})
	c := smtpTo(t, p)
	c.cmd("EHLO x", "502")
	c.cmd("HELO x", "250")
	c.cmd("STARTTLS", "503")
}

// TestEnvelope sends every parameter with go-smtp's client and finds it in the
// record.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Rules: Rules{Open: true}})
	c := goSMTP(t, p)
	err := c.Mail(own, &gosmtp.MailOptions{Body: gosmtp.Body8BitMIME, UTF8: true, Size: 5, Return: gosmtp.DSNReturnHeaders, EnvelopeID: "a+b c"})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Rcpt(other, &gosmtp.RcptOptions{
		Notify:            []gosmtp.DSNNotify{gosmtp.DSNNotifyDelayed, gosmtp.DSNNotifySuccess},
		OriginalRecipient: "x+y@other.example", OriginalRecipientType: gosmtp.DSNAddressTypeRFC822,
	})
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, message)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := upstream.Envelope{
		From: own, Body: upstream.Body8BitMIME, SMTPUTF8: true, Size: 5, Return: "HDRS", EnvelopeID: "a+b c",
		Recipients: []upstream.Recipient{{Address: other, Notify: []string{"DELAY", "SUCCESS"}, OriginalType: "RFC822", Original: "x+y@other.example"}},
	}
	if got := p.Messages()[0].Envelope; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestBodies sends difficult bodies by DATA and BDAT and compares each octet.
func TestBodies(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Rules: Rules{Open: true}, KeepBody: 1 << 20})
	c := smtpTo(t, p)
	c.cmd("EHLO x", "250")
	for _, b := range []string{
		"", "\r\n", ".\r\n", "..\r\n.a\r\n", "a\r.\r\nb\r\n", "a\n.\nb\r\n", "a\n.\r\nb\r\n", "\x00\xff\r\n",
		strings.Repeat("x", maxBuffer-1) + "\r\n.\r\n", strings.Repeat("x", 3*maxBuffer) + "\r\n", strings.Repeat("y", 1<<20),
	} {
		c.say(envelope)
		wire := strings.ReplaceAll("\r\n"+b, "\r\n.", "\r\n..")[2:]
		if b != "" && !strings.HasSuffix(b, "\r\n") {
			wire, b = wire+"\r\n", b+"\r\n"
		}
		c.say(flight{wire + ".\r\n", 1})
		half := len(b) / 2
		c.say(flight{fmt.Sprintf("MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nBDAT %d\r\n%sBDAT %d LAST\r\n%s", own, own, half, b[:half], len(b)-half, b[half:]), 4})
		ms := p.Messages()
		for _, m := range ms[len(ms)-2:] {
			if m.Size != int64(len(b)) || m.SHA256 != sha256.Sum256([]byte(b)) {
				t.Errorf("%.20q: got %d octets, %.20q", b, m.Size, m.Data)
			}
			if kept := len(b) <= 1<<20; kept != bytes.Equal(m.Data, []byte(b)) {
				t.Errorf("%.20q: %d octets kept of %d", b, len(m.Data), len(b))
			}
		}
	}
}

// TestChunksRefused shows that a refused chunk is read, and so are those behind
// it, and that the connection lives on.
func TestChunksRefused(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{})
	c := smtpTo(t, p)
	c.cmd("EHLO x", "250")
	c.write("MAIL FROM:<" + own + ">\r\nRCPT TO:<" + other + ">\r\nBDAT 4\r\nQUIT" + "BDAT 4 LAST\r\nQUIT" + "NOOP\r\n")
	for _, want := range []string{"250", "530", "554", "503", "250"} {
		c.want(want)
	}
	c.cmd("RSET", "250")
	c.say(chunked)
}

// TestPunish is what happens to a client that pipelines where it must not.
func TestPunish(t *testing.T) {
	t.Parallel()
	const pair = "MAIL FROM:<" + own + ">\r\nRCPT TO:<" + own + ">\r\n"
	start := func(how Punish) *client {
		p := Run(t, Options{SMTP: SMTP{Pipelined: how}, POP: POP{Pipelined: how}})
		c := smtpTo(t, p)
		c.cmd("EHLO x", "250")
		c.cmd("MAIL FROM:<"+own+">", "250")
		c.cmd("RCPT TO:<"+own+">", "250")
		c.cmd("RSET", "250")
		c.write(pair)
		pop := popTo(t, p)
		pop.write("USER taro\r\nPASS " + DefaultUser.Password + "\r\n")
		switch how {
		case PunishDrop:
			pop.wantEnd()
		case PunishWrong:
			pop.want("+OK")
			pop.want("-ERR")
		case PunishDiscard:
			pop.want("+OK")
			pop.cmd("NOOP", "-ERR")
		}
		return c
	}
	start(PunishDrop).wantEnd()
	c := start(PunishWrong)
	c.want("250")
	c.want("503")
	c.cmd("RCPT TO:<"+own+">", "250")
	c = start(PunishDiscard)
	c.want("250")
	c.cmd("DATA", "554") // RCPT was never seen
}

// TestLongLine shows that a line without end is cut off.
func TestLongLine(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{})
	for addr, want := range map[string]string{p.SMTPAddr(): "500", p.POPAddr(): "-ERR"} {
		c := dial(t, addr)
		c.reply()
		c.write(strings.Repeat("x", maxLine+1))
		c.want(want)
		c.wantEnd()
	}
}

// TestTranscript shows that both conversations are told in order, without
// secrets and bodies.
func TestTranscript(t *testing.T) {
	t.Parallel()
	var lines []string
	p := Run(t, Options{
		SMTP:       SMTP{AuthPlaintext: true},
		Transcript: func(l Line) { lines = append(lines, fmt.Sprintf("%d %s %v %s", l.Conn, l.Proto, l.Client, l.Text)) },
	})
	pop := popLogin(t, p, "")
	pop.cmd("QUIT", "+OK")
	c := smtpTo(t, p)
	c.cmd("EHLO x", "250")
	c.cmd("AUTH LOGIN", "334")
	c.cmd(b64("taro"), "334")
	c.cmd(b64(DefaultUser.Password), "235")
	c.say(envelope, theBody)
	c.cmd("QUIT", "221")
	p.Close()
	all := strings.Join(lines, "\n")
	for _, want := range []string{"1 pop true PASS ****", "2 smtp true AUTH LOGIN", "2 smtp true ****", "2 smtp true <22 octets>", "2 smtp false 250 2.0.0 Ok: queued as 1"} {
		if !strings.Contains(all, want+"\n") {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	for _, secret := range []string{DefaultUser.Password, b64(DefaultUser.Password), "Subject"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q in\n%s", secret, all)
		}
	}
}
