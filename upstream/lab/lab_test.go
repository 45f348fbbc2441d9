package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails when a goroutine of a provider outlives the tests: Close
// waits for all of them.
func TestMain(m *testing.M) {
	code := m.Run()
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(g, "upstream/lab.") && !strings.Contains(g, "TestMain") {
			fmt.Fprintln(os.Stderr, "left behind:\n"+g)
			code = 1
		}
	}
	os.Exit(code)
}

// client is a hand-written client of either protocol.
type client struct {
	t  testing.TB
	nc net.Conn
	br *bufio.Reader
}

// dial connects and reads nothing.
func dial(t testing.TB, addr string) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, nc)
}

func newClient(t testing.TB, nc net.Conn) *client {
	t.Cleanup(func() { nc.Close() })
	return &client{t: t, nc: nc, br: bufio.NewReader(nc)}
}

// smtp connects and reads the greeting.
func smtpTo(t testing.TB, p *Provider) *client {
	t.Helper()
	c := dial(t, p.SMTPAddr())
	c.want("220")
	return c
}

// pop connects and reads the greeting.
func popTo(t testing.TB, p *Provider) *client {
	t.Helper()
	c := dial(t, p.POPAddr())
	c.want("+OK")
	return c
}

// starttls upgrades with the command given.
func (c *client) starttls(p *Provider, command, want string) {
	c.t.Helper()
	c.cmd(command, want)
	c.tls(p)
}

// clientTLS trusts the provider's CA by the provider's clock.
func clientTLS(p *Provider) *tls.Config {
	return &tls.Config{RootCAs: p.CertPool(), ServerName: "localhost", Time: p.opts.Now}
}

// tls does a handshake.
func (c *client) tls(p *Provider, certs ...tls.Certificate) {
	c.t.Helper()
	conf := clientTLS(p)
	conf.Certificates = certs
	tc := tls.Client(c.nc, conf)
	if err := tc.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.nc, c.br = tc, bufio.NewReader(tc)
}

func (c *client) write(s string) {
	c.t.Helper()
	if _, err := c.nc.Write([]byte(s)); err != nil {
		c.t.Fatal(err)
	}
}

// reply reads one reply, of several lines in SMTP.
func (c *client) reply() string {
	c.t.Helper()
	var all strings.Builder
	for {
		line, err := c.br.ReadString('\n')
		if err != nil {
			c.t.Fatalf("after %q: %v", all.String(), err)
		}
		all.WriteString(line)
		if len(line) < 4 || line[3] != '-' || line[0] == '+' || line[0] == '-' {
			return all.String()
		}
	}
}

// want reads a reply that begins so.
func (c *client) want(prefix string) string {
	c.t.Helper()
	r := c.reply()
	if !strings.HasPrefix(r, prefix) {
		c.t.Fatalf("got %q, want %q", r, prefix)
	}
	return r
}

// cmd sends a command and wants a reply.
func (c *client) cmd(line, prefix string) string {
	c.t.Helper()
	c.write(line + "\r\n")
	return c.want(prefix)
}

// lines reads a multi-line POP3 answer after its first line.
func (c *client) lines() (ls []string) {
	c.t.Helper()
	for {
		line, err := c.br.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if line = strings.TrimRight(line, "\r\n"); line == "." {
			return ls
		}
		ls = append(ls, line)
	}
}

// wantEnd wants the connection to end without another octet.
func (c *client) wantEnd() {
	c.t.Helper()
	if b, err := c.br.ReadByte(); err == nil {
		c.t.Fatalf("got octet %q, want the end", b)
	}
}

// popLogin logs in by POP3 from a public address, if one is given.
func popLogin(t testing.TB, p *Provider, from string) *client {
	t.Helper()
	public(p, from)
	c := dial(t, p.POPAddr())
	c.want("+OK")
	c.cmd("USER taro", "+OK")
	c.cmd("PASS "+DefaultUser.Password, "+OK")
	return c
}

// public makes new connections come from an address, if one is given.
func public(p *Provider, from string) {
	if from != "" {
		p.SetPublic("", netip.MustParseAddr(from))
	}
}

// tryRcpt connects from a public address, if one is given, and returns the code of the first refusal,
// or "250" when a recipient elsewhere is taken.
func tryRcpt(t testing.TB, p *Provider, from, sender, rcpt string) string {
	t.Helper()
	public(p, from)
	c := dial(t, p.SMTPAddr())
	defer c.nc.Close()
	for _, line := range []string{"", "EHLO x", "MAIL FROM:<" + sender + ">", "RCPT TO:<" + rcpt + ">", "DATA"} {
		if line != "" {
			c.write(line + "\r\n")
		}
		if r := c.reply(); r[0] > '3' {
			return r[:3]
		}
	}
	return "250"
}

// within bounds a wait for what must happen anyway.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// clock is a clock that tests set.
type clock struct{ ch chan time.Time }

func newClock() *clock {
	c := &clock{ch: make(chan time.Time, 1)}
	c.ch <- time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	return c
}

// Now returns the time.
func (c *clock) Now() time.Time {
	t := <-c.ch
	c.ch <- t
	return t
}

// add moves the clock on.
func (c *clock) add(d time.Duration) { c.ch <- (<-c.ch).Add(d) }
