package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"melon/upstream"
)

// Bounds for tokens.
const (
	// oauthTimeout bounds one exchange with an authorization server.
	oauthTimeout = 20 * time.Second
	// expiryMargin is how long before its time an access token counts as
	// expired, so that it outlives the login it is fetched for.
	expiryMargin = time.Minute
	// clockSlack is how far the wall clock may run back before a token that
	// was issued "in the future" is no longer believed.
	clockSlack = time.Minute
	// closeGrace is how long Close lets a refresh finish.
	closeGrace = 5 * time.Second
	// lockPoll is the pause between two looks at another process's lock.
	lockPoll = 50 * time.Millisecond
)

// OAuthOptions is what OAuth needs. Store and Secrets must be set.
type OAuthOptions struct {
	Store     TokenStore
	Secrets   *Secrets          // for client secrets
	Transport http.RoundTripper // to the authorization server; a plain verifying one when nil
	Now       func() time.Time  // wall clock; time.Now when nil
	// LockDir is an existing directory for lock files, so that two processes
	// never refresh one account's token at once. Empty: no locks.
	LockDir string
	// Timeout bounds one exchange with the authorization server; 20 s when 0.
	Timeout time.Duration
}

// OAuth holds the OAuth 2.0 tokens (RFC 6749) of all accounts: it signs a person
// in, hands out access tokens and refreshes them. Safe for concurrent use. Close
// it.
//
// A refresh runs in a goroutine of its own, so that it outlives the caller that
// wanted it: an authorization server that rotates refresh tokens has voided the
// old one by the time its answer is on the way. The order is always: take the
// account's lock, read the store, refresh, store, hand out.
type OAuth struct {
	o      OAuthOptions
	ctx    context.Context // of every refresh; ends when Close runs out of patience
	cancel context.CancelFunc
	wg     sync.WaitGroup // the refreshes under way

	mu     sync.Mutex
	closed bool
	grants map[string]*grant // by account name
}

// grant is what is in memory of one account's sign-in; OAuth.mu guards it.
type grant struct {
	token    Token
	rejected string        // an access token that the mail server refused
	unsaved  bool          // token came from a rotation that could not be stored yet
	renewal  *renewal      // the refresh under way
	turn     chan struct{} // holds one element while the stored token is in use
}

// renewal is one refresh; token and err may be read after done is closed.
type renewal struct {
	done  chan struct{}
	token string
	err   *upstream.Error
}

// NewOAuth starts nothing; the first Token call does.
func NewOAuth(o OAuthOptions) *OAuth {
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout <= 0 {
		o.Timeout = oauthTimeout
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &OAuth{o: o, ctx: ctx, cancel: cancel, grants: map[string]*grant{}}
}

// Close waits for refreshes under way, as cutting one can lose a rotated token,
// but for no more than five seconds; then it cuts them. No other method may be
// called after it; every SignIn must have been closed.
func (o *OAuth) Close() error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	timer := time.AfterFunc(closeGrace, o.cancel)
	o.wg.Wait()
	timer.Stop()
	o.cancel()
	return nil
}

// Token returns an access token for the account that has not expired by the
// wall clock. Concurrent calls share one refresh; a caller whose context ends
// leaves, the refresh goes on. A rotated refresh token is stored before the
// access token is handed out.
//
// Errors are *upstream.Error: of the person's kind around ErrSignIn (never
// signed in, or the grant was withdrawn) or ErrNoClient; everything else is
// temporary, and has changed nothing that is stored.
func (o *OAuth) Token(ctx context.Context, a upstream.Account) (string, error) {
	o.mu.Lock()
	g := o.grant(a.Name)
	if !g.unsaved && o.valid(g.token, g.rejected) {
		defer o.mu.Unlock()
		return g.token.Access, nil
	}
	r := g.renewal
	if r == nil {
		if o.closed {
			o.mu.Unlock()
			return "", fail(upstream.ClassTemporaryLocalProblem, "Melon is stopping.", context.Canceled)
		}
		r = &renewal{done: make(chan struct{})}
		g.renewal = r
		o.wg.Go(func() { o.renew(a, g, r) })
	}
	o.mu.Unlock()

	select {
	case <-r.done:
	case <-ctx.Done():
		return "", fail(upstream.ClassServerUnreachable,
			"The sign-in server did not answer in time; the message waits.", fmt.Errorf("%w: %w", ErrTokenEndpoint, ctx.Err()))
	}
	if r.err != nil {
		e := *r.err // callers fill in account and host
		return "", &e
	}
	return r.token, nil
}

// grant returns the account's grant in memory. Callers hold o.mu.
func (o *OAuth) grant(account string) *grant {
	g := o.grants[account]
	if g == nil {
		g = &grant{turn: make(chan struct{}, 1)}
		o.grants[account] = g
	}
	return g
}

// Reject tells that the mail server refused this access token (535, or an
// OAuthError): the next Token refreshes even if its time has not come. When a
// token fresh from a refresh is refused too, it is the account that is refused.
func (o *OAuth) Reject(account, access string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.grant(account).rejected = access
}

// Forget drops what is held in memory for the account, after its settings or
// its sign-in changed. A rotated token that is not stored yet is kept.
func (o *OAuth) Forget(account string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if g := o.grants[account]; g != nil && !g.unsaved {
		g.token, g.rejected = Token{}, ""
	}
}

// SignedIn reports whether a grant is stored for the account, without using it.
func (o *OAuth) SignedIn(ctx context.Context, account string) (bool, error) {
	t, err := o.o.Store.Load(ctx, account)
	if errors.Is(err, ErrMissing) {
		return false, nil
	}
	return err == nil && (t.Refresh != "" || o.valid(t, "")), err
}

// SignOut deletes the account's grant from the store. The provider is not told.
func (o *OAuth) SignOut(ctx context.Context, account string) error {
	unlock, err := o.lock(ctx, account)
	if err != nil {
		return err
	}
	defer unlock()
	if err := o.o.Store.Delete(ctx, account); err != nil {
		return err
	}
	o.mu.Lock()
	g := o.grant(account)
	o.mu.Unlock()
	o.hold(g, Token{}, false)
	return nil
}

// valid reports whether the access token can be used now, by the wall clock: a
// monotonic clock stands still while a laptop sleeps.
func (o *OAuth) valid(t Token, rejected string) bool {
	if t.Access == "" || t.Access == rejected {
		return false
	}
	if t.Expiry.IsZero() {
		return true // until the mail server says otherwise
	}
	now := o.now()
	margin := min(expiryMargin, t.Expiry.Sub(t.Issued)/2)
	return !now.Before(t.Issued.Add(-clockSlack)) && now.Before(t.Expiry.Add(-margin))
}

// now returns the wall clock alone.
func (o *OAuth) now() time.Time { return o.o.Now().Round(0) }

// renew runs one refresh and publishes its outcome.
func (o *OAuth) renew(a upstream.Account, g *grant, r *renewal) {
	ctx, cancel := context.WithTimeout(o.ctx, 2*o.o.Timeout)
	defer cancel()
	t, err := o.current(ctx, a, g)

	o.mu.Lock()
	defer o.mu.Unlock()
	r.token = t.Access
	if err != nil {
		r.token, r.err = "", upstream.AsError(err, upstream.PhaseAuth)
	}
	g.renewal = nil
	close(r.done)
}

// current gets the account a usable token: the one that could not be stored
// last time, the stored one when another process renewed it, or a refreshed one.
func (o *OAuth) current(ctx context.Context, a upstream.Account, g *grant) (Token, error) {
	unlock, err := o.lock(ctx, a.Name)
	if err != nil {
		return Token{}, err
	}
	defer unlock()
	o.mu.Lock()
	t, rejected, unsaved := g.token, g.rejected, g.unsaved
	o.mu.Unlock()

	if unsaved {
		if err := o.save(ctx, a.Name, t); err != nil {
			return Token{}, err
		}
	} else if t, err = o.load(ctx, a); err != nil {
		return Token{}, err
	}
	if o.valid(t, rejected) {
		o.hold(g, t, false)
		return t, nil
	}
	fresh, err := o.refresh(ctx, a, t.Refresh)
	if err != nil {
		o.hold(g, Token{}, false)
		return Token{}, err
	}
	err = o.save(ctx, a.Name, fresh)
	if err != nil && fresh.Refresh == t.Refresh {
		err = nil // nothing rotated: the stored one still works
	}
	o.hold(g, fresh, err != nil)
	return fresh, err
}

// hold remembers a token; unsaved is one that exists nowhere else.
func (o *OAuth) hold(g *grant, t Token, unsaved bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g.token, g.unsaved = t, unsaved
}

// load reads the stored token and says what a missing one means.
func (o *OAuth) load(ctx context.Context, a upstream.Account) (Token, error) {
	t, err := o.o.Store.Load(ctx, a.Name)
	switch {
	case errors.Is(err, ErrMissing):
		return Token{}, signInNeeded(a.Name, "nobody has signed in to it yet", err)
	case err != nil:
		return Token{}, err
	}
	return t, nil
}

// save stores t with time of its own: a rotated token is worth more than the
// deadline of whoever asked for it.
func (o *OAuth) save(ctx context.Context, account string, t Token) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.o.Timeout)
	defer cancel()
	if err := o.o.Store.Save(ctx, account, t); err != nil {
		return fail(upstream.ClassTemporaryLocalProblem,
			"The renewed sign-in could not be stored, so it was not used yet; make room for it or unlock the keyring.", err)
	}
	return nil
}

// lock gives the account's stored token to one goroutine of one process. A file
// system without locks is no reason to send no mail.
func (o *OAuth) lock(ctx context.Context, account string) (unlock func(), err error) {
	busy := func() error {
		return fail(upstream.ClassTemporaryLocalProblem,
			"This account's sign-in is being renewed already; the message waits.", ctx.Err())
	}
	o.mu.Lock()
	turn := o.grant(account).turn
	o.mu.Unlock()
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, busy()
	}
	if o.o.LockDir == "" {
		return func() { <-turn }, nil
	}
	l := flock.New(filepath.Join(o.o.LockDir, "oauth-"+fileName(account)+".lock"), flock.SetPermissions(0o600))
	if _, err := l.TryLockContext(ctx, lockPoll); err != nil && ctx.Err() != nil {
		l.Close()
		<-turn
		return nil, busy()
	}
	return func() { l.Close(); <-turn }, nil
}

// signInNeeded is the person's: nothing but a new sign-in helps.
func signInNeeded(account, why string, err error) *upstream.Error {
	name := upstream.CleanLine(account)
	return fail(upstream.ClassAppPasswordOrOAuthRequired,
		"The account "+name+" needs a sign-in in the browser: "+why+"; run melon login "+name+".", fmt.Errorf("%w: %w", ErrSignIn, err))
}
