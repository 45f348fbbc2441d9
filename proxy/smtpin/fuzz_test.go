package smtpin

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/upstream"
)

// states are conversations that lead to each state of a connection, the
// recipient accepted where there is one.
var states = []string{
	"",
	"EHLO x\r\n",
	"HELO x\r\n",
	"EHLO x\r\nAUTH PLAIN\r\n",
	"EHLO x\r\nAUTH LOGIN\r\n",
	"EHLO x\r\nAUTH LOGIN aG9tZQ==\r\n",
	"EHLO x\r\nAUTH PLAIN AGhvbWUAeA==\r\n",
	"EHLO x\r\nMAIL FROM:<a@b.example>\r\n",
	"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n",
	"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n",
	"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 3\r\nabc",
	"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 9\r\nabc",
}

// FuzzCommands sends any octets in any state and checks what must hold whatever
// they are: each reply is well formed; no transaction is handed an address or
// a name with control characters, or a message that did not end; each is reset
// once; and the connection ends with no panic.
func FuzzCommands(f *testing.F) {
	for i := range states {
		for _, s := range []string{
			"QUIT\r\n", "RSET\r\n", "NOOP\r\nQUIT\r\n", "STARTTLS\r\n", "DATA\r\nx\r\n.\r\n", "BDAT 3 LAST\r\nabc",
			"MAIL FROM:<\"q\\\"> x\"@b.example> SIZE=9999999999 RET=FULL\r\n", "RCPT TO:<@r:a@[1.2.3.4]> NOTIFY=NEVER ORCPT=rfc822;x\r\n",
			"AUTH PLAIN =\r\n", "*\r\n", "AGEAYg==\r\n", "\r\n.\r\n", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "EHLO \xff\r\n",
		} {
			f.Add(uint8(i), []byte(s), uint8(5))
		}
	}
	r := &recorder{begin: func(_ context.Context, c Client, env upstream.Envelope) error {
		if hasControl(c.Login+c.HELO+env.From+env.EnvelopeID+env.Return+string(env.Body)) || strings.ContainsAny(env.From, "\r\n") {
			panic("control characters")
		}
		return nil
	}, rcpt: func(_ context.Context, rc upstream.Recipient) error {
		if hasControl(rc.Address+rc.Original+rc.OriginalType+strings.Join(rc.Notify, "")) || rc.Address == "" {
			panic("control characters")
		}
		return nil
	}}
	var log logBuffer
	s := start(f, Options{Handler: r, Log: log.logger(), Listen: Listen{StartTLS: true, StateDir: f.TempDir()},
		Limits: Limits{Message: 1000, Recipients: 3, BadCommands: 5, Idle: time.Minute}})
	f.Fuzz(func(t *testing.T, state uint8, text []byte, packet uint8) {
		r.mu.Lock()
		r.messages = nil
		r.mu.Unlock()
		script := &scriptConn{
			in:   []byte(states[int(state)%len(states)] + string(text)),
			size: int(packet) + 1, closed: make(chan struct{}),
		}
		c := newConn(s, s.set.Load(), script, who{door: s.doors[0], Client: Client{ID: s.newID()}})
		if reason := s.add(c); reason != "" {
			t.Fatal(reason)
		}
		s.handOn(c)
		<-script.closed
		checkReplies(t, script.out)
		for _, m := range r.all() {
			if m.resets != 1 {
				t.Errorf("%d resets", m.resets)
			}
			if m.body != unread && m.err != nil && !errors.Is(m.err, upstream.ErrBodyAborted) && !errors.Is(m.err, ErrTooLarge) {
				t.Errorf("the body ended with %v", m.err)
			}
			if len(m.body) > 1000+len(unread) {
				t.Errorf("a body of %d octets", len(m.body))
			}
		}
		if strings.Contains(log.String(), "panic") {
			t.Fatal(log.String())
		}
	})
}

// scriptConn is an app that says what it has to say, in packets, and hangs up.
type scriptConn struct {
	in, out []byte
	size    int // of a packet
	once    sync.Once
	closed  chan struct{}
}

func (c *scriptConn) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.in[:min(len(c.in), c.size)])
	c.in = c.in[n:]
	return n, nil
}

func (c *scriptConn) Write(p []byte) (int, error) {
	c.out = append(c.out, p...)
	return len(p), nil
}

func (c *scriptConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *scriptConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *scriptConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *scriptConn) SetDeadline(time.Time) error      { return nil }
func (c *scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptConn) SetWriteDeadline(time.Time) error { return nil }

// checkReplies checks their form (RFC 5321 section
// 4.2). Behind "220 Ready to start TLS" come TLS records, which are not.
func checkReplies(t *testing.T, all []byte) {
	t.Helper()
	text, _, _ := strings.Cut(string(all), "\x15\x03") // a TLS alert
	for line := range strings.SplitAfterSeq(text, "\n") {
		if line == "" {
			continue
		}
		ok := strings.HasSuffix(line, "\r\n") && len(line) >= 6 && len(line) <= 4096 &&
			line[0] >= '2' && line[0] <= '5' && (line[3] == ' ' || line[3] == '-') && !strings.ContainsAny(line[:len(line)-2], "\r\n\x00\x1b")
		if !ok {
			t.Errorf("reply line %q", line)
		}
	}
}

// FuzzPath: an address that is taken reads back as itself, and nothing that
// would end a command or a path is in it outside quotes.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"<>", "<a@b.example>", " <\"a> b\"@c.example> SIZE=1", "a@b", "<@x,@y:a@[IPv6:::1]>", "<a@b@c>", `<"\">"@x>`, "<a..b.@docomo.example>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		box, rest, err := parsePath(s)
		if err != nil || box == "" {
			return
		}
		if !strings.HasSuffix(s, rest) || hasControl(box) || len(box) > maxPath {
			t.Errorf("%q: %q, %q", s, box, rest)
		}
		again, left, err := parsePath("<" + box + "> X=Y")
		if err != nil || again != box || left != " X=Y" {
			t.Errorf("%q became %q, %q, %v", box, again, left, err)
		}
		unquoted := box
		if end := localPart(box); box[0] == '"' {
			unquoted = box[end:]
		}
		if strings.ContainsAny(unquoted, "<> ") || strings.Count(unquoted, "@") != 1 {
			t.Errorf("%q", box)
		}
	})
}

// TestPaths pins what is an address.
func TestPaths(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<>":                                   "/",
		"<> SIZE=1":                            "/ SIZE=1",
		"<a@b.example>":                        "a@b.example/",
		" <a@b.example> X":                     "a@b.example/ X",
		"a@b.example X":                        "a@b.example/ X",
		`<"a b"@c.example>`:                    `"a b"@c.example/`,
		`<"a\"@x> y"@c.example>`:               `"a\"@x> y"@c.example/`,
		"<@r.example,@s.example:a@b>":          "a@b/",
		"<a@[192.0.2.1]>":                      "a@[192.0.2.1]/",
		"<a@[IPv6:::1]>":                       "a@[IPv6:::1]/",
		"<.a..b.@c.example>":                   ".a..b.@c.example/",
		"<メロン@例え.example>":                     "メロン@例え.example/",
		"<a+b=c#d'e@f.example>":                "a+b=c#d'e@f.example/",
		"<a@b@c>":                              "!",
		"<a@b>x":                               "!",
		"<a@b":                                 "!",
		"<a>":                                  "!",
		"<a@>":                                 "!",
		"<@b>":                                 "!",
		"<@r a@b>":                             "!",
		"<a b@c>":                              "!",
		"<a@b c>":                              "!",
		`<"a@b>`:                               "!",
		`<"a"b@c>`:                             "!",
		"<\"a\x7f\"@c>":                        "!",
		`<"a\é"@c>`:                            "!",
		"<a@[1.2.3.4>":                         "!",
		"<a@[]>":                               "!",
		"<\xff@b>":                             "!",
		"":                                     "!",
		"<" + strings.Repeat("a", 600) + "@b>": "!",
	} {
		box, rest, err := parsePath(in)
		got := box + "/" + rest
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
