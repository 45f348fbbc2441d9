package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"melon/upstream"
)

// SignIn is one sign-in under way: a listener on a loopback port that waits for
// the browser to come back (RFC 8252 section 7.3). Close it.
//
// Only one request is taken: the first that carries the state which only the
// browser that was sent out can know. Others get an error page and change
// nothing. The code is exchanged before the page is shown, so that the page can
// say how it ended.
type SignIn struct {
	URL string // what to open in the person's browser

	o        *OAuth
	account  upstream.Account
	client   *oauthClient
	lang     string
	state    string
	verifier string // PKCE, RFC 7636
	port     string

	ctx    context.Context // of the exchange; ends with Close
	cancel context.CancelFunc
	server *http.Server
	wg     sync.WaitGroup // the server's goroutines

	used sync.Once
	done chan struct{} // closed when err is final
	err  error
}

// Begin starts a sign-in by authorization code with PKCE (RFC 7636). lang is the
// language of the page that the browser ends on: "en" or "ja". The code is
// exchanged and the token stored when the browser comes back, whether or not
// anybody waits.
func (o *OAuth) Begin(ctx context.Context, a upstream.Account, lang string) (*SignIn, error) {
	c, err := o.client(ctx, a)
	if err != nil {
		return nil, err
	}
	if c.conf.Endpoint.AuthURL == "" {
		return nil, fail(upstream.ClassAppPasswordOrOAuthRequired,
			"The account's oauth block has no auth_url, so there is no page to sign in on; set it, or sign in with --device.", ErrNoClient)
	}
	listeners, port, err := listenLoopback(ctx, c.redirectHost)
	if err != nil {
		return nil, fail(upstream.ClassTemporaryLocalProblem, "No local port could be opened for the browser to come back to.", err)
	}
	s := &SignIn{
		o: o, account: a, client: c, lang: lang, port: port,
		state: rand.Text(), verifier: oauth2.GenerateVerifier(), done: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.conf.RedirectURL = "http://" + net.JoinHostPort(c.redirectHost, port)
	s.URL = c.conf.AuthCodeURL(s.state, s.params()...)
	s.server = &http.Server{
		Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return s.ctx },
	}
	s.server.SetKeepAlivesEnabled(false)
	for _, l := range listeners {
		s.wg.Go(func() { s.server.Serve(l) }) // returns when Close closes it
	}
	return s, nil
}

// params are the provider's own, the PKCE challenge, and who is expected.
func (s *SignIn) params() []oauth2.AuthCodeOption {
	opts := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(s.verifier)}
	for k, v := range s.client.params {
		opts = append(opts, oauth2.SetAuthURLParam(k, v))
	}
	if s.account.Address != "" {
		opts = append(opts, oauth2.SetAuthURLParam("login_hint", s.account.Address))
	}
	return opts
}

// listenLoopback takes a free port on 127.0.0.1. Where the browser is sent to
// "localhost" it may try IPv6 first, so the same port is taken there if it can be.
func listenLoopback(ctx context.Context, host string) (listeners []net.Listener, port string, err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	listeners = []net.Listener{l}
	port = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	if host == "localhost" {
		if l6, err := lc.Listen(ctx, "tcp6", net.JoinHostPort("::1", port)); err == nil {
			listeners = append(listeners, l6)
		}
	}
	return listeners, port, nil
}

// serve takes the browser's return (RFC 6749 section 4.1.2).
func (s *SignIn) serve(w http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(r.Host)
	q := r.URL.Query()
	switch {
	case err != nil || !loopback(host) || port != s.port: // another name that leads here
		writePage(w, http.StatusForbidden, s.lang, pageStray)
	case r.Method != http.MethodGet || r.URL.Path != "/":
		writePage(w, http.StatusNotFound, s.lang, pageStray)
	case subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(s.state)) != 1:
		writePage(w, http.StatusBadRequest, s.lang, pageStray)
	default:
		first := false
		s.used.Do(func() { first = true })
		if !first {
			writePage(w, http.StatusGone, s.lang, pageStray)
			return
		}
		s.err = s.finish(q.Get("code"), q.Get("error"))
		close(s.done)
		if s.err != nil {
			writePage(w, http.StatusOK, s.lang, pageFailed)
			return
		}
		writePage(w, http.StatusOK, s.lang, pageDone)
	}
}

// finish exchanges the code and stores the token.
func (s *SignIn) finish(code, refusal string) error {
	if code == "" {
		if refusal == "access_denied" {
			return fail(upstream.ClassAppPasswordOrOAuthRequired,
				"The sign-in was declined in the browser; start it again to allow it.", fmt.Errorf("%w: access_denied", ErrSignIn))
		}
		return fail(upstream.ClassAppPasswordOrOAuthRequired,
			"The provider did not complete the sign-in; start it again, and check client_id and scopes in the oauth block.", ErrSignIn)
	}
	issued := s.o.now()
	got, err := s.o.ask(s.ctx, s.client, func(ctx context.Context) (*oauth2.Token, error) {
		return s.client.conf.Exchange(ctx, code, oauth2.VerifierOption(s.verifier))
	})
	if err != nil {
		return signInError(err)
	}
	return s.o.accept(s.ctx, s.account, got, issued)
}

// signInError types a failed exchange of a code: the code is spent, so that a
// definite refusal means to start again.
func signInError(err error) error {
	if code, _ := errorCode(err); code == "invalid_grant" || code == "access_denied" || code == "expired_token" {
		return fail(upstream.ClassAppPasswordOrOAuthRequired,
			"The provider did not accept the sign-in, or it took too long; start it again.", fmt.Errorf("%w: %s", ErrSignIn, code))
	}
	return endpointError(err)
}

// accept stores a new grant in place of whatever was there.
func (o *OAuth) accept(ctx context.Context, a upstream.Account, got *oauth2.Token, issued time.Time) error {
	t, err := o.token(got, issued)
	if err != nil {
		return err
	}
	unlock, err := o.lock(ctx, a.Name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := o.o.Store.Save(ctx, a.Name, t); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.grant(a.Name)
	g.token, g.rejected, g.unsaved = t, "", false
	return nil
}

// Wait returns nil when the person is signed in and the token stored, and an
// *upstream.Error when that failed or ctx ended first. Waiting again is allowed.
func (s *SignIn) Wait(ctx context.Context) error {
	select {
	case <-s.done:
		return s.err
	default:
	}
	why := context.Canceled // closed
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		why = ctx.Err()
	case <-s.ctx.Done():
	}
	return fail(upstream.ClassAppPasswordOrOAuthRequired,
		"Nobody finished the sign-in in the browser; start it again.", fmt.Errorf("%w: %w", ErrSignIn, why))
}

// Close ends the sign-in, closes its listener, gives a page that is being sent
// two seconds, and waits for its goroutines. It may be called twice.
func (s *SignIn) Close() error {
	select {
	case <-s.done: // the page is on its way
	default:
		s.cancel()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.server.Close()
	}
	s.cancel()
	s.wg.Wait()
	return err
}
