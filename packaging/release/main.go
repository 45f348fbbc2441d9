package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// nfpm is the packager, pinned.
const nfpm = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0"

// platforms are what Melon is built for.
var platforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"},
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
}

type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "-" + p.arch }

func main() {
	out := flag.String("out", "dist", "`DIR` for what is built; it is emptied first")
	flag.Parse()
	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is one run.
type release struct {
	version string    // 1.2.3, or 0.0.0~git… between releases
	date    time.Time // of the commit
	out     string    // for what is shipped
	work    string    // for what is not
	gtk     bool      // the native tray is built on GTK
}

func run(out string) error {
	r, err := newRelease(out)
	if err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"programs", r.programs}, {"manual pages and completions", r.docs}, {"licences", r.licences},
		{"Debian and RPM packages", r.linux}, {"macOS application", r.macos}, {"Windows installer", r.windows},
		{"SHA256SUMS", r.sums},
	} {
		fmt.Println("release:", step.name)
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	fmt.Println("release:", r.version, "is in", r.out)
	return nil
}

func newRelease(out string) (*release, error) {
	if _, err := os.Stat("go.mod"); err != nil {
		return nil, errors.New("run it at the top of the checkout")
	}
	out, err := filepath.Abs(out)
	if err != nil {
		return nil, err
	}
	r := &release{out: out}
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		if epoch, err = output("git", "log", "-1", "--format=%ct"); err != nil {
			return nil, err
		}
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	r.date = time.Unix(seconds, 0).UTC()
	if r.version, err = r.versionOf(); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(out); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	r.work, err = os.MkdirTemp("", "melon-release-")
	return r, err
}

// versionOf is the tag's, vX.Y.Z, or one that sorts before every release.
func (r *release) versionOf() (string, error) {
	if tag, err := output("git", "describe", "--tags", "--exact-match", "--match", "v[0-9]*"); err == nil {
		v := strings.TrimPrefix(tag, "v")
		if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(v) {
			return "", fmt.Errorf("the tag %s is not vX.Y.Z", tag)
		}
		return v, nil
	}
	commit, err := output("git", "rev-parse", "--short=12", "HEAD")
	return "0.0.0~git" + r.date.Format("20060102150405") + "." + commit, err
}

// fileVersion is the version for file names.
func (r *release) fileVersion() string { return strings.ReplaceAll(r.version, "~", "-") }

// output runs a command and returns its first line.
func output(name string, args ...string) (string, error) {
	var errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, errs.String())
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line), nil
}

// command runs a command with more environment; its output is the person's.
func command(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// need fails when a program is missing, and names its Debian package.
func need(program, pkg string) error {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("%s is missing: apt-get install %s", program, pkg)
	}
	return nil
}

// sums writes the SHA-256 of everything that is shipped.
func (r *release) sums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var lines []string
	for _, e := range entries {
		f, err := os.Open(filepath.Join(r.out, e.Name()))
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%x  %s\n", h.Sum(nil), e.Name()))
	}
	slices.Sort(lines)
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(strings.Join(lines, "")), 0o644)
}
