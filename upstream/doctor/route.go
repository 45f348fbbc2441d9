package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// wayFinding is how packets leave towards the two servers. A Way without an
// interface is not known, or leads to this machine itself.
type wayFinding struct {
	smtp, pop Way
	split     bool // the two leave by different interfaces or local addresses
}

// lookAtRoutes asks the system for the way to each server; nothing is sent.
func (x *examination) lookAtRoutes() {
	start := time.Now()
	x.ways.smtp = x.way(x.dns.smtp.addrs)
	x.ways.pop = x.way(x.dns.pop.addrs)
	s, p := x.ways.smtp, x.ways.pop
	// Other address families have other local addresses: see sameAddress.
	sameFamily := s.Local.Is4() == p.Local.Is4()
	x.ways.split = s.Interface != "" && p.Interface != "" &&
		(s.Interface != p.Interface || sameFamily && s.Local.IsValid() && p.Local.IsValid() && s.Local != p.Local)
	switch {
	case x.ways.split:
		x.note(checkVPN, StatusWarn, start, x.say(sayVPNSplit, describeWay(p), describeWay(s)))
	case s.Tunnel:
		x.note(checkVPN, StatusWarn, start, x.say(sayVPNAll, describeWay(s)))
	case p.Tunnel:
		x.note(checkVPN, StatusWarn, start, x.say(sayVPNAll, describeWay(p)))
	case s.Interface == "":
		x.note(checkVPN, StatusSkip, start, x.say(sayVPNUnknown))
	default:
		x.note(checkVPN, StatusOK, start, x.say(sayVPNNone, describeWay(s)))
	}
}

// way is the way to the first address to which there is one.
func (x *examination) way(addrs []netip.Addr) Way {
	for _, ip := range addrs {
		if ip.IsLoopback() {
			continue
		}
		if w, err := x.o.Machine.Route(ip); err == nil && w.Interface != "" {
			return w
		}
	}
	return Way{}
}

func describeWay(w Way) string {
	if !w.Local.IsValid() {
		return w.Interface
	}
	return fmt.Sprintf("%s (%s)", w.Interface, w.Local)
}

// systemRoute finds the local address by connecting a UDP socket, which sends
// nothing, and the interface that has it.
func systemRoute(to netip.Addr) (Way, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 53)))
	if err != nil {
		return Way{}, err
	}
	defer c.Close()
	local, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return Way{}, fmt.Errorf("local address %v", c.LocalAddr())
	}
	w := Way{Local: local.AddrPort().Addr().Unmap().WithZone("")}
	interfaces, err := net.Interfaces()
	if err != nil {
		return w, err
	}
	var others []string // other interfaces that have an address to go out by
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 {
			continue
		}
		switch {
		case has(addrs, w.Local) && w.Interface == "":
			w.Interface = i.Name
		case len(addrs) > 0 && i.Flags&net.FlagLoopback == 0 && !isTunnel(i.Name, true):
			others = append(others, i.Name)
		}
	}
	w.Tunnel = isTunnel(w.Interface, len(others) > 0)
	return w, nil
}

func has(addrs []net.Addr, ip netip.Addr) bool {
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		if !ok {
			return false
		}
		own, ok := netip.AddrFromSlice(n.IP)
		return ok && own.Unmap() == ip
	})
}

// tunnelName are the names that systems and VPN programs give their tunnels.
var tunnelName = regexp.MustCompile(`^(tun|tap|utun|wg|ppp|ipsec|vti|xfrm|gre|l2tp|gpd|cscotun|cali-vpn|nordlynx|proton|mullvad|tailscale|zt|vpn|openconnect)[a-z0-9_.-]*$`)

// isTunnel reports whether an interface is a VPN's by its name. A ppp interface
// is one only beside another way out: alone it is the line itself.
func isTunnel(name string, others bool) bool {
	name = strings.ToLower(name)
	if !tunnelName.MatchString(name) {
		return false
	}
	return others || !strings.HasPrefix(name, "ppp")
}
