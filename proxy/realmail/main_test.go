//go:build realmail

package realmail

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What one process tells the next in its environment.
const (
	userVar    = "MELON_REALMAIL_USER"    // uid of the person, also inside a user namespace
	scratchVar = "MELON_REALMAIL_SCRATCH" // this run's directory; set for the process that runs the tests
)

// TestMain is run by up to three processes, one inside the other: the one that
// go started enters a user namespace unless it is root; the keeper starts the
// tests and cleans up after them; the last runs the tests.
func TestMain(m *testing.M) {
	if os.Getenv(scratchVar) != "" {
		os.Exit(m.Run())
	}
	if os.Geteuid() != 0 {
		fatal(enterNamespace())
	}
	code, err := keep()
	if err != nil {
		fatal(err)
	}
	os.Exit(code)
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "realmail:", err)
	os.Exit(1)
}

// enterNamespace replaces this process by itself as root of a user namespace
// that has the user's subordinate uids (subuid(5)). It returns only an error.
func enterNamespace() error {
	if os.Getenv(userVar) != "" {
		return errors.New("the user namespace did not make this process root")
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return fmt.Errorf("%w: install the package util-linux", err)
	}
	if _, err := exec.LookPath("newuidmap"); err != nil {
		return fmt.Errorf("%w: install the package uidmap, or run as root", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{"unshare", "--user", "--map-root-user", "--map-auto", "--", self}, os.Args[1:]...)
	env := append(os.Environ(), userVar+"="+strconv.Itoa(os.Getuid()))
	return syscall.Exec(unshare, args, env)
}

// cacheDir returns the directory that stays between runs. It is below /var/tmp
// and not in the home directory, as the accounts that Postfix and Dovecot
// change to must get there; nobody else may have prepared it.
func cacheDir() (string, error) {
	uid := os.Getenv(userVar)
	if uid == "" {
		uid = "0"
	}
	dir := filepath.Join("/var/tmp", "melon-test-"+uid)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		return "", fmt.Errorf("%s is not a directory that this user alone can write to: remove it", dir)
	}
	return dir, os.Chmod(dir, 0o755)
}

// keep runs the tests in a child process and returns its exit status. All that
// the child started and left behind becomes a child of this process, and is
// killed; the scratch directory is removed.
func keep() (code int, err error) {
	// The child dies with the thread that started it: this one, which lives as
	// long as the process.
	runtime.LockOSThread()
	cache, err := cacheDir()
	if err != nil {
		return 1, err
	}
	scratch, err := os.MkdirTemp(cache, "run-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if err := os.Chmod(scratch, 0o755); err != nil {
		return 1, err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1, fmt.Errorf("becoming the reaper of the tests' processes: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	pid, err := syscall.ForkExec(self, os.Args, &syscall.ProcAttr{
		Env:   append(os.Environ(), scratchVar+"="+scratch),
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return 1, err
	}
	go func() { // ends with the process
		for s := range signals {
			syscall.Kill(pid, s.(syscall.Signal))
		}
	}()
	status, err := reap(pid)
	if err != nil {
		return 1, err
	}
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// reap waits for the process pid, then kills and waits for every other child
// of this process until none is left.
func reap(pid int) (syscall.WaitStatus, error) {
	var result, status syscall.WaitStatus
	ended := false
	for {
		if ended {
			for _, child := range children() {
				syscall.Kill(child, syscall.SIGKILL)
			}
		}
		got, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.ECHILD):
			return result, nil
		case err != nil:
			return result, err
		case got == pid:
			result, ended = status, true
		}
	}
}

// children lists the child processes of this process.
func children() []int {
	var pids []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	self := strconv.Itoa(os.Getpid())
	for _, name := range stats {
		data, err := os.ReadFile(name)
		if err != nil {
			continue // it ended meanwhile
		}
		// pid (name) state ppid ...: the name may hold anything, also ")".
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
		if len(fields) < 2 || fields[1] != self {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
