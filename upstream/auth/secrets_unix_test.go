//go:build unix

package auth

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"melon/upstream"
)

func TestFileModes(t *testing.T) {
	t.Parallel()
	var s Secrets
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o610, 0o644, 0o666} {
		path := file(t, canary, 0o600)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		ref := upstream.SecretRef{File: path}
		if got, err := s.Get(t.Context(), ref); got != "" || !errors.Is(err, ErrUnsafe) {
			t.Errorf("mode %o: %q, %v", mode, got, err)
		}
		if err := s.Check(ref); !errors.Is(err, ErrUnsafe) || !strings.Contains(err.Error(), "chmod 600") || !strings.Contains(err.Error(), path) {
			t.Errorf("mode %o: Check = %v", mode, err)
		}
	}
}

func TestFileOwner(t *testing.T) {
	t.Parallel()
	info, err := os.Stat(file(t, canary, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if why, _ := othersAccess(info, os.Geteuid()); why != "" {
		t.Errorf("our own: %s", why)
	}
	if why, _ := othersAccess(info, os.Geteuid()+1); !strings.Contains(why, "another user") {
		t.Errorf("somebody else's: %q", why)
	}
}

func TestFileLinks(t *testing.T) {
	t.Parallel()
	var s Secrets
	link := func(target string) upstream.SecretRef {
		path := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return upstream.SecretRef{File: path}
	}
	private, open := file(t, canary, 0o600), file(t, canary, 0o644)
	if got, err := s.Get(t.Context(), link(private)); got != canary || err != nil {
		t.Errorf("a link to a private file: %q, %v", got, err)
	}
	if _, err := s.Get(t.Context(), link(open)); !errors.Is(err, ErrUnsafe) {
		t.Errorf("a link to an open file: %v", err)
	}
	if _, err := s.Get(t.Context(), link("/dev/null")); !errors.Is(err, ErrUnsafe) {
		t.Errorf("a link to a device: %v", err)
	}
	ref := link(private)
	if err := s.Set(t.Context(), ref, "new"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(ref.File); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("Set replaced the link: %v, %v", info, err)
	}
	if data, _ := os.ReadFile(private); string(data) != "new" {
		t.Errorf("behind the link: %q", data)
	}
}

// TestFIFO: nobody writes into it, and nobody waits.
func TestFIFO(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	var s Secrets
	if _, err := s.Get(t.Context(), upstream.SecretRef{File: path}); !errors.Is(err, ErrUnsafe) {
		t.Errorf("Get = %v", err)
	}
}

func TestSetFileMode(t *testing.T) {
	t.Parallel()
	var s Secrets
	path := file(t, "old", 0o644)
	if err := s.Set(t.Context(), upstream.SecretRef{File: path}, canary); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	sh := func(script string, args ...string) upstream.SecretRef {
		return upstream.SecretRef{Command: append([]string{"/bin/sh", "-c", script, "sh"}, args...)}
	}
	tests := []struct {
		name string
		ref  upstream.SecretRef
		want string
		is   error
		kind upstream.Kind
	}{
		{"the first line", sh("echo " + canary + "; echo more"), canary, nil, 0},
		{"without a line end", sh("printf " + canary), canary, nil, 0},
		{"a DOS line end", sh(`printf 'x\r\ny'`), "x", nil, 0},
		{"arguments as they are", sh(`printf '%s' "$1"`, "$HOME; `id` *"), "$HOME; `id` *", nil, 0},
		{"no shell in between", upstream.SecretRef{Command: []string{"/bin/echo", "$HOME"}}, "$HOME", nil, 0},
		{"no input", sh("cat; echo done"), "done", nil, 0},
		{"endless output", sh("yes | head -c 1000000; echo"), "y", nil, 0},
		{"nothing", sh("true"), "", ErrEmpty, upstream.KindPerson},
		{"an empty first line", sh("echo; echo x"), "", ErrEmpty, upstream.KindPerson},
		{"a failure", sh("echo " + canary + "; echo " + canary + " >&2; exit 3"), "", ErrCommand, upstream.KindTemporary},
		{"not installed", upstream.SecretRef{Command: []string{"melon-no-such-command"}}, "", ErrMissing, upstream.KindPerson},
		{"may not be run", upstream.SecretRef{Command: []string{file(t, canary, 0o600)}}, "", ErrMissing, upstream.KindPerson},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var s Secrets
			got, err := s.Get(t.Context(), tt.ref)
			if got != tt.want || !errors.Is(err, tt.is) {
				t.Fatalf("Get = %q, %v; want %q, %v", got, err, tt.want, tt.is)
			}
			if e := upstream.AsError(err, ""); e != nil && (e.Kind() != tt.kind || strings.Contains(e.Error(), canary) || strings.Contains(e.Sentence, canary)) {
				t.Errorf("%s: %v", e.Kind(), e)
			}
		})
	}
}

// TestCommandChild: a child that keeps standard output open is not waited for.
func TestCommandChild(t *testing.T) {
	t.Parallel()
	var s Secrets
	got, err := s.Get(t.Context(), upstream.SecretRef{Command: []string{"/bin/sh", "-c", "sleep 600 & echo $!"}})
	pid, _ := strconv.Atoi(got)
	if err != nil || pid == 0 {
		t.Fatalf("Get = %q, %v", got, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the child was ended: %v", err)
	}
}

// TestCommandTime: program and child are gone when the time is over. The child
// holds a FIFO open, which ends for its reader when the child is gone.
func TestCommandTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	alive, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	s := &Secrets{CommandTimeout: 300 * time.Millisecond}
	_, err = s.Get(t.Context(), upstream.SecretRef{Command: []string{
		"/bin/sh", "-c", `sleep 600 > "$1" & wait; echo late`, "sh", path}})
	if e := upstream.AsError(err, ""); !errors.Is(err, ErrCommand) || e.Kind() != upstream.KindTemporary || !strings.Contains(e.Sentence, "too long") {
		t.Fatalf("Get = %v", err)
	}
	if _, err := io.ReadAll(alive); err != nil {
		t.Error(err)
	}
}
