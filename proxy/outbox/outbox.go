package outbox

import (
	"context"
	"errors"
	"io"

	"melon/upstream"
)

// Outbox keeps messages and sends them. Its methods may be called from any
// goroutine.
type Outbox struct {
	store *store
}

var errSoon = errors.New("outbox: not built yet")

// Open opens the directory, creating it (0700) when it is missing, and starts to
// send what is due. ErrLocked names the process that has it open already;
// ErrNewerState refuses what a newer version wrote. A directory that cannot be
// written is no error here: Problems says it, and Keep fails. Close it.
func Open(dir string, o Options) (*Outbox, error) { return nil, errSoon }

// Close ends all attempts (their context ends), records their outcome and
// releases the directory.
func (o *Outbox) Close() error { return errSoon }

// Configure replaces the settings; it recomputes nothing that is planned.
func (o *Outbox) Configure(s Settings) {}

// NewSpool returns an empty Spool for one message.
func (o *Outbox) NewSpool() *Spool { return newSpool(o.store) }

// Keep makes a complete spool an entry and returns when it is durable. Of e it
// takes Account, Envelope, State (default waiting; held), Attempts, LastError
// and, when Attempts > 0, NextAttempt (default: by the retry list). When it
// fails, nothing is kept and the error is a *StoreError (452 4.3.1), ErrClosed
// or ctx's. The spool stays readable until Discard.
func (o *Outbox) Keep(ctx context.Context, sp *Spool, e Entry, k KeepOptions) (id string, err error) {
	return "", errSoon
}

// Settle tells the outcome of an entry that was kept InFlight. Discard the spool
// before.
func (o *Outbox) Settle(id string, r upstream.Result) error { return errSoon }

// Join looks for an entry of the same fingerprint (Spool.Fingerprint) whose
// outcome is unknown (sending or unconfirmed) and that was kept less than ten
// minutes ago: the message need not be kept again.
func (o *Outbox) Join(fingerprint string) (id string, ok bool) { return "", false }

// Delivered tells that an account delivered live mail: its waiting entries are
// due at once.
func (o *Outbox) Delivered(account string) {}

// AccountCleared ends the attention of an account, or tells that its settings
// changed: entries that waited for the person are due at once. Call it with ""
// when accounts were added, for mail that has none yet.
func (o *Outbox) AccountCleared(account string) error { return errSoon }

// NetworkChanged makes everything that waits due at once, and what this network's
// address was refused for.
func (o *Outbox) NetworkChanged() {}

// Resumed makes everything that waits due at once, after sleep.
func (o *Outbox) Resumed() {}

// ClockChanged does the same after the wall clock was set.
func (o *Outbox) ClockChanged() {}

// List returns all entries, oldest first.
func (o *Outbox) List() ([]Entry, error) { return nil, errSoon }

// Show returns one entry. Like all commands it takes an ID or a unique prefix;
// an *IDError says that there is none or more than one.
func (o *Outbox) Show(id string) (Entry, error) { return Entry{}, errSoon }

// Export opens the message file of an entry. The caller closes it.
func (o *Outbox) Export(id string) (io.ReadCloser, Entry, error) { return nil, Entry{}, errSoon }

// SendNow makes entries due at once, whatever their state; without IDs all but
// the held ones. It ends the attention of their accounts. When sending is
// paused it returns ErrPaused, and they are due when it is resumed.
func (o *Outbox) SendNow(ids ...string) error { return errSoon }

// Hold keeps entries from being sent until Release. ErrBusy when one is being
// sent; the others are held all the same.
func (o *Outbox) Hold(ids ...string) error { return errSoon }

// Release makes entries that are held, in attention or unconfirmed due at once.
func (o *Outbox) Release(ids ...string) error { return errSoon }

// Remove deletes entries: the person's decision alone.
func (o *Outbox) Remove(ids ...string) error { return errSoon }

// Pause stops sending, also after a restart; what is being sent is finished.
func (o *Outbox) Pause() error { return errSoon }

// Resume ends Pause.
func (o *Outbox) Resume() error { return errSoon }

// Snapshot counts the entries.
func (o *Outbox) Snapshot() Snapshot { return Snapshot{} }

// Problems lists what a person should know about the outbox itself.
func (o *Outbox) Problems() []Problem { return nil }

// History returns the last finished messages, the newest first.
func (o *Outbox) History() ([]Record, error) { return nil, errSoon }

// Record adds a message that was delivered or refused live to the history.
func (o *Outbox) Record(r Record) error { return errSoon }
