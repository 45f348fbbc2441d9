//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// protectProcess keeps what the process makes and holds from others: files are
// the user's alone whatever mode they are made with, and no core dump writes
// passwords to the disk. Commands that fetch secrets inherit both.
func protectProcess() error {
	unix.Umask(0o077)
	err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	if err != nil {
		err = fmt.Errorf("core dumps: %w", err)
	}
	return errors.Join(err, emptyDumps())
}

// closeToOthers refuses a directory of another user's and closes one that others
// may look into.
func closeToOthers(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("the state directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("the state directory %s is not a directory", dir)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("the state directory %s belongs to another user; choose another one with --state", dir)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("the state directory is open to others: %w", err)
	}
	return nil
}
