package main

import (
	"net/mail"
	"slices"
	"strings"
	"testing"

	"melon/upstream/lab"
)

// sendmailCall is how a real program calls sendmail, and what has to come of it.
type sendmailCall struct {
	program string
	args    []string
	input   string
	from    string   // envelope
	to      []string // envelope
	has     []string // each in the message that arrives
	hasNot  []string
	body    string // all behind the header; "" is not looked at
}

// sendmailCalls are command lines and messages as the programs make them.
var sendmailCalls = []sendmailCall{
	{
		program: "git send-email",
		args:    []string{"-i", "hanako@elsewhere.example", "list@lists.example"},
		input: "From: Taro <taro@provider-a.example>\nTo: hanako@elsewhere.example\nCc: list@lists.example\nSubject: [PATCH] dots\n" +
			"Date: Mon,  2 Nov 2026 10:00:00 +0900\nMessage-Id: <20261102010000.1-1-taro@provider-a.example>\nX-Mailer: git-send-email 2.39.5\n" +
			"MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\nc\xc3\xa9\n---\n.\n..\n-- \n2.39.5\n\n",
		from: "taro@provider-a.example", to: []string{"hanako@elsewhere.example", "list@lists.example"},
		has:    []string{"Message-Id: <20261102010000.1-1-taro@provider-a.example>\r\n"},
		hasNot: []string{"Message-ID:"},
		body:   "c\xc3\xa9\r\n---\r\n.\r\n..\r\n-- \r\n2.39.5\r\n\r\n",
	},
	{
		program: "git send-email --envelope-sender",
		args:    []string{"-f", "taro@provider-a.example", "-i", "hanako@elsewhere.example"},
		input:   "From: Somebody Else <else@else.example>\nTo: hanako@elsewhere.example\nSubject: x\n\nbody\n",
		from:    "taro@provider-a.example", to: []string{"hanako@elsewhere.example"}, body: "body\r\n",
	},
	{
		program: "mutt",
		args:    []string{"-oem", "-oi", "-f", "taro@provider-a.example", "--", "hanako@elsewhere.example", "secret@elsewhere.example"},
		input: "Date: Mon, 2 Nov 2026 10:00:00 +0900\nFrom: Taro <taro@provider-a.example>\nTo: hanako@elsewhere.example\n" +
			"Bcc: secret@elsewhere.example\nSubject: x\nMessage-ID: <a@provider-a.example>\nUser-Agent: Mutt/2.2\n\nbody",
		from: "taro@provider-a.example", to: []string{"hanako@elsewhere.example", "secret@elsewhere.example"},
		hasNot: []string{"Bcc", "secret@elsewhere.example"}, body: "body\r\n",
	},
	{
		program: "cron (Debian)",
		args:    []string{"-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"},
		input:   "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@laptop> echo hi\nMIME-Version: 1.0\nX-Cron-Env: <SHELL=/bin/sh>\n\nhi\n.\nho\n",
		from:    "taro@provider-a.example", to: []string{"taro@provider-a.example"},
		has: []string{"From: root (Cron Daemon)\r\n", "Date: ", "Message-ID: <"}, body: "hi\r\n.\r\nho\r\n",
	},
	{
		program: "cronie",
		args:    []string{"-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "taro"},
		input:   "From: \"(Cron Daemon)\" <taro>\nTo: taro\nSubject: Cron\n\nhi\n",
		from:    "taro@provider-a.example", to: []string{"taro@provider-a.example"}, body: "hi\r\n",
	},
	{
		program: "PHP mail()",
		args:    []string{"-t", "-i"},
		input:   "To: hanako@elsewhere.example, \"Jiro, K.\" <jiro@elsewhere.example>\nSubject: =?UTF-8?B?44Gr?=\nX-PHP-Originating-Script: 0:a.php\n\nbody\n",
		from:    "taro@provider-a.example", to: []string{"hanako@elsewhere.example", "jiro@elsewhere.example"},
		has: []string{"From: <taro@provider-a.example>\r\n", "X-PHP-Originating-Script: 0:a.php\r\n"}, body: "body\r\n",
	},
	{
		program: "PHP mail() with a fifth argument",
		args:    []string{"-t", "-i", "-ftaro@provider-a.example"},
		input:   "To: hanako@elsewhere.example\r\nSubject: x\r\nFrom: taro@provider-a.example\r\nBcc: b@elsewhere.example,\r\n c@elsewhere.example\r\n\r\nbody\r\n",
		from:    "taro@provider-a.example", to: []string{"hanako@elsewhere.example", "b@elsewhere.example", "c@elsewhere.example"},
		hasNot: []string{"Bcc", "c@elsewhere.example"}, body: "body\r\n",
	},
	{
		program: "Python, subprocess and email.message",
		args:    []string{"-t", "-oi"},
		input: "Content-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: 8bit\nMIME-Version: 1.0\n" +
			"From: taro@provider-a.example\nTo: hanako@elsewhere.example\nSubject: x\n\n\xe3\x81\xab\n",
		from: "taro@provider-a.example", to: []string{"hanako@elsewhere.example"}, body: "\xe3\x81\xab\r\n",
	},
	{
		program: "s-nail",
		args:    []string{"-i", "-f", "taro@provider-a.example", "--", "hanako@elsewhere.example"},
		input:   "Date: Mon, 02 Nov 2026 10:00:00 +0900\nFrom: taro@provider-a.example\nTo: hanako@elsewhere.example\nSubject: x\nMessage-ID: <b@provider-a.example>\n\nbody\n",
		from:    "taro@provider-a.example", to: []string{"hanako@elsewhere.example"}, body: "body\r\n",
	},
	{
		program: "a shell script: no header, a dot at the end",
		args:    []string{"hanako@elsewhere.example"},
		input:   "It is done.\n.\nnot this\n",
		from:    "taro@provider-a.example", to: []string{"hanako@elsewhere.example"},
		has: []string{"From: <taro@provider-a.example>\r\n"}, hasNot: []string{"not this"}, body: "It is done.\r\n",
	},
	{
		program: "echo Subject: … | sendmail -F",
		args:    []string{"-F", "太郎", "hanako@elsewhere.example"},
		input:   "Subject: x",
		from:    "taro@provider-a.example", to: []string{"hanako@elsewhere.example"},
		has: []string{"From: =?utf-8?q?=E5=A4=AA=E9=83=8E?= <taro@provider-a.example>\r\n"},
	},
	{
		program: "a list manager: bounces to nobody, options in one word",
		args:    []string{"-oi", "-tf", "<>", "-N", "never", "-R", "hdrs", "-V", "id=1", "-O", "DeliveryMode=b", "-G", "-U"},
		input:   "From: taro@provider-a.example\nTo: everybody: hanako@elsewhere.example, jiro@elsewhere.example;\nCc: undisclosed-recipients:;\n\nx\n",
		from:    "", to: []string{"hanako@elsewhere.example", "jiro@elsewhere.example"}, body: "x\r\n",
	},
	{
		program: "a resent message in a mailbox file's form",
		args:    []string{"-t"},
		input: "From taro Mon Nov  2 10:00:00 2026\nResent-From: taro@provider-a.example\nResent-To: jiro@elsewhere.example\n" +
			"From: hanako@elsewhere.example\nTo: taro@provider-a.example\nSubject: x\n\nbody\n",
		from: "taro@provider-a.example", to: []string{"jiro@elsewhere.example"}, hasNot: []string{"From taro"}, body: "body\r\n",
	},
	{
		program: "long lines and bare line ends",
		args:    []string{"-i", "hanako@elsewhere.example"},
		input:   "Subject: x\n\n" + strings.Repeat("y", 200_000) + "\r\nz\r\n",
		from:    "taro@provider-a.example", to: []string{"hanako@elsewhere.example"},
		body: strings.Repeat("y", 200_000) + "\r\nz\r\n",
	},
}

// check compares a message that arrived with what the call asked for.
func (call sendmailCall) check(t *testing.T, got lab.Message) {
	t.Helper()
	var to []string
	for _, r := range got.Envelope.Recipients {
		to = append(to, r.Address)
	}
	if got.Envelope.From != call.from || !slices.Equal(to, call.to) {
		t.Errorf("envelope <%s> → %q, want <%s> → %q", got.Envelope.From, to, call.from, call.to)
	}
	text := string(got.Data)
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	for _, want := range append([]string{"From: ", "Date: ", "essage-I"}, call.has...) {
		if !strings.Contains(head+"\r\n", want) {
			t.Errorf("the header lacks %q:\n%s", want, head)
		}
	}
	for _, no := range call.hasNot {
		if strings.Contains(text, no) {
			t.Errorf("%q is in the message:\n%.2000s", no, text)
		}
	}
	if call.body != "" && body != call.body {
		t.Errorf("body %.200q, want %.200q", body, call.body)
	}
	if strings.ContainsAny(strings.ReplaceAll(text, "\r\n", ""), "\r\n") {
		t.Error("a line does not end in CRLF")
	}
	if _, err := mail.ReadMessage(strings.NewReader(text)); err != nil {
		t.Error(err)
	}
}
