package submit

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"melon/upstream"
)

// tape is a server that says what it has to say whatever it hears, and hangs up:
// a line at a time, or all at once.
type tape struct {
	says    *strings.Reader
	at1     bool // all at once
	written strings.Builder
}

func (s *tape) Read(b []byte) (n int, err error) {
	for n < len(b) {
		c, err := s.says.ReadByte()
		if err != nil && n == 0 {
			return 0, err
		} else if err != nil {
			break
		}
		b[n] = c
		if n++; c == '\n' && !s.at1 {
			break
		}
	}
	return n, nil
}

func (s *tape) Write(b []byte) (int, error)    { return s.written.Write(b) }
func (*tape) Close() error                     { return nil }
func (*tape) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*tape) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*tape) SetDeadline(time.Time) error      { return nil }
func (*tape) SetReadDeadline(time.Time) error  { return nil }
func (*tape) SetWriteDeadline(time.Time) error { return nil }

// FuzzServer: whatever a server says from its greeting on, and whatever it
// offers, a message is sent at most once and as it is, and counts as taken only
// when the server said so to its end; every failure is typed and clean; what is
// said twice ends the conversation.
func FuzzServer(f *testing.F) {
	const envelope = "250 ok\r\n250 ok\r\n550 5.1.1 no\r\n"
	for _, offer := range []string{"PIPELINING", "CHUNKING", "AUTH=PLAIN  LOGIN plain", "SIZE -5", "SIZE 99999999999999999999", "\x1b[31m\xff", "DSN\r\n250-SMTPUTF8\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME"} {
		for _, rest := range []string{envelope + "354 go\r\n250 2.0.0 kept\r\n", envelope + "250 2.0.0 kept\r\n250 more\r\n", "421 bye\r\n", envelope + "354 go\r\n354 again\r\n", "250 ok\r\n452 later\r\n552 5.2.2 full\r\n354 go\r\n", envelope + "354-a\r\n", "503 5.5.1 who\r\n", ""} {
			for how := range uint8(4) {
				f.Add("220 hi\r\n250-x\r\n250-"+offer+"\r\n250 HELP\r\n"+rest, how)
			}
		}
	}
	f.Add("220 hi\r\n502 no\r\n250 x\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n451 4.3.0 later\r\n", uint8(0))
	const text = "Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n"
	f.Fuzz(func(t *testing.T, says string, how uint8) {
		server := &tape{says: strings.NewReader(says), at1: how&4 != 0}
		c, err := Open(t.Context(), &fakeConn{Conn: server}, Options{Account: "home", Lockstep: how&1 != 0, NoChunking: how&2 != 0})
		if err != nil {
			checkFault(t, upstream.AsError(err, ""))
			return
		}
		caps := c.Capabilities()
		if len(caps.Auth) > len(says) || caps.MaxSize < 0 {
			t.Errorf("%+v", caps)
		}
		feed := feed(textBody(text), "jiro@provider-b.example", "saburo@provider-b.example")
		out := c.Transact(t.Context(), upstream.Envelope{From: "taro@provider-a.example", Size: int64(len(text))}, feed, TransactOptions{OneFlight: time.Minute})
		wrote := server.written.String()
		whole := strings.Count(wrote, "\r\nend\r\n.\r\n") + strings.Count(wrote, " LAST\r\n"+text)
		if whole > 1 || strings.Count(wrote, "\nMAIL FROM:") > 1 || strings.Contains(wrote, "\n.dot") && !strings.Contains(wrote, "BDAT "+strconv.Itoa(len(text))) {
			t.Errorf("sent %q", wrote)
		}
		if out.Err == nil {
			if whole != 1 || out.Reply.Code/100 != 2 || out.Taken < 1 || feed.heard != 2 || !c.caps.Extended && strings.Contains(wrote, "SIZE=") {
				t.Errorf("taken: %+v, after %q", out, wrote)
			}
		} else {
			checkFault(t, out.Err)
			if out.Err.Ambiguous && whole != 1 || out.Taken == 0 && whole == 1 && !out.Err.Ambiguous && out.Err.Reply.IsZero() && out.Err.Err == nil {
				t.Errorf("%+v after %q", out.Err, wrote)
			}
		}
		if feed.heard > 2 || out.Taken > feed.heard {
			t.Errorf("%d verdicts, %d taken", feed.heard, out.Taken)
		}
		c.Close()
		if c.Usable() {
			t.Error("usable after Close")
		}
	})
}

// checkFault: a failure is typed, and what the server said of it is clean.
func checkFault(t *testing.T, e *upstream.Error) {
	t.Helper()
	if !slices.Contains(append(upstream.ReplyClasses(), upstream.NetworkClasses()...), e.Class) || !e.Phase.Valid() || e.Account != "home" || e.Reply.IsZero() && e.Sentence == "" {
		t.Errorf("%+v", e)
	}
	for _, l := range append(slices.Clone(e.Reply.Lines), e.Sentence) {
		if l != upstream.CleanLine(l) {
			t.Errorf("%q is not clean", l)
		}
	}
	if len(e.Reply.Lines) > maxLines {
		t.Errorf("%d lines", len(e.Reply.Lines))
	}
}

// FuzzCommandLine: whatever an envelope holds, a command that is sent is one line
// of one command, its path reads back as the address, its parameters are those
// that the server knows, and what is encoded (RFC 3461 section 4, RFC 6533
// section 3) decodes to what was there.
func FuzzCommandLine(f *testing.F) {
	for _, s := range []string{"a@b.example", `"a b>"@b.example`, "メロン@例え.example", "a@b>\r\nRSET", "x+2B=y z", "\\x{41}", "\u202e", "\xff", `"\`, "", "rfc822", "utf-8", "a;b", "NEVER"} {
		for caps := range uint8(8) {
			f.Add(s, s, s, "SUCCESS,delay", caps)
			f.Add("a@b.example", s, "rfc822", s, caps)
		}
	}
	f.Fuzz(func(t *testing.T, address, text, kind, notify string, offered uint8) {
		c := &Client{conn: &fakeConn{}, caps: Capabilities{Size: true, EightBitMIME: true, DSN: offered&1 != 0, SMTPUTF8: offered&2 != 0}}
		env := upstream.Envelope{From: address, EnvelopeID: text, Return: notify, Size: int64(offered), Body: upstream.BodyType(kind), SMTPUTF8: offered&4 != 0}
		if line, err := c.mailLine(env); err == nil {
			p := params(t, line, "MAIL FROM:", address, offered)
			if got, ok := p["ENVID"]; ok && unxtext(t, got) != text {
				t.Errorf("ENVID %q became %q", text, got)
			}
			if p["RET"] != "" && p["RET"] != "FULL" && p["RET"] != "HDRS" || p["BODY"] != "" && p["BODY"] != "7BIT" && p["BODY"] != "8BITMIME" {
				t.Errorf("%q", line)
			}
		}
		rc := upstream.Recipient{Address: address, Original: text, OriginalType: kind, Notify: strings.Split(notify, ",")}
		if line, err := c.rcptLine(rc); err == nil {
			p := params(t, line, "RCPT TO:", address, offered)
			for _, w := range strings.Split(p["NOTIFY"], ",") {
				if !slices.Contains([]string{"", "NEVER", "SUCCESS", "FAILURE", "DELAY"}, w) || w == "NEVER" && p["NOTIFY"] != w {
					t.Errorf("%q", line)
				}
			}
			if orcpt, ok := p["ORCPT"]; ok {
				what, value, _ := strings.Cut(orcpt, ";")
				back := unxtext
				if what == "utf-8" {
					back = ununitext
				}
				if back(t, value) != text {
					t.Errorf("ORCPT %q became %q", text, orcpt)
				}
			}
		}
	})
}

// params takes a command line apart and checks its form.
func params(t *testing.T, line, verb, address string, offered uint8) map[string]string {
	t.Helper()
	rest, ok := strings.CutPrefix(line, verb+"<"+address+">")
	if !ok || strings.ContainsAny(line, "\r\n\x00") || offered&2 == 0 && !isASCII(line) || !isASCII(rest) {
		t.Fatalf("%q", line)
	}
	p := map[string]string{}
	for word := range strings.FieldsSeq(rest) {
		key, value, _ := strings.Cut(word, "=")
		_, twice := p[key]
		known := slices.Contains([]string{"SIZE", "BODY", "SMTPUTF8"}, key) || offered&1 != 0 && slices.Contains([]string{"RET", "ENVID", "NOTIFY", "ORCPT"}, key)
		if twice || !known || strings.Contains(value, "=") {
			t.Errorf("%q", line)
		}
		p[key] = value
	}
	return p
}

// unxtext decodes xtext by its own rules.
func unxtext(t *testing.T, s string) string {
	t.Helper()
	return regexp.MustCompile(`\+[0-9A-F]{2}`).ReplaceAllStringFunc(s, func(h string) string {
		b, err := hex.DecodeString(h[1:])
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	})
}

// ununitext decodes utf-8-addr-unitext.
func ununitext(t *testing.T, s string) string {
	t.Helper()
	return regexp.MustCompile(`\\x\{[0-9A-F]+\}`).ReplaceAllStringFunc(s, func(h string) string {
		n, err := strconv.ParseInt(h[3:len(h)-1], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		return string(rune(n))
	})
}

// fitful is a tape that is heard a few octets at a time, and whose every other
// Read ends with the limit that is in force, if one is.
type fitful struct {
	tape
	piece int
	end   context.CancelFunc // of the limit in force
	armed bool               // it ends reads
	calls int
}

func (f *fitful) Looks() bool  { return true }
func (f *fitful) Silent() bool { return true }

func (f *fitful) Read(b []byte) (int, error) {
	if f.calls++; f.armed && f.calls%2 == 0 {
		f.end()
		return 0, os.ErrDeadlineExceeded
	}
	return f.tape.Read(b[:min(len(b), f.piece)])
}

// limited is a fitful server's connection.
type limited struct {
	fakeConn
	f *fitful
}

func (l *limited) ReadsUntil(context.Context) func() {
	l.f.armed, l.f.calls = true, 0
	return func() { l.f.armed = false }
}

// FuzzHandedOver: a transaction whose limit ends again and again, wherever the
// server's words are cut, ends as one without a limit, and leaves the conversation
// in the same state.
func FuzzHandedOver(f *testing.F) {
	for _, rest := range []string{
		"250 ok\r\n250 ok\r\n250 2.0.0 kept\r\n", "250 ok\r\n250 ok\r\n250-2.0.0 kept\r\n250 2.0.0 as 1\r\n250 more\r\n",
		"550 5.1.0 no\r\n503 5.5.1 no\r\n503 5.5.1 no\r\n", "250 ok\r\n550 5.1.1 no\r\n554 5.5.1 nobody\r\n", "250 ok\r\n250 ok\r\n451 4.3.0 later\r\n",
		"250 ok\r\n250 ok\r\n421 bye\r\n", "250 ok\r\n250 ok\r\n250-half", "250 ok\r\n", "", "\n\n\n", "250 ok\r\n250 ok\r\n354 go\r\n",
		"250 ok\r\n250 ok\r\n250-" + strings.Repeat("x", 5000) + "\r\n250 ok\r\n",
	} {
		for _, piece := range []uint16{1, 7, 4096} {
			f.Add(rest, piece)
		}
	}
	f.Fuzz(func(t *testing.T, rest string, piece uint16) {
		run := func(handed bool) (out Outcome, usable bool, verdicts int) {
			server := &fitful{piece: 1 + int(piece)}
			conn := &limited{fakeConn{Conn: server, looks: true}, server}
			server.says = strings.NewReader("220 hi\r\n250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
			c, err := Open(t.Context(), conn, Options{Account: "home"})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			server.says, server.at1 = strings.NewReader(rest), true
			feed := feed(letter, addrA)
			x := c.Begin(t.Context(), envelope, feed, oneFlight)
			for over, left := false, len(rest)+3; !over; left-- {
				limit := context.Background()
				if handed = handed && left > 0; handed { // a reply that fills the buffer needs one without
					limit, server.end = context.WithCancel(limit)
				}
				over = x.Run(limit)
				if handed {
					server.end()
				}
			}
			return x.Outcome(), c.Usable(), feed.heard
		}
		want, usable, heard := run(false)
		got, stillUsable, stillHeard := run(true)
		if usable != stillUsable || heard != stillHeard || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%q: %+v, usable %v, %d heard; without a limit %+v, %v, %d", rest, got, stillUsable, stillHeard, want, usable, heard)
		}
	})
}
