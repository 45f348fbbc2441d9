package chaos

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// diskSize is how many octets the state directory has as root.
const diskSize = "size=512m"

// mountSmallDisk gives the state directory a file system of its own that can be
// filled. Only root may; without it diskFull works by RLIMIT_FSIZE.
func mountSmallDisk(t testing.TB, s *site) {
	t.Helper()
	if os.Geteuid() != 0 || unix.Mount("tmpfs", s.state, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, diskSize+",mode=0700") != nil {
		t.Log("no small disk can be mounted: a full disk is a limit on the size of files instead")
		return
	}
	t.Cleanup(func() {
		if err := unix.Unmount(s.state, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// diskFull fills the disk for a while.
func (w *world) diskFull(ctx context.Context) {
	var fs unix.Statfs_t
	if unix.Statfs(w.site.state, &fs) == nil && fs.Type == unix.TMPFS_MAGIC {
		filler := filepath.Join(w.site.state, "filler")
		fill(w.t, filler)
		w.storm(ctx, 1500*time.Millisecond)
		if err := os.Remove(filler); err != nil {
			w.t.Error(err)
		}
		return
	}
	// Without root: no file of the process grows. Writes fail with EFBIG.
	var old unix.Rlimit
	r := w.relay
	if err := unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 0, Max: unix.RLIM_INFINITY}, &old); err != nil {
		w.t.Errorf("prlimit: %v", err)
		return
	}
	w.storm(ctx, 1500*time.Millisecond)
	if r.alive() {
		if err := unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_FSIZE, &old, nil); err != nil {
			w.t.Errorf("prlimit: %v", err)
		}
	}
}

// fill writes until there is no room.
func fill(t testing.TB, name string) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
		return
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}
