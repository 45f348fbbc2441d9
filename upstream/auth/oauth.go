package auth

import (
	"context"
	"net/http"
	"time"

	"melon/upstream"
)

// Token is one grant as it is stored: the refresh token that lasts, and the
// access token of the moment.
type Token struct {
	Access  string    `json:"access_token,omitempty"`
	Refresh string    `json:"refresh_token,omitempty"`
	Issued  time.Time `json:"issued"` // wall clock
	Expiry  time.Time `json:"expiry"` // wall clock; zero: not known
}

// TokenStore keeps one Token for each account.
type TokenStore interface {
	// Load returns the account's token; ErrMissing in the chain when there is
	// none.
	Load(ctx context.Context, account string) (Token, error)
	// Save returns after the token would survive a crash.
	Save(ctx context.Context, account string, t Token) error
	// Delete forgets it; one that is not there is no error.
	Delete(ctx context.Context, account string) error
}

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
type OAuth struct {
	o OAuthOptions
}

// NewOAuth starts nothing; the first Token call does.
func NewOAuth(o OAuthOptions) *OAuth { return &OAuth{o: o} }

// Close waits for refreshes under way, as cutting one could lose a rotated
// token, each bounded by Timeout. No other method may be called after it.
func (o *OAuth) Close() error { return nil }

// Token returns an access token for the account that has not expired by the
// wall clock. Concurrent calls share one refresh; a caller whose context ends
// leaves, the refresh goes on. A rotated refresh token is stored before the
// access token is handed out.
//
// Errors are *upstream.Error: of the person's kind around ErrSignIn (never
// signed in, or the grant was withdrawn) or ErrNoClient; everything else is
// temporary, and has changed nothing that is stored.
func (o *OAuth) Token(ctx context.Context, a upstream.Account) (string, error) {
	return "", ErrSignIn
}

// Reject tells that the mail server refused this access token (535, or an
// OAuthError): the next Token refreshes even if its time has not come. When a
// token fresh from a refresh is refused too, it is the account that is refused.
func (o *OAuth) Reject(account, access string) {}

// Forget drops what is held in memory for the account, after its settings or
// its sign-in changed.
func (o *OAuth) Forget(account string) {}

// SignedIn reports whether a grant is stored for the account, without using it.
func (o *OAuth) SignedIn(ctx context.Context, account string) (bool, error) { return false, nil }

// SignOut deletes the account's grant from the store. The provider is not told.
func (o *OAuth) SignOut(ctx context.Context, account string) error { return nil }

// SignIn is one sign-in under way: a listener on a loopback port that waits for
// the browser to come back (RFC 8252 section 7.3). Close it.
type SignIn struct {
	URL string // what to open in the person's browser
}

// Begin starts a sign-in by authorization code with PKCE (RFC 7636). lang is the
// language of the page that the browser ends on: "en" or "ja". The code is
// exchanged and the token stored when the browser comes back, whether or not
// anybody waits.
func (o *OAuth) Begin(ctx context.Context, a upstream.Account, lang string) (*SignIn, error) {
	return nil, ErrNoClient
}

// Wait returns nil when the person is signed in and the token stored.
func (s *SignIn) Wait(ctx context.Context) error { return nil }

// Close ends the sign-in, closes its listener and waits for its goroutines.
func (s *SignIn) Close() error { return nil }

// DeviceSignIn is one sign-in by the device flow (RFC 8628): the person opens
// VerificationURI on any device and types UserCode.
type DeviceSignIn struct {
	UserCode                string
	VerificationURI         string
	VerificationURIComplete string    // with the code in it; may be empty
	Expires                 time.Time // when the code is void
}

// BeginDevice asks the provider for a code.
func (o *OAuth) BeginDevice(ctx context.Context, a upstream.Account) (*DeviceSignIn, error) {
	return nil, ErrNoClient
}

// Wait polls until the person has signed in and the token is stored, the code
// has expired, or ctx ends.
func (d *DeviceSignIn) Wait(ctx context.Context) error { return nil }

// TokenStore returns a store that keeps tokens as JSON under the secret that ref
// names for an account: a keyring item or a file.
func (s *Secrets) TokenStore(ref func(account string) upstream.SecretRef) TokenStore { return nil }

// TokenRef says where the account's tokens are kept: in its password secret's
// place when that is a keyring item or a file, else in a 0600 file of its own in
// dir.
func TokenRef(a upstream.Account, dir string) upstream.SecretRef { return a.Password }
