//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"melon/packaging/rootdir"
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
	if err := os.MkdirAll(filepath.Join(cache, "debs"), 0o755); err != nil {
		return "", "", err
	}
	if err := download(ctx, filepath.Join(cache, "debs"), packages); err != nil {
		return "", "", err
	}
	debs, err := filepath.Glob(filepath.Join(cache, "debs", "*.deb"))
	if err != nil {
		return "", "", err
	}
	for _, deb := range debs {
		if strings.HasPrefix(filepath.Base(deb), packages[0]+"_") {
			version = strings.ReplaceAll(strings.Split(filepath.Base(deb), "_")[1], "%3a", ":")
		}
	}
	made := filepath.Join(cache, "made")
	err = errors.Join(
		rootdir.Make(ctx, made, rootdir.Contents{
			Packages:  debs,
			Want:      func(path string) bool { return !unwanted.MatchString(path) },
			Tools:     []string{"/bin/sh"}, // for the scripts among them
			Libraries: []string{"usr/lib/postfix"},
		}),
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
