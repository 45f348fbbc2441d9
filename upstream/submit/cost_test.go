package submit

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"melon/upstream"
)

// openSink opens a conversation with a server that takes everything and answers a
// whole flight in one segment.
func openSink(t testing.TB) (c *Client, writes *int) {
	t.Helper()
	client, server := net.Pipe()
	go flights(server)
	writes = new(int)
	c, err := Open(context.Background(), &fakeConn{Conn: client, writes: writes}, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, writes
}

// flights answers each read, a whole flight, in one write.
func flights(conn net.Conn) {
	defer conn.Close()
	if _, err := io.WriteString(conn, "220 hi\r\n"); err != nil {
		return
	}
	answer := []byte("250-hi\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
	for buf := make([]byte, bufferSize); ; {
		if _, err := conn.Read(buf); err != nil {
			return
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
		answer = []byte("250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n250 2.0.0 queued as 4711\r\n")
	}
}

var oneFlight = TransactOptions{OneFlight: time.Minute}

// constant is a Feed that knows everything from the start.
type constant struct {
	rcpts []upstream.Recipient
	body  upstream.Body
}

func (f *constant) Next(n int) Supply {
	return Supply{Recipients: f.rcpts[n:], Body: f.body}
}
func (f *constant) Verdict(int, upstream.Reply, *upstream.Error) bool { return true }

// A message to one recipient is one write, and takes few allocations whatever its
// size: replies that come together are read together, timers and buffers serve
// every message.
func TestCostOfAMessage(t *testing.T) { // not parallel: allocations are counted
	c, writes := openSink(t)
	f := &constant{[]upstream.Recipient{{Address: addrA}}, letter}
	send := func() {
		if out := c.Transact(context.Background(), envelope, f, oneFlight); out.Err != nil || out.Taken != 1 {
			t.Fatalf("%+v", out)
		}
	}
	send()
	*writes = 0
	const n = 50
	allocations := testing.AllocsPerRun(n, send)
	if *writes != n+1 { // AllocsPerRun makes one more
		t.Errorf("%d writes for %d messages", *writes, n+1)
	}
	if allocations > 40 {
		t.Errorf("%.0f allocations a message", allocations)
	}
}

// BenchmarkOneFlight is one short message that leaves in one flight.
func BenchmarkOneFlight(b *testing.B) {
	c, _ := openSink(b)
	f := &constant{[]upstream.Recipient{{Address: addrA}}, letter}
	b.ReportAllocs()
	for b.Loop() {
		if out := c.Transact(context.Background(), envelope, f, oneFlight); out.Err != nil {
			b.Fatal(out.Err)
		}
	}
}

// A reply that came together with the one before is known without another read,
// and half a reply is waited for.
func TestRepliesAtHand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": false, "250 ok": false, "250 ok\r\n": true, "250-a\r\n": false, "250-a\r\n250 ": false,
		"250-a\r\n250 b\r\n": true, "250\r\n": true, "\n": true, "nonsense\r\n": true, "250-a\r\nx\r\n": true,
	} {
		if got := wholeReply([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// What needs no cleaning is passed as it is, all else as upstream.CleanLine does.
func TestCleanLine(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "ok", "a b ", "\x1b[2Jx", "tab\tbed", "héllo", "a\u202eb", "\xff", string(make([]byte, 600)),
		"x" + string([]byte{0x7f}),
	} {
		if got, want := cleanLine(s), upstream.CleanLine(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
