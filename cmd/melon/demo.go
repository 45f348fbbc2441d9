package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/config"
	"melon/upstream/lab"
	"melon/upstream/trace"
)

// demoTimeout bounds the whole demo.
const demoTimeout = 30 * time.Second

// demoMessage is what the demo's app sends.
const demoMessage = "From: Taro <taro@provider-a.example>\r\n" +
	"To: Hanako <hanako@elsewhere.example>\r\n" +
	"Subject: Hello from the hotel\r\n" +
	"Date: Mon, 2 Jan 2006 15:04:05 +0900\r\n" +
	"Message-ID: <demo@provider-a.example>\r\n" +
	"\r\n" +
	"The room is fine, and now mail goes out as well.\r\n"

func (c *cli) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "see Melon work, with nothing set up: a provider in a box and a relay in front of it",
		Long: `Runs a provider in a box on loopback (POP3 and SMTP; it relays only after a POP
login) and a relay in front of it, sends one message, shows every line of the
conversations, then says what to do next. Leaves nothing behind. Exit 0 only if
the message arrived.`,
		Args: cobra.NoArgs,
		RunE: c.do(func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), demoTimeout)
			defer cancel()
			return c.demo(ctx)
		}),
	}
}

func (c *cli) demo(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "melon-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	show := &stage{w: c.stdout, client: "app"}
	provider, err := lab.Start(lab.Options{
		Dir:        dir,
		Hosts:      []string{"127.0.0.1"},
		Rules:      lab.Rules{PBS: lab.PBS{Window: 10 * time.Minute}},
		SMTP:       lab.SMTP{Without: []string{"STARTTLS", "AUTH"}},
		POP:        lab.POP{Without: []string{"STLS"}},
		Transcript: show.provider,
	})
	if err != nil {
		return err
	}
	defer provider.Close()

	show.say("1. Without Melon: from the hotel's network the provider refuses to relay.")
	if err := demoRefusal(provider); err != nil {
		return err
	}
	if err := provider.WaitIdle(ctx); err != nil {
		return err
	}
	show.clientIs("melon")
	relay, err := demoRelay(provider, dir)
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), graceful)
		defer cancel()
		relay.stop(end)
	}()
	show.say("2. With Melon: the app sends to this computer. Melon logs in by POP first, the\n   provider opens its relay for this address, and the message goes through.")
	if err := demoSend(relay.smtp.Addresses()[0].Addr, show.app); err != nil {
		return fmt.Errorf("the demo's message did not go out: %w", err)
	}
	got, err := provider.Wait(ctx, 1)
	if err != nil {
		return fmt.Errorf("the demo's message did not arrive: %w", err)
	}
	added, rest, _ := bytes.Cut(got[0].Data, []byte("\r\n"))
	if !bytes.Equal(rest, []byte(demoMessage)) {
		return errors.New("the demo's message arrived changed")
	}
	show.say("3. Arrived: <%s> → <%s>, %d octets, unchanged but for one line on top:",
		got[0].Envelope.From, got[0].Envelope.Recipients[0].Address, got[0].Size)
	show.line("   %s", added)
	stats := provider.Stats()
	show.line("   POP logins: %d. A second message within ten minutes would need none.", stats.POPLogins)
	show.say("Now with your own account:")
	show.line(`   melon account add you@your-provider.example    find the servers, ask for the password, test
   melon run                                       start the relay
   then tell your mail app to send to localhost, port 2525, without encryption.
   melon doctor says why mail cannot go; melon help lists everything.`)
	return nil
}

// demoRefusal sends straight to the provider, as an app without Melon would.
func demoRefusal(p *lab.Provider) error {
	err := demoSend(p.SMTPAddr(), nil)
	var refusal *textproto.Error
	if !errors.As(err, &refusal) || refusal.Code/100 != 5 {
		return fmt.Errorf("the provider in a box should have refused, but: %v", err)
	}
	return nil
}

// demoRelay starts a relay with one account, that of the provider in a box.
func demoRelay(p *lab.Provider, dir string) (*daemon, error) {
	cfg := config.Defaults()
	cfg.Listen.SMTP, cfg.Listen.SMTPDefault = []string{"127.0.0.1:0"}, false
	cfg.Control.Web = ""
	account := p.Account("home")
	cfg.Accounts, cfg.Default = append(cfg.Accounts, account), "home"
	state := filepath.Join(dir, "state")
	return startDaemon(cfg, daemonOptions{
		Paths: config.Paths{Config: filepath.Join(dir, "config.yaml"), State: state, Socket: filepath.Join(state, "control.sock")},
		Lang:  "en",
		Log:   slog.New(slog.DiscardHandler),
	})
}

// demoSend sends the demo's message to addr; sink receives the conversation.
func demoSend(addr string, sink func(trace.Line)) error {
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(demoTimeout)); err != nil {
		return err
	}
	app, err := smtp.NewClient(trace.Conn(raw, trace.SMTP, trace.ClientSide, sink), "localhost")
	if err != nil {
		return err
	}
	if err := app.Hello("laptop"); err != nil {
		return err
	}
	if err := app.Mail("taro@provider-a.example"); err != nil {
		return err
	}
	if err := app.Rcpt("hanako@elsewhere.example"); err != nil {
		return err
	}
	w, err := app.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, demoMessage); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return app.Quit()
}

// stage prints the conversations as they happen, one line after the other.
type stage struct {
	mu     sync.Mutex
	w      io.Writer
	client string // who talks to the provider
	login  bool   // a POP password was sent, its answer is yet to come
}

func (s *stage) clientIs(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = name
}

func (s *stage) say(format string, a ...any) { s.line("\n"+format, a...) }

func (s *stage) line(format string, a ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, format+"\n", a...)
}

// app shows a line between the app and Melon.
func (s *stage) app(l trace.Line) {
	arrow := "←"
	if l.Client {
		arrow = "→"
	}
	s.line("   app   %s melon      %s", arrow, l.Text)
}

// provider shows a line between the client (Melon, or the app itself) and the
// provider, and points out the moment that everything is about.
func (s *stage) provider(l lab.Line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arrow := "←"
	if l.Client {
		arrow = "→"
	}
	fmt.Fprintf(s.w, "         %5s %s %-4s  %s\n", s.client, arrow, strings.ToUpper(string(l.Proto)), l.Text)
	if l.Proto != lab.POPProto {
		return
	}
	if !l.Client && s.login && strings.HasPrefix(l.Text, "+OK") {
		fmt.Fprintln(s.w, "         ───── the provider now relays for this address, for ten minutes")
	}
	s.login = l.Client && strings.HasPrefix(l.Text, "PASS")
}
