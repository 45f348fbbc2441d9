package deliver

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/proxy/config"
	"melon/proxy/outbox"
	"melon/proxy/route"
	"melon/proxy/smtpin"
	"melon/upstream"
)

// fakeRelay answers each transaction by a script.
type fakeRelay struct {
	mu     sync.Mutex
	script func(tx *fakeTx) // runs in a goroutine of the transaction
	txs    []*fakeTx
}

func (r *fakeRelay) Begin(ctx context.Context, accounts []upstream.Account, env upstream.Envelope) Upstream {
	tx := &fakeTx{
		account: accounts[0].Name, env: env, ctx: ctx,
		rcpts: make(chan *fakeVerdict, 100), body: make(chan upstream.Body, 1),
		canceled: make(chan struct{}), done: make(chan struct{}),
	}
	r.mu.Lock()
	r.txs = append(r.txs, tx)
	script := r.script
	r.mu.Unlock()
	go script(tx)
	return tx
}

func (r *fakeRelay) all() []*fakeTx {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.txs)
}

type fakeTx struct {
	account  string
	env      upstream.Envelope
	ctx      context.Context
	rcpts    chan *fakeVerdict
	body     chan upstream.Body
	once     sync.Once
	canceled chan struct{}
	ended    sync.Once
	done     chan struct{}
	result   upstream.Result
}

type fakeVerdict struct {
	done chan struct{}
	res  upstream.RecipientResult
}

func (v *fakeVerdict) Done() <-chan struct{}            { return v.done }
func (v *fakeVerdict) Result() upstream.RecipientResult { <-v.done; return v.res }
func (v *fakeVerdict) answer(err *upstream.Error)       { v.res.Err = err; close(v.done) }
func (t *fakeTx) Rcpt(rc upstream.Recipient) Verdict {
	v := &fakeVerdict{done: make(chan struct{}), res: upstream.RecipientResult{Recipient: rc}}
	t.rcpts <- v
	return v
}
func (t *fakeTx) Data(b upstream.Body) { t.body <- b }
func (t *fakeTx) Cancel()              { t.once.Do(func() { close(t.canceled) }) }
func (t *fakeTx) Await(ctx context.Context) bool {
	select {
	case <-t.done:
		return true
	case <-ctx.Done():
		return closed(t.done)
	}
}
func (t *fakeTx) Result() upstream.Result { <-t.done; return t.result }
func (t *fakeTx) end(res upstream.Result) { t.ended.Do(func() { t.result = res; close(t.done) }) }

// read returns the whole body, or why there is none.
func (t *fakeTx) read() (string, error) {
	select {
	case b := <-t.body:
		r, err := b.Open()
		if err != nil {
			return "", err
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		return string(data), err
	case <-t.canceled:
		return "", errors.New("canceled")
	}
}

func reply(code int, enhanced upstream.EnhancedCode, text string) upstream.Reply {
	return upstream.Reply{Code: code, Enhanced: enhanced, Lines: []string{text}}
}

func refusal(phase upstream.Phase, class upstream.Class, code int) *upstream.Error {
	return &upstream.Error{Account: "home", Phase: phase, Class: class, Reply: reply(code, upstream.EnhancedCode{code / 100, 1, 1}, "the provider's words")}
}

var taken = reply(250, upstream.EnhancedCode{2, 0, 0}, "queued as 4711")

// verdicts is the script of a provider that answers the recipients in order
// with these errors (nil takes it), reads the body, and answers with end.
func verdicts(end *upstream.Error, rcpt ...*upstream.Error) func(*fakeTx) {
	return func(t *fakeTx) {
		var rs []upstream.RecipientResult
		var firstErr *upstream.Error
		ok := false
		for _, err := range rcpt {
			select {
			case v := <-t.rcpts:
				rs = append(rs, upstream.RecipientResult{Recipient: v.res.Recipient, Err: err})
				ok = ok || err == nil
				if firstErr == nil {
					firstErr = err
				}
				v.answer(err)
			case <-t.canceled:
				return
			}
		}
		res := upstream.Result{Account: t.account, Recipients: rs}
		if _, err := t.read(); err != nil {
			res.Err = &upstream.Error{Phase: upstream.PhaseData, Err: err}
		} else if !ok {
			res.Err = firstErr
		} else if end != nil {
			res.Err = end
		} else {
			res.Reply = taken
		}
		t.end(res)
	}
}

// bench is a Deliverer in front of a fake relay and a real outbox.
type bench struct {
	t      *testing.T
	relay  *fakeRelay
	outbox *outbox.Outbox
	dir    string
	d      *Deliverer
	cfg    *config.Config
	paused bool
	empty  bool // nothing may be left at the end
	events chan Event
}

const testConfig = `
accounts:
  home:
    address: taro@provider-a.example
    smtp: {host: smtp.provider-a.example}
    auth: none
  work:
    address: taro@work.example
    smtp: {host: smtp.work.example}
    auth: none
routes:
  - {to: "*@work.example", account: work}
`

// held is a Sender that never gets a message out.
type held struct{}

func (held) Send(ctx context.Context, e outbox.Entry, _ upstream.Body) upstream.Result {
	<-ctx.Done()
	return upstream.Result{Err: upstream.AsError(ctx.Err(), upstream.PhaseConnect)}
}

func newBench(t *testing.T, yaml string, script func(*fakeTx), change ...func(*Options)) *bench {
	t.Helper()
	cfg, err := config.Parse("config.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, relay: &fakeRelay{script: script}, dir: t.TempDir(), cfg: cfg, events: make(chan Event, 100)}
	if b.outbox, err = outbox.Open(b.dir, outbox.Options{Sender: held{}}); err != nil {
		t.Fatal(err)
	}
	if err := b.outbox.Pause(); err != nil { // what is kept stays as it was kept
		t.Fatal(err)
	}
	o := Options{
		Relay: b.relay, Outbox: b.outbox,
		Settings: func() Settings {
			return Settings{Config: b.cfg, Router: route.New(b.cfg), Paused: b.paused}
		},
		Observe: func(e Event) { b.events <- e },
	}
	for _, f := range change {
		f(&o)
	}
	b.d = New(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		b.d.Close(ctx)
		if err := b.outbox.Close(); err != nil {
			t.Error(err)
		}
		b.noFiles()
	})
	return b
}

const testMessage = "From: taro@provider-a.example\r\nSubject: x\r\n\r\nbody\r\n"

// send is one message of an app; rcpt holds the answers to RCPT.
func (b *bench) send(from, message string, to ...string) (r upstream.Reply, rcpt []error, err error) {
	b.t.Helper()
	return b.sendFrom(smtpin.Client{Extended: true}, from, strings.NewReader(message), to...)
}

func (b *bench) sendFrom(c smtpin.Client, from string, body io.Reader, to ...string) (r upstream.Reply, rcpt []error, err error) {
	b.t.Helper()
	ctx := b.t.Context()
	tx, err := b.d.Begin(ctx, c, upstream.Envelope{From: from})
	if err != nil {
		return r, nil, err
	}
	defer tx.Reset()
	for _, a := range to {
		rcpt = append(rcpt, tx.Rcpt(ctx, upstream.Recipient{Address: a}))
	}
	if !slices.Contains(rcpt, nil) {
		return r, rcpt, errors.New("no recipient was taken")
	}
	r, err = tx.Data(ctx, body)
	return r, rcpt, err
}

func (b *bench) entries() []outbox.Entry {
	b.t.Helper()
	list, err := b.outbox.List()
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// nothingKept fails when the outbox holds an entry, now or any file of a
// message at the end of the test.
func (b *bench) nothingKept() {
	b.t.Helper()
	if n := len(b.entries()); n != 0 {
		b.t.Errorf("%d entries in the outbox, want none", n)
	}
	b.empty = true
}

// noFiles looks for files of messages after nothingKept.
func (b *bench) noFiles() {
	_ = filepath.WalkDir(b.dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && b.empty && strings.HasSuffix(p, ".eml") {
			b.t.Errorf("%s was left behind", p)
		}
		return nil
	})
}

func wantKept(t *testing.T, r upstream.Reply, err error) {
	t.Helper()
	if err != nil || r.Code != 250 || !strings.HasPrefix(r.String(), "250 2.0.0 kept as ") {
		t.Fatalf("the app hears %v, %v; want 250 2.0.0 kept as ID", r, err)
	}
}

func wantRefused(t *testing.T, err error, code int, words string) {
	t.Helper()
	var e *upstream.Error
	if !errors.As(err, &e) || e.Reply.Code != code || !strings.Contains(e.Reply.Text(), words) {
		t.Fatalf("the app hears %v, want %d with %q", err, code, words)
	}
}
