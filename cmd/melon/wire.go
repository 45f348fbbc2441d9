package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
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
	"melon/upstream/trace"
)

// daemon is every part of a running relay, in the order in which they start.
// Each may use those above it, none those below.
type daemon struct {
	paths   config.Paths
	lang    string
	log     *slog.Logger
	journal *control.Journal
	config  *config.Holder
	router  atomic.Pointer[route.Router] // of config
	secrets *auth.Secrets
	tokens  *auth.OAuth
	ready   []net.Listener // by the system; smtp owns them
	watcher *network.Watcher
	relay   *relay.Relay
	outbox  *outbox.Outbox
	deliver *deliver.Deliverer
	drops   *sendmail.Collector // of what sendmail left
	smtp    *smtpin.Server
	control *control.Server
	web     webPage
	memory  memory

	editing  sync.Mutex     // one change of the configuration file at a time
	events   sync.WaitGroup // follows watcher's events
	mu       sync.Mutex
	problems []string // about the configuration; guarded by mu
}

// daemonOptions is what a daemon is made of besides its configuration.
type daemonOptions struct {
	Paths config.Paths
	Lang  string // "en" or "ja"
	Log   *slog.Logger
	// Dialer makes the connections to providers; the demo's trusts its lab.
	Dialer *dial.Dialer
	// Secrets; nil: the system's.
	Secrets *auth.Secrets
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
		paths: o.Paths, lang: o.Lang, log: o.Log, secrets: o.Secrets, ready: o.Ready,
		journal: control.NewJournal(time.Now), config: config.NewHolder(cfg),
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
	if d.secrets == nil {
		d.secrets = &auth.Secrets{}
	}
	d.tokens = setup.NewOAuth(d.secrets, o.Paths.State, func(name string) (upstream.Account, bool) { return d.config.Config().Account(name) })
	if d.watcher, err = network.New(network.Options{}); err != nil {
		return nil, fmt.Errorf("watching the network: %w", err)
	}
	d.prepareWeb(cfg)
	if err := d.startUpstream(o); err != nil {
		return nil, err
	}
	if err := d.startProxy(cfg); err != nil {
		return nil, err
	}
	l, err := control.Listen(o.Paths.Socket)
	switch {
	case control.Unsupported(err): // mail does not depend on it
		d.log.Warn("this system has no unix sockets: no command and no icon can speak to this relay")
	case err != nil:
		return nil, fmt.Errorf("the control socket: %w", err)
	default:
		d.control = control.Serve(l, control.Options{Daemon: d, Outbox: d.outboxAPI(), Journal: d.journal, Opener: d, Stop: o.Stop, Collect: d.drops.Collect, Log: d.log})
	}
	// What sendmail left is collected when the control API listens: who leaves a
	// message looks for it afterwards, so that one of the two sees the message. What
	// goes wrong is a problem that status shows.
	d.events.Go(func() { _ = d.drops.Collect(context.Background()) })
	d.events.Go(d.followNetwork)
	d.startWeb(cfg, o.Autostart)
	d.smtp.Start()
	d.memory.touch() // what reading the outbox took
	return d, nil
}

// startUpstream builds the provider's side.
func (d *daemon) startUpstream(o daemonOptions) (err error) {
	dialer := o.Dialer
	if dialer == nil {
		dialer = &dial.Dialer{}
	}
	dialer.Offline = func() bool { return !d.watcher.State().Online }
	logged := d.log.Enabled(context.Background(), levelTrace)
	if logged || d.web.traces != nil {
		dialer.Trace = func(t dial.Target, l trace.Line) {
			if logged {
				d.log.Log(context.Background(), levelTrace, l.String(), "account", t.Account, "server", t.Server.Addr())
			}
			d.traceUpstream(t, l)
		}
	}
	d.web.dialer = dialer
	d.relay, err = relay.New(relay.Options{
		Dialer: dialer, Secrets: d.secrets, Tokens: d.tokens,
		Network:  d.watcher.State,
		StateDir: o.Paths.State, Log: d.log,
	})
	return err
}

// startProxy builds the app's side.
func (d *daemon) startProxy(cfg *config.Config) (err error) {
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
	if err != nil {
		return err
	}
	close(opened)
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
	logged := d.log.Enabled(context.Background(), levelTrace)
	if logged || d.web.traces != nil {
		o.Trace = func(conn string, l trace.Line) {
			if logged {
				d.log.Log(context.Background(), levelTrace, l.String(), "app", conn)
			}
			d.traceApp(conn, l)
		}
	}
	return o
}

// stop ends every part in reverse order: no new connections, then what is in
// flight is finished or spooled until ctx ends.
func (d *daemon) stop(ctx context.Context) {
	defer d.memory.stop()
	if d.smtp != nil {
		if err := d.smtp.Shutdown(ctx); err != nil {
			d.log.Warn("connections were cut at the end", "error", err)
		}
	}
	if d.deliver != nil {
		d.deliver.Close(ctx)
	}
	d.closeWeb(ctx)
	if d.control != nil {
		if err := d.control.Close(ctx); err != nil {
			d.log.Warn("control connections were cut at the end", "error", err)
		}
	}
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
	d.events.Wait()
}

// Reload puts the configuration file in force again. It keeps the old one when
// the new one is bad.
func (d *daemon) Reload() error {
	old := d.config.Config()
	err := d.config.Reload(d.paths.Config)
	if errors.Is(err, fs.ErrNotExist) && !d.paths.ConfigGiven {
		err = nil // still no file: still an empty configuration
	}
	if err != nil {
		d.setProblems("the configuration was not taken, the old one is in force: " + err.Error())
		d.log.Error("the configuration was not taken; the old one is in force", "error", err)
		return err
	}
	d.setProblems()
	cfg := d.config.Config()
	d.router.Store(route.New(cfg))
	d.outbox.Configure(outboxSettings(cfg, d.lang))
	for _, a := range cfg.Accounts {
		if before, ok := old.Account(a.Name); !ok || !sameAccount(before, a) {
			d.clear(a.Name)
		}
	}
	d.clear("") // mail that no account carried
	if err := d.smtp.Reload(d.smtpOptions(cfg)); err != nil {
		d.setProblems("the listeners stay as they were: " + err.Error())
		d.log.Error("the listeners stay as they were", "error", err)
		return err
	}
	if old.Control != cfg.Control {
		d.setProblems("control.web takes effect at the next start")
	}
	d.log.Info("the configuration was read", "file", d.paths.Config, "accounts", len(cfg.Accounts))
	d.journal.Add(api.Event{Kind: "relay", Text: "configuration read"})
	return nil
}

// clear ends an account's attention everywhere.
func (d *daemon) clear(account string) {
	if account != "" {
		d.tokens.Forget(account)
		d.relay.Clear(account)
	}
	if err := d.outbox.AccountCleared(account); err != nil {
		d.log.Error("messages could not be made due", "account", account, "error", err)
	}
}

func (d *daemon) setProblems(p ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.problems = p
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

// sender makes the outbox's attempts, under the settings of the moment.
type sender struct{ d *daemon }

func (s sender) Send(ctx context.Context, e outbox.Entry, body upstream.Body) upstream.Result {
	cfg := s.d.config.Config()
	accounts := cfg.WithFallback(e.Account)
	if accounts == nil { // there was none, or it was renamed or removed
		name, err := s.choose(e, body)
		if err != nil {
			return failed(e, err)
		}
		accounts = cfg.WithFallback(name)
	}
	if accounts == nil {
		return failed(e, &upstream.Error{Account: e.Account, Phase: upstream.PhaseConnect, Class: upstream.ClassTemporaryLocalProblem,
			Sentence: "No account is set up for this message yet."})
	}
	body, done := s.d.web.progress.track(e.ID, body)
	defer done()
	return s.d.relay.Send(ctx, accounts, e.Envelope, body)
}

// choose asks the present settings which account carries an entry that has none.
func (s sender) choose(e outbox.Entry, body upstream.Body) (string, *upstream.Error) {
	header, err := readHeader(body)
	if err != nil {
		return "", upstream.AsError(err, upstream.PhaseConnect)
	}
	q := route.Question{From: e.Envelope.From, HeaderFrom: route.HeaderFrom(header), HeaderKnown: true, Network: s.d.watcher.State()}
	if len(e.Envelope.Recipients) > 0 {
		q.Recipient = e.Envelope.Recipients[0].Address
	}
	a := s.d.router.Load().Choose(q)
	if a.Err != nil {
		// Not the provider's word, and to be mended by adding an account: the
		// message waits.
		a.Err.Reply = upstream.Reply{}
		a.Err.Class = upstream.ClassTemporaryLocalProblem
		return "", a.Err
	}
	return a.Account, nil
}

// readHeader returns the first octets of a message.
func readHeader(body upstream.Body) ([]byte, error) {
	r, err := body.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readUpTo(r, 256<<10)
}

// failed is the outcome of an attempt that was not made.
func failed(e outbox.Entry, err *upstream.Error) upstream.Result {
	res := upstream.Result{Err: err, Account: e.Account}
	for _, rc := range e.Envelope.Recipients {
		res.Recipients = append(res.Recipients, upstream.RecipientResult{Recipient: rc, Err: err})
	}
	return res
}

func sameAccount(a, b upstream.Account) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }
