package submit

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// looking is a conversation in which the whole message leaves in one flight and
// its replies are read by the transaction itself.
func looking(t *testing.T, last ...string) *Client {
	t.Helper()
	s := play(t, append(greeted("PIPELINING", "CHUNKING"), last...)...)
	s.conn.looks = true
	return open(t, s, testOptions())
}

// The reader's goroutine has no part in a message that leaves in one flight where
// the connection can be looked at.
func TestReplyIsReadAlone(t *testing.T) {
	t.Parallel()
	c := looking(t, mailCmd, rcptA, chunk, letterB, yes, yes, queued, mailCmd, rcptA, chunk, letterB, yes, yes, queued)
	for range 2 {
		want := c.want
		c.want = nil // asking would block for ever
		out := c.Transact(context.Background(), envelope, feed(letter, addrA), oneFlight)
		c.want = want
		if out.Err != nil || out.Reply.String() != taken {
			t.Fatalf("%+v", out)
		}
		c.Idle()
		if c.asked || !c.Quiet() {
			t.Error("a line that rests is watched, or not good")
		}
	}
}

// A look at an idle line finds that the server said something, or hung up.
func TestQuietLooks(t *testing.T) {
	t.Parallel()
	for _, last := range []string{"HANGUP", "S+ 421 4.4.2 idle too long"} {
		c := looking(t, last)
		c.Idle()
		for c.Quiet() { // until it is here
		}
		if c.Usable() {
			t.Errorf("%s: usable", last)
		}
	}
}

// piped opens a conversation in a bubble with a server that offers all that makes
// one flight, goes on as serve does, with a buffer, and then waits for the end.
func piped(t *testing.T, looks bool, serve func(server net.Conn, buf []byte)) (c *Client) {
	t.Helper()
	client, server := net.Pipe()
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer server.Close()
		buf := make([]byte, bufferSize)
		server.Write([]byte("220 hi\r\n"))
		server.Read(buf)
		server.Write([]byte("250-hi\r\n250-PIPELINING\r\n250 CHUNKING\r\n"))
		serve(server, buf)
		<-over
	}()
	c, err := Open(context.Background(), &fakeConn{Conn: client, looks: looks}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); close(over); <-ended })
	return c
}

// Who waits for the last reply alone waits for as long as its phase allows, and
// hears the end of its context.
func TestReadAloneEnds(t *testing.T) {
	t.Parallel()
	for _, cancelled := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := piped(t, true, func(server net.Conn, buf []byte) { server.Read(buf) })
			ctx, want, cause := context.Background(), Timeout(upstream.PhaseMail), os.ErrDeadlineExceeded
			if cancelled {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, time.Second)
				defer cancel()
				want, cause = time.Second, context.DeadlineExceeded
			}
			start := time.Now()
			out := c.Transact(ctx, envelope, feed(letter, addrA), oneFlight)
			if out.Err == nil || !out.Err.Ambiguous || !errors.Is(out.Err.Err, cause) || time.Since(start) != want || c.Usable() {
				t.Errorf("after %v: %+v", time.Since(start), out.Err)
			}
		})
	}
}
