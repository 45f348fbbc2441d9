package network

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

// gateway returns the first gateway of an interface (GetAdaptersAddresses);
// invalid when there is none.
func gateway(index int, six bool) netip.Addr {
	const flags = windows.GAA_FLAG_INCLUDE_GATEWAYS | windows.GAA_FLAG_SKIP_ANYCAST |
		windows.GAA_FLAG_SKIP_MULTICAST | windows.GAA_FLAG_SKIP_DNS_SERVER
	size := uint32(16 << 10)
	for range 4 {
		b := make([]byte, size)
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(&b[0]))
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, flags, 0, first, &size)
		if err == windows.ERROR_BUFFER_OVERFLOW {
			continue // size now says how much is needed; it may grow meanwhile
		}
		if err != nil {
			break
		}
		for a := first; a != nil; a = a.Next {
			if int(a.IfIndex) != index && int(a.Ipv6IfIndex) != index {
				continue
			}
			for g := a.FirstGatewayAddress; g != nil; g = g.Next {
				ip, ok := netip.AddrFromSlice(g.Address.IP())
				if ip = ip.Unmap(); ok && ip.Is6() == six {
					return ip
				}
			}
		}
		break
	}
	return netip.Addr{}
}
