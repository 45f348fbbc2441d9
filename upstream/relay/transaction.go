package relay

import (
	"context"
	"io"
	"sync"

	"melon/upstream"
	"melon/upstream/submit"
)

// Transaction is one message on its way. Rcpt, Data and Cancel never block; the
// outcome is awaited by Await or Result, or on a recipient's Verdict. Its methods
// are safe for concurrent use.
type Transaction struct {
	r        *Relay
	accounts []upstream.Account
	env      upstream.Envelope
	o        BeginOptions
	span     span
	done     chan struct{}

	mu        sync.Mutex
	begun     bool // somebody carries it, or it is over
	rcpts     []*Verdict
	body      upstream.Body
	cancelled bool
	more      chan struct{} // closed and replaced when there is more to send
	together  together
	readers   map[*reader]bool // open readers of the body, which Cancel closes
	res       upstream.Result  // whole when done is closed
}

// maxMoves bounds how often a change of network lets a message begin anew.
const maxMoves = 3

// span is how long a transaction may take.
type span struct {
	ctx     context.Context // of the whole; end ends it
	end     context.CancelFunc
	prep    context.Context // of all that happens before the envelope; Cancel ends it
	endPrep context.CancelFunc
	unbind  func() bool // from the relay's end
}

func newSpan(ctx context.Context, r *Relay) span {
	var s span
	s.ctx, s.end = context.WithCancel(ctx)
	s.prep, s.endPrep = context.WithCancel(s.ctx)
	s.unbind = context.AfterFunc(r.ctx, s.end)
	return s
}

func (s *span) close() {
	s.unbind()
	s.end()
}

// Verdict is one recipient's outcome at RCPT.
type Verdict struct {
	rc   upstream.Recipient
	done chan struct{}
	told bool                      // done is closed
	res  upstream.RecipientResult  // as told
	last *upstream.RecipientResult // of the latest attempt, nil while it has not been answered
}

func newTransaction(ctx context.Context, r *Relay, accounts []upstream.Account, env upstream.Envelope, o BeginOptions) *Transaction {
	t := &Transaction{
		r: r, accounts: accounts, env: env, o: o, done: make(chan struct{}),
		more: make(chan struct{}), span: newSpan(ctx, r),
	}
	return t
}

// Rcpt adds a recipient. The order of calls is the order of the envelope. After
// Data or the transaction's end the recipient's verdict is an error.
func (t *Transaction) Rcpt(rc upstream.Recipient) *Verdict {
	v := &Verdict{rc: rc, done: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.body != nil || t.cancelled || t.over() {
		e := t.res.Err
		if e == nil {
			e = errOver()
		}
		v.tell(upstream.RecipientResult{Recipient: rc, Err: e})
		return v
	}
	t.rcpts = append(t.rcpts, v)
	switch {
	case !t.begun && len(t.rcpts) > 1:
		t.beginLocked()
	case t.begun && !t.holdLocked():
		t.wakeLocked()
	}
	return v
}

// Data ends the list of recipients and hands over the body, which is sent as
// it grows and read again from the start when another attempt is made. The
// body must stay readable until there is an outcome. The message goes to every
// recipient that was taken; a caller that wants nothing sent after a refusal
// cancels instead.
func (t *Transaction) Data(b upstream.Body) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.body != nil || t.cancelled {
		return
	}
	t.body = b
	switch {
	case t.begun:
		t.wakeLocked()
	case !t.briefLocked():
		t.beginLocked()
	}
}

// Cancel ends the transaction without sending the message: a body under way is
// cut so that it cannot be taken for whole. It has no effect after Done, and
// none on a message whose last byte has left. It does not wait.
func (t *Transaction) Cancel() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancelled || t.over() {
		return
	}
	t.cancelled = true
	t.span.endPrep()
	if !t.begun {
		t.giveUpLocked(cancelled(t.accounts[0].Name, upstream.PhaseMail, t.span.prep))
		return
	}
	t.wakeLocked()
	for r := range t.readers {
		r.ReadCloser.Close()
	}
}

// Result waits, as Await does, and returns the outcome. Its Recipients are
// what counts for each recipient in the end.
func (t *Transaction) Result() upstream.Result { t.Await(context.Background()); return t.res }

// Done is closed when the recipient's verdict is known: the provider's answer
// to RCPT, or the reason why there is none.
func (v *Verdict) Done() <-chan struct{} { return v.done }

// Result waits for Done and returns the verdict. Err is nil when the provider
// took the recipient; the message itself may still be refused at its end.
func (v *Verdict) Result() upstream.RecipientResult { <-v.done; return v.res }

func (v *Verdict) tell(res upstream.RecipientResult) {
	if !v.told {
		v.res, v.told = res, true
		close(v.done)
	}
}

func errOver() *upstream.Error {
	return &upstream.Error{
		Phase: upstream.PhaseRcpt, Class: upstream.ClassTemporaryLocalProblem,
		Sentence: "The transaction is already over.",
	}
}

// wakeLocked tells the transaction's goroutine that there is more to send.
func (t *Transaction) wakeLocked() {
	close(t.more)
	t.more = make(chan struct{})
}

func (t *Transaction) over() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// run carries the message: by the first account, then, where that is allowed, by
// its fallbacks. c is the first account's try if that is under way already, else
// nil. One goroutine runs it.
func (t *Transaction) run(c *carrier) {
	defer t.span.close()
	var last *upstream.Error
	moves := 0
	for i := 0; i < len(t.accounts); i++ {
		if c == nil {
			c = newCarrier(t, i)
		}
		reply, err := c.carry()
		moved := err != nil && c.moved(err) && moves < maxMoves
		by := c.by
		c = nil
		if moved {
			moves++
			i--
			continue
		}
		cancelled := t.carriedBy(&t.accounts[i], by)
		if err == nil {
			t.finish(nil, reply)
			return
		}
		if last == nil || !fallsBack(err) {
			last = err // the first account's reason says more than that a fallback is away too
		}
		if cancelled || t.span.ctx.Err() != nil || !fallsBack(err) {
			break
		}
	}
	t.finish(last, upstream.Reply{})
}

// carriedBy notes who made the latest attempt. It reports whether the transaction
// was cancelled.
func (t *Transaction) carriedBy(settings *upstream.Account, by by) (cancelled bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.res.Account, t.res.Auth, t.res.Host = settings.Name, by.auth, by.host
	return t.cancelled
}

// awaitRecipient waits until there is somebody to send to. It reports false when
// the transaction ends before.
func (t *Transaction) awaitRecipient() bool {
	for {
		t.mu.Lock()
		ready, more := len(t.rcpts) > 0 || t.body != nil, t.more
		t.mu.Unlock()
		if t.span.prep.Err() != nil || ready {
			return t.span.prep.Err() == nil
		}
		select {
		case <-more:
		case <-t.span.prep.Done():
		}
	}
}

// finish settles what is not settled yet and closes done.
func (t *Transaction) finish(e *upstream.Error, reply upstream.Reply) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finishLocked(e, reply)
}

func (t *Transaction) finishLocked(e *upstream.Error, reply upstream.Reply) {
	t.res.Err, t.res.Reply = e, reply
	for _, v := range t.rcpts {
		res := upstream.RecipientResult{Recipient: v.rc, Err: e}
		if v.last != nil {
			res = *v.last
			if res.Err == nil {
				res.Err = e
			}
		}
		t.res.Recipients = append(t.res.Recipients, res)
		v.tell(res)
	}
	close(t.done)
}

// newFeed returns the feed of the next attempt, in which the envelope may wait for
// the message if together is set.
func (c *carrier) newFeed(together bool) *feed {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	c.t.together.possible = together
	return &feed{t: c.t, c: c}
}

// feed is one attempt's view of the transaction: a submit.Feed. A recipient that
// was refused for good in an earlier attempt, and told so, is not in it: what an
// app was told stands.
type feed struct {
	t    *Transaction
	c    *carrier
	seen int      // of the transaction's recipients, looked at so far
	at   []int    // which of them those of the attempt are
	body cuttable // once there is one
}

// Next implements submit.Feed.
func (f *feed) Next(n int) submit.Supply {
	t := f.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.holdLocked() {
		return submit.Supply{More: t.more}
	}
	for ; f.seen < len(t.rcpts); f.seen++ {
		if t.rcpts[f.seen].refusal() == nil {
			f.at = append(f.at, f.seen)
		}
	}
	s := submit.Supply{Cancelled: t.cancelled, More: t.more}
	for _, i := range f.at[n:] {
		s.Recipients = append(s.Recipients, t.rcpts[i].rc)
	}
	if t.body != nil {
		f.body = cuttable{t.body, t}
		s.Body = &f.body
	}
	return s
}

// Verdict implements submit.Feed. A refusal that is not the last word is not
// told: the message goes another way.
func (f *feed) Verdict(i int, r upstream.Reply, e *upstream.Error) bool {
	if e != nil && f.c.another(e) {
		return false
	}
	t := f.t
	t.mu.Lock()
	defer t.mu.Unlock()
	v := t.rcpts[f.at[i]]
	v.last = &upstream.RecipientResult{Recipient: v.rc, Reply: r, Err: e}
	v.tell(*v.last)
	return true
}

// nobody returns the refusal when everybody was refused in earlier attempts, so
// that this one had nobody to send to; nil otherwise.
func (f *feed) nobody() (e *upstream.Error) {
	t := f.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(f.at) > 0 {
		return nil
	}
	for _, v := range t.rcpts {
		e = v.refusal()
	}
	return e
}

// refusal returns the error that the recipient was told, when it is for good.
// The transaction's mu is held.
func (v *Verdict) refusal() *upstream.Error {
	if v.told && v.res.Err != nil && v.res.Err.Kind() != upstream.KindTemporary {
		return v.res.Err
	}
	return nil
}

// cuttable is a body whose readers Cancel can close.
type cuttable struct {
	upstream.Body
	t *Transaction
}

func (b *cuttable) Open() (io.ReadCloser, error) {
	b.t.mu.Lock()
	defer b.t.mu.Unlock()
	if b.t.cancelled {
		return nil, upstream.ErrBodyAborted
	}
	r, err := b.Body.Open()
	if err != nil {
		return nil, err
	}
	w := &reader{r, b.t}
	if b.t.readers == nil {
		b.t.readers = map[*reader]bool{}
	}
	b.t.readers[w] = true
	return w, nil
}

type reader struct {
	io.ReadCloser
	t *Transaction
}

// Read implements io.Reader. What a cancelled transaction reads is never whole,
// even if the last octet was read just before.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	if r.t.cancelled {
		return 0, upstream.ErrBodyAborted
	}
	return n, err
}

func (r *reader) Close() error {
	r.t.mu.Lock()
	delete(r.t.readers, r)
	r.t.mu.Unlock()
	return r.ReadCloser.Close()
}

// refusedForGood returns a recipient's refusal that asks for the person although
// the message went to others, or nil.
func (t *Transaction) refusedForGood() *upstream.Error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range t.rcpts {
		if v.last != nil && v.last.Err != nil && v.last.Err.Kind() == upstream.KindPerson {
			return v.last.Err
		}
	}
	return nil
}
