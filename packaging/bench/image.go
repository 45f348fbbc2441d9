//go:build linux

package main

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
	"regexp"
	"strings"
	"time"
)

// imageAge is how long an unpacked peer is used before apt is asked again.
const imageAge = 7 * 24 * time.Hour

// unwanted are the parts of packages that no peer needs to run.
var unwanted = regexp.MustCompile(`^usr/share/(doc|man|info|locale|lintian|bug|perl5)/|^etc/(init\.d|systemd|ppp|network|cron\.)`)

// image downloads Debian packages, with those of their dependencies that the
// machine does not have, and unpacks them into a root directory of their own
// together with the machine's libraries that they need. Nothing is installed.
// It returns the directory, which is kept for the next run, and the version of
// the first package.
func image(ctx context.Context, packages ...string) (root, version string, err error) {
	cache := filepath.Join("/var/tmp", fmt.Sprintf("melon-bench-%d", os.Getuid()), packages[0])
	root = filepath.Join(cache, "root")
	if info, err := os.Stat(root); err == nil && time.Since(info.ModTime()) < imageAge {
		v, err := os.ReadFile(filepath.Join(cache, "version"))
		return root, string(v), err
	}
	if err := os.RemoveAll(cache); err != nil {
		return "", "", err
	}
	for _, d := range []string{"debs", "raw"} {
		if err := os.MkdirAll(filepath.Join(cache, d), 0o755); err != nil {
			return "", "", err
		}
	}
	if err := download(ctx, filepath.Join(cache, "debs"), packages); err != nil {
		return "", "", err
	}
	raw := filepath.Join(cache, "raw")
	debs, err := filepath.Glob(filepath.Join(cache, "debs", "*.deb"))
	for _, deb := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg", "-x", deb, raw).CombinedOutput(); err != nil {
			return "", "", fmt.Errorf("dpkg -x: %w: %s", err, out)
		}
		if strings.HasPrefix(filepath.Base(deb), packages[0]+"_") {
			version = strings.ReplaceAll(strings.Split(filepath.Base(deb), "_")[1], "%3a", ":")
		}
	}
	made := filepath.Join(cache, "made")
	err = errors.Join(err, layOut(made), fill(raw, made), os.RemoveAll(raw),
		os.WriteFile(filepath.Join(cache, "version"), []byte(version), 0o644))
	if err != nil {
		return "", "", err
	}
	return root, version, os.Rename(made, root)
}

// download puts the package files into dir, by apt and nothing else.
func download(ctx context.Context, dir string, packages []string) error {
	apt := func(args ...string) (string, error) {
		// apt's own sandbox user may not be able to write here.
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q", "-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"}, args...)...)
		cmd.Dir = dir
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			err = fmt.Errorf("apt-get %s: %w: %s", args[0], err, lines[len(lines)-1])
		}
		return string(out), err
	}
	plan, err := apt(append([]string{"-s", "install", "--no-install-recommends", "--reinstall"}, packages...)...)
	if err != nil {
		return err
	}
	args := []string{"download"}
	for line := range strings.Lines(plan) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Inst" {
			args = append(args, f[1])
		}
	}
	_, err = apt(args...)
	return err
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
func merged(rel string) string {
	for _, d := range []string{"bin/", "sbin/", "lib/", "lib64/"} {
		if strings.HasPrefix(rel, d) {
			return "usr/" + rel
		}
	}
	return rel
}

// fill copies what is wanted of the unpacked packages, and the libraries.
func fill(raw, made string) error {
	var programs []string
	err := filepath.WalkDir(raw, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel := merged(strings.TrimPrefix(path, raw+"/"))
		to := filepath.Join(made, rel)
		if unwanted.MatchString(rel) {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, to)
		}
		if e, err := elf.Open(path); err == nil {
			e.Close()
			programs = append(programs, to)
		}
		return copyFile(path, to)
	})
	if err != nil {
		return err
	}
	sh, err := filepath.EvalSymlinks("/bin/sh") // for the scripts among them
	if err != nil {
		return err
	}
	programs = append(programs, filepath.Join(made, "usr/bin/sh"))
	return errors.Join(copyFile(sh, filepath.Join(made, "usr/bin/sh")), addLibraries(made, programs))
}

// addLibraries copies the machine's shared libraries that the programs need and
// the packages do not bring.
func addLibraries(made string, programs []string) error {
	search, err := filepath.Glob(filepath.Join(made, "usr/lib/*-linux-*"))
	if err != nil {
		return err
	}
	search = append(search, filepath.Join(made, "usr/lib/postfix"))
	cmd := exec.Command("ldd", programs...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(search, ":"))
	out, _ := cmd.Output() // fails for a program without libraries
	for line := range bytes.Lines(out) {
		text := string(line)
		if strings.Contains(text, "not found") {
			return errors.New("a library is missing: " + strings.TrimSpace(text))
		}
		if _, after, ok := strings.Cut(text, "=>"); ok {
			text = after
		}
		path, _, ok := strings.Cut(strings.TrimSpace(text), " (")
		to := filepath.Join(made, merged(strings.TrimPrefix(path, "/")))
		if !ok || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, made) {
			continue
		}
		if _, err := os.Stat(to); err == nil {
			continue
		}
		if err := copyFile(path, to); err != nil {
			return err
		}
	}
	return nil
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

// clone copies an image: by symbolic and hard links, as what a peer changes is
// written anew.
func clone(from, dir string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, strings.TrimPrefix(path, from))
		switch {
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(target, to)
		}
		if err := os.Link(path, to); err != nil {
			return copyFile(path, to) // another file system
		}
		return nil
	})
}
