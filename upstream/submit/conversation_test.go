package submit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// The last octet has left and no reply came: the outcome is unknown, however
// the line ended.
func TestAmbiguous(t *testing.T) {
	t.Parallel()
	full := []string{"PIPELINING", "CHUNKING"}
	for name, server := range map[string][]string{
		"hang-up after BDAT LAST":           join(greeted(full...), mailCmd, rcptA, chunk, letterB, yes, yes, "HANGUP"),
		"hang-up in one flight, no reply":   join(greeted(full...), mailCmd, rcptA, chunk, letterB, "HANGUP"),
		"garbage after BDAT LAST":           join(greeted(full...), mailCmd, rcptA, chunk, letterB, yes, yes, "S: hm", "HANGUP"),
		"more replies than commands":        join(greeted(full...), mailCmd, rcptA, chunk, letterB, yes, yes, queued+"\r\n250 what?", "SILENCE"),
		"hang-up after the dot":             join(join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, yes, "S: 354 go"), append(dataLines, "HANGUP")...),
		"half of the reply after the dot":   join(join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, yes, "S: 354 go"), append(dataLines, "S: 250-2.0.0 que", "HANGUP")...),
		"silence after the dot":             join(join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, yes, "S: 354 go"), append(dataLines, "SILENCE")...),
		"silence in one flight, at the end": join(greeted(full...), mailCmd, rcptA, chunk, letterB, yes, yes, "SILENCE"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOptions()
			o.Timeout = func(p upstream.Phase) time.Duration {
				if p == upstream.PhaseDataEnd {
					return 50 * time.Millisecond
				}
				return 5 * time.Second
			}
			c := open(t, play(t, server...), o)
			defer c.Close()
			out := c.Transact(context.Background(), envelope, feed(letter, addrA), TransactOptions{OneFlight: time.Minute})
			if out.Err == nil || !out.Err.Ambiguous || out.Err.Phase != upstream.PhaseDataEnd || out.Err.Kind() != upstream.KindTemporary {
				t.Errorf("got %+v, %v", out.Err, out.Reply)
			}
			if c.Usable() {
				t.Error("still usable")
			}
		})
	}
}

// A line that breaks before the last octet left is safe, also while the app is
// slow to hand over the rest.
func TestSafe(t *testing.T) {
	t.Parallel()
	for name, server := range map[string][]string{
		"hang-up at MAIL":        join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", "HANGUP"),
		"hang-up after 354":      join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, yes, "S: 354 go", "C: Subject: x", "HANGUP"),
		"silence at RCPT":        join(greeted(), mailCmd, yes, rcptA, "SILENCE"),
		"endless line":           join(greeted(), mailCmd, "S: 250 "+strings.Repeat("x", maxLine+1), "SILENCE"),
		"endless reply":          join(greeted(), mailCmd, "S: "+strings.Repeat("250-x\r\n", maxLines+1)+"250 ok", "SILENCE"),
		"a reply code of no use": join(greeted(), mailCmd, "S: 199 x", "SILENCE"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOptions()
			o.Timeout = func(p upstream.Phase) time.Duration {
				if p == upstream.PhaseRcpt {
					return 50 * time.Millisecond
				}
				return 5 * time.Second
			}
			c := open(t, play(t, server...), o)
			defer c.Close()
			body := newPipeBody()
			go func() { io.WriteString(body.w, string(letter)+strings.Repeat("x", 2*bufferSize)) }() // never ends
			defer body.w.Close()
			out := c.Transact(context.Background(), envelope, feed(body, addrA), TransactOptions{OneFlight: time.Minute})
			if out.Err == nil || out.Err.Ambiguous || out.Err.Kind() != upstream.KindTemporary || c.Usable() {
				t.Errorf("got %+v, usable %v", out.Err, c.Usable())
			}
		})
	}
}

// An envelope and its body leave in one write.
func TestFlightIsOneWrite(t *testing.T) {
	t.Parallel()
	s := play(t, join(greeted("PIPELINING", "CHUNKING"), mailCmd, rcptA, chunk, letterB, yes, yes, queued)...)
	c := open(t, s, testOptions())
	writes := 0
	s.conn.writes = &writes
	out := c.Transact(context.Background(), envelope, feed(letter, addrA), TransactOptions{OneFlight: time.Minute})
	if out.Err != nil || writes != 1 {
		t.Errorf("%d writes, %v", writes, out.Err)
	}
}

// Recipients and body come while the conversation runs: MAIL leaves with the
// first, each later one at once, the body when it is there.
func TestFeedGrows(t *testing.T) {
	t.Parallel()
	s := play(t, join(greeted("PIPELINING", "CHUNKING"), mailCmd, rcptA, yes, yes, rcptB, "S: 450 4.2.0 busy",
		chunk, letterB, queued, "C: QUIT", "S: 221 bye", "HANGUP")...)
	c := open(t, s, testOptions())
	f := feed(nil, addrA)
	f.onHeard = func(i int, e *upstream.Error) bool {
		go f.change(func() {
			if i == 0 {
				f.rcpts = append(f.rcpts, upstream.Recipient{Address: addrB})
			} else {
				f.body = letter
			}
		})
		return true
	}
	out := c.Transact(context.Background(), envelope, f, TransactOptions{})
	if out.Err != nil || f.verdicts[0] != nil || f.verdicts[1] == nil || !f.verdicts[1].Reply.Temporary() {
		t.Errorf("%v, verdicts %v", out.Err, f.verdicts)
	}
	if err := c.Quit(context.Background()); err != nil {
		t.Error(err)
	}
}

// A feed that stops at a refusal, or is cancelled, leaves a line that is good
// for the next message, after RSET in its flight.
func TestStopAndCancelLeaveACleanLine(t *testing.T) {
	t.Parallel()
	next := []string{"C: RSET", mailCmd, rcptB, chunk, letterB, yes, yes, yes, queued}
	for name, first := range map[string][]string{
		"stopped":   {mailCmd, rcptA, yes, "S: 550 5.7.1 relaying denied"},
		"cancelled": {mailCmd, rcptA, yes, yes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, play(t, join(join(greeted("PIPELINING", "CHUNKING"), first...), next...)...), testOptions())
			f := feed(nil, addrA)
			f.onHeard = func(i int, e *upstream.Error) bool {
				if name == "stopped" {
					return false
				}
				go f.change(func() { f.cancel = true })
				return true
			}
			out := c.Transact(context.Background(), envelope, f, TransactOptions{})
			if out.Err == nil || out.Stopped != (name == "stopped") || !c.Usable() {
				t.Fatalf("got %+v, usable %v", out, c.Usable())
			}
			out = c.Transact(context.Background(), envelope, feed(letter, addrB), TransactOptions{OneFlight: time.Minute})
			if out.Err != nil {
				t.Fatal(out.Err)
			}
		})
	}
}

// A body that is not completed is never ended: no dot, no LAST.
func TestAbortedBody(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		name   string
		server []string
		usable bool
	}{
		{"DATA", join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, yes, "S: 354 go", "CUT"), false},
		{"BDAT", join(greeted("PIPELINING", "CHUNKING"), mailCmd, rcptA, yes, yes,
			fmt.Sprintf("C: BDAT %d", bufferSize), "B: "+strings.Repeat("x", bufferSize), yes), true},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			c := open(t, play(t, r.server...), testOptions())
			defer c.Close()
			body := newPipeBody()
			go func() {
				io.WriteString(body.w, strings.Repeat("x", bufferSize))
				io.WriteString(body.w, "half a li")
				body.w.CloseWithError(upstream.ErrBodyAborted)
			}()
			out := c.Transact(context.Background(), envelope, feed(body, addrA), TransactOptions{})
			if !errors.Is(out.Err, upstream.ErrBodyAborted) || out.Err.Ambiguous || c.Usable() != r.usable {
				t.Errorf("got %v, usable %v", out.Err, c.Usable())
			}
		})
	}
}

// A server that refuses in the middle of a long body and hangs up is heard, and
// the rest is not sent.
func TestRefusedWhileSending(t *testing.T) {
	t.Parallel()
	for name, keywords := range map[string][]string{"DATA": {"PIPELINING"}, "BDAT": {"PIPELINING", "CHUNKING"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := join(greeted(keywords...), mailCmd, rcptA)
			if name == "DATA" {
				server = append(server, "C: DATA", yes, yes, "S: 354 go", "B: xxxxxxxx", "S+ 552 5.3.4 too big", "HANGUP")
			} else {
				server = append(server, yes, yes, fmt.Sprintf("C: BDAT %d", bufferSize), "B: xxxxxxxx", "S+ 552 5.3.4 too big", "HANGUP")
			}
			c := open(t, play(t, server...), testOptions())
			defer c.Close()
			body := newPipeBody()
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				for {
					if _, err := io.WriteString(body.w, strings.Repeat("x", 1<<16)); err != nil {
						return
					}
				}
			}()
			out := c.Transact(context.Background(), envelope, feed(body, addrA), TransactOptions{})
			body.r.Close()
			<-gone
			if out.Err == nil || out.Err.Ambiguous {
				t.Fatalf("got %v", out.Err)
			}
			if out.Err.Reply.Code != 552 && out.Err.Class != upstream.ClassServerUnreachable {
				t.Errorf("got %v", out.Err)
			}
		})
	}
}

// Random bodies arrive as they are, by both ways, in all kinds of blocks.
func TestBodyRoundTrip(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "\r\n", ".\r\n", "..\r\n.\r\n", "a\r\n.b\r\n\r\n.\r\n", strings.Repeat("x", 5000) + "\r\n",
		strings.Repeat(".\r\n", 20000), strings.Repeat("x", bufferSize-1) + "\r\n.\r\n", "\xff\x00\r\n.\x00\r\n",
	} {
		for size := range 4 {
			var out bytes.Buffer
			b := &blocks{r: &slowReader{strings.NewReader(text), size}, buf: make([]byte, 4+size)}
			for {
				p, err := b.next(size%2 == 0)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if bytes.HasSuffix(p, []byte("\r")) {
					t.Fatal("a block splits a CRLF")
				}
				out.Write(p)
			}
			if out.String() != text {
				t.Fatalf("%.20q arrived as %.20q", text, out.String())
			}
		}
	}
}

type slowReader struct {
	r    io.Reader
	size int
}

func (s *slowReader) Read(p []byte) (int, error) {
	if s.size > 0 && len(p) > s.size {
		p = p[:s.size]
	}
	return s.r.Read(p)
}

func TestWellFormed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "a": true, "a\r\nb": true, "\r\n\r\n": true, "a\n": false, "\n": false,
		"a\rb\r\n": false, "\r\r\n": false, "a\r\n\n": false, "a\r": false, "a\x00\r\n": true,
	} {
		if wellFormed([]byte(text)) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// Watch sees a server that hangs up or says goodbye, and leaves a line that is
// still good as it was.
func TestWatch(t *testing.T) {
	t.Parallel()
	c := open(t, play(t, join(greeted("PIPELINING", "CHUNKING"), mailCmd, rcptA, chunk, letterB, yes, yes, queued)...), testOptions())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Watch(ctx); err != nil {
		t.Fatal(err)
	}
	if out := c.Transact(context.Background(), envelope, feed(letter, addrA), TransactOptions{OneFlight: time.Minute}); out.Err != nil {
		t.Fatal(out.Err)
	}
	for _, last := range []string{"HANGUP", "S+ 421 4.4.2 idle too long"} {
		c = open(t, play(t, append(greeted("PIPELINING"), last)...), testOptions())
		if err := c.Watch(context.Background()); err == nil || c.Usable() {
			t.Errorf("%s: %v, usable %v", last, err, c.Usable())
		}
	}
}

// A peer that reads nothing ends the attempt within the phase's time, and a
// cancelled context at once.
func TestTimeAndContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := newPipe()
		defer server.Close()
		start := time.Now()
		_, err := Open(context.Background(), &fakeConn{Conn: client}, Options{})
		if e := upstream.AsError(err, ""); err == nil || e.Phase != upstream.PhaseConnect || time.Since(start) != Timeout(upstream.PhaseConnect) {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		client, server := newPipe()
		defer server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := Open(ctx, &fakeConn{Conn: client}, Options{}); err == nil || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
