package dial

import (
	"net"
	"testing"
	"time"
)

// armed counts the deadlines that a connection is given.
type armed struct {
	net.Conn
	n int
}

func (a *armed) SetReadDeadline(t time.Time) error  { a.n++; return a.Conn.SetReadDeadline(t) }
func (a *armed) SetWriteDeadline(t time.Time) error { a.n++; return a.Conn.SetWriteDeadline(t) }

// A conversation that keeps the time itself pays for no deadline, and one that
// sets a limit for one alone.
func TestNoStepSetsNoDeadline(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	count := &armed{Conn: near}
	c := newConn(count, &Dialer{}, target("mail.example", nil))
	defer c.Close()
	c.SetStep(-1)
	go func() {
		for b := make([]byte, 1); ; {
			if _, err := far.Read(b); err != nil {
				return
			}
			far.Write(b)
		}
	}()
	talk := func() {
		t.Helper()
		for range 10 {
			b := []byte("x")
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	talk()
	if count.n != 0 {
		t.Errorf("%d deadlines were set", count.n)
	}
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	talk()
	if count.n != 2 {
		t.Errorf("%d deadlines were set for one limit", count.n)
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	count.n = 0
	c.SetStep(time.Minute)
	talk()
	if count.n != 20 {
		t.Errorf("%d deadlines were set for 20 steps", count.n)
	}
}
