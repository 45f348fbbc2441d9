package smtpin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// bubble returns a server without listeners, for tests on a fake clock; connect
// to it with pipeApp.
func bubble(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Handler == nil {
		o.Handler = &recorder{}
	}
	s := &Server{log: slog.New(slog.DiscardHandler), conns: make(map[*conn]struct{})}
	if o.Log != nil {
		s.log = o.Log
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	set, err := s.settings(o)
	if err != nil {
		t.Fatal(err)
	}
	s.serveSMTP(set)
	s.set.Store(set)
	ln := &handoff{done: make(chan struct{})}
	s.doors = []*door{{kind: "smtp", ln: ln}}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
	})
	return s
}

// TestTimes pins how long an app may take, on a fake clock.
func TestTimes(t *testing.T) {
	t.Parallel()
	envelope := "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
	for _, tc := range []struct {
		name  string
		run   func(a *app)
		after time.Duration
		reply string
	}{
		{"silent", func(a *app) {}, 5 * time.Minute, "421 4.4.2"},
		{"after EHLO", func(a *app) { a.cmd("EHLO x", "250-") }, 5 * time.Minute, "421 4.4.2"},
		{"slow command", func(a *app) {
			for range 4 {
				a.say("N")
				time.Sleep(time.Minute)
			}
			a.say("N")
		}, 5 * time.Minute, "421 4.4.2"},
		{"in AUTH", func(a *app) { a.cmd("EHLO x", "250-"); a.cmd("AUTH PLAIN", "334") }, 5 * time.Minute, "421 4.4.2"},
		{"in DATA", func(a *app) {
			a.say(envelope + "DATA\r\nabc")
			for _, p := range []string{"250-", "250", "250", "354"} {
				a.expect(p)
			}
		}, 5 * time.Minute, "421 4.4.2"},
		{"slow content", func(a *app) {
			a.say(envelope + "DATA\r\n")
			for _, p := range []string{"250-", "250", "250", "354"} {
				a.expect(p)
			}
			for range 14 {
				time.Sleep(4 * time.Minute)
				a.say("x")
			}
		}, time.Hour, "421 4.4.2"},
		{"in a chunk", func(a *app) {
			a.say(envelope + "BDAT 5\r\nabc")
			for _, p := range []string{"250-", "250", "250"} {
				a.expect(p)
			}
		}, 5 * time.Minute, "421 4.4.2"},
		{"between chunks", func(a *app) {
			a.say(envelope + "BDAT 3\r\nabc")
			for _, p := range []string{"250-", "250", "250", "250"} {
				a.expect(p)
			}
		}, 5 * time.Minute, "421 4.4.2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &recorder{}
				a := pipeApp(t, bubble(t, Options{Handler: r}))
				a.SetDeadline(time.Time{})
				begin := time.Now()
				tc.run(a)
				a.expect(tc.reply)
				if took := time.Since(begin); took != tc.after {
					t.Errorf("took %v, want %v", took, tc.after)
				}
				a.expect("")
				synctest.Wait()
				for _, m := range r.all() {
					if !errors.Is(m.err, upstream.ErrBodyAborted) {
						t.Errorf("message %+v", m)
					}
				}
			})
		})
	}
}

// TestSlowReader: an app that does not take its replies is cut after Write.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := pipeApp(t, bubble(t, Options{}))
		a.SetDeadline(time.Time{})
		begin := time.Now()
		a.say("NOOP\r\nNOOP\r\n")
		time.Sleep(30 * time.Second)
		a.say("") // nothing is read
		synctest.Wait()
		if _, err := a.Write([]byte("NOOP\r\n")); err == nil || time.Since(begin) != time.Minute {
			t.Errorf("error %v after %v", err, time.Since(begin))
		}
	})
}

// TestLoginDelay: each refused login makes the next one wait longer, on the
// next connection too; the third ends the connection.
func TestLoginDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := bubble(t, Options{Login: Login{Password: func(context.Context) (string, error) { return "right", nil }}})
		var waits []time.Duration
		try := func(a *app, login, reply string) {
			t.Helper()
			begin := time.Now()
			a.cmd("AUTH PLAIN "+login, reply)
			waits = append(waits, time.Since(begin))
		}
		for range 2 {
			a := pipeApp(t, s)
			a.SetDeadline(time.Time{})
			a.cmd("EHLO x", "250-")
			for range 3 {
				try(a, "AHgAd3Jvbmc=", "535 5.7.8") // x, wrong
			}
			a.expect("")
		}
		a := pipeApp(t, s)
		a.SetDeadline(time.Time{})
		a.cmd("EHLO x", "250-")
		try(a, "AHgAcmlnaHQ=", "235") // x, right
		if got, want := fmt.Sprint(waits), "[0s 500ms 1s 1.5s 2s 2.5s 3s]"; got != want {
			t.Errorf("waits %v, want %v", got, want)
		}
		if len(s.slow.logins.refused) != 0 {
			t.Error("a right login leaves nothing behind")
		}
		s.slow.logins.wrong(netip.Addr{})
		time.Sleep(loginMemory + 1)
		begin := time.Now()
		if !s.slow.logins.wait(t.Context(), netip.Addr{}) || time.Since(begin) != 0 {
			t.Error("not forgotten")
		}
	})
}

// TestLockedOut: beyond loopback many refused logins shut an address out; on
// loopback they only slow it down.
func TestLockedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l logins
		far, near := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("127.0.0.1")
		for range maxRefused {
			l.wrong(far)
			l.wrong(near)
		}
		if l.wait(t.Context(), far) || !l.wait(t.Context(), near) {
			t.Error("the wrong one is shut out")
		}
		for i := range 2 * maxRemembered {
			l.wrong(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
		}
		if n := len(l.refused); n > maxRemembered {
			t.Errorf("%d addresses are remembered", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l.wrong(near)
		if l.wait(ctx, near) {
			t.Error("waited past the end of the connection")
		}
	})
}

// TestForeign: what is no mail app is cut off without an answer, at its first
// octets.
func TestForeign(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"TLS ClientHello":   "\x16\x03\x01\x02\x00\x01\x00",
		"SSL 2 ClientHello": "\x80\x2e\x01\x03",
		"NUL":               "EHLO \x00",
		"escape":            "EHLO x\x1b[2J",
		"bare CR":           "MAIL FROM:<a\rb@c.example>\r\n",
		"GET":               "GET / HTTP/1.1\r\nHost: localhost:2525\r\n\r\n",
		"post":              "post / HTTP/1.1\r\n",
		"HEAD":              "HEAD / HTTP/1.0\r\n",
		"PUT":               "PUT /x HTTP/1.1\r\n",
		"OPTIONS":           "OPTIONS * HTTP/1.1\r\n",
		"CONNECT":           "CONNECT a.example:25 HTTP/1.1\r\n",
		"DELETE":            "DELETE / HTTP/1.1\r\n",
		"PATCH":             "PATCH / HTTP/1.1\r\n",
		"TRACE":             "TRACE / HTTP/1.1\r\n",
		"HTTP/2":            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET alone":         "GET\r\n",
	} {
		for _, head := range []string{"", "EHLO x\r\n", "EHLO x\r\nMAIL FROM:<a@b.example>\r\n"} {
			t.Run(fmt.Sprintf("%s after %q", name, head), func(t *testing.T) {
				t.Parallel()
				var log logBuffer
				r := &recorder{}
				a := dial(t, start(t, Options{Handler: r, Log: log.logger()}), 0)
				a.say(head + text)
				a.say("\r\nEHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\n")
				for range strings.Count(head, "\n") {
					a.expect("250")
				}
				a.expect("")
				eventually(t, "the log line", func() bool { return strings.Count(log.String(), "connection refused") == 1 })
				if len(r.complete()) > 0 {
					t.Error("a message was taken")
				}
			})
		}
	}
}

// TestLineLength: command lines are bounded, AUTH's have more room, content has
// no bound.
func TestLineLength(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, head, line string
		reply            string
		ends             bool
	}{
		{"longest", "", "NOOP " + strings.Repeat("x", maxCommandLine-5), "250", false},
		{"too long", "", "NOOP " + strings.Repeat("x", maxCommandLine-4), "500 5.5.6", true},
		{"endless", "", strings.Repeat("x", 1<<20), "500 5.5.6", true},
		{"longest AUTH", "", "AUTH FOO " + strings.Repeat("QUJD", (maxAuthLine-9)/4), "504", false},
		{"too long AUTH", "", "AUTH FOO " + strings.Repeat("QUJD", maxAuthLine/4), "500 5.5.6", true},
		{"longest answer", "AUTH PLAIN", strings.Repeat("QUJD", maxAuthLine/4), "501 5.5.2", false},
		{"too long answer", "AUTH PLAIN", strings.Repeat("QUJD", maxAuthLine/4+1), "500 5.5.6", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := pipeApp(t, start(t, Options{}))
			a.cmd("EHLO x", "250-")
			if tc.head != "" {
				a.cmd(tc.head, "334")
			}
			a.feed(tc.line+"\r\n", 1<<20)
			a.expect(tc.reply)
			if tc.ends {
				a.expect("")
			}
		})
	}
}

// TestSize: a message over the limit is refused at MAIL where its size is
// known, and after its content otherwise; the next one goes through.
func TestSize(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	a := dial(t, start(t, Options{Handler: r, Limits: Limits{Message: 1000}}), 0)
	a.cmd("EHLO x", "250-")
	for _, size := range []string{"1001", "5000000000", "99999999999999999999999"} {
		a.cmd("MAIL FROM:<a@b.example> SIZE="+size, "552 5.3.4")
	}
	a.cmd("MAIL FROM:<a@b.example> SIZE=x", "501")
	a.cmd("MAIL FROM:<a@b.example> SIZE=-1", "501")
	open := func() {
		t.Helper()
		a.cmd("MAIL FROM:<a@b.example> SIZE=1000", "250")
		a.cmd("RCPT TO:<c@d.example>", "250")
	}
	full := strings.Repeat("x", 998) + "\r\n"
	open()
	a.cmd("DATA", "354")
	a.cmd(full+".", "250")
	open()
	a.cmd("DATA", "354")
	a.cmd(strings.Repeat("x\r\nQUIT\r\n", 200)+".", "552 5.3.4")
	open()
	a.say("BDAT 1000 LAST\r\n" + full)
	a.expect("250")
	open()
	a.say("BDAT 999\r\n" + full[:999])
	a.expect("250")
	a.say("BDAT 2000\r\n" + strings.Repeat("QUIT\r\n", 500)[:2000])
	a.expect("552 5.3.4")
	a.say("BDAT 6 LAST\r\nQUIT\r\n")
	a.expect("502")
	a.cmd("NOOP", "250")
	if got := r.complete(); len(got) != 2 {
		t.Errorf("%d messages", len(got))
	}
	for _, m := range r.all() {
		if m.err != nil && !errors.Is(m.err, ErrTooLarge) && m.body != unread {
			t.Errorf("error %v", m.err)
		}
	}
}

// TestRecipients: the limit counts accepted ones; refused ones have a limit too.
func TestRecipients(t *testing.T) {
	t.Parallel()
	r := &recorder{rcpt: func(_ context.Context, rc upstream.Recipient) error {
		if strings.HasPrefix(rc.Address, "no") {
			return &upstream.Error{Phase: upstream.PhaseRcpt, Reply: upstream.Reply{Code: 503, Lines: []string{"no"}}}
		}
		return nil
	}}
	a := dial(t, start(t, Options{Handler: r, Limits: Limits{Recipients: 30, BadCommands: 2}}), 0)
	a.cmd("EHLO x", "250-")
	a.cmd("MAIL FROM:<a@b.example>", "250")
	for range 29 {
		a.cmd("RCPT TO:<yes@d.example>", "250")
	}
	for range 10 {
		a.cmd("RCPT TO:<no@d.example>", "503 5.0.0 no") // a verdict is no bad command
	}
	a.cmd("RCPT TO:<yes@d.example>", "250")
	a.cmd("RCPT TO:<yes@d.example>", "452 4.5.3")
	a.cmd("RSET", "250")
	a.cmd("MAIL FROM:<a@b.example>", "250")
	for range 60 {
		a.cmd("RCPT TO:<no@d.example>", "503 5.0.0 no")
	}
	a.cmd("RCPT TO:<yes@d.example>", "452 4.5.3")
}

// TestBadCommands: an app that talks nonsense, or says nothing for long, is
// sent away; a message starts the count again.
func TestBadCommands(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Limits: Limits{BadCommands: 3}})
	a := dial(t, s, 0)
	a.cmd("EHLO x", "250-")
	for range 2 {
		for range 3 {
			a.cmd("NONSENSE", "500 5.5.2")
		}
		a.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 0 LAST\r\n")
		a.expect("250")
		a.expect("250")
		a.expect("250")
	}
	a.cmd("DATA", "502")
	a.cmd("STARTTLS", "502")
	a.cmd("EXPN x", "502")
	a.cmd("AUTH", "502")
	a.expect("421 4.7.0")
	a.expect("")

	b := dial(t, s, 0)
	for i := range maxIdleCommands {
		b.cmd([]string{"NOOP", "RSET", "EHLO x", "VRFY x", "HELP"}[i%5], "2")
	}
	b.cmd("NOOP", "250")
	b.expect("421 4.7.0")
}

// TestLarge: a large message passes, through one small buffer.
func TestLarge(t *testing.T) {
	t.Parallel()
	var total int64
	r := &recorder{data: func(_ context.Context, body io.Reader) (upstream.Reply, error) {
		n, err := io.Copy(io.Discard, body)
		total = n
		return upstream.Reply{Code: 250}, err
	}}
	a := dial(t, start(t, Options{Handler: r}), 0)
	a.cmd("EHLO x", "250-")
	a.cmd("MAIL FROM:<a@b.example>", "250")
	a.cmd("RCPT TO:<c@d.example>", "250")
	a.cmd("DATA", "354")
	piece := bytes.Repeat([]byte(strings.Repeat("x", 76)+"\r\n"), 1000)
	for range 256 {
		a.Write(piece)
	}
	a.cmd(".", "250")
	if total != 256*int64(len(piece)) {
		t.Errorf("%d octets", total)
	}
}
