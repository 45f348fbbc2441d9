package doctor

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"melon/upstream/dial"
	"melon/upstream/network"
)

// networkFinding is what the machine says about its connection.
type networkFinding struct {
	state network.State
	known bool // the system could be asked
}

// withDefaults asks the system for what was not given.
func (m Machine) withDefaults() Machine {
	if m.Network == nil {
		m.Network = network.Current
	}
	if m.Route == nil {
		m.Route = systemRoute
	}
	if m.Files == nil {
		m.Files = os.DirFS("/")
	}
	if m.Name == "" {
		m.Name, _ = os.Hostname() // "" is nobody's name
	}
	return m
}

// lookAtNetwork reads the interface and the route of the moment; nothing is sent.
func (x *examination) lookAtNetwork() {
	start := time.Now()
	s, err := x.o.Machine.Network()
	x.network = networkFinding{state: s, known: err == nil}
	switch {
	case err != nil:
		x.note(checkNetwork, StatusWarn, start, x.say(sayNetworkUnknown, err))
	case !s.Online:
		status := StatusFail
		if x.onThisMachine() {
			status = StatusWarn
		}
		x.note(checkNetwork, status, start, x.say(sayOffline))
	default:
		x.note(checkNetwork, StatusOK, start, x.say(sayOnline, describeNetwork(s)))
	}
}

// describeNetwork is the state on one line: "wlan0 (Hotel-Guest), 192.0.2.7 via 192.0.2.1".
func describeNetwork(s network.State) string {
	out := s.Interface
	if s.SSID != "" {
		out += " (" + s.SSID + ")"
	}
	var addrs []string
	for _, a := range []netip.Addr{s.Local4, s.Local6} {
		if a.IsValid() {
			addrs = append(addrs, a.String())
		}
	}
	if len(addrs) > 0 {
		out += ", " + strings.Join(addrs, ", ")
	}
	if s.Gateway.IsValid() {
		out += " via " + s.Gateway.String()
	}
	return out
}

// onThisMachine reports whether the account's SMTP server is this machine itself:
// by its name, or by the addresses once they are known. No network lies between.
func (x *examination) onThisMachine() bool {
	host := strings.TrimSuffix(strings.Trim(x.o.Account.SMTP.Host, "[]"), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	return false
}

// dialer returns a Dialer for one conversation, by the given one's means.
func (x *examination) dialer() *dial.Dialer {
	d := x.o.Dialer
	return &dial.Dialer{
		Resolver: x.names, DialContext: d.DialContext, RootCAs: d.RootCAs, Now: x.o.Now,
		Offline: func() bool { return x.network.known && !x.network.state.Online && !x.onThisMachine() },
	}
}

// dialContext connects to a "host:port" by the given Dialer's means, for HTTP.
func (x *examination) dialContext(ctx context.Context, _, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	ips, err := x.names.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	connect := x.o.Dialer.DialContext
	if connect == nil {
		var plain net.Dialer
		connect = func(ctx context.Context, network, _, addr string) (net.Conn, error) {
			return plain.DialContext(ctx, network, addr)
		}
	}
	var last error
	for _, ip := range ips {
		network := "tcp4"
		if ip.Is6() {
			network = "tcp6"
		}
		each, cancel := context.WithTimeout(ctx, probeConnect)
		c, err := connect(each, network, "", net.JoinHostPort(ip.String(), port))
		cancel()
		if err == nil {
			return c, nil
		}
		last = err
	}
	return nil, last
}
