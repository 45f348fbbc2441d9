package relay

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/network"
)

// Dialer makes connections; *dial.Dialer is one.
type Dialer interface {
	DialFirst(ctx context.Context, targets []dial.Target, stagger time.Duration) (*dial.Conn, error)
}

// Secrets finds a password where its reference says it is; *auth.Secrets is one.
type Secrets interface {
	Get(ctx context.Context, ref upstream.SecretRef) (string, error)
}

// Tokens hands out OAuth 2.0 access tokens; *auth.OAuth is one.
type Tokens interface {
	Token(ctx context.Context, a upstream.Account) (string, error)
	Reject(account, access string)
}

// Options is what a Relay is made of. Dialer and Secrets must be set.
type Options struct {
	Dialer  Dialer
	Secrets Secrets
	Tokens  Tokens               // nil when no account signs in with OAuth
	Network func() network.State // the network of the moment; nil is always the same one
	// Addresses returns the machine's own addresses; net.InterfaceAddrs when nil.
	Addresses func() ([]net.Addr, error)
	Now       func() time.Time // wall clock; time.Now when nil
	StateDir  string           // where learned facts are kept; "" keeps them in memory
	Log       *slog.Logger     // nothing is logged when nil
	// Timeout replaces the time-outs of package submit's phase table, nil or 0
	// keeps them.
	Timeout func(upstream.Phase) time.Duration
}

// Relay carries messages for any number of accounts. It is safe for concurrent
// use. Close ends it.
type Relay struct {
	o     Options
	store *store
	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	wg    sync.WaitGroup // every goroutine of the package
	// tick orders POP logins and connections: it counts both.
	tick   atomic.Int64
	holder holder
	key    atomic.Pointer[networkKey] // asked for last

	mu       sync.Mutex
	closed   bool
	accounts map[string]*account
	awake    context.Context // ends when the machine slept
	sleep    context.CancelCauseFunc
	here     context.Context // ends when the network changed, or with awake
	move     context.CancelCauseFunc
}

// Why an attempt was cut.
var (
	errSlept = errors.New("the machine slept")
	errMoved = errors.New("the network changed")
)

// New makes a Relay. It reads what was learned from StateDir; a file there that
// cannot be understood is put aside, not an error.
func New(o Options) (*Relay, error) {
	if o.Dialer == nil || o.Secrets == nil {
		return nil, errors.New("relay: dialer and secrets are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Addresses == nil {
		o.Addresses = net.InterfaceAddrs
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Network == nil {
		o.Network = func() network.State { return network.State{} }
	}
	s, err := openStore(o.StateDir, o.Now)
	if err != nil {
		return nil, err
	}
	r := &Relay{o: o, store: s, accounts: map[string]*account{}}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.awake, r.sleep = context.WithCancelCause(r.ctx)
	r.here, r.move = context.WithCancelCause(r.awake)
	return r, nil
}

// Close cuts every transaction and connection and waits for all goroutines.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.wg.Wait()
	r.holder.stop()
	return nil
}

// goIfOpen runs f in a goroutine that Close waits for. It reports whether it
// did: nothing new starts after Close.
func (r *Relay) goIfOpen(f func()) bool {
	if !r.enter() {
		return false
	}
	go func() {
		defer r.wg.Done()
		f()
	}()
	return true
}

// enter has Close wait for r.wg.Done, unless it was called: then it reports false.
func (r *Relay) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.wg.Add(1)
	}
	return !r.closed
}

// account returns the state of the account with these settings. Other settings
// under the same name begin anew.
func (r *Relay) account(a *upstream.Account) *account {
	r.mu.Lock()
	old := r.accounts[a.Name]
	if old != nil && sameSettings(&old.settings, a) {
		r.mu.Unlock()
		return old
	}
	n := newAccount(r, *a, fingerprint(*a))
	r.accounts[a.Name] = n
	r.mu.Unlock()
	if old != nil {
		old.dropAll()
	}
	return n
}

// awakeContext ends when the machine sleeps or the Relay closes.
func (r *Relay) awakeContext() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.awake
}

// hereContext ends when the network changes, too.
func (r *Relay) hereContext() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.here
}

// BeginOptions says what kind of transaction it is.
type BeginOptions struct {
	// Live is true while an app waits for the verdict. A live transaction may
	// try an account in attention once in five minutes.
	Live bool
}

// Begin starts a transaction in the background and returns at once: the connection
// and the login are under way when it returns, or a connection that is ready lies
// there. accounts[0] carries it; the rest are its fallbacks, in order.
// env.Recipients is ignored. The transaction ends with the caller's Cancel, with
// ctx, or with its Result; ctx must outlive the app's own wait when the provider's
// work shall go on.
func (r *Relay) Begin(ctx context.Context, accounts []upstream.Account, env upstream.Envelope, o BeginOptions) *Transaction {
	t := newTransaction(ctx, r, accounts, env, o)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !o.Live || len(accounts) == 0 || !r.account(&accounts[0]).prompt() || !r.holder.add(t) {
		t.beginLocked()
	}
	return t
}

// Send carries a whole message in the caller's goroutine and returns the result: as
// Begin, Rcpt for each of env.Recipients, and Data.
func (r *Relay) Send(ctx context.Context, accounts []upstream.Account, env upstream.Envelope, body upstream.Body) upstream.Result {
	t := newTransaction(ctx, r, accounts, env, BeginOptions{})
	t.begun = true
	for _, rc := range env.Recipients {
		t.Rcpt(rc)
	}
	t.Data(body)
	if len(accounts) == 0 || !r.enter() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.giveUpLocked(errNobody())
		return t.res
	}
	defer r.wg.Done()
	t.run(nil)
	return t.res
}

// NetworkChanged shuts every POP window, closes the warm connections, begins anew
// what was connecting or logging in, and cuts what runs over an address that the
// machine has no more.
func (r *Relay) NetworkChanged() {
	r.mu.Lock()
	r.move(errMoved)
	r.here, r.move = context.WithCancelCause(r.awake)
	r.mu.Unlock()
	have, err := r.o.Addresses()
	for _, a := range r.all() {
		a.dropAll()
		if err == nil {
			a.cutGone(have)
		}
	}
}

// Resumed does the same after the machine slept, and cuts all that was under way:
// deadlines stand still during sleep.
func (r *Relay) Resumed() {
	r.mu.Lock()
	r.sleep(errSlept)
	r.awake, r.sleep = context.WithCancelCause(r.ctx)
	r.mu.Unlock()
	r.NetworkChanged()
}

func (r *Relay) all() []*account {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*account
	for _, a := range r.accounts {
		list = append(list, a)
	}
	return list
}

// networkKey identifies the network of the moment.
func (r *Relay) networkKey() string {
	s := r.o.Network()
	if k := r.key.Load(); k != nil && k.state == s {
		return k.key
	}
	k := &networkKey{s, s.Key()}
	r.key.Store(k)
	return k.key
}

// networkKey is a network and its key, which is asked for several times a message.
type networkKey struct {
	state network.State
	key   string
}
