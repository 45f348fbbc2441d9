package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// byConnecting finds the local addresses by connecting UDP sockets, which sends
// nothing and works everywhere. gateway and ssid find out the rest.
func byConnecting(gateway func(index int, six bool) netip.Addr, ssid func(name string) string) (State, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return State{}, fmt.Errorf("listing the interfaces: %w", err)
	}
	four, six := wayTo(internet4, interfaces, gateway), wayTo(internet6, interfaces, gateway)
	return stateOf(four, six, ssid), nil
}

// wayTo returns the way to an address, or nil when there is none.
func wayTo(to netip.Addr, interfaces []net.Interface, gateway func(int, bool) netip.Addr) *way {
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
