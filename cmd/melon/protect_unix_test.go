//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"melon/upstream/lab"
)

// TestFilesAreTheUsersAlone: whatever the umask that it was started with, all
// that a relay makes is 0600 or 0700, and a directory that was open is closed.
func TestFilesAreTheUsersAlone(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(strings.Replace(accountYAML(h, provider, "default: home\n"), "listen: {", fmt.Sprintf("log: {file: %s/log/melon.log}\nlisten: {smtps: [\"127.0.0.1:0\"], ", h.dir), 1))
	if err := os.MkdirAll(filepath.Join(h.state, "outbox"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{h.state, filepath.Join(h.state, "outbox")} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	p := h.start()
	p.mustSend(fmt.Sprintf(appMessage, "sent"))
	if _, errs, status := h.run("pause"); status != 0 {
		t.Fatal(errs)
	}
	p.mustSend(fmt.Sprintf(appMessage, "kept"))
	seen := 0
	for _, root := range []string{h.state, filepath.Join(h.dir, "log")} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			seen++
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 8 {
		t.Errorf("only %d files were looked at", seen)
	}
	if runtime.GOOS == "linux" {
		p.noDumps(t)
	}
}

// noDumps checks what a crash would leave behind.
func (p *process) noDumps(t *testing.T) {
	t.Helper()
	read := func(name string) string {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name))
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	for line := range strings.Lines(read("limits")) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok && strings.Fields(rest)[0] != "0" {
			t.Errorf("core dumps are possible: %s", line)
		}
	}
	if f := read("coredump_filter"); strings.Trim(f, "0\n") != "" {
		t.Errorf("a core dump that is piped would hold memory: filter %s", f)
	}
	if u := read("status"); !strings.Contains(u, "Umask:\t0077") {
		t.Error("the umask is not 0077")
	}
}

// refused runs a relay that should refuse to start, and ends one that does start.
func (h *home) refused() (stderr string, status int) {
	h.t.Helper()
	var errs strings.Builder
	cmd := h.command("run")
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	end := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
	defer end.Stop()
	_ = cmd.Wait() // the status says it
	return errs.String(), cmd.ProcessState.ExitCode()
}

// TestSymbolicLinksAreRefused plants a link in place of everything that Melon
// writes, with a file behind it that must stay as it is.
func TestSymbolicLinksAreRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"outbox", "outbox/lock", "outbox/pid", "outbox/paused", "outbox/history", "outbox/unreadable",
		"control.sock", "learned.json", "smtp-key.pem", "smtp-certificate.pem",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, `listen: {smtp: ["127.0.0.1:0"], smtps: ["127.0.0.1:0"]}`)
			victim := filepath.Join(h.dir, "victim")
			if name == "outbox" || name == "outbox/unreadable" {
				if err := os.Mkdir(victim, 0o755); err != nil {
					t.Fatal(err)
				}
			} else if err := os.WriteFile(victim, []byte("precious"), 0o644); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(victim)
			link := filepath.Join(h.state, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(victim, link); err != nil {
				t.Fatal(err)
			}
			errs, status := h.refused()
			if status != exitFailed || !strings.Contains(errs, link) || !strings.Contains(errs, "symbolic link") {
				t.Errorf("status %d: %s", status, errs)
			}
			after, err := os.Lstat(victim)
			if err != nil || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
				t.Errorf("the file behind the link was touched: %v, %v", after, err)
			}
		})
	}
}

// TestStateOfAnotherUserIsRefused needs root to make one; for others the
// directory that every user may write to is another's.
func TestStateOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t, `listen: {smtp: ["127.0.0.1:0"]}`)
	if os.Geteuid() != 0 {
		h.state = "/"
	} else {
		if err := os.Mkdir(h.state, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(h.state, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	if errs, status := h.refused(); status != exitFailed || !strings.Contains(errs, "belongs to another user") {
		t.Errorf("status %d: %s", status, errs)
	}
	if os.Geteuid() == 0 {
		left, err := os.ReadDir(h.state)
		info, serr := os.Stat(h.state)
		if err != nil || serr != nil || len(left) != 0 || info.Sys().(*syscall.Stat_t).Uid != 12345 {
			t.Errorf("it was used: %v, %v, %v", left, err, serr)
		}
	}
}
