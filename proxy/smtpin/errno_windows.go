package smtpin

import (
	"errors"
	"io/fs"
	"syscall"

	"golang.org/x/sys/windows"
)

func portInUse(err error) bool { return errors.Is(err, windows.WSAEADDRINUSE) }

func portForbidden(err error) bool { return errors.Is(err, windows.WSAEACCES) }

func notHere(err error) bool {
	return errors.Is(err, windows.WSAEADDRNOTAVAIL) || errors.Is(err, windows.WSAEAFNOSUPPORT)
}

// listenControl keeps another program from taking the port over with
// SO_REUSEADDR while Melon listens on it.
func listenControl(_, _ string, c syscall.RawConn) error {
	const exclusive = ^windows.SO_REUSEADDR // SO_EXCLUSIVEADDRUSE
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, exclusive, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}

// tooOpen reports nothing here: the directory's access list rules.
func tooOpen(fs.FileMode) bool { return false }
