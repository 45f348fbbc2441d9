package relay

import (
	"context"
	"log/slog"
	"time"

	"melon/upstream"
)

// Secrets finds a password or token where its reference says it is;
// *auth.Secrets is one.
type Secrets interface {
	Get(ctx context.Context, ref upstream.SecretRef) (string, error)
}

// Options is what a Relay is made of.
type Options struct {
	Secrets  Secrets
	Now      func() time.Time // wall clock; time.Now when nil
	StateDir string           // where learned facts are kept; "" keeps them in memory
	Log      *slog.Logger     // nothing is logged when nil
}

// Relay carries messages for any number of accounts. It is safe for concurrent
// use. Close ends it.
type Relay struct {
	o Options
}

// New makes a Relay. It reads what was learned from StateDir; a file there that
// cannot be understood is put aside, not an error.
func New(o Options) (*Relay, error) { return &Relay{o: o}, nil }

// Close cuts every transaction and connection and waits for all goroutines.
func (r *Relay) Close() error { return nil }

// BeginOptions says what kind of transaction it is.
type BeginOptions struct {
	// Live is true while an app waits for the verdict. A live transaction may
	// try an account in attention once in five minutes.
	Live bool
}

// Begin starts a transaction in the background and returns at once: the
// connection and the login are under way when it returns. accounts[0] carries
// it; the rest are its fallbacks, in order. env.Recipients is ignored. The
// transaction ends with the caller's Cancel, with ctx, or with its Result; ctx
// must outlive the app's own wait when the provider's work shall go on.
func (r *Relay) Begin(ctx context.Context, accounts []upstream.Account, env upstream.Envelope, o BeginOptions) *Transaction {
	return &Transaction{}
}

// Send carries a whole message: Begin, Rcpt for each of env.Recipients, Data,
// and the result.
func (r *Relay) Send(ctx context.Context, accounts []upstream.Account, env upstream.Envelope, body upstream.Body) upstream.Result {
	return upstream.Result{}
}

// NetworkChanged shuts every POP window and closes the warm connections.
func (r *Relay) NetworkChanged() {}

// Resumed does the same after the machine slept, and cuts what was under way:
// deadlines stand still during sleep.
func (r *Relay) Resumed() {}

// Clear ends the named account's attention: the next transaction tries it.
func (r *Relay) Clear(name string) {}

// State is how an account does.
type State string

// The values of AccountStatus.State.
const (
	StateUnknown   State = "unknown"   // not used yet, or its settings are new
	StateReady     State = "ready"     // the last attempt went well
	StateSending   State = "sending"   // a transaction is under way
	StateAttention State = "attention" // the person has to do something
)

// AccountStatus is what is known about an account.
type AccountStatus struct {
	State          State
	Auth           string          // the method last used, "" when none was yet
	RelayOpenUntil *time.Time      // end of the POP window on this network, nil when shut
	LastError      *upstream.Error // of the last attempt, nil after a success
}

// Status returns what is known about the named account.
func (r *Relay) Status(name string) AccountStatus { return AccountStatus{State: StateUnknown} }
