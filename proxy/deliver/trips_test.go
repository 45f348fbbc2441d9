package deliver_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"melon/proxy/config"
	"melon/proxy/deliver"
	"melon/proxy/outbox"
	"melon/proxy/route"
	"melon/proxy/smtpin"
	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/lab"
	"melon/upstream/relay"
)

const rtt = 100 * time.Millisecond

// line is a whole relay, listener to provider, on a virtual clock: the app is on
// this machine, the provider a round trip of rtt away.
type line struct {
	t    *testing.T
	p    *lab.Provider
	near *lab.Net // between the app and Melon
	app  *bufio.ReadWriter
	conn net.Conn
}

// upstreams gives deliver the relay in its words.
type upstreams struct{ *relay.Relay }

func (u upstreams) Begin(ctx context.Context, as []upstream.Account, env upstream.Envelope) deliver.Upstream {
	return asked{u.Relay.Begin(ctx, as, env, relay.BeginOptions{Live: true})}
}

type asked struct{ *relay.Transaction }

func (a asked) Rcpt(rc upstream.Recipient) deliver.Verdict { return a.Transaction.Rcpt(rc) }

// nobody carries what waits.
type nobody struct{}

func (nobody) Send(ctx context.Context, _ outbox.Entry, _ upstream.Body) upstream.Result {
	<-ctx.Done()
	return upstream.Result{Err: upstream.AsError(ctx.Err(), upstream.PhaseConnect)}
}

// along runs f in a bubble with a line to a provider made from o.
func along(t *testing.T, o lab.Options, implicit bool, f func(l *line)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		far := lab.NewNet(rtt)
		o.Net, o.Hosts = far, []string{"127.0.0.1"}
		p, err := lab.Start(o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(p.CAPEM())
		r, err := relay.New(relay.Options{Dialer: &dial.Dialer{RootCAs: pool, DialContext: far.DialContext}, Secrets: p})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		account := p.Account("home")
		if implicit {
			account.SMTP = p.Server("smtps")
		}
		box, err := outbox.Open(t.TempDir(), outbox.Options{Sender: nobody{}})
		if err != nil {
			t.Fatal(err)
		}
		defer box.Close()
		cfg := &config.Config{Accounts: []upstream.Account{account}, Default: account.Name, Delivery: config.DeliveryLive}
		router := route.New(cfg)
		d := deliver.New(deliver.Options{
			Relay: upstreams{r}, Outbox: box,
			Settings: func() deliver.Settings { return deliver.Settings{Config: cfg, Router: router} },
		})
		defer d.Close(t.Context())
		l := &line{t: t, p: p, near: lab.NewNet(0)}
		defer l.listen(d)()
		f(l)
		l.conn.Close()
	})
}

// listen puts a listener in front of d and connects the app to it.
func (l *line) listen(d *deliver.Deliverer) (stop func()) {
	ln, err := l.near.Listen("127.0.0.1:2525")
	if err != nil {
		l.t.Fatal(err)
	}
	s, err := smtpin.New(smtpin.Options{
		Handler: d, Allow: smtpin.AllowAnyLocal, Listen: smtpin.Listen{SMTP: []string{}, Ready: []net.Listener{ln}},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	s.Start()
	if l.conn, err = l.near.DialContext(l.t.Context(), "tcp", "", "127.0.0.1:2525"); err != nil {
		l.t.Fatal(err)
	}
	l.app = bufio.NewReadWriter(bufio.NewReader(l.conn), bufio.NewWriter(l.conn))
	l.hear(1)
	l.say("EHLO laptop.example")
	return func() {
		if err := s.Shutdown(l.t.Context()); err != nil {
			l.t.Error(err)
		}
	}
}

// say sends lines at once and hears a reply to each.
func (l *line) say(lines ...string) string {
	l.t.Helper()
	l.app.WriteString(strings.Join(lines, "\r\n") + "\r\n")
	if err := l.app.Flush(); err != nil {
		l.t.Fatal(err)
	}
	return l.hear(len(lines))
}

// hear reads n replies and returns the last; each must be a good one.
func (l *line) hear(n int) (reply string) {
	l.t.Helper()
	for n > 0 {
		text, err := l.app.ReadString('\n')
		if err != nil || text[0] > '3' {
			l.t.Fatalf("the app hears %q, %v", text, err)
		}
		if text[3] == ' ' {
			n, reply = n-1, text
		}
	}
	return reply
}

// send hands in a message, with each command by itself or all of the envelope at
// once, and returns how many round trips that took.
func (l *line) send(pipelined bool, to ...string) int {
	l.t.Helper()
	start := time.Now()
	envelope := []string{"MAIL FROM:<taro@provider-a.example>"}
	for _, a := range to {
		envelope = append(envelope, "RCPT TO:<"+a+">")
	}
	envelope = append(envelope, "DATA")
	if pipelined {
		l.say(envelope...)
	} else {
		for _, c := range envelope {
			l.say(c)
		}
	}
	reply := l.say("From: taro@provider-a.example\r\n\r\nhello\r\n.")
	if !strings.HasPrefix(reply, "250 ") || strings.Contains(reply, "kept") {
		l.t.Fatalf("the app hears %q", reply)
	}
	took := time.Since(start)
	if took%rtt != 0 {
		l.t.Errorf("it took %v, which is no number of round trips", took)
	}
	return int(took / rtt)
}

func ten() (to []string) {
	for i := range 10 {
		to = append(to, fmt.Sprintf("r%d@elsewhere.example", i))
	}
	return to
}

// Round trips to the provider from the app's MAIL to its 250, exactly: of the
// first message, of one on a warm connection, and of ten recipients on one, of
// an app that waits for each reply and of one that does not.
func TestRoundTripsFromDoorToDoor(t *testing.T) {
	t.Parallel()
	pop := lab.Options{SMTP: lab.SMTP{Without: []string{"STARTTLS", "AUTH"}}, POP: lab.POP{Without: []string{"STLS"}}}
	pop.Rules.PBS.Window = 10 * time.Minute
	for _, c := range []struct {
		name                           string
		o                              lab.Options
		implicit                       bool
		first, warm, waiting, together int
	}{
		{"TLS and AUTH", lab.Options{}, true, 6, 1, 10, 2},
		{"STARTTLS and AUTH", lab.Options{}, false, 8, 1, 10, 2},
		{"plain POP before SMTP", pop, false, 5, 1, 10, 2},
	} {
		for _, chunking := range []bool{true, false} {
			c := c
			name := c.name + ", CHUNKING"
			if !chunking {
				name = c.name + ", DATA"
				c.o.SMTP.Without = append(slices.Clone(c.o.SMTP.Without), "CHUNKING")
				c.first, c.warm, c.waiting, c.together = c.first+1, c.warm+1, c.waiting+1, c.together+1
			}
			t.Run(name, func(t *testing.T) {
				along(t, c.o, c.implicit, func(l *line) {
					for _, step := range []struct {
						what      string
						pipelined bool
						to        []string
						want      int
					}{
						{"first", false, ten()[:1], c.first},
						{"warm", false, ten()[:1], c.warm},
						{"warm, pipelined", true, ten()[:1], c.warm},
						{"ten, one by one", false, ten(), c.waiting},
						{"ten at once", true, ten(), c.together},
					} {
						if got := l.send(step.pipelined, step.to...); got != step.want {
							t.Errorf("%s: %d round trips, want %d", step.what, got, step.want)
						}
					}
					if n := len(l.p.Messages()); n != 5 {
						t.Errorf("%d messages arrived", n)
					}
				})
			})
		}
	}
}

// Each of ten recipients that leave together hears its own verdict, and the
// message goes to the others.
func TestVerdictsOfRecipientsTogether(t *testing.T) {
	o := lab.Options{}
	o.Rules.Auth, o.Rules.Unknown = true, []string{"r3@elsewhere.example", "r9@elsewhere.example"}
	along(t, o, true, func(l *line) {
		l.say("MAIL FROM:<taro@provider-a.example>")
		for _, a := range ten() {
			l.app.WriteString("RCPT TO:<" + a + ">\r\n")
		}
		l.app.Flush()
		for i := range 10 {
			text, err := l.app.ReadString('\n')
			refused := i == 3 || i == 9
			if err != nil || strings.HasPrefix(text, "550 5.1.1") != refused || strings.HasPrefix(text, "250") == refused {
				t.Errorf("recipient %d: %q, %v", i, text, err)
			}
		}
		l.say("DATA")
		l.say("Subject: x\r\n\r\nhello\r\n.")
		m := l.p.Messages()
		if len(m) != 1 || len(m[0].Envelope.Recipients) != 8 {
			t.Errorf("%d messages: %+v", len(m), m)
		}
	})
}
