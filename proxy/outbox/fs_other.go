//go:build !unix

package outbox

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// noFollow has no counterpart here: creating links needs special rights.
const noFollow = 0

// Rename implements FS. A reader of the old file (a virus scanner, a backup)
// makes it fail for a moment on Windows, so it is tried a few times.
func (OS) Rename(oldname, newname string) error {
	err := os.Rename(oldname, newname)
	for wait := time.Millisecond; err != nil && wait < 100*time.Millisecond; wait *= 2 {
		<-time.After(wait)
		err = os.Rename(oldname, newname)
	}
	return err
}

// SyncDir implements FS. NTFS journals its names; a directory cannot be synced.
func (OS) SyncDir(name string) error {
	_, err := os.Stat(name)
	return err
}

// readOnly reports a file system that cannot be written: ERROR_WRITE_PROTECT.
func readOnly(err error) bool { return errors.Is(err, syscall.Errno(19)) }

// diskFull reports that there is no room: ERROR_HANDLE_DISK_FULL,
// ERROR_DISK_FULL.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.Errno(39)) || errors.Is(err, syscall.Errno(112))
}

// unlinked reports that an open file has lost its name, which cannot be here.
func unlinked(fs.FileInfo) bool { return false }
