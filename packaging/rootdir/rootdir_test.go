//go:build linux

package rootdir

import (
	"os"
	"path/filepath"
	"testing"
)

// What is made of this machine's own shell has what it needs to run, and a clone
// of it shares the content until somebody writes it anew.
func TestMakeAndClone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "root")
	if err := Make(t.Context(), dir, Contents{Tools: []string{"/bin/sh"}, Want: func(string) bool { return false }}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "bin", "sh")); err != nil || info.Mode().Perm()&0o111 == 0 {
		t.Errorf("the shell: %v, %v", info, err)
	}
	if libraries, err := filepath.Glob(filepath.Join(dir, "lib*", "*")); err != nil || len(libraries) == 0 {
		t.Error("it has no libraries", err)
	}
	if _, err := os.Stat(dir + ".unpacked"); err == nil {
		t.Error("the unpacked packages are still there")
	}

	clone := filepath.Join(t.TempDir(), "clone")
	if err := Clone(dir, clone); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"usr/bin/sh", "lib"} {
		a, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.Lstat(filepath.Join(clone, name))
		if err != nil || a.Mode() != b.Mode() {
			t.Errorf("%s: %v, %v", name, b, err)
		}
	}
}

func TestMerged(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"bin/sh": "usr/bin/sh", "lib/x86_64-linux-gnu/libc.so.6": "usr/lib/x86_64-linux-gnu/libc.so.6",
		"lib64/ld.so": "usr/lib64/ld.so", "usr/bin/env": "usr/bin/env", "etc/passwd": "etc/passwd", "library/x": "library/x",
	} {
		if got := merged(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// A line of ldd that names a missing library is an error.
func TestMissingLibrary(t *testing.T) {
	t.Parallel()
	if err := addLibrary(t.TempDir(), "\tlibfoo.so.1 => not found\n"); err == nil {
		t.Error("no error")
	}
	if err := addLibrary(t.TempDir(), "\tlinux-vdso.so.1 (0x00007ffd)\n"); err != nil {
		t.Error(err)
	}
}
