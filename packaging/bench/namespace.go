//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// namespaceVar says that this process has been through becomeRoot.
const namespaceVar = "MELON_BENCH_NAMESPACE"

// becomeRoot replaces a process that is not root by itself as root of a user
// namespace that has the user's subordinate uids, as chroot(2) and the peers'
// own users need. It returns nil when the process is root, and an error when it
// cannot be.
func becomeRoot() error {
	if os.Geteuid() == 0 {
		// What the peers leave behind becomes a child of this process.
		return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
	if os.Getenv(namespaceVar) != "" {
		return errors.New("the user namespace did not make this process root")
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return err
	}
	if _, err := exec.LookPath("newuidmap"); err != nil {
		return err
	}
	if err := exec.Command(unshare, "--user", "--map-root-user", "--map-auto", "--", "true").Run(); err != nil {
		return fmt.Errorf("a user namespace: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{"unshare", "--user", "--map-root-user", "--map-auto", "--", self}, os.Args[1:]...)
	return syscall.Exec(unshare, args, append(os.Environ(), namespaceVar+"="+strconv.Itoa(os.Getuid())))
}

// endChildren kills and awaits every child process that is left.
func endChildren() error {
	for {
		left := children()
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			syscall.Kill(pid, syscall.SIGKILL)
			var status syscall.WaitStatus
			if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
				return nil // somebody else waits for it
			}
		}
	}
}

func mkfifo(path string) error {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return err
	}
	return os.Chmod(path, 0o622)
}
