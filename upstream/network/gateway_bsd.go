//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package network

import (
	"net/netip"
	"syscall"

	"golang.org/x/net/route"
)

// gateway returns the next hop of an interface's default route from the routing
// table (sysctl NET_RT_DUMP); invalid when there is none.
func gateway(index int, six bool) netip.Addr {
	family := syscall.AF_INET
	if six {
		family = syscall.AF_INET6
	}
	table, err := route.FetchRIB(family, route.RIBTypeRoute, 0)
	if err != nil {
		return netip.Addr{}
	}
	messages, err := route.ParseRIB(route.RIBTypeRoute, table)
	if err != nil {
		return netip.Addr{}
	}
	for _, m := range messages {
		r, ok := m.(*route.RouteMessage)
		if !ok || r.Index != index || r.Flags&syscall.RTF_GATEWAY == 0 ||
			len(r.Addrs) <= syscall.RTAX_GATEWAY || !address(r.Addrs[syscall.RTAX_DST]).IsUnspecified() {
			continue
		}
		if a := address(r.Addrs[syscall.RTAX_GATEWAY]); a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// address converts an address of the routing table.
func address(a route.Addr) netip.Addr {
	switch a := a.(type) {
	case *route.Inet4Addr:
		return netip.AddrFrom4(a.IP)
	case *route.Inet6Addr:
		return netip.AddrFrom16(a.IP)
	}
	return netip.Addr{}
}
