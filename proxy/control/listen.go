package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// ErrRunning is what Listen returns when another process answers on the socket.
var ErrRunning = errors.New("another Melon answers on this socket")

// maxSocketPath is what fits into a sockaddr_un everywhere (macOS has the
// shortest).
const maxSocketPath = 103

// Listen makes the unix socket at path, in a directory that only this user can
// enter, and removes what a process that is gone left there. Closing the
// listener removes the socket.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the control socket's path is longer than %d octets; choose a shorter state directory with --state: %s", maxSocketPath, path)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	if fi, err := os.Lstat(path); err == nil {
		if fi.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is in the way of the control socket and is not a socket; move it away", path)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if c, err := (&net.Dialer{}).DialContext(ctx, "unix", path); err == nil {
			c.Close()
			return nil, fmt.Errorf("%w: %s", ErrRunning, path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return peerListener{l}, nil
}

// peerListener drops connections of other users: the directory's mode keeps
// them out already, and this holds where a mode is not enough.
type peerListener struct{ net.Listener }

func (l peerListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if sameUser(c) {
			return c, nil
		}
		c.Close()
	}
}
