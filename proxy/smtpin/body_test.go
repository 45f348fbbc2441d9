package smtpin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"melon/upstream"
)

// lineEnds are what might be taken for a line end by somebody.
var lineEnds = []string{"\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\r", "\x00\r\n", "\r\x00\n", "\x85", "\u2028"}

// pipeApp connects to a server through a net.Pipe, in which each Write arrives
// as one packet.
func pipeApp(t testing.TB, s *Server) *app { return pipeAppOf(t, s, who{}) }

// pipeAppOf is pipeApp of somebody.
func pipeAppOf(t testing.TB, s *Server, w who) *app {
	t.Helper()
	here, there := net.Pipe()
	w.door, w.ID = s.doors[0], s.newID()
	c := newConn(s, s.set.Load(), there, w)
	if reason := s.add(c); reason != "" {
		t.Fatal(reason)
	}
	s.handOn(c)
	a := newApp(t, here)
	a.expect("220 ")
	return a
}

// feed writes in the background, as a pipe has no buffer, in packets of n
// octets.
func (a *app) feed(s string, n int) {
	done := make(chan struct{})
	a.t.Cleanup(func() { a.Close(); <-done })
	go func() {
		defer close(done)
		for len(s) > 0 {
			k := min(n, len(s))
			if _, err := io.WriteString(a.Conn, s[:k]); err != nil {
				return
			}
			s = s[k:]
		}
	}()
}

// TestSmuggling sends a dot between every pair of line ends, with a second
// conversation behind it, in packets of every interesting size. Whatever the
// pair, what the app sent as one message is one message, octet by octet; only
// CRLF dot CRLF ends it.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	for _, before := range lineEnds {
		for _, after := range lineEnds {
			t.Run(fmt.Sprintf("%q.%q", before, after), func(t *testing.T) {
				t.Parallel()
				r := &recorder{}
				s := start(t, Options{Handler: r})
				for _, packet := range []int{1, 2, 3, 5, 1 << 20} {
					smuggle(t, s, r, before, after, packet)
				}
			})
		}
	}
}

func smuggle(t *testing.T, s *Server, r *recorder, before, after string, packet int) {
	t.Helper()
	seen := len(r.all())
	head := "Subject: x\r\n\r\nfirst" + before
	tail := after + "MAIL FROM:<evil@a.example>\r\nRCPT TO:<evil@b.example>\r\nDATA\r\nsecond\r\n"
	// As RFC 5321 has it, which is what the app meant.
	sent := head + "." + tail
	end := strings.Index(sent, "\r\n.\r\n")
	a := pipeApp(t, s)
	a.feed("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"+sent+".\r\nQUIT\r\n", packet)
	for _, want := range []string{"250-", "250", "250", "354", "250 2.6.0"} {
		a.expect(want)
	}
	if end >= 0 {
		// A real end: the rest are commands, and the app knows that. Only the
		// first message's content is of interest here.
		a.Close()
		if got := r.all()[seen]; got.body != sent[:end+2] || got.err != nil {
			t.Errorf("packets of %d: got %q", packet, got.body)
		}
		return
	}
	a.expect("221")
	a.expect("")
	got := r.all()[seen:]
	want := strings.ReplaceAll(sent, "\r\n.", "\r\n")
	if len(got) != 1 || got[0].body != want || got[0].err != nil {
		t.Errorf("packets of %d: got %d messages, %q\nwant %q", packet, len(got), got[0].body, want)
	}
}

// TestSmugglingBDAT sends the same in chunks cut at every place: content of a
// chunk is never looked at.
func TestSmugglingBDAT(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	s := start(t, Options{Handler: r})
	for _, before := range lineEnds {
		for _, after := range lineEnds {
			text := "x" + before + "." + after + "QUIT\r\n"
			for cut := range len(text) + 1 {
				seen := len(r.all())
				a := pipeApp(t, s)
				a.feed(fmt.Sprintf("EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"+
					"BDAT %d\r\n%sBDAT %d LAST\r\n%sQUIT\r\n", cut, text[:cut], len(text)-cut, text[cut:]), 7)
				for _, want := range []string{"250-", "250", "250", "250 2.0.0", "250 2.6.0", "221", ""} {
					a.expect(want)
				}
				if got := r.all()[seen:]; len(got) != 1 || got[0].body != text || got[0].err != nil {
					t.Fatalf("%q cut at %d: got %+v", text, cut, got)
				}
			}
		}
	}
}

// TestHangUp: an app that goes away before the end sends nothing, wherever it
// does.
func TestHangUp(t *testing.T) {
	t.Parallel()
	head := "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
	for _, tc := range []struct {
		name, text string
		reached    bool
	}{
		{"before DATA", head, false},
		{"after DATA", head + "DATA\r\n", true},
		{"in a line", head + "DATA\r\nabc", true},
		{"after a line", head + "DATA\r\nabc\r\n", true},
		{"after the dot", head + "DATA\r\nabc\r\n.", true},
		{"after the dot and CR", head + "DATA\r\nabc\r\n.\r", true},
		{"after a bare LF dot", head + "DATA\r\nabc\n.\n", true},
		{"BDAT without content", head + "BDAT 5 LAST\r\n", true},
		{"in the last chunk", head + "BDAT 5 LAST\r\nabcd", true},
		{"in a chunk", head + "BDAT 5\r\nabcd", true},
		{"after a chunk", head + "BDAT 5\r\nabcde", true},
		{"in the command after a chunk", head + "BDAT 5\r\nabcdeBDAT 0 LAST", true},
		{"QUIT after a chunk", head + "BDAT 5\r\nabcdeQUIT\r\n", true},
		{"RSET after a chunk", head + "BDAT 5\r\nabcdeRSET\r\n", true},
		{"EHLO after a chunk", head + "BDAT 5\r\nabcdeEHLO y\r\n", true},
		{"GET after a chunk", head + "BDAT 5\r\nabcdeGET / HTTP/1.1\r\n", true},
		{"STARTTLS after a chunk", head + "BDAT 5\r\nabcdeSTARTTLS\r\n", true},
		{"bad BDAT after a chunk", head + "BDAT 5\r\nabcdeBDAT x\r\n", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := make(chan error, 1)
			var cancelled atomic.Bool
			r := &recorder{data: func(ctx context.Context, body io.Reader) (upstream.Reply, error) {
				_, err := io.Copy(io.Discard, body)
				_, again := body.Read(make([]byte, 10))
				if again == nil || again == io.EOF || again.Error() != err.Error() {
					err = fmt.Errorf("second error %v", again)
				}
				got <- err
				cancelled.Store(ctx.Err() != nil)
				return upstream.Reply{Code: 250}, nil // a lie
			}}
			s := start(t, Options{Handler: r})
			a := dial(t, s, 0)
			a.say(tc.text)
			a.Conn.(*net.TCPConn).CloseWrite()
			for reply := a.reply(); reply != ""; reply = a.reply() {
				if strings.HasPrefix(reply, "250 2.0.0 accepted") {
					t.Error("accepted")
				}
			}
			if !tc.reached {
				return
			}
			err := <-got
			if !errors.Is(err, upstream.ErrBodyAborted) || errors.Is(err, io.EOF) || errors.Is(err, ErrTooLarge) {
				t.Errorf("the body ended with %v", err)
			}
			eventually(t, "one reset", func() bool { return r.all()[0].resets == 1 })
		})
	}
}

// TestWhole sends what is hard to carry and compares octets.
func TestWhole(t *testing.T) {
	t.Parallel()
	random := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{1}).Read(random)
	for name, body := range map[string]string{
		"empty":      "",
		"empty line": "\r\n",
		"dots":       ".\r\n..\r\n...\r\n.x\r\n\r\n.",
		"long line":  strings.Repeat("x", 200_000) + "\r\n",
		"8 bit, NUL": "\xff\x00\xfe\r\n\x00.\r\n",
		"CR CR LF":   "a\r\r\n.b\r\r\n\r\n.\r",
		"random":     string(random),
		"lines":      strings.Repeat("0123456789012345678901234567890123456789\r\n..\r\n", 20_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{}
			a := dial(t, start(t, Options{Handler: r}), 0)
			a.cmd("EHLO x", "250-")
			a.cmd("MAIL FROM:<a@b.example>", "250")
			a.cmd("RCPT TO:<c@d.example>", "250")
			a.cmd("DATA", "354")
			a.say(stuff(body) + ".\r\n")
			a.expect("250")
			want := body
			if want != "" && !strings.HasSuffix(want, "\r\n") {
				want += "\r\n"
			}
			if got := r.complete(); len(got) != 1 || got[0].body != want {
				t.Error("the message is not the one that was sent")
			}
			a.cmd("NOOP", "250")
		})
	}
}

// stuff does what an app does with content: a dot before each line that begins
// with one, and a line end at the end.
func stuff(body string) string {
	if strings.HasPrefix(body, ".") {
		body = "." + body
	}
	body = strings.ReplaceAll(body, "\r\n.", "\r\n..")
	if body != "" && !strings.HasSuffix(body, "\r\n") {
		body += "\r\n"
	}
	return body
}

// FuzzBody: any octets, stuffed and sent by DATA or in chunks, in packets of
// any size, to readers of any size, come out as they went in.
func FuzzBody(f *testing.F) {
	f.Add([]byte("a\r\n.\r\nb"), uint8(3), uint8(2), false)
	f.Add([]byte(".\r"), uint8(1), uint8(1), false)
	f.Add([]byte("\r\r\n..\n.\n"), uint8(2), uint8(200), true)
	r := &recorder{}
	var size atomic.Int64
	r.data = func(_ context.Context, body io.Reader) (upstream.Reply, error) {
		var b bytes.Buffer
		_, err := io.CopyBuffer(struct{ io.Writer }{&b}, body, make([]byte, size.Load()))
		return upstream.Reply{Code: 250, Lines: []string{fmt.Sprintf("%x.", b.Bytes())}}, err
	}
	s := start(f, Options{Handler: r})
	f.Fuzz(func(t *testing.T, body []byte, packet, buffer uint8, chunked bool) {
		if len(body) > 200 { // the reply has to hold it
			return
		}
		size.Store(int64(buffer) + 1)
		a := pipeApp(t, s)
		want := string(body)
		text := "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
		replies := []string{"250-", "250", "250", "354"}
		if chunked {
			half := len(want) / 2
			text += fmt.Sprintf("BDAT %d\r\n%sBDAT %d LAST\r\n%s", half, want[:half], len(want)-half, want[half:])
			replies[3] = "250 2.0.0"
		} else {
			text += "DATA\r\n" + stuff(want) + ".\r\n"
			if want != "" && !strings.HasSuffix(want, "\r\n") {
				want += "\r\n"
			}
		}
		a.feed(text+"QUIT\r\n", int(packet)+1)
		for _, p := range replies {
			a.expect(p)
		}
		if got := a.expect("250 2.0.0 "); got != fmt.Sprintf("250 2.0.0 %x.", want) {
			t.Errorf("sent %x, got %s", want, got)
		}
		a.expect("221")
	})
}
