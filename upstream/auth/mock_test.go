//go:build !desktop

package auth

import (
	"errors"
	"testing"

	"github.com/zalando/go-keyring"

	"melon/upstream"
)

// prepareKeyring puts go-keyring's mock in the system's place, for all tests:
// it has one provider for the whole process.
func prepareKeyring() (stop func()) {
	keyring.MockInit()
	return func() {}
}

// TestMockKeyring runs through go-keyring itself.
func TestMockKeyring(t *testing.T) {
	t.Parallel()
	var s Secrets
	ctx, ref := t.Context(), upstream.SecretRef{Keyring: "home"}
	if _, err := s.Get(ctx, ref); !errors.Is(err, ErrMissing) {
		t.Fatalf("before Set: %v", err)
	}
	if err := s.Set(ctx, ref, canary); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(ctx, ref); got != canary || err != nil {
		t.Errorf("Get = %q, %v", got, err)
	}
	if err := s.Delete(ctx, ref); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, ref); err != nil {
		t.Errorf("a second Delete: %v", err)
	}
	if _, err := s.Get(ctx, ref); !errors.Is(err, ErrMissing) {
		t.Errorf("after Delete: %v", err)
	}
}
