package submit

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// handedOver runs a short message until a limit of one second ends, and then to
// its end in another goroutine. The server says each piece a second after the
// one before, the first one when it has the message.
func handedOver(t *testing.T, looks bool, pieces ...string) (c *Client, x *Exchange, early bool) {
	t.Helper()
	c = piped(t, looks, func(server net.Conn, buf []byte) {
		server.Read(buf)
		for i, p := range pieces {
			if i > 0 {
				time.Sleep(time.Second)
			}
			server.Write([]byte(p))
		}
	})
	limit, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	x = c.Begin(context.Background(), envelope, feed(letter, addrA), oneFlight)
	early = x.Run(limit)
	done := make(chan bool)
	go func() { done <- x.Run(context.Background()) }()
	if !<-done {
		t.Error("without a limit it is not over")
	}
	return c, x, early
}

// A transaction whose limit ends while the server is waited for goes on in another
// goroutine as if nothing had been: no octet of a reply is lost, however it was cut.
func TestRunIsHandedOver(t *testing.T) {
	t.Parallel()
	const replies = "250 2.1.0 ok\r\n250 2.1.5 ok\r\n" + taken + "\r\n"
	for _, looks := range []bool{true, false} {
		for cut := range len(replies) {
			synctest.Test(t, func(t *testing.T) {
				c, x, early := handedOver(t, looks, replies[:cut], replies[cut:])
				if out := x.Outcome(); early || out.Err != nil || out.Reply.String() != taken || !c.Usable() {
					t.Errorf("cut at %d, looks %v: over at once %v, usable %v, %+v", cut, looks, early, c.Usable(), out)
				}
			})
		}
	}
}

// A limit is forgotten with its transaction: what is written after it, such as
// QUIT, has the time of its own phase.
func TestLimitIsForgotten(t *testing.T) {
	t.Parallel()
	s := play(t, append(greeted("PIPELINING", "CHUNKING"), mailCmd, rcptA, chunk, letterB, yes, yes, queued, "C: QUIT", "S: 221 bye", "HANGUP")...)
	s.conn.looks = true
	c := open(t, s, testOptions())
	limit, cancel := context.WithTimeout(context.Background(), time.Minute)
	x := c.Begin(context.Background(), envelope, feed(letter, addrA), oneFlight)
	if !x.Run(limit) || x.Outcome().Err != nil || !c.until.IsZero() {
		t.Errorf("%+v, until %v", x.Outcome(), c.until)
	}
	cancel()
	if err := c.Quit(context.Background()); err != nil {
		t.Error(err)
	}
}

// A reply that fills the buffer without an end is not waited for under a limit.
func TestRunGivesUpOnALongReply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		long := "250-" + strings.Repeat("x", 1000) + "\r\n"
		start := time.Now()
		_, x, early := handedOver(t, true, "250 ok\r\n250 ok\r\n"+strings.Repeat(long, 6), "250 2.0.0 queued\r\n")
		if out := x.Outcome(); early || out.Err != nil || len(out.Reply.Lines) != 7 || time.Since(start) != time.Second {
			t.Errorf("over at once %v, after %v: %+v", early, time.Since(start), out)
		}
	})
}

// A write that has not ended by the limit's deadline is given up. The message has
// not left whole, so its outcome is certain.
func TestRunBoundsAWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, true, func(net.Conn, []byte) {}) // reads nothing
		limit, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		x := c.Begin(context.Background(), envelope, feed(letter, addrA), oneFlight)
		over := x.Run(limit)
		e := x.Outcome().Err
		if !over || e == nil || e.Ambiguous || !errors.Is(e.Err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second || c.Usable() {
			t.Errorf("over %v after %v: %+v", over, time.Since(start), e)
		}
		if e.Class != upstream.ClassServerUnreachable {
			t.Errorf("%s", e.Class)
		}
	})
}
