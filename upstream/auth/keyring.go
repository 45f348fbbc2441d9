package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/zalando/go-keyring"

	"melon/upstream"
)

// Keyring is the system keyring. Calls may block for as long as a dialog is
// open. keyring.ErrNotFound says that there is no such item; any other error
// that the keyring cannot say.
type Keyring interface {
	Get(service, item string) (string, error)
	Set(service, item, secret string) error
	Delete(service, item string) error
}

// systemKeyring is the Secret Service, Keychain or Credential Manager.
type systemKeyring struct{}

func (systemKeyring) Get(service, item string) (string, error) { return keyring.Get(service, item) }
func (systemKeyring) Set(service, item, secret string) error {
	return keyring.Set(service, item, secret)
}
func (systemKeyring) Delete(service, item string) error { return keyring.Delete(service, item) }

// keyringCalls puts a time limit around calls that know none.
//
// A locked keyring with a display answers only when the person has typed into
// its dialog. The caller stops waiting, the call stays: it cannot be cut, so at
// most one is under way at any time, and whoever asks for the same item
// meanwhile waits for that one instead of opening a second dialog. The goroutine
// ends with the dialog, at the latest with the process.
type keyringCalls struct {
	mu   sync.Mutex
	gate chan struct{}           // holds one element while a call is under way
	gets map[string]*keyringCall // the Get under way, by item
}

// keyringCall is one call; its results may be read after done is closed.
type keyringCall struct {
	done   chan struct{}
	secret string
	err    error
}

// do runs f and waits for it until ctx ends or the time is over. Calls with the
// same join, unless it is empty, share one run.
func (k *keyringCalls) do(ctx context.Context, limit time.Duration, join string, f func() (string, error)) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	call, err := k.start(ctx, join, f)
	if err != nil {
		return "", err
	}
	select {
	case <-call.done:
		return call.secret, call.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// start returns the call under way for join, or starts one as soon as no other
// call is under way.
func (k *keyringCalls) start(ctx context.Context, join string, f func() (string, error)) (*keyringCall, error) {
	k.mu.Lock()
	if k.gate == nil {
		k.gate, k.gets = make(chan struct{}, 1), map[string]*keyringCall{}
	}
	call, gate := k.gets[join], k.gate
	k.mu.Unlock()
	if call != nil {
		return call, nil
	}
	select {
	case gate <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	call = &keyringCall{done: make(chan struct{})}
	if join != "" {
		k.mu.Lock()
		k.gets[join] = call
		k.mu.Unlock()
	}
	go func() {
		call.secret, call.err = f()
		k.mu.Lock()
		delete(k.gets, join)
		k.mu.Unlock()
		close(call.done)
		<-gate
	}()
	return call, nil
}

// keyring returns the keyring and how long to wait for it.
func (s *Secrets) keyring() (Keyring, time.Duration) {
	k, limit := s.Keyring, s.KeyringTimeout
	if k == nil {
		k = systemKeyring{}
	}
	if limit <= 0 {
		limit = keyringTimeout
	}
	return k, limit
}

// fromKeyring reads one item.
func (s *Secrets) fromKeyring(ctx context.Context, item string) (string, error) {
	k, limit := s.keyring()
	secret, err := s.calls.do(ctx, limit, item, func() (string, error) { return k.Get(Service, item) })
	switch {
	case errors.Is(err, keyring.ErrNotFound):
		return "", fail(upstream.ClassCredentialsRejected,
			"The account's secret is not in the keyring (item "+upstream.CleanLine(item)+"); store it again with melon account edit.", ErrMissing)
	case err != nil:
		return "", keyringError(ctx, err)
	case len(secret) > maxSecret:
		return "", fail(upstream.ClassCredentialsRejected,
			"The keyring item "+upstream.CleanLine(item)+" is too long for a secret; store it again.", ErrCredentials)
	}
	return secret, nil
}

// toKeyring writes one item.
func (s *Secrets) toKeyring(ctx context.Context, item, secret string) error {
	k, limit := s.keyring()
	_, err := s.calls.do(ctx, limit, "", func() (string, error) { return "", k.Set(Service, item, secret) })
	switch {
	case errors.Is(err, keyring.ErrSetDataTooBig):
		return fail(upstream.ClassTemporaryLocalProblem,
			"The secret is too long for this system's keyring; keep it in a file instead.", err)
	case err != nil:
		return keyringError(ctx, err)
	}
	return nil
}

// dropKeyring deletes one item.
func (s *Secrets) dropKeyring(ctx context.Context, item string) error {
	k, limit := s.keyring()
	_, err := s.calls.do(ctx, limit, "", func() (string, error) { return "", k.Delete(Service, item) })
	if err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return keyringError(ctx, err)
	}
	return nil
}

// keyringError is temporary: whatever the keyring could not say, it may say
// when it is unlocked or running. Its own words are dropped: nothing promises
// that they hold no secret.
func keyringError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fail(upstream.ClassTemporaryLocalProblem,
			"The system keyring was not waited for any longer.", fmt.Errorf("%w: %w", ErrKeyring, ctx.Err()))
	case errors.Is(err, context.DeadlineExceeded):
		return fail(upstream.ClassTemporaryLocalProblem,
			"The system keyring does not answer: it is waiting to be unlocked; unlock it, and the mail goes out.", ErrKeyring)
	case errors.Is(err, keyring.ErrUnsupportedPlatform):
		return fail(upstream.ClassTemporaryLocalProblem,
			"This system has no keyring that Melon can use; keep the secret in a file instead.", fmt.Errorf("%w: %w", ErrKeyring, err))
	}
	return fail(upstream.ClassTemporaryLocalProblem,
		"The system keyring is locked or not running; unlock it, or keep the secret in a file instead.", ErrKeyring)
}
