package outbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// lock keeps a second process out of the directory. The kernel releases it with
// the process, so that nothing stale is ever in the way.
type lock struct {
	file *flock.Flock
	pid  string // path of the file that names the process
}

// acquire locks the directory. When another process holds the lock the error is
// ErrLocked, with that process's number.
func acquire(dir string) (*lock, error) {
	l := &lock{file: flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600)), pid: filepath.Join(dir, "pid")}
	ok, err := l.file.TryLock()
	if err != nil {
		return nil, err
	}
	if !ok {
		// A file of its own: on Windows a locked one cannot be read.
		if data, err := os.ReadFile(l.pid); err == nil {
			return nil, fmt.Errorf("%w: process %s", ErrLocked, upTo(strings.TrimSpace(string(data)), 20))
		}
		return nil, ErrLocked
	}
	if err := os.WriteFile(l.pid, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		l.file.Unlock()
		return nil, err
	}
	return l, nil
}

// release unlocks the directory.
func (l *lock) release() error {
	os.Remove(l.pid)
	return l.file.Unlock()
}

// upTo cuts s to n octets.
func upTo(s string, n int) string { return s[:min(n, len(s))] }
