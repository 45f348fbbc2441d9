//go:build linux

// Package rootdir makes directories in which programs of Debian packages run by
// chroot(2), without installing anything: real mail software to test with and to
// measure beside. Make unpacks the packages and adds what of this machine they
// need; Clone gives each instance a copy that costs no room.
package rootdir

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Contents is what goes into a directory.
type Contents struct {
	Packages []string // .deb files
	// Want chooses among the packages' files, by their path without the leading
	// slash, as it is where /bin and /lib lead into /usr.
	Want func(path string) bool
	// Tools are programs of this machine, by absolute path.
	Tools []string
	// Libraries are directories of the packages, such as usr/lib/postfix, in
	// which their programs find shared libraries, beside the system's own.
	Libraries []string
}

// Make makes the directory, which must not exist; its parent must. When it fails,
// what is there is of no use, and the caller's to remove.
func Make(ctx context.Context, dir string, c Contents) (err error) {
	raw := dir + ".unpacked"
	defer func() { err = errors.Join(err, os.RemoveAll(raw)) }()
	if err := os.MkdirAll(raw, 0o755); err != nil {
		return err
	}
	for _, p := range c.Packages {
		if out, err := exec.CommandContext(ctx, "dpkg", "-x", p, raw).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg -x %s: %w: %s", p, err, out)
		}
	}
	if err := layOut(dir); err != nil {
		return err
	}
	programs, err := c.choose(raw, dir)
	if err != nil {
		return err
	}
	for _, tool := range c.Tools {
		real, err := filepath.EvalSymlinks(tool)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, merged(tool[1:]))
		if err := copyFile(real, to); err != nil {
			return err
		}
		programs = append(programs, to)
	}
	return c.addLibraries(ctx, dir, programs)
}

// layOut makes an empty root directory whose /bin, /lib and the like lead into
// /usr, as in today's Debian.
func layOut(dir string) error {
	for _, d := range []string{"usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "dev", "etc", "run", "tmp", "var/lib", "var/spool", "var/log", "var/mail"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	for from, to := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "var/run": "../run"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			return err
		}
	}
	return os.Chmod(filepath.Join(dir, "tmp"), 0o1777)
}

// merged turns a path of a package made before /bin and /lib moved to /usr into
// today's.
func merged(path string) string {
	for _, d := range []string{"bin/", "sbin/", "lib/", "lib64/"} {
		if strings.HasPrefix(path, d) {
			return "usr/" + path
		}
	}
	return path
}

// choose copies what is wanted of the unpacked packages, and returns the programs
// and libraries among it.
func (c Contents) choose(raw, dir string) (programs []string, err error) {
	err = filepath.WalkDir(raw, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel := merged(strings.TrimPrefix(path, raw+"/"))
		if !c.Want(rel) {
			return nil
		}
		to := filepath.Join(dir, rel)
		if d.Type() == fs.ModeSymlink {
			return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), copyLink(path, to))
		}
		if e, err := elf.Open(path); err == nil {
			e.Close()
			programs = append(programs, to)
		}
		return copyFile(path, to)
	})
	return programs, err
}

// addLibraries copies the machine's shared libraries that the programs need and
// the packages do not bring.
func (c Contents) addLibraries(ctx context.Context, dir string, programs []string) error {
	search, err := filepath.Glob(filepath.Join(dir, "usr/lib/*-linux-*"))
	if err != nil {
		return err
	}
	for _, l := range c.Libraries {
		search = append(search, filepath.Join(dir, l))
	}
	cmd := exec.CommandContext(ctx, "ldd", programs...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(search, ":"))
	out, _ := cmd.Output() // it fails for a program without libraries
	for line := range bytes.Lines(out) {
		if err := addLibrary(dir, string(line)); err != nil {
			return err
		}
	}
	return nil
}

// addLibrary reads a line of ldd, such as
//
//	libcrypto.so.3 => /lib/x86_64-linux-gnu/libcrypto.so.3 (0x00007f…)
//	/lib64/ld-linux-x86-64.so.2 (0x00007f…)
func addLibrary(dir, line string) error {
	if strings.Contains(line, "not found") {
		return errors.New("a library is missing: " + strings.TrimSpace(line))
	}
	if _, after, ok := strings.Cut(line, "=>"); ok {
		line = after
	}
	path, _, ok := strings.Cut(strings.TrimSpace(line), " (")
	if !ok || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, dir) {
		return nil
	}
	to := filepath.Join(dir, merged(path[1:]))
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	return copyFile(path, to)
}

// copyFile copies a regular file, or what a symbolic link leads to.
func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, info.Mode().Perm()), os.Chmod(to, info.Mode()))
}

// copyLink makes a symbolic link like another.
func copyLink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	return os.Symlink(target, to)
}

// Clone makes dir, which may exist, a copy of the directory from by hard links:
// what an instance changes must be a file of its own, written anew. On another
// file system the files are copied.
func Clone(from, dir string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, strings.TrimPrefix(path, from))
		switch {
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case d.Type() == fs.ModeSymlink:
			return copyLink(path, to)
		}
		if err := os.Link(path, to); err != nil {
			return copyFile(path, to)
		}
		return nil
	})
}
