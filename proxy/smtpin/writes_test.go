package smtpin

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// counting is a listener whose connections count their writes.
type counting struct {
	net.Listener
	writes atomic.Int64
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &countedConn{c, &l.writes}, nil
}

type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// Each reply leaves in one write, however many lines it has.
func TestOneWriteAReply(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &counting{Listener: ln}
	start(t, Options{Listen: Listen{SMTP: []string{}, Ready: []net.Listener{l}}})
	conn, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(t, conn)
	a.expect("220 ")
	for i, step := range []struct{ line, prefix string }{
		{"EHLO laptop", "250-"},
		{"MAIL FROM:<a@a.example>", "250 "},
		{"RCPT TO:<b@b.example>", "250 "},
		{"DATA", "354 "},
		{strings.Repeat("x\r\n", 500) + ".", "250 "},
		{"NOOP", "250 "},
		{"nonsense", "500 "},
		{"QUIT", "221 "},
	} {
		a.cmd(step.line, step.prefix)
		if n := l.writes.Load(); n != int64(i+2) {
			t.Fatalf("%d writes after %d replies (%.10s)", n, i+2, step.line)
		}
	}
}

// A line comes to go-smtp as the app sent it, in however small pieces either side
// takes it.
func TestLinesInPieces(t *testing.T) {
	t.Parallel()
	a := dial(t, start(t, Options{}), 0)
	for _, octet := range "EHLO laptop\r\n" {
		a.say(string(octet))
	}
	a.expect("250-")
	c := &conn{}
	c.frame.pending, c.frame.ending = "NOOP", "\r\n"
	var got strings.Builder
	for c.frame.ending != "" {
		var one [1]byte
		n, err := c.Read(one[:])
		if err != nil || n != 1 {
			t.Fatal(n, err)
		}
		got.Write(one[:n])
	}
	if got.String() != "NOOP\r\n" {
		t.Errorf("%q", got.String())
	}
}
