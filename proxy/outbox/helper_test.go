package outbox

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// Errors as a relay reports them.
var (
	unreachable = &upstream.Error{Account: "home", Phase: upstream.PhaseConnect,
		Class: upstream.ClassServerUnreachable, Sentence: "The server cannot be reached."}
	wrongPassword = &upstream.Error{Account: "home", Phase: upstream.PhaseAuth, Class: upstream.ClassCredentialsRejected,
		Reply: upstream.Reply{Code: 535, Enhanced: upstream.EnhancedCode{5, 7, 8}, Lines: []string{"Bad credentials"}}}
	noSuchUser = &upstream.Error{Account: "home", Host: "smtp.provider-a.example:465", Phase: upstream.PhaseRcpt,
		Class: upstream.ClassRecipientUnknown,
		Reply: upstream.Reply{Code: 550, Enhanced: upstream.EnhancedCode{5, 1, 1}, Lines: []string{"No such user here"}}}
	relayDenied = &upstream.Error{Account: "home", Phase: upstream.PhaseRcpt, Class: upstream.ClassRelayDeniedIP,
		Reply: upstream.Reply{Code: 554, Enhanced: upstream.EnhancedCode{5, 7, 1}, Lines: []string{"Relay access denied"}}}
	greylisted = &upstream.Error{Account: "home", Phase: upstream.PhaseRcpt, Class: upstream.ClassGreylisted,
		Reply: upstream.Reply{Code: 450, Enhanced: upstream.EnhancedCode{4, 2, 0}, Lines: []string{"Greylisted"}}}
	lostReply = &upstream.Error{Account: "home", Phase: upstream.PhaseDataEnd, Class: upstream.ClassServerBroken,
		Ambiguous: true, Sentence: "The server hung up before it answered."}
)

// attemptSeen is one call of a Sender.
type attemptSeen struct {
	id string
	to []string
	at time.Time
}

// rig is an outbox whose provider is a function. Its clock is the bubble's plus
// an offset, as a laptop's wall clock is to the time it was awake.
type rig struct {
	*Outbox
	t      *testing.T
	dir    string
	opts   Options
	mu     sync.Mutex
	offset time.Duration
	reads  int // of the clock
	reply  func(e Entry) upstream.Result
	seen   []attemptSeen
	bodies map[string]string
	events []Event
}

// newRig opens an outbox in a new directory. It must run in a synctest bubble.
func newRig(t *testing.T, opts Options) *rig {
	t.Helper()
	r := &rig{t: t, dir: filepath.Join(t.TempDir(), "outbox"), opts: opts, bodies: make(map[string]string)}
	r.answer(nil)
	r.open()
	t.Cleanup(func() { r.Close() })
	return r
}

func (r *rig) open() {
	r.t.Helper()
	o := r.opts
	o.Sender, o.OnEvent = r, func(e Event) {
		r.mu.Lock()
		r.events = append(r.events, e)
		r.mu.Unlock()
	}
	o.Now = func() time.Time {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reads++
		return time.Now().Add(r.offset)
	}
	if o.Jitter == nil {
		o.Jitter = func() float64 { return 0 }
	}
	if o.Owns == nil {
		o.Owns = func(account, address string) bool { return address == "taro@provider-a.example" }
	}
	var err error
	if r.Outbox, err = Open(r.dir, o); err != nil {
		r.t.Fatal(err)
	}
}

// reopen closes the outbox and opens it again.
func (r *rig) reopen() {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

// Send implements Sender.
func (r *rig) Send(ctx context.Context, e Entry, body upstream.Body) upstream.Result {
	rd, err := body.Open()
	if err != nil {
		r.t.Error(err)
		return upstream.Result{Err: unreachable}
	}
	data, err := io.ReadAll(rd)
	rd.Close()
	if err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	r.seen = append(r.seen, attemptSeen{e.ID, e.To(), time.Now().Add(r.offset)})
	r.bodies[e.ID] = string(data)
	reply := r.reply
	r.mu.Unlock()
	return reply(e)
}

// answer makes every attempt end in err.
func (r *rig) answer(err *upstream.Error) {
	r.script(func(Entry) upstream.Result { return upstream.Result{Err: err} })
}

func (r *rig) script(reply func(Entry) upstream.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reply = reply
}

// shift moves the wall clock without time passing, as sleep and date(1) do.
func (r *rig) shift(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offset += d
}

// attempts returns what was tried since the last call.
func (r *rig) attempts() []attemptSeen {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}

// types lists the events so far.
func (r *rig) types() (types []EventType) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		types = append(types, e.Type)
	}
	return types
}

// spool returns a complete spool of a small message.
func (r *rig) spool(subject string) *Spool {
	r.t.Helper()
	return spoolOf(r.t, r.Outbox, subject)
}

func spoolOf(t *testing.T, o *Outbox, subject string) *Spool {
	t.Helper()
	sp := o.NewSpool()
	fmt.Fprintf(sp, "Message-ID: <%s@provider-a.example>\r\nSubject: %s\r\n\r\nhello\r\n", subject, subject)
	if err := sp.Finish(); err != nil {
		t.Fatal(err)
	}
	return sp
}

// entry is an envelope of the account home.
func entry(to ...string) Entry {
	e := Entry{Account: "home", Envelope: upstream.Envelope{From: "taro@provider-a.example"}}
	if len(to) == 0 {
		to = []string{"hanako@provider-b.example"}
	}
	for _, a := range to {
		e.Envelope.Recipients = append(e.Envelope.Recipients, upstream.Recipient{Address: a})
	}
	return e
}

// keep keeps a message and returns its ID.
func (r *rig) keep(subject string, e Entry, k KeepOptions) string {
	r.t.Helper()
	sp := r.spool(subject)
	defer sp.Discard()
	id, err := r.Keep(r.t.Context(), sp, e, k)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// keepN keeps n messages in a row.
func (r *rig) keepN(n int) (ids []string) {
	r.t.Helper()
	for i := range n {
		ids = append(ids, r.keep(fmt.Sprint("m", i), entry(), KeepOptions{}))
	}
	return ids
}

// states returns what the list shows, by ID.
func (r *rig) states() map[string]State {
	r.t.Helper()
	synctest.Wait()
	entries, err := r.List()
	if err != nil {
		r.t.Fatal(err)
	}
	m := make(map[string]State)
	for _, e := range entries {
		m[e.ID] = e.State
	}
	return m
}

// show returns one entry as the list shows it.
func (r *rig) show(id string) Entry {
	r.t.Helper()
	synctest.Wait()
	e, err := r.Show(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func idsSeen(seen []attemptSeen) (ids []string) {
	for _, s := range seen {
		ids = append(ids, s.id)
	}
	return ids
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// full is what a disk without room answers.
func full(op string) error { return &os.PathError{Op: op, Path: "/x", Err: syscall.ENOSPC} }

// stoppedClock is a clock that stands still.
func stoppedClock() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// private reports whether a file has these permissions, where there are such.
func private(fi fs.FileInfo, perm fs.FileMode) bool {
	return fi != nil && (runtime.GOOS == "windows" || fi.Mode().Perm() == perm)
}
