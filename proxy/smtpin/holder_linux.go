package smtpin

import (
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// portHolder says who listens at an address that is in use: the program with
// its process id, or the user when it belongs to another one; "" when nobody
// can tell.
func portHolder(addr netip.AddrPort) string {
	for s, err := range procSockets("/proc/net") {
		if err != nil {
			return ""
		}
		same := s.local.Addr() == addr.Addr() || s.local.Addr().IsUnspecified() || addr.Addr().IsUnspecified()
		if !s.listening || s.local.Port() != addr.Port() || !same {
			continue
		}
		if name := socketProcess(s.inode); name != "" {
			return name
		}
		id := strconv.FormatUint(uint64(s.uid), 10)
		if u, err := user.LookupId(id); err == nil {
			return "a program of the user " + u.Username
		}
		return "a program of the user with uid " + id
	}
	return ""
}

// socketProcess returns the name and process id of the process that holds the
// socket; only this user's processes (for root: all) can be looked into.
func socketProcess(inode uint64) string {
	want := fmt.Sprintf("socket:[%d]", inode)
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err != nil || link != want {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			return "process " + pid
		}
		return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}
