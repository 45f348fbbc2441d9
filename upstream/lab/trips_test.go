package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const message = "Subject: x\r\n\r\nHello.\r\n"

// flight is one step of a conversation as its client writes it: one Write,
// made when the replies to the one before have come.
type flight struct {
	write   string
	replies int
}

var (
	chunked  = flight{fmt.Sprintf("MAIL FROM:<a@provider-a.example>\r\nRCPT TO:<b@provider-a.example>\r\nBDAT %d LAST\r\n%s", len(message), message), 3}
	envelope = flight{"MAIL FROM:<a@provider-a.example>\r\nRCPT TO:<b@provider-a.example>\r\nDATA\r\n", 3}
	theBody  = flight{message + ".\r\n", 1}
	plainIR  = flight{"AUTH PLAIN AHRhcm8AbWVsb24tcGFuLTIwOTk=\r\n", 1}
	ehlo     = flight{"EHLO x\r\n", 1}
)

// say carries out flights.
func (c *client) say(fs ...flight) {
	c.t.Helper()
	for _, f := range fs {
		c.write(f.write)
		for range f.replies {
			if r := c.reply(); r[0] > '3' {
				c.t.Fatalf("%q: %q", f.write, r)
			}
		}
	}
}

// conversations are ways to send, and how many round trips each takes.
var conversations = []struct {
	name   string
	server string
	talk   func(c *client, p *Provider)
	total  int
}{
	{"plain greeting", "smtp", func(c *client, p *Provider) { c.want("220") }, 2},
	{"plain, chunked", "smtp", func(c *client, p *Provider) { c.want("220"); c.say(ehlo, chunked) }, 4},
	{"plain, data", "smtp", func(c *client, p *Provider) { c.want("220"); c.say(ehlo, envelope, theBody) }, 5},
	{"plain, lockstep", "smtp", func(c *client, p *Provider) {
		c.want("220")
		c.say(ehlo)
		c.cmd("MAIL FROM:<a@provider-a.example>", "250")
		c.cmd("RCPT TO:<b@provider-a.example>", "250")
		c.cmd("DATA", "354")
		c.say(theBody)
	}, 7},
	{"tls, auth, chunked", "smtps", func(c *client, p *Provider) {
		c.tls(p)
		c.want("220")
		c.say(ehlo, plainIR, chunked)
	}, 6},
	{"tls, auth, data", "smtps", func(c *client, p *Provider) {
		c.tls(p)
		c.want("220")
		c.say(ehlo, plainIR, envelope, theBody)
	}, 7},
	{"starttls, auth, chunked", "smtp", func(c *client, p *Provider) {
		c.want("220")
		c.say(ehlo)
		c.starttls(p, "STARTTLS", "220")
		c.say(ehlo, plainIR, chunked)
	}, 8},
	{"warm", "smtp", func(c *client, p *Provider) { c.want("220"); c.say(ehlo, chunked, chunked, chunked) }, 6},
	{"pop", "pop", func(c *client, p *Provider) {
		c.want("+OK")
		c.say(flight{"USER taro\r\nPASS " + DefaultUser.Password + "\r\n", 2})
	}, 3},
}

// TestTrips counts the same conversations by the meter, on a network of exactly
// 300 ms, and by the clock of that network.
func TestTrips(t *testing.T) {
	t.Parallel()
	for _, tc := range conversations {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const rtt = 300 * time.Millisecond
				n := NewNet(rtt)
				p := Run(t, Options{Net: n})
				start := time.Now()
				nc, err := n.Dial(t.Context(), "tcp", p.first(tc.server))
				if err != nil {
					t.Fatal(err)
				}
				c := newClient(t, nc)
				tc.talk(c, p)
				if took := time.Since(start); took != time.Duration(tc.total)*rtt {
					t.Errorf("%v by the clock, want %d", float64(took)/float64(rtt), tc.total)
				}
				nc.Close()
				p.WaitIdle(t.Context())
				if got := p.Trips(1).Total; got != tc.total {
					t.Errorf("%d by the meter, want %d", got, tc.total)
				}
			})
		})
	}
}

// TestTripsOnLoopback counts by the meter on real connections, where large
// flights come in pieces.
func TestTripsOnLoopback(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{})
	c := dial(t, p.SMTPSAddr())
	c.tls(p)
	c.want("220")
	c.say(ehlo, plainIR)
	big := strings.Repeat("0123456789abcde\n", 1<<16)
	c.say(flight{fmt.Sprintf("MAIL FROM:<a@provider-a.example>\r\nRCPT TO:<b@provider-a.example>\r\nBDAT %d LAST\r\n%s", len(big), big), 3})
	c.say(chunked, envelope, theBody)
	want := []Trips{{6, 6}, {7, 1}, {9, 2}}
	for i, m := range p.Messages() {
		if m.Trips != want[i] {
			t.Errorf("message %d: %+v, want %+v", i, m.Trips, want[i])
		}
	}
}

// TestSideBySide shows that POP3 and SMTP side by side take as long as the
// longer of them: with a login by USER, PASS and a body that waits for both, 5.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rtt = 200 * time.Millisecond
		n := NewNet(rtt)
		p := Run(t, Options{Net: n, Rules: Rules{PBS: PBS{Window: time.Minute}}})
		start := time.Now()
		var wg sync.WaitGroup
		clients := make([]*client, 2)
		for i, addr := range []string{p.POPAddr(), p.SMTPAddr()} {
			wg.Go(func() {
				nc, err := n.Dial(t.Context(), "tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				c := newClient(t, nc)
				clients[i] = c
				if i == 0 {
					c.want("+OK")
					c.cmd("USER taro", "+OK")
					c.cmd("PASS "+DefaultUser.Password, "+OK")
				} else {
					c.want("220")
					c.say(ehlo)
				}
			})
		}
		wg.Wait()
		clients[1].say(flight{strings.ReplaceAll(chunked.write, "b@provider-a", "b@other"), 3})
		if took := time.Since(start); took != 5*rtt {
			t.Errorf("took %v, want 5 round trips", took)
		}
	})
}

// TestDelay lets a provider on loopback feel far away, the handshake included.
func TestDelay(t *testing.T) {
	t.Parallel()
	const rtt = 20 * time.Millisecond
	p := Run(t, Options{Delay: rtt})
	target := Run(t, Options{})
	proxy, err := NewProxy(target.SMTPSAddr(), rtt)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	for _, addr := range []string{p.SMTPSAddr(), proxy.Addr()} {
		start := time.Now()
		c := dial(t, addr)
		pool := p
		if addr == proxy.Addr() {
			pool = target
		}
		c.tls(pool)
		c.want("220")
		c.say(ehlo, chunked)
		if took := time.Since(start); took < 5*rtt {
			t.Errorf("took %v, less than 5 round trips of %v", took, rtt)
		}
		c.cmd("QUIT", "221")
	}
}

// TestNetRefuses shows the failures of a Net's Dial.
func TestNetRefuses(t *testing.T) {
	t.Parallel()
	n := NewNet(0)
	l, err := n.Listen("192.0.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := n.Listen(l.Addr().String()); err == nil {
		t.Error("one address, two listeners")
	}
	if _, err := n.Dial(t.Context(), "tcp", "192.0.2.2:25"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody listens: %v", err)
	}
	n.SetDown(true)
	if _, err := n.Dial(t.Context(), "tcp", l.Addr().String()); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("no network: %v", err)
	}
	n.SetDown(false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewNet(time.Hour).Dial(ctx, "tcp", "192.0.2.1:25"); err == nil {
		t.Error("dialled with a dead context")
	}
	if got := len(n.Dials()); got != 2 {
		t.Errorf("%d dials, want 2", got)
	}
}

// TestNetCut shows a port that swallows, and a line that dies without a word.
func TestNetCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := NewNet(time.Second)
		p := Run(t, Options{Net: n})
		n.Block(587, true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := n.Dial(ctx, "tcp", p.SMTPAddr()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a blocked port: %v", err)
		}
		n.Block(587, false)
		nc, err := n.Dial(t.Context(), "tcp", p.SMTPAddr())
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, nc)
		c.want("220")
		n.Cut()
		c.write("NOOP\r\n")
		nc.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := c.br.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a dead line: %v", err)
		}
		if s := p.Stats(); s.SMTPOpen != 1 || p.Count(SMTPProto, "NOOP") != 0 || p.Trips(1).Total != 2 {
			t.Errorf("%+v", s)
		}
	})
}

// TestResolver looks up what it knows and what it does not.
func TestResolver(t *testing.T) {
	t.Parallel()
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	r := Resolver{"mail.example": {v6, v4}}
	for network, want := range map[string][]netip.Addr{"ip": {v6, v4}, "ip4": {v4}, "ip6": {v6}} {
		if got, err := r.LookupNetIP(t.Context(), network, "mail.example"); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", network, got, err)
		}
	}
	var de *net.DNSError
	if _, err := r.LookupNetIP(t.Context(), "ip", "x.example"); !errors.As(err, &de) || !de.IsNotFound {
		t.Errorf("unknown: %v", err)
	}
}

// TestPipe shows that a Net's connections keep deadlines, ends and limits.
func TestPipe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe(2*time.Second, &net.TCPAddr{}, &net.TCPAddr{})
		a.SetReadDeadline(time.Now().Add(time.Minute))
		start := time.Now()
		if _, err := a.Read(make([]byte, 1)); err == nil || time.Since(start) != time.Minute {
			t.Errorf("read: %v after %v", err, time.Since(start))
		}
		b.SetWriteDeadline(time.Now().Add(time.Minute))
		n, err := b.Write(make([]byte, maxUnderWay+1))
		if ne, ok := err.(net.Error); n != maxUnderWay || !ok || !ne.Timeout() {
			t.Errorf("write: %d, %v", n, err)
		}
		start = time.Now()
		a.Write([]byte("x"))
		a.Close()
		if n, err := b.Read(make([]byte, 2)); n != 1 || err != nil || time.Since(start) != time.Second {
			t.Errorf("read %d, %v after %v", n, err, time.Since(start))
		}
		if _, err := b.Read(make([]byte, 2)); err == nil || time.Since(start) != time.Second {
			t.Errorf("end: %v after %v", err, time.Since(start))
		}
		if _, err := b.Write([]byte("x")); err == nil {
			t.Error("wrote to nobody")
		}
	})
}
