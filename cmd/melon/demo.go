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
		Use: "demo",
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
	show := &stage{w: c.stdout, client: "app", opened: c.say("demo.opened")}
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

	show.tell(c.say("demo.without"))
	if err := demoRefusal(provider); err != nil {
		return c.fail(err, "demo.unrefused", err)
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
	show.tell(c.say("demo.with"))
	if err := demoSend(relay.smtp.Addresses()[0].Addr, show.app); err != nil {
		return c.fail(err, "demo.unsent", err)
	}
	got, err := provider.Wait(ctx, 1)
	if err != nil {
		return c.fail(err, "demo.lost", err)
	}
	added, rest, _ := bytes.Cut(got[0].Data, []byte("\r\n"))
	if !bytes.Equal(rest, []byte(demoMessage)) {
		return c.fail(nil, "demo.changed")
	}
	env := got[0].Envelope
	show.tell(c.say("demo.arrived", env.From, env.Recipients[0].Address, got[0].Size))
	show.tell(fmt.Sprintf("   %s\n", added))
	show.tell(c.say("demo.logins", provider.Stats().POPLogins))
	show.tell(c.say("demo.next"))
	return nil
}

// demoRefusal sends straight to the provider, as an app without Melon would. The
// error is what came instead of the refusal.
func demoRefusal(p *lab.Provider) error {
	err := demoSend(p.SMTPAddr(), nil)
	if refusal, ok := errors.AsType[*textproto.Error](err); ok && refusal.Code/100 == 5 {
		return nil
	}
	return fmt.Errorf("%v", err) // also when there was none
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
	opened string // points out that the relay is open
	login  bool   // a POP password was sent, its answer is yet to come
}

func (s *stage) clientIs(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = name
}

func (s *stage) tell(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprint(s.w, text)
}

// app shows a line between the app and Melon.
func (s *stage) app(l trace.Line) {
	arrow := "←"
	if l.Client {
		arrow = "→"
	}
	s.tell(fmt.Sprintf("   app   %s melon      %s\n", arrow, l.Text))
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
		fmt.Fprintln(s.w, "         "+s.opened)
	}
	s.login = l.Client && strings.HasPrefix(l.Text, "PASS")
}
