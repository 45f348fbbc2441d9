//go:build unix

package control

import (
	"fmt"
	"os"
	"syscall"
)

// private reports an error unless dir is this user's own and nobody else may
// enter it. A directory that is ours but open is closed.
func private(dir string) error {
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user; the control socket cannot be made there", dir)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return os.Chmod(dir, 0o700)
	}
	return nil
}

// Unsupported reports that the system has no unix sockets, which every Unix has.
func Unsupported(error) bool { return false }
