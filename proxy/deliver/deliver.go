package deliver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"melon/proxy/config"
	"melon/proxy/outbox"
	"melon/proxy/route"
	"melon/proxy/smtpin"
	"melon/upstream"
	"melon/upstream/network"
)

// Relay carries messages to providers.
type Relay interface {
	// Begin starts a transaction in the background and returns at once;
	// accounts[0] carries it, the rest are its fallbacks.
	Begin(ctx context.Context, accounts []upstream.Account, env upstream.Envelope) Upstream
}

// Upstream is one transaction with a provider. No method but Await and Result
// waits.
type Upstream interface {
	Rcpt(rc upstream.Recipient) Verdict
	Data(b upstream.Body)
	Cancel()
	// Await waits for the outcome until ctx, which has a deadline, ends, and reports
	// whether there is one. The caller's goroutine may do the work meanwhile; what
	// is left goes on in the background.
	Await(ctx context.Context) bool
	Result() upstream.Result
}

// Verdict is one recipient's outcome at RCPT.
type Verdict interface {
	Done() <-chan struct{}
	Result() upstream.RecipientResult
}

// Outbox keeps what got no verdict.
type Outbox interface {
	NewSpool() *outbox.Spool
	// Keep returns when the message is durable.
	Keep(ctx context.Context, sp *outbox.Spool, e outbox.Entry, o outbox.KeepOptions) (id string, err error)
	Settle(id string, res upstream.Result) error
	// Record adds a message that was never kept to the history.
	Record(r outbox.Record) error
	// Delivered tells that an account's live mail went out: what waits may too.
	Delivered(account string)
	// Join finds the entry of the same bytes and envelope whose outcome is
	// unknown; Snapshot counts those there are.
	Join(fingerprint string) (id string, ok bool)
	Snapshot() outbox.Snapshot
}

// Settings are the parts of the configuration in force when a message arrives.
type Settings struct {
	Config  *config.Config
	Router  *route.Router
	Network network.State
	Paused  bool
}

// Options is what a Deliverer is made of. Relay, Outbox and Settings are needed.
type Options struct {
	Relay    Relay
	Outbox   Outbox
	Settings func() Settings
	// Patience is how long an app waits for verdicts in all for one message;
	// 9 s when zero.
	Patience time.Duration
	// PassPatience is the same with `delivery: pass`, where nothing can be kept;
	// 10 minutes when zero (RFC 5321 section 4.5.3.2.6).
	PassPatience time.Duration
	Now          func() time.Time // time.Now when nil
	// Observe is told of each outcome, from the connection's goroutine; may be
	// nil.
	Observe func(Event)
	Log     *slog.Logger
}

// Event is one outcome that the app was told.
type Event struct {
	Outcome string // "sent", "kept" or "refused"
	ID      string // of the outbox entry, when kept
	Account string
	From    string
	To      []string
	Size    int64
	Reply   upstream.Reply  // the provider's, when sent
	Err     *upstream.Error // when kept or refused
}

// Deliverer is the smtpin.Handler of the daemon. Close ends it.
type Deliverer struct {
	o      Options
	ctx    context.Context // outlives the apps' connections: the provider's work goes on
	cancel context.CancelFunc
	wg     sync.WaitGroup // goroutines that settle entries
}

var _ smtpin.Handler = (*Deliverer)(nil)

// New returns a Deliverer.
func New(o Options) *Deliverer {
	if o.Patience == 0 {
		o.Patience = 9 * time.Second
	}
	if o.PassPatience == 0 {
		o.PassPatience = 10 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Deliverer{o: o}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// Close ends what still goes on in the background for apps that were answered,
// after at most the time that ctx leaves it, and waits for it. Their messages
// are in the outbox.
func (d *Deliverer) Close(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		d.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	d.cancel()
	<-done
}

// Begin opens a transaction at MAIL.
func (d *Deliverer) Begin(ctx context.Context, c smtpin.Client, env upstream.Envelope) (smtpin.Transaction, error) {
	s := d.o.Settings()
	t := &transaction{
		d: d, client: c, env: env,
		cfg: s.Config, router: s.Router, network: s.Network,
		mode:     s.Config.Delivery,
		patience: d.o.Patience,
	}
	t.env.Recipients = nil
	if t.mode == config.DeliveryPass {
		t.patience = d.o.PassPatience
	}
	if s.Paused || len(s.Config.Accounts) == 0 {
		t.mode = config.DeliveryQueue
	}
	a := t.choose("", nil, false)
	if a.Err != nil && a.Certain() {
		t.observeRefusal(a.Err)
		return nil, a.Err
	}
	if a.Certain() && a.Account != "" && t.mode != config.DeliveryQueue {
		t.begin(a.Account)
	}
	return t, nil
}
