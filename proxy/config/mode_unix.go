//go:build unix

package config

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// writableByOthers says how another user may write the file, or "".
func writableByOthers(info fs.FileInfo) string {
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Sprintf("others may write this file (mode %04o), and so read your mail: run chmod go-w on it", info.Mode().Perm())
	}
	// Root reads the files of those it works for.
	if uid, ok := owner(info); ok && os.Geteuid() != 0 && uid != 0 && uid != os.Geteuid() {
		return "this file belongs to another user, who may write it: make it your own with chown"
	}
	return ""
}

// readableByOthers reports whether the file is for more than its owner.
func readableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }

func owner(info fs.FileInfo) (int, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(st.Uid), true
}

// syncDir makes a rename in dir last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("the directory of the configuration cannot be synced: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("the directory of the configuration cannot be synced: %w", err)
	}
	return nil
}
