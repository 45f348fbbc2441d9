package auth

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"melon/upstream"
)

func TestTokenStore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t.json")
	want := Token{Access: "a", Refresh: "r", Issued: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Expiry: time.Date(2026, 1, 2, 4, 4, 5, 0, time.UTC)}
	for _, ref := range []upstream.SecretRef{{File: path}, {Keyring: "home"}} {
		s := &Secrets{Keyring: &fakeKeyring{}}
		store := s.TokenStore(func(account string) upstream.SecretRef { return ref })
		if _, err := store.Load(t.Context(), "home"); !errors.Is(err, ErrMissing) {
			t.Errorf("before Save: %v", err)
		}
		if err := store.Save(t.Context(), "home", want); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Load(t.Context(), "home"); got != want || err != nil {
			t.Errorf("Load = %+v, %v", got, err)
		}
		if err := store.Delete(t.Context(), "home"); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Load(t.Context(), "home"); !errors.Is(err, ErrMissing) {
			t.Errorf("after Delete: %v", err)
		}
	}
}

// TestSmallKeyring: the Credential Manager takes no two long tokens.
func TestSmallKeyring(t *testing.T) {
	t.Parallel()
	s := &Secrets{Keyring: smallKeyring{&fakeKeyring{}}}
	store := s.TokenStore(func(string) upstream.SecretRef { return upstream.SecretRef{Keyring: "home"} })
	want := Token{Refresh: strings.Repeat("r", 1500)}
	if err := store.Save(t.Context(), "home", Token{Access: strings.Repeat("a", 2000), Refresh: want.Refresh, Expiry: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Load(t.Context(), "home"); got != want || err != nil {
		t.Errorf("Load = %+v, %v", got, err)
	}
	if err := store.Save(t.Context(), "home", Token{Refresh: strings.Repeat("r", 3000)}); !errors.Is(err, keyring.ErrSetDataTooBig) {
		t.Errorf("a refresh token that is too long: %v", err)
	}
}

type smallKeyring struct{ *fakeKeyring }

func (k smallKeyring) Set(service, item, secret string) error {
	if len(secret) > 2560 {
		return keyring.ErrSetDataTooBig
	}
	return k.fakeKeyring.Set(service, item, secret)
}

// TestDamagedToken means a new sign-in, and quotes nothing.
func TestDamagedToken(t *testing.T) {
	t.Parallel()
	for _, text := range []string{canary, "{}", `{"refresh_token":5,"x":"` + canary + `"}`, "null"} {
		path := file(t, text, 0o600)
		store := (&Secrets{}).TokenStore(func(string) upstream.SecretRef { return upstream.SecretRef{File: path} })
		if _, err := store.Load(t.Context(), "home"); !errors.Is(err, ErrMissing) || strings.Contains(err.Error(), canary) {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the file is gone: %v", err)
		}
	}
}

func TestTokenRef(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("state", "melon")
	tests := []struct {
		name string
		pw   upstream.SecretRef
		want upstream.SecretRef
	}{
		{"home", upstream.SecretRef{Keyring: "x"}, upstream.SecretRef{Keyring: "x"}},
		{"home", upstream.SecretRef{File: "/x"}, upstream.SecretRef{File: "/x"}},
		{"home", upstream.SecretRef{Env: "X"}, upstream.SecretRef{File: filepath.Join(dir, "oauth-home.json")}},
		{"Home", upstream.SecretRef{}, upstream.SecretRef{File: filepath.Join(dir, "oauth-%48ome.json")}},
		{"../a/b", upstream.SecretRef{}, upstream.SecretRef{File: filepath.Join(dir, "oauth-%2e%2e%2fa%2fb.json")}},
	}
	for _, tt := range tests {
		got := TokenRef(upstream.Account{Name: tt.name, Password: tt.pw}, dir)
		if got.File != tt.want.File || got.Keyring != tt.want.Keyring {
			t.Errorf("TokenRef(%q, %s) = %+v, want %+v", tt.name, tt.pw.Source(), got, tt.want)
		}
	}
}
