package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
)

// firstFD is the number of the first descriptor that systemd hands over
// (sd_listen_fds(3)).
const firstFD = 3

// activated returns the listeners that systemd opened for this process, none
// when it was started otherwise. The caller closes them.
func activated(getenv func(string) string, pid int) ([]net.Listener, error) {
	if getenv("LISTEN_PID") != strconv.Itoa(pid) {
		return nil, nil // there are none, or they are another process's
	}
	n, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || n < 0 {
		return nil, fmt.Errorf("LISTEN_FDS=%q is not a number of listeners", getenv("LISTEN_FDS"))
	}
	var out []net.Listener
	for fd := firstFD; fd < firstFD+n; fd++ {
		f := os.NewFile(uintptr(fd), "listener")
		l, err := net.FileListener(f) // a copy
		f.Close()
		if err != nil {
			for _, l := range out {
				l.Close()
			}
			return nil, fmt.Errorf("descriptor %d of socket activation is no listener: %w", fd, err)
		}
		out = append(out, l)
	}
	return out, nil
}
