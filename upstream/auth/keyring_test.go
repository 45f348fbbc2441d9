package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zalando/go-keyring"

	"melon/upstream"
)

// fakeKeyring answers from memory; fault, when set, comes first.
type fakeKeyring struct {
	mu    sync.Mutex
	items map[string]string
	fault func() error
	gets  atomic.Int32
	busy  atomic.Int32 // calls under way
	most  atomic.Int32 // and the most of them at once
}

func (k *fakeKeyring) call(f func() error) error {
	k.most.Store(max(k.most.Load(), k.busy.Add(1)))
	defer k.busy.Add(-1)
	if k.fault != nil {
		if err := k.fault(); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return f()
}

func (k *fakeKeyring) Get(service, item string) (secret string, err error) {
	k.gets.Add(1)
	err = k.call(func() error {
		var ok bool
		if secret, ok = k.items[service+"/"+item]; !ok {
			return keyring.ErrNotFound
		}
		return nil
	})
	return secret, err
}

func (k *fakeKeyring) Set(service, item, secret string) error {
	return k.call(func() error {
		if k.items == nil {
			k.items = map[string]string{}
		}
		k.items[service+"/"+item] = secret
		return nil
	})
}

func (k *fakeKeyring) Delete(service, item string) error {
	return k.call(func() error { delete(k.items, service+"/"+item); return nil })
}

func TestKeyringRoundTrip(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{canary, "パスワード", "two\nlines", "ends with one\n", "ends with two\n\n", "\r", "x\r\n", " "} {
		s := &Secrets{Keyring: &fakeKeyring{}}
		ref := upstream.SecretRef{Keyring: "home"}
		if err := s.Set(t.Context(), ref, secret); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(t.Context(), ref); got != secret || err != nil {
			t.Errorf("Get = %q, %v; want %q", got, err, secret)
		}
	}
}

// TestKeyringFaults: whatever is not "there is no such item" is temporary.
func TestKeyringFaults(t *testing.T) {
	t.Parallel()
	ref := upstream.SecretRef{Keyring: "home"}
	tests := []struct {
		name  string
		fault error
		is    error
		kind  upstream.Kind
	}{
		{"locked or no bus", errors.New("failed to unlock correct collection " + canary), ErrKeyring, upstream.KindTemporary},
		{"no such platform", keyring.ErrUnsupportedPlatform, ErrKeyring, upstream.KindTemporary},
		{"no such item", keyring.ErrNotFound, ErrMissing, upstream.KindPerson},
	}
	for _, tt := range tests {
		s := &Secrets{Keyring: &fakeKeyring{fault: func() error { return tt.fault }}}
		_, err := s.Get(t.Context(), ref)
		e := upstream.AsError(err, "")
		if !errors.Is(err, tt.is) || e.Kind() != tt.kind || strings.Contains(fmt.Sprintf("%+v", err), canary) {
			t.Errorf("%s: %v, %s", tt.name, err, e.Kind())
		}
	}
	s := &Secrets{Keyring: &fakeKeyring{fault: func() error { return keyring.ErrSetDataTooBig }}}
	if err := s.Set(t.Context(), ref, canary); !errors.Is(err, keyring.ErrSetDataTooBig) {
		t.Errorf("too big: %v", err)
	}
}

// TestLockedKeyring: a dialog is open. Everybody gets an answer in time, no
// second call is made meanwhile, and once it is unlocked the secret is there.
func TestLockedKeyring(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unlock := make(chan struct{})
		k := &fakeKeyring{items: map[string]string{Service + "/home": canary, Service + "/work": canary}}
		k.fault = func() error { <-unlock; return nil }
		s := &Secrets{Keyring: k}
		start := time.Now()
		var wg sync.WaitGroup
		for _, item := range []string{"home", "home", "home", "work"} {
			wg.Go(func() {
				_, err := s.Get(t.Context(), upstream.SecretRef{Keyring: item})
				if e := upstream.AsError(err, ""); !errors.Is(err, ErrKeyring) || e.Kind() != upstream.KindTemporary || !strings.Contains(e.Sentence, "unlock") {
					t.Errorf("%s: %v", item, err)
				}
			})
			synctest.Wait() // so that the first of them opens the dialog
		}
		wg.Wait()
		if waited := time.Since(start); waited != keyringTimeout {
			t.Errorf("waited %v, want %v", waited, keyringTimeout)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Get(ctx, upstream.SecretRef{Keyring: "home"}); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that left: %v", err)
		}
		got := make(chan string)
		go func() {
			secret, _ := s.Get(t.Context(), upstream.SecretRef{Keyring: "home"})
			got <- secret
		}()
		synctest.Wait()
		if n := k.gets.Load(); n != 1 {
			t.Errorf("%d dialogs, want 1", n)
		}
		close(unlock)
		if secret := <-got; secret != canary {
			t.Errorf("after unlocking: %q", secret)
		}
		if n := k.gets.Load(); n != 1 {
			t.Errorf("the one who waited asked again: %d calls", n)
		}
		if secret, err := s.Get(t.Context(), upstream.SecretRef{Keyring: "work"}); secret != canary || err != nil {
			t.Errorf("another item: %q, %v", secret, err)
		}
		if k.most.Load() != 1 {
			t.Errorf("%d calls at once", k.most.Load())
		}
	})
}
