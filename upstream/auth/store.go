package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/zalando/go-keyring"

	"melon/upstream"
)

// Token is one grant as it is stored: the refresh token that lasts, and the
// access token of the moment.
type Token struct {
	Access  string    `json:"access_token,omitempty"`
	Refresh string    `json:"refresh_token,omitempty"`
	Issued  time.Time `json:"issued,omitzero"` // wall clock
	Expiry  time.Time `json:"expiry,omitzero"` // wall clock; zero: not known
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

// TokenRef says where the account's tokens are kept: in the place of its
// password secret when that is a keyring item or a file, else in a 0600 file of
// its own in dir.
func TokenRef(a upstream.Account, dir string) upstream.SecretRef {
	if a.Password.Keyring != "" || a.Password.File != "" {
		return a.Password
	}
	return upstream.SecretRef{File: filepath.Join(dir, "oauth-"+fileName(a.Name)+".json")}
}

// TokenStore returns a store that keeps tokens as one line of JSON under the
// secret that ref names for an account: a keyring item or a file. It never
// changes the place by itself.
func (s *Secrets) TokenStore(ref func(account string) upstream.SecretRef) TokenStore {
	return &secretStore{secrets: s, ref: ref}
}

type secretStore struct {
	secrets *Secrets
	ref     func(account string) upstream.SecretRef
}

func (s *secretStore) Load(ctx context.Context, account string) (Token, error) {
	text, err := s.secrets.Get(ctx, s.ref(account))
	if err != nil {
		return Token{}, err
	}
	var t Token
	// The cause is dropped: it would quote the text.
	if json.Unmarshal([]byte(text), &t) != nil || t.Access == "" && t.Refresh == "" {
		return Token{}, fmt.Errorf("%w: what is stored is no token", ErrMissing)
	}
	return t, nil
}

// Save leaves the access token out where the keyring is too small for both: the
// Credential Manager takes 2560 octets.
func (s *secretStore) Save(ctx context.Context, account string, t Token) error {
	err := s.put(ctx, account, t)
	if errors.Is(err, keyring.ErrSetDataTooBig) && t.Refresh != "" {
		err = s.put(ctx, account, Token{Refresh: t.Refresh})
	}
	return err
}

func (s *secretStore) put(ctx context.Context, account string, t Token) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return s.secrets.Set(ctx, s.ref(account), string(text))
}

func (s *secretStore) Delete(ctx context.Context, account string) error {
	return s.secrets.Delete(ctx, s.ref(account))
}

// fileName makes an account's name safe to be part of a file's name on every
// system: lower-case letters, digits, "-" and "_" stay, the rest is written in
// hexadecimal, so that no two names share one.
func fileName(account string) string {
	var b strings.Builder
	for _, c := range []byte(account) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}
