package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"

	"melon/upstream"
	"melon/upstream/auth"
)

// NeedsSecret reports whether the account logs in with anything to be kept.
func NeedsSecret(a upstream.Account) bool {
	switch a.Auth {
	case upstream.AuthNone, upstream.AuthExternal:
		return a.POP.Host != ""
	}
	return true
}

// heldSecrets answers for secrets that were typed and are not stored yet, and
// asks the stores for all others.
type heldSecrets struct {
	stores *auth.Secrets
	held   []heldSecret
}

type heldSecret struct {
	ref    upstream.SecretRef
	secret string
}

// Get implements what the relay, doctor and the sign-in ask for.
func (h *heldSecrets) Get(ctx context.Context, ref upstream.SecretRef) (string, error) {
	for _, s := range h.held {
		if reflect.DeepEqual(s.ref, ref) {
			return s.secret, nil
		}
	}
	return h.stores.Get(ctx, ref)
}

// hold keeps a secret until store; a later one for the same place replaces it.
func (h *heldSecrets) hold(ref upstream.SecretRef, secret string) {
	for i := range h.held {
		if reflect.DeepEqual(h.held[i].ref, ref) {
			h.held[i].secret = secret
			return
		}
	}
	h.held = append(h.held, heldSecret{ref, secret})
}

// store puts every held secret in its place. After an error those that were put
// there are taken away again.
func (h *heldSecrets) store(ctx context.Context) (undo func(context.Context) error, err error) {
	var done []upstream.SecretRef
	undo = func(ctx context.Context) error {
		var errs []error
		for _, ref := range done {
			errs = append(errs, h.stores.Delete(ctx, ref))
		}
		return errors.Join(errs...)
	}
	for _, s := range h.held {
		if s.ref.File != "" {
			if err := os.MkdirAll(filepath.Dir(s.ref.File), 0o700); err != nil {
				return nil, errors.Join(err, undo(ctx))
			}
		}
		if err := h.stores.Set(ctx, s.ref, s.secret); err != nil {
			return nil, errors.Join(err, undo(ctx))
		}
		done = append(done, s.ref)
	}
	return undo, nil
}

// heldTokens is a TokenStore in memory: a sign-in that turns out to be of no use
// leaves nothing behind.
type heldTokens struct {
	mu     sync.Mutex
	tokens map[string]auth.Token
}

func (h *heldTokens) Load(_ context.Context, account string) (auth.Token, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t, ok := h.tokens[account]
	if !ok {
		return t, auth.ErrMissing
	}
	return t, nil
}

func (h *heldTokens) Save(_ context.Context, account string, t auth.Token) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tokens == nil {
		h.tokens = map[string]auth.Token{}
	}
	h.tokens[account] = t
	return nil
}

func (h *heldTokens) Delete(_ context.Context, account string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.tokens, account)
	return nil
}

// TokenStore keeps the accounts' sign-ins where their settings say; account finds
// an account by its name.
func TokenStore(secrets *auth.Secrets, state string, account func(string) (upstream.Account, bool)) auth.TokenStore {
	return secrets.TokenStore(func(name string) upstream.SecretRef {
		a, ok := account(name)
		if !ok {
			a = upstream.Account{Name: name}
		}
		return auth.TokenRef(a, state)
	})
}

// NewOAuth returns the holder of the accounts' sign-ins. The caller closes it.
func NewOAuth(secrets *auth.Secrets, state string, account func(string) (upstream.Account, bool)) *auth.OAuth {
	return auth.NewOAuth(auth.OAuthOptions{Store: TokenStore(secrets, state, account), Secrets: secrets, LockDir: state})
}

// secretFile is where an account's secret is kept without a keyring.
func (s *Setup) secretFile(account string) (upstream.SecretRef, error) {
	name := ""
	for _, b := range []byte(account) {
		if b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '-' || b == '_' {
			name += string(rune(b))
		} else {
			name += fmt.Sprintf("%%%02x", b)
		}
	}
	path, err := filepath.Abs(filepath.Join(s.Paths.State, "secrets", "password-"+name))
	return upstream.SecretRef{File: path}, err
}

// keyringWorks asks the system keyring for an item that need not be there.
func (s *Setup) keyringWorks(ctx context.Context, item string) bool {
	_, err := s.Secrets.Get(ctx, upstream.SecretRef{Keyring: item})
	return !errors.Is(err, auth.ErrKeyring)
}

// chooseStore says where the account's secret will be kept: as was wished for,
// else in the keyring. Without a keyring the person is asked; nobody there, it is
// a file, and said so. It is never changed later without being told to.
func (s *Setup) chooseStore(ctx context.Context, p Person, wanted, account string) (upstream.SecretRef, error) {
	file, err := s.secretFile(account)
	if err != nil {
		return file, err
	}
	ring := upstream.SecretRef{Keyring: account}
	switch wanted {
	case "keyring":
		if !s.keyringWorks(ctx, account) {
			return ring, s.fail("store.locked")
		}
		return ring, nil
	case "file":
		return file, nil
	case "":
	default:
		return file, s.misuse("store.unknown", wanted)
	}
	if s.keyringWorks(ctx, account) {
		p.Tell(s.say("store.keyring"))
		return ring, nil
	}
	ok, err := p.Confirm(ctx, s.say("store.ask", file.File), true)
	switch {
	case errors.Is(err, ErrNobody):
		p.Tell(s.say("store.file", file.File))
		return file, nil
	case err == nil && !ok:
		err = s.fail("store.declined")
	}
	return file, err
}
