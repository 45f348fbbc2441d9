//go:build !linux

package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// thisPlatform reports nothing: the state is looked at.
func thisPlatform() platform {
	began := time.Now()
	return platform{read: current, clocks: func() (uptime, running time.Duration) {
		// Whether this clock goes on while the machine sleeps differs; where it
		// stands still, a sleep shows as a wall clock that went forward.
		d := time.Since(began)
		return d, d
	}}
}

// current finds the local addresses by connecting UDP sockets, which sends nothing.
func current() (State, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return State{}, fmt.Errorf("listing the interfaces: %w", err)
	}
	four, six := wayTo(internet4, interfaces), wayTo(internet6, interfaces)
	return stateOf(four, six, func(string) string { return "" }), nil
}

// wayTo returns the way to an address, or nil when there is none.
func wayTo(to netip.Addr, interfaces []net.Interface) *way {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 53)))
	if err != nil {
		return nil
	}
	local, ok := c.LocalAddr().(*net.UDPAddr)
	if err := errors.Join(c.Close()); err != nil || !ok {
		return nil
	}
	w := &way{local: local.AddrPort().Addr().Unmap().WithZone("")}
	if w.local.IsLoopback() || w.local.IsUnspecified() {
		return nil
	}
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == w.local {
				w.name, w.gateway = i.Name, gateway(i.Index, w.local.Is6())
				return w
			}
		}
	}
	return nil
}
