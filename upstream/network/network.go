// Package network says which network this machine is on, and when that changes.
//
// Current reads the State once. A Watcher keeps it up to date and tells of four
// things that end what was known about the way to a provider: another network, a
// sleep, a wall clock that went back, a wall clock that went forward.
//
// On Linux the kernel says when something happens: rtnetlink multicasts changes
// of addresses and routes, and a timerfd with TFD_TIMER_CANCEL_ON_SET wakes up
// when the clock was set or the machine resumed. There is no ticker, and nothing
// runs while nothing happens. github.com/mdlayher/netlink carries it: of the
// libraries it is the one with a socket that one goroutine reads and Close ends.
//
// Elsewhere the state is looked at when it is asked for, and every ten seconds
// while somebody waits for the network (Watcher.Waiting). SSIDs are told on Linux
// alone: macOS shows them only to apps that may know the location, and on Windows
// it would take the WLAN API.
package network

import (
	"net/netip"
	"strings"
)

// State is how the machine is connected at one moment. The zero value is offline.
type State struct {
	Online    bool       // there is a route to the Internet; nothing is said about what is behind it
	Interface string     // name of the interface of that route, IPv4's first
	Local4    netip.Addr // local address used towards the Internet; invalid when there is none
	Local6    netip.Addr
	Gateway   netip.Addr // next hop of that route; invalid on point-to-point links
	SSID      string     // name of the Wi-Fi network; "" when there is none or it cannot be told
}

// prefix6 is how much of an IPv6 address belongs to the network: the rest is the
// machine's own choice and changes daily (RFC 8981).
const prefix6 = 64

// Key returns the identity of the network, for windows and learned facts: it
// changes when interface, gateway, SSID, IPv4 address or IPv6 prefix (/64) do.
// It is "" offline.
func (s State) Key() string {
	if !s.Online {
		return ""
	}
	show := func(valid bool, text string) string {
		if !valid {
			return "-"
		}
		return text
	}
	prefix, err := s.Local6.Prefix(prefix6)
	return strings.Join([]string{
		s.Interface,
		show(s.Gateway.IsValid(), s.Gateway.String()),
		show(s.Local4.IsValid(), s.Local4.String()),
		show(err == nil && s.Local6.IsValid(), prefix.String()),
		s.SSID,
	}, " ")
}

// Current reads the state now. It sends nothing and needs no privileges. An error
// means that the system could not be asked; without any network the State is
// zero and the error nil.
func Current() (State, error) { return current() }

// The addresses towards which the way is looked up: root name servers (RFC 2870),
// as nobody has a route of their own to them. No packet goes there.
var (
	internet4 = netip.AddrFrom4([4]byte{198, 41, 0, 4})
	internet6 = netip.AddrFrom16([16]byte{0x20, 0x01, 0x05, 0x03, 0xba, 0x3e, 13: 0x02, 15: 0x30})
)

// way is how packets leave for one address family.
type way struct {
	local   netip.Addr
	gateway netip.Addr
	name    string // of the interface
}

// stateOf puts the two families together; a nil way is none.
func stateOf(four, six *way, ssid func(name string) string) State {
	s := State{Online: four != nil || six != nil}
	first := four
	if four == nil {
		first = six
	}
	if first == nil {
		return s
	}
	s.Interface, s.Gateway = first.name, first.gateway
	if four != nil {
		s.Local4 = four.local
	}
	if six != nil {
		s.Local6 = six.local
	}
	s.SSID = ssid(first.name)
	return s
}
