package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// TestOneRefresh: fifty sends with an expired token, one refresh.
func TestOneRefresh(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t)
	store := newStore(expired())
	o := newTestOAuth(t, OAuthOptions{Store: store})
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			<-start
			if got, err := o.Token(t.Context(), s.account()); got != "access-1-"+canary || err != nil {
				t.Errorf("Token = %q, %v", got, err)
			}
		})
	}
	close(start)
	wg.Wait()
	if n := s.asked.Load(); n != 1 || store.saves != 1 {
		t.Errorf("%d refreshes, %d saves", n, store.saves)
	}
}

// TestOneFailure: a server that is down is asked once for all who wait.
func TestOneFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := &heldTransport{release: make(chan struct{})}
		o := newTestOAuth(t, OAuthOptions{Store: newStore(expired()), Transport: tr})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_, err := o.Token(t.Context(), deviceAccount())
				checkTemporary(t, err, upstream.ClassServerBroken)
				err.(*upstream.Error).Host = "mine" // everybody has an error of his own
			})
		}
		synctest.Wait()
		close(tr.release)
		wg.Wait()
		if n := tr.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// heldTransport lets requests wait, and then fail.
type heldTransport struct {
	release chan struct{}
	asked   atomic.Int32
}

func (h *heldTransport) RoundTrip(*http.Request) (*http.Response, error) {
	h.asked.Add(1)
	<-h.release
	return nil, errors.New("connection reset")
}

// TestTwoProcesses: the same over two processes that share a directory.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t)
	dir := t.TempDir()
	ref := TokenRef(s.account(), dir)
	secrets := &Secrets{}
	store := secrets.TokenStore(func(string) upstream.SecretRef { return ref })
	if err := store.Save(t.Context(), "home", expired()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		o := newTestOAuth(t, OAuthOptions{Store: store, LockDir: dir})
		for range 10 {
			wg.Go(func() {
				if got, err := o.Token(t.Context(), s.account()); got != "access-1-"+canary || err != nil {
					t.Errorf("Token = %q, %v", got, err)
				}
			})
		}
	}
	wg.Wait()
	if n := s.asked.Load(); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

// TestKilledBeforeUse: the process ends after the rotated token was stored and
// before anybody got the access token; the next start signs in with it.
func TestKilledBeforeUse(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t)
	dir := t.TempDir()
	inner := (&Secrets{}).TokenStore(func(string) upstream.SecretRef {
		return upstream.SecretRef{File: filepath.Join(dir, "home.json")}
	})
	if err := inner.Save(t.Context(), "home", expired()); err != nil {
		t.Fatal(err)
	}
	killed, release := make(chan struct{}), make(chan struct{})
	dying := NewOAuth(OAuthOptions{Store: stuckStore{inner, killed, release}, Secrets: &Secrets{}})
	got := make(chan string, 1)
	go func() { token, _ := dying.Token(t.Context(), s.account()); got <- token }()
	<-killed
	select {
	case token := <-got:
		t.Errorf("token %q was handed out before it was stored", token)
	default:
	}
	next := newTestOAuth(t, OAuthOptions{Store: inner})
	if token, err := next.Token(t.Context(), s.account()); token != "access-1-"+canary || err != nil {
		t.Errorf("the next start: %q, %v", token, err)
	}
	// And when the access token has run out by then, the refresh token is good.
	next.Reject("home", "access-1-"+canary)
	if token, err := next.Token(t.Context(), s.account()); token != "access-2-"+canary || err != nil {
		t.Errorf("its refresh: %q, %v", token, err)
	}
	close(release)
	<-got
	dying.Close()
}

// stuckStore stores and then never comes back, as a killed process would not.
type stuckStore struct {
	TokenStore
	saved   chan<- struct{}
	release <-chan struct{}
}

func (s stuckStore) Save(ctx context.Context, account string, t Token) error {
	err := s.TokenStore.Save(ctx, account, t)
	close(s.saved)
	<-s.release
	return err
}

// TestSaveFails: a rotated token that cannot be stored is not used, not lost,
// and not refreshed again.
func TestSaveFails(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t)
	store := newStore(expired())
	store.fault = func(verb string) error {
		if verb == "save" {
			return errors.New("disk full")
		}
		return nil
	}
	o := newTestOAuth(t, OAuthOptions{Store: store})
	for range 2 {
		token, err := o.Token(t.Context(), s.account())
		if e := upstream.AsError(err, ""); token != "" || err == nil || e.Kind() != upstream.KindTemporary {
			t.Fatalf("Token = %q, %v", token, err)
		}
		o.Forget("home")
	}
	store.setFault(nil)
	if token, err := o.Token(t.Context(), s.account()); token != "access-1-"+canary || err != nil {
		t.Errorf("after the disk has room: %q, %v", token, err)
	}
	if store.tokens["home"].Refresh != "refresh-1-"+canary || s.asked.Load() != 1 {
		t.Errorf("stored %q after %d refreshes", store.tokens["home"].Refresh, s.asked.Load())
	}
}

// TestSaveFailsWithoutRotation: the stored token is still good, so the new
// access token is used.
func TestSaveFailsWithoutRotation(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t)
	s.keep = true
	store := newStore(expired())
	store.fault = func(verb string) error {
		if verb == "save" {
			return errors.New("disk full")
		}
		return nil
	}
	o := newTestOAuth(t, OAuthOptions{Store: store})
	if token, err := o.Token(t.Context(), s.account()); token != "access-1-"+canary || err != nil {
		t.Errorf("Token = %q, %v", token, err)
	}
}

// TestWallClock: a token is good until a minute before its time, and not when
// the clock says that it has not been issued yet.
func TestWallClock(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		expires any
		later   time.Duration
		fresh   bool
	}{
		{"at once", nil, 0, true},
		{"58 minutes later", nil, 58 * time.Minute, true},
		{"in its last minute", nil, 59*time.Minute + time.Second, false},
		{"after a night's sleep", nil, 9 * time.Hour, false},
		{"the clock ran back a second", nil, -time.Second, true},
		{"the clock ran back a day", nil, -24 * time.Hour, false},
		{"a short life", 10, 4 * time.Second, true},
		{"the end of a short life", 10, 6 * time.Second, false},
		{"a life in words", "3600", 58 * time.Minute, true},
		{"no end is known", 0, 1000 * time.Hour, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newAuthServer(t)
			s.expires = tt.expires
			var later atomic.Int64
			o := newTestOAuth(t, OAuthOptions{Store: newStore(expired()), Now: func() time.Time { return begin.Add(time.Duration(later.Load())) }})
			if _, err := o.Token(t.Context(), s.account()); err != nil {
				t.Fatal(err)
			}
			later.Store(int64(tt.later))
			if _, err := o.Token(t.Context(), s.account()); err != nil {
				t.Fatal(err)
			}
			if n := s.asked.Load(); (n == 1) != tt.fresh {
				t.Errorf("%d refreshes", n)
			}
		})
	}
}

// TestReject: the mail server's word beats the clock.
func TestReject(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t)
	o := newTestOAuth(t, OAuthOptions{Store: newStore(expired())})
	for i := 1; i <= 3; i++ {
		token, err := o.Token(t.Context(), s.account())
		if want := fmt.Sprintf("access-%d-%s", i, canary); token != want || err != nil {
			t.Fatalf("Token = %q, %v; want %q", token, err, want)
		}
		o.Reject("home", token)
	}
	o.Reject("home", "a token of long ago")
	if token, _ := o.Token(t.Context(), s.account()); token != "access-3-"+canary {
		t.Errorf("after a late refusal of an older token: %q", token)
	}
}

// TestCallerLeaves: the refresh goes on without the one who asked for it.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t)
	ctx, leave := context.WithCancel(t.Context())
	hold := make(chan struct{})
	var once sync.Once
	s.fault = func(w http.ResponseWriter, r *http.Request) {
		once.Do(leave)
		<-hold
		fmt.Fprint(w, `{"access_token":"late","refresh_token":"rotated","expires_in":3600}`)
	}
	store := newStore(expired())
	o := newTestOAuth(t, OAuthOptions{Store: store})
	_, err := o.Token(ctx, s.account())
	if e := upstream.AsError(err, ""); !errors.Is(err, context.Canceled) || e.Kind() != upstream.KindTemporary {
		t.Fatalf("Token = %v", err)
	}
	close(hold)
	if token, err := o.Token(t.Context(), s.account()); token != "late" || err != nil {
		t.Errorf("the next caller: %q, %v", token, err)
	}
	if store.tokens["home"].Refresh != "rotated" || s.asked.Load() != 1 {
		t.Errorf("stored %q after %d refreshes", store.tokens["home"].Refresh, s.asked.Load())
	}
}

// TestStoreFaults: a locked keyring is waited for, not taken for "never signed in".
func TestStoreFaults(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t)
	store := newStore(expired())
	store.fault = func(string) error { return keyringError(t.Context(), errors.New("locked")) }
	o := newTestOAuth(t, OAuthOptions{Store: store})
	_, err := o.Token(t.Context(), s.account())
	if e := upstream.AsError(err, ""); !errors.Is(err, ErrKeyring) || e.Kind() != upstream.KindTemporary || s.asked.Load() != 0 {
		t.Errorf("Token = %v, %d requests", err, s.asked.Load())
	}
	if ok, err := o.SignedIn(t.Context(), "home"); ok || !errors.Is(err, ErrKeyring) {
		t.Errorf("SignedIn = %v, %v", ok, err)
	}
}

// TestClientSecret: in the body, and in the header for a server that wants it
// there.
func TestClientSecret(t *testing.T) {
	t.Parallel()
	for _, inHeader := range []bool{false, true} {
		s := newAuthServer(t)
		s.fault = func(w http.ResponseWriter, r *http.Request) {
			_, secret, basic := r.BasicAuth()
			if !basic {
				secret = r.PostFormValue("client_secret")
			}
			if basic != inHeader || secret != canary {
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprint(w, `{"error":"invalid_client"}`)
				return
			}
			fmt.Fprint(w, `{"access_token":"ok","expires_in":3600}`)
		}
		a := s.account()
		a.OAuth.ClientSecret = upstream.SecretRef{File: file(t, canary+"\n", 0o600)}
		store := newStore(expired())
		token, err := newTestOAuth(t, OAuthOptions{Store: store}).Token(t.Context(), a)
		if token != "ok" || err != nil || store.tokens["home"].Refresh != expired().Refresh {
			t.Errorf("in header %v: %q, %v, stored %+v", inHeader, token, err, store.tokens["home"])
		}
	}
}

func TestSignOut(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t)
	o := newTestOAuth(t, OAuthOptions{Store: newStore(expired()), LockDir: t.TempDir()})
	if ok, err := o.SignedIn(t.Context(), "home"); !ok || err != nil {
		t.Errorf("SignedIn = %v, %v", ok, err)
	}
	if _, err := o.Token(t.Context(), s.account()); err != nil {
		t.Fatal(err)
	}
	if err := o.SignOut(t.Context(), "home"); err != nil {
		t.Fatal(err)
	}
	if ok, err := o.SignedIn(t.Context(), "home"); ok || err != nil {
		t.Errorf("SignedIn = %v, %v", ok, err)
	}
	if _, err := o.Token(t.Context(), s.account()); !errors.Is(err, ErrSignIn) {
		t.Errorf("Token = %v", err)
	}
}

// TestClosed: Close waits for the refresh, and no other begins.
func TestClosed(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t)
	store := newStore(expired())
	arrived, hold := make(chan struct{}), make(chan struct{})
	s.fault = func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-hold
		fmt.Fprint(w, `{"access_token":"late","refresh_token":"rotated","expires_in":3600}`)
	}
	o := newTestOAuth(t, OAuthOptions{Store: store})
	go o.Token(t.Context(), s.account())
	<-arrived
	closed := make(chan struct{})
	go func() { o.Close(); close(closed) }()
	close(hold)
	<-closed
	if store.tokens["home"].Refresh != "rotated" {
		t.Errorf("stored %q", store.tokens["home"].Refresh)
	}
	o.Reject("home", "late")
	if _, err := o.Token(t.Context(), s.account()); !errors.Is(err, context.Canceled) || upstream.AsError(err, "").Kind() != upstream.KindTemporary {
		t.Errorf("after Close: %v", err)
	}
}
