package auth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"melon/upstream"
)

func file(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGet(t *testing.T) {
	t.Parallel()
	env := map[string]string{"MAIL": canary + "\n", "EMPTY": "", "LINE": "\n"}
	s := &Secrets{Keyring: &fakeKeyring{}, LookupEnv: func(n string) (string, bool) { v, ok := env[n]; return v, ok }}
	tests := []struct {
		name string
		ref  upstream.SecretRef
		want string
		is   error
		kind upstream.Kind
	}{
		{"file", upstream.SecretRef{File: file(t, canary, 0o600)}, canary, nil, 0},
		{"file, read-only", upstream.SecretRef{File: file(t, canary, 0o400)}, canary, nil, 0},
		{"file, one line end off", upstream.SecretRef{File: file(t, canary+"\n\n", 0o600)}, canary + "\n", nil, 0},
		{"file, a DOS line end off", upstream.SecretRef{File: file(t, canary+"\r\n", 0o600)}, canary, nil, 0},
		{"file, spaces stay", upstream.SecretRef{File: file(t, " a b ", 0o600)}, " a b ", nil, 0},
		{"file, empty", upstream.SecretRef{File: file(t, "", 0o600)}, "", ErrEmpty, upstream.KindPerson},
		{"file, an empty line", upstream.SecretRef{File: file(t, "\n", 0o600)}, "", ErrEmpty, upstream.KindPerson},
		{"file, not there", upstream.SecretRef{File: filepath.Join(t.TempDir(), "none")}, "", ErrMissing, upstream.KindPerson},
		{"file, below a file", upstream.SecretRef{File: filepath.Join(file(t, "x", 0o600), "none")}, "", ErrMissing, upstream.KindPerson},
		{"file, a directory", upstream.SecretRef{File: t.TempDir()}, "", ErrUnsafe, upstream.KindPerson},
		{"file, endless", upstream.SecretRef{File: file(t, strings.Repeat(canary, maxSecret), 0o600)}, "", ErrUnsafe, upstream.KindPerson},
		{"environment", upstream.SecretRef{Env: "MAIL"}, canary, nil, 0},
		{"environment, not set", upstream.SecretRef{Env: "NONE"}, "", ErrMissing, upstream.KindPerson},
		{"environment, empty", upstream.SecretRef{Env: "EMPTY"}, "", ErrEmpty, upstream.KindPerson},
		{"environment, an empty line", upstream.SecretRef{Env: "LINE"}, "", ErrEmpty, upstream.KindPerson},
		{"keyring, not there", upstream.SecretRef{Keyring: "none"}, "", ErrMissing, upstream.KindPerson},
		{"no secret", upstream.SecretRef{}, "", ErrMissing, upstream.KindPerson},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := s.Get(t.Context(), tt.ref)
			if got != tt.want || !errors.Is(err, tt.is) {
				t.Fatalf("Get = %q, %v; want %q, %v", got, err, tt.want, tt.is)
			}
			if tt.is == nil {
				return
			}
			e := upstream.AsError(err, "")
			if e.Kind() != tt.kind || e.Sentence == "" {
				t.Errorf("kind %s, sentence %q", e.Kind(), e.Sentence)
			}
			if tt.ref.File != "" && strings.Contains(e.Sentence, tt.ref.File) {
				t.Errorf("the path is in the sentence %q", e.Sentence)
			}
			if strings.Contains(fmt.Sprintf("%+v", e), canary) || strings.Contains(e.Error(), canary) {
				t.Errorf("the secret is in %q", e)
			}
		})
	}
}

func TestSetFile(t *testing.T) {
	t.Parallel()
	var s Secrets
	dir := filepath.Join(t.TempDir(), "new", "dir")
	ref := upstream.SecretRef{File: filepath.Join(dir, "home")}
	for _, secret := range []string{canary, "another\n", "x"} {
		if err := s.Set(t.Context(), ref, secret); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(t.Context(), ref); got != secret || err != nil {
			t.Errorf("Get = %q, %v; want %q", got, err, secret)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("beside the secret: %v", left)
	}
	if err := s.Set(t.Context(), ref, ""); !errors.Is(err, ErrEmpty) {
		t.Errorf("an empty secret: %v", err)
	}
	if got, _ := s.Get(t.Context(), ref); got != "x" {
		t.Errorf("after a refused Set: %q", got)
	}
	for range 2 {
		if err := s.Delete(t.Context(), ref); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	if _, err := s.Get(t.Context(), ref); !errors.Is(err, ErrMissing) {
		t.Errorf("after Delete: %v", err)
	}
}

// TestSetFileFails: the directory's name is taken; nothing is left behind, and
// the reason names no secret.
func TestSetFileFails(t *testing.T) {
	t.Parallel()
	var s Secrets
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := s.Set(t.Context(), upstream.SecretRef{File: taken}, canary)
	if e := upstream.AsError(err, ""); err == nil || e.Kind() != upstream.KindTemporary || strings.Contains(e.Error(), canary) {
		t.Errorf("Set = %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSetElsewhere(t *testing.T) {
	t.Parallel()
	var s Secrets
	for _, ref := range []upstream.SecretRef{{Env: "X"}, {Command: []string{"pass"}}, {}} {
		if err := s.Set(t.Context(), ref, canary); !errors.Is(err, ErrReadOnly) || strings.Contains(err.Error(), canary) {
			t.Errorf("Set in %s: %v", ref.Source(), err)
		}
		if err := s.Delete(t.Context(), ref); !errors.Is(err, ErrReadOnly) {
			t.Errorf("Delete in %s: %v", ref.Source(), err)
		}
	}
	if err := s.Set(t.Context(), upstream.SecretRef{Keyring: "x"}, strings.Repeat("x", maxSecret+1)); !errors.Is(err, ErrCredentials) {
		t.Errorf("a long secret: %v", err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	k := &fakeKeyring{fault: func() error { panic("Check asks the keyring") }}
	s := &Secrets{Keyring: k, LookupEnv: func(n string) (string, bool) { return "", n == "EMPTY" }}
	missing := filepath.Join(t.TempDir(), "none")
	tests := []struct {
		ref  upstream.SecretRef
		is   error
		says string
	}{
		{upstream.SecretRef{File: file(t, canary, 0o600)}, nil, ""},
		{upstream.SecretRef{Keyring: "x"}, nil, ""},
		{upstream.SecretRef{Command: []string{"/nowhere"}}, nil, ""},
		{upstream.SecretRef{File: missing}, ErrMissing, missing},
		{upstream.SecretRef{File: file(t, "\n", 0o600)}, ErrEmpty, "is empty"},
		{upstream.SecretRef{Env: "NONE"}, ErrMissing, "NONE is not set"},
		{upstream.SecretRef{Env: "EMPTY"}, ErrEmpty, "EMPTY is empty"},
		{upstream.SecretRef{}, ErrMissing, "keyring, command, file or env"},
	}
	for _, tt := range tests {
		err := s.Check(tt.ref)
		if !errors.Is(err, tt.is) || tt.is != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("Check(%+v) = %v, want %v saying %q", tt.ref, err, tt.is, tt.says)
		}
	}
}

// TestSecretsContext: a caller that has left gets no secret from a command.
func TestSecretsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var s Secrets
	_, err := s.Get(ctx, upstream.SecretRef{Command: []string{os.Args[0], "-test.run=^$"}})
	if !errors.Is(err, ErrCommand) || upstream.AsError(err, "").Kind() != upstream.KindTemporary {
		t.Errorf("Get = %v", err)
	}
}
