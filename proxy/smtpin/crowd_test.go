package smtpin

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestConnections: when there are too many, the one that idles longest makes
// room; a transaction is not disturbed, and where there is nothing to end the
// new one is turned away.
func TestConnections(t *testing.T) {
	t.Parallel()
	for _, limits := range []Limits{{Connections: 3}, {ConnectionsUser: 3}} {
		synctest.Test(t, func(t *testing.T) {
			s := bubble(t, Options{Limits: limits})
			connect := func() *app {
				t.Helper()
				a := pipeApp(t, s)
				a.SetDeadline(time.Time{})
				time.Sleep(time.Millisecond)
				synctest.Wait()
				return a
			}
			busy := connect()
			busy.cmd("EHLO x", "250-")
			busy.cmd("MAIL FROM:<a@b.example>", "250")
			first, second := connect(), connect()
			first.cmd("NOOP", "250") // now second idles longest
			third := connect()
			second.expect("421 4.3.2 Too many connections are open")
			second.expect("")
			for _, a := range []*app{third, first} {
				a.cmd("EHLO x", "250-")
				a.cmd("MAIL FROM:<a@b.example>", "250")
			}
			here, there := net.Pipe()
			defer here.Close()
			c := newConn(s, s.set.Load(), there, who{door: s.doors[0]})
			if reason := s.add(c); !strings.HasPrefix(reason, "too many connections") {
				t.Errorf("reason %q", reason)
			}
			c.cancel()
			for _, a := range []*app{busy, first, third} {
				a.cmd("RCPT TO:<c@d.example>", "250")
			}
			time.Sleep(openTransaction)
			busy.cmd("RCPT TO:<c@d.example>", "250")
			connect() // now a transaction that was left open makes room
			ended := 0
			for _, a := range []*app{busy, first, third} {
				a.Write([]byte("RSET\r\n"))
				if !strings.HasPrefix(a.reply(), "250") {
					ended++
				}
			}
			if ended != 1 {
				t.Errorf("%d connections ended", ended)
			}
		})
	}
}

// TestUsersAreSeparate: one user's connections do not take another's room.
func TestUsersAreSeparate(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	user := "eve"
	look := peers{same: func(_, _ netip.AddrPort) (bool, string, error) {
		mu.Lock()
		defer mu.Unlock()
		return user == "me", user, nil
	}}
	s := start(t, Options{Allow: AllowAnyLocal, Peers: look, Limits: Limits{ConnectionsUser: 2}})
	eve := []*app{dial(t, s, 0), dial(t, s, 0)}
	mu.Lock()
	user = "me"
	mu.Unlock()
	me := dial(t, s, 0)
	for _, a := range append(eve, me) {
		a.cmd("NOOP", "250")
	}
}

// TestManyIdle: two thousand idle connections stop no message.
func TestManyIdle(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	s := start(t, Options{Handler: r})
	for range 2000 {
		c, err := net.Dial("tcp", s.Addresses()[0].Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	a := dial(t, s, 0)
	a.play(`
		C: EHLO x
		S: 250-
		C: MAIL FROM:<a@b.example>
		S: 250
		C: RCPT TO:<c@d.example>
		S: 250
		C: BDAT 0 LAST
		S: 250
		C: QUIT
		S: 221`)
	s.mu.Lock()
	n := len(s.conns)
	s.mu.Unlock()
	if limit := 2 * s.set.Load().limits.ConnectionsUser; n > limit {
		t.Errorf("%d connections are open", n)
	}
}
