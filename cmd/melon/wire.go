package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"melon/proxy/config"
	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/proxy/control/web"
	"melon/proxy/deliver"
	"melon/proxy/outbox"
	"melon/proxy/route"
	"melon/proxy/sendmail"
	"melon/proxy/setup"
	"melon/proxy/smtpin"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/dial"
	"melon/upstream/network"
	"melon/upstream/relay"
	"melon/upstream/reply"
)

// daemon is a running relay, in the order in which its parts start. Each may use
// those above it, none those below.
type daemon struct {
	paths   config.Paths
	lang    string
	log     *slog.Logger
	journal *control.Journal // what happened, for whoever follows
	memory  memory

	settings  // the configuration in force
	sending   // the provider's side
	listening // the apps' side
	showing   // what the command line, the tray and the browser see

	events sync.WaitGroup // follows watcher's events, and collects what sendmail left
}

// sending is how messages get to a provider, and where they wait.
type sending struct {
	secrets *auth.Secrets
	tokens  *auth.OAuth
	watcher *network.Watcher
	dialer  *dial.Dialer // tests of accounts use it too
	relay   *relay.Relay
	outbox  *outbox.Outbox
}

// listening is how messages come in.
type listening struct {
	ready   []net.Listener // by the system; smtp owns them
	deliver *deliver.Deliverer
	drops   *sendmail.Collector // of what sendmail left
	smtp    *smtpin.Server
}

// showing is how people look at the relay. Mail does not depend on it.
type showing struct {
	control *control.Server // nil where there are no unix sockets
	web     webPage
}

// daemonOptions is what a daemon is made of besides its configuration.
type daemonOptions struct {
	Paths config.Paths
	Lang  string // "en" or "ja"
	Log   *slog.Logger
	// Ready are listeners that the system opened for Melon (see activation.go).
	Ready []net.Listener
	// Stop ends the program when a client asks for it; nil: none may.
	Stop func()
	// Autostart is the switch on the web page; nil: none is shown.
	Autostart web.Autostart
}

// startDaemon builds and starts every part. Stop ends it. After an error
// nothing is left running.
func startDaemon(cfg *config.Config, o daemonOptions) (_ *daemon, err error) {
	d := &daemon{
		paths: o.Paths, lang: o.Lang, log: o.Log, journal: control.NewJournal(time.Now), settings: settings{config: config.NewHolder(cfg)},
		listening: listening{ready: o.Ready},
	}
	d.router.Store(route.New(cfg))
	defer func() {
		if err != nil {
			stopped, cancel := context.WithCancel(context.Background())
			cancel()
			d.stop(stopped)
		}
	}()
	if err := os.MkdirAll(o.Paths.State, 0o700); err != nil {
		return nil, fmt.Errorf("the state directory: %w", err)
	}
	d.prepareWeb(cfg)
	if err := d.startSending(cfg); err != nil {
		return nil, err
	}
	if err := d.openListening(cfg); err != nil {
		return nil, err
	}
	if err := d.startShowing(cfg, o); err != nil {
		return nil, err
	}
	// What sendmail left is collected when the control API listens: who leaves a
	// message looks for it afterwards, so that one of the two sees the message. What
	// goes wrong is a problem that status shows.
	d.events.Go(func() { _ = d.drops.Collect(context.Background()) })
	d.events.Go(d.followNetwork)
	d.smtp.Start()
	d.memory.touch() // what reading the outbox took
	return d, nil
}

// startSending builds the provider's side.
func (d *daemon) startSending(cfg *config.Config) (err error) {
	d.secrets = &auth.Secrets{}
	d.tokens = setup.NewOAuth(d.secrets, d.paths.State, func(name string) (upstream.Account, bool) { return d.config.Config().Account(name) })
	if d.watcher, err = network.New(network.Options{}); err != nil {
		return fmt.Errorf("watching the network: %w", err)
	}
	d.dialer = &dial.Dialer{Trace: d.traceDial(), Offline: func() bool { return !d.watcher.State().Online }}
	d.relay, err = relay.New(relay.Options{
		Dialer: d.dialer, Secrets: d.secrets, Tokens: d.tokens,
		Network:  d.watcher.State,
		StateDir: d.paths.State, Log: d.log,
	})
	if err != nil {
		return err
	}
	opened := make(chan struct{}) // d.outbox is set: its events may ask it
	d.outbox, err = outbox.Open(filepath.Join(d.paths.State, "outbox"), outbox.Options{
		Sender:   sender{d},
		Settings: outboxSettings(cfg, d.lang),
		Account:  func(name string) outbox.AccountInfo { return d.accountInfo(name) },
		Owns:     func(account, address string) bool { return d.router.Load().Owns(account, address) },
		Explain:  func(e *upstream.Error, lang string) string { return reply.Line(e, lang) },
		OnEvent: func(e outbox.Event) {
			<-opened
			d.outboxEvent(e)
		},
		Log: d.log,
	})
	if err == nil {
		close(opened)
	}
	return err
}

// openListening builds the apps' side. Its listeners are open and take no
// connection yet.
func (d *daemon) openListening(cfg *config.Config) (err error) {
	d.deliver = deliver.New(deliver.Options{
		Relay: relayAdapter{d.relay, d.begins}, Outbox: d.outbox,
		Settings: func() deliver.Settings {
			return deliver.Settings{
				Config: d.config.Config(), Router: d.router.Load(),
				Network: d.watcher.State(), Paused: d.outbox.Snapshot().Paused,
			}
		},
		Observe: d.messageEvent, Log: d.log,
	})
	d.drops = sendmail.NewCollector(d.paths.State, d.deliver, d.log)
	d.smtp, err = smtpin.New(d.smtpOptions(cfg))
	return err
}

// startShowing opens the control API and the web page.
func (d *daemon) startShowing(cfg *config.Config, o daemonOptions) error {
	l, err := control.Listen(d.paths.Socket)
	switch {
	case control.Unsupported(err):
		d.log.Warn("this system has no unix sockets: no command and no icon can speak to this relay")
	case err != nil:
		return fmt.Errorf("the control socket: %w", err)
	default:
		d.control = control.Serve(l, control.Options{Daemon: d, Outbox: d.outboxAPI(), Journal: d.journal, Opener: d, Stop: o.Stop, Collect: d.drops.Collect, Log: d.log})
	}
	d.startWeb(cfg, o.Autostart)
	return nil
}

// smtpOptions is how the listeners are, by the given configuration.
func (d *daemon) smtpOptions(cfg *config.Config) smtpin.Options {
	o := smtpin.Options{
		Handler: d.deliver,
		Listen: smtpin.Listen{
			SMTP: cfg.Listen.SMTP, SMTPS: cfg.Listen.SMTPS, StartTLS: cfg.Listen.StartTLS,
			CertFile: cfg.Listen.TLS.Cert, KeyFile: cfg.Listen.TLS.Key, StateDir: d.paths.State, Ready: d.ready,
		},
		Login:   smtpin.Login{Mode: smtpin.LoginMode(cfg.Listen.Login), Password: d.localPassword},
		Allow:   smtpin.Allow(cfg.Listen.Allow),
		Limits:  smtpin.Limits{Message: cfg.Listen.MaxMessage},
		Explain: func(e *upstream.Error) string { return reply.Line(e, "en") },
		Log:     d.log,
	}
	if cfg.Listen.SMTPDefault {
		o.Listen.SMTP = nil // an address family that the machine lacks is skipped
	}
	o.Trace = d.traceApp()
	return o
}

// stop ends every part in reverse order: no new connections, then what is in
// flight is finished or spooled until ctx ends.
func (d *daemon) stop(ctx context.Context) {
	d.stopListening(ctx)
	d.stopShowing(ctx)
	d.stopSending()
	d.events.Wait()
	d.memory.stop()
}

func (d *daemon) stopListening(ctx context.Context) {
	if d.smtp != nil {
		if err := d.smtp.Shutdown(ctx); err != nil {
			d.log.Warn("connections were cut at the end", "error", err)
		}
	}
	if d.deliver != nil {
		d.deliver.Close(ctx)
	}
}

func (d *daemon) stopShowing(ctx context.Context) {
	d.closeWeb(ctx)
	if d.control != nil {
		if err := d.control.Close(ctx); err != nil {
			d.log.Warn("control connections were cut at the end", "error", err)
		}
	}
}

func (d *daemon) stopSending() {
	if d.outbox != nil {
		if err := d.outbox.Close(); err != nil {
			d.log.Error("the outbox could not be closed", "error", err)
		}
	}
	if d.relay != nil {
		if err := d.relay.Close(); err != nil {
			d.log.Error("the relay could not be closed", "error", err)
		}
	}
	if d.tokens != nil {
		if err := d.tokens.Close(); err != nil {
			d.log.Error("the sign-ins could not be closed", "error", err)
		}
	}
	if d.watcher != nil {
		if err := d.watcher.Close(); err != nil {
			d.log.Error("the network watcher could not be closed", "error", err)
		}
	}
}

// begins notes that a live message is on its way: who follows the events asks for
// the status then.
func (d *daemon) begins(account string) {
	d.journal.Add(api.Event{Kind: "account", Account: account, Text: "sending"})
}

// localPassword is the password that apps log in with, "" when none is set.
func (d *daemon) localPassword(ctx context.Context) (string, error) {
	ref := d.config.Config().Listen.Password
	if ref.IsZero() {
		return "", nil
	}
	return d.secrets.Get(ctx, ref)
}

// accountInfo is what the outbox needs to know of an account.
func (d *daemon) accountInfo(name string) outbox.AccountInfo {
	a, _ := d.config.Config().Account(name)
	return outbox.AccountInfo{Connections: a.Connections}
}

func outboxSettings(cfg *config.Config, lang string) outbox.Settings {
	return outbox.Settings{Retry: cfg.Outbox.Retry, Expire: cfg.Outbox.Expire, History: cfg.Outbox.History, Language: lang}
}

// relayAdapter gives deliver the relay in the words it asks for.
type relayAdapter struct {
	*relay.Relay
	begins func(account string) // is told of each transaction
}

func (r relayAdapter) Begin(ctx context.Context, accounts []upstream.Account, env upstream.Envelope) deliver.Upstream {
	defer func() { r.begins(accounts[0].Name) }()
	return upstreamAdapter{r.Relay.Begin(ctx, accounts, env, relay.BeginOptions{Live: true})}
}

type upstreamAdapter struct{ *relay.Transaction }

func (u upstreamAdapter) Rcpt(rc upstream.Recipient) deliver.Verdict { return u.Transaction.Rcpt(rc) }
