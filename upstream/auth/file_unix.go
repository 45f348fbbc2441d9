//go:build unix

package auth

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openFlags keep a FIFO from blocking the open.
const openFlags = syscall.O_NONBLOCK

// errNotDir is what a path through a file ends in: nothing is there.
const errNotDir = syscall.ENOTDIR

// notPrivate says why the open file is not this user's alone, and what to do;
// "" when it is.
func notPrivate(_ *os.File, info fs.FileInfo) (why, advice string) {
	return othersAccess(info, os.Geteuid())
}

// othersAccess judges owner and mode.
func othersAccess(info fs.FileInfo, uid int) (why, advice string) {
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != uid {
		return "belongs to another user", "make yourself its owner with chown"
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Sprintf("is open to others (mode %04o)", mode), "run chmod 600 on it"
	}
	return "", ""
}

// makePrivate sets the mode that os.CreateTemp already asked for, whatever the
// file system made of it.
func makePrivate(f *os.File) error { return f.Chmod(0o600) }

// syncDir puts a renamed or removed name on disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
