package web

import (
	"context"
	"time"

	"melon/proxy/config"
	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/upstream"
)

// Parts is what the pages show and steer. Daemon, Outbox, Journal and Config
// must be set; a page without one of the others leaves out what it is for.
type Parts struct {
	Daemon    Daemon
	Outbox    Outbox
	Journal   *control.Journal
	Config    func() *config.Config
	Finder    Finder
	Tester    Tester
	Keeper    Keeper
	SignIns   SignIns
	Doctor    Doctor
	Autostart Autostart
	Traces    *Traces
	// Hint tells of a provider by its identifier, for a form that was asked for
	// with one (?provider=ID): its name and an address there as an example. Both
	// are "" for one that is unknown; nil knows none.
	Hint func(provider string) (name, example string)
}

// Daemon is the relay as a whole.
type Daemon interface {
	Status() api.Status
	ClearAccount(name string) error
	SetPaused(paused bool) error
}

// Outbox is the messages that wait, and the history.
type Outbox interface {
	control.Outbox
	// Page returns at most limit entries from offset of those in state ("" is
	// any), oldest first, and how many there are in all.
	Page(state api.EntryState, offset, limit int) (entries []api.Entry, total int, err error)
}

// StepStatus is how one step went.
type StepStatus string

// The values of Step.Status.
const (
	StepOK   StepStatus = "ok"
	StepWarn StepStatus = "warn"
	StepFail StepStatus = "fail"
	StepSkip StepStatus = "skip"
)

// Step is one thing that was tried, as a person reads it.
type Step struct {
	Status StepStatus
	Name   string // short: "smtp-587"
	Text   string
	MS     int64 // how long it took
}

// Found is what was found out about an address.
type Found struct {
	// Account has the servers, the user name and the method; its Password is
	// empty.
	Account upstream.Account
	Source  string   // where it is from, in one sentence; "" when nothing was found
	Notes   []string // what the person should know before signing in
}

// Finder finds the servers of an address.
type Finder interface {
	// Discover ends within 15 seconds. Nothing found is no error: Found then has
	// an empty Source and perhaps a guess.
	Discover(ctx context.Context, address, lang string, step func(Step)) (Found, error)
}

// Tester tries an account.
type Tester interface {
	// Test connects and logs in but sends no message. password is that of a not
	// yet saved account; "" means the one that the account names. Steps may come
	// from several goroutines.
	Test(ctx context.Context, a upstream.Account, password, lang string, step func(Step)) error
}

// Keeper changes the configuration; the running relay follows at once.
type Keeper interface {
	// Save adds an account, or changes the one of its name, and stores the
	// password unless that is "". It returns where the secret is kept.
	Save(ctx context.Context, a upstream.Account, password string) (store string, err error)
	Remove(ctx context.Context, name string) error
	SetDefault(ctx context.Context, name string) error
}

// SignIns begins OAuth 2.0 sign-ins.
type SignIns interface {
	// Begin starts one for a saved account: in the browser, or with device by a
	// code that is typed in elsewhere.
	Begin(ctx context.Context, account string, device bool, lang string) (SignIn, error)
}

// SignIn is one sign-in under way.
type SignIn interface {
	// Where is what the person opens, and the code to type there, if any.
	Where() (url, code string)
	// Wait returns nil when the person is signed in.
	Wait(ctx context.Context) error
	Close() error
}

// Diagnosis is what doctor found out about one account.
type Diagnosis struct {
	Account string
	Verdict upstream.Class
	Summary string
	Advice  []string
	Checks  []Step
}

// Doctor says why mail can or cannot be sent here and now.
type Doctor interface {
	// Diagnose examines one account, or the network alone for "". It ends within
	// 20 seconds. Steps may come from several goroutines.
	Diagnose(ctx context.Context, account, lang string, step func(Step)) (Diagnosis, error)
}

// Autostart is whether the relay starts when the person logs in.
type Autostart interface {
	Enabled() (bool, error)
	Set(on bool) error
}

// Line is one masked line of a conversation.
type Line struct {
	Time   time.Time
	Client bool // the client said it; otherwise the server did
	Text   string
}
