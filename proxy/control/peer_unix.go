//go:build linux || darwin

package control

import (
	"net"
	"os"
)

// sameUser reports whether the process at the other end runs as this user or
// as root, who can do what he likes anyway.
func sameUser(c net.Conn) bool {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return false
	}
	var uid uint32
	var uidErr error
	if err := raw.Control(func(fd uintptr) { uid, uidErr = peerUID(int(fd)) }); err != nil || uidErr != nil {
		return false
	}
	return int(uid) == os.Geteuid() || uid == 0
}
