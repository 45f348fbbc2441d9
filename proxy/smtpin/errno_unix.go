//go:build unix

package smtpin

import (
	"errors"
	"io/fs"
	"syscall"
)

func portInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

func portForbidden(err error) bool { return errors.Is(err, syscall.EACCES) }

func notHere(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

// listenControl changes nothing: a second listener on the same port is refused
// by the system.
func listenControl(_, _ string, _ syscall.RawConn) error { return nil }

// tooOpen reports whether others than the owner may use a file of this mode.
func tooOpen(m fs.FileMode) bool { return m.Perm()&0o077 != 0 }
