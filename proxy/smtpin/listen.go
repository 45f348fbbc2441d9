package smtpin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// door is one address that is listened on.
type door struct {
	kind   string // "smtp" or "smtps"
	asked  string // as configured
	remote bool   // beyond loopback: login and TLS are required
	ln     net.Listener
}

// want is one address to listen on.
type want struct {
	kind, addr string
	optional   bool // skipped where the machine has no such address
}

// wanted lists the addresses of l.
func wanted(l Listen) []want {
	var out []want
	plain := l.SMTP
	if plain == nil {
		plain = DefaultSMTP()
	}
	for _, a := range plain {
		out = append(out, want{"smtp", a, l.SMTP == nil})
	}
	for _, a := range l.SMTPS {
		out = append(out, want{"smtps", a, false})
	}
	return out
}

// bind opens every address that is not open yet. It returns all doors in order;
// on an error those that it opened are closed again.
func (s *Server) bind(wants []want, mode LoginMode) (doors []*door, err error) {
	var fresh []*door
	defer func() {
		if err != nil {
			closeDoors(fresh)
		}
	}()
	for _, w := range wants {
		d := s.doorFor(w)
		if d == nil {
			d, err = openDoor(w.kind, w.addr)
			switch {
			case err != nil && w.optional && notHere(err):
				s.log.Warn("this machine has no such address; it is skipped", "addr", w.addr)
				continue
			case err != nil:
				return nil, err
			}
			fresh = append(fresh, d)
		}
		if d.remote && mode != LoginRequired {
			return nil, fmt.Errorf("listen.%s: %s can be reached from other machines; that needs listen.login: required "+
				"and listen.password, or an address like 127.0.0.1:2525", w.kind, w.addr)
		}
		doors = append(doors, d)
	}
	for _, d := range without(s.given, doors) {
		if d.remote && mode != LoginRequired {
			return nil, fmt.Errorf("the listener %s, which was opened for Melon, can be reached from other machines; that needs "+
				"listen.login: required and listen.password", d.asked)
		}
		doors = append(doors, d)
	}
	if len(doors) == 0 {
		return nil, errors.New("listen.smtp: there is no address to listen on")
	}
	return doors, nil
}

// doorFor returns the door that is open already for an address, or nil.
func (s *Server) doorFor(w want) *door {
	for _, d := range append(s.doors[:len(s.doors):len(s.doors)], s.given...) {
		if d.kind == w.kind && d.asked == w.addr {
			return d
		}
	}
	return nil
}

// readyDoors are the doors that others opened. One that is wanted has the name
// it is wanted by.
func readyDoors(l Listen) []*door {
	var out []*door
	for _, ln := range l.Ready {
		bound := addrPort(ln.Addr())
		d := &door{kind: "smtp", asked: ln.Addr().String(), remote: !bound.Addr().IsLoopback(), ln: ln}
		for _, w := range wanted(l) {
			if _, addr, err := parseListen(w.addr); err == nil && addr == bound {
				d.kind, d.asked = w.kind, w.addr
			}
		}
		out = append(out, d)
	}
	return out
}

func closeDoors(doors []*door) {
	for _, d := range doors {
		d.ln.Close()
	}
}

// openDoor binds one address.
func openDoor(kind, asked string) (*door, error) {
	network, addr, err := parseListen(asked)
	if err != nil {
		return nil, fmt.Errorf("listen.%s: %w", kind, err)
	}
	cfg := net.ListenConfig{Control: listenControl}
	ln, err := cfg.Listen(context.Background(), network, addr.String())
	if err != nil {
		return nil, listenError(kind, asked, addr, err)
	}
	bound := addrPort(ln.Addr())
	return &door{kind: kind, asked: asked, remote: !bound.Addr().IsLoopback(), ln: ln}, nil
}

// parseListen reads "127.0.0.1:2525", "[::1]:2525", "localhost:2525" (which is
// 127.0.0.1) or ":2525" (every address of the machine).
func parseListen(s string) (network string, addr netip.AddrPort, err error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", addr, fmt.Errorf("%q is no address; write it like 127.0.0.1:2525", s)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", addr, fmt.Errorf("%q has no port number; write it like 127.0.0.1:2525", s)
	}
	switch host {
	case "localhost":
		host = "127.0.0.1"
	case "":
		return "tcp", netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(n)), nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "", addr, fmt.Errorf("%q is a name; write an IP address like 127.0.0.1:%d", s, n)
	}
	network = "tcp6"
	if ip = ip.Unmap(); ip.Is4() {
		network = "tcp4"
	}
	return network, netip.AddrPortFrom(ip, uint16(n)), nil
}

// listenError says why an address cannot be listened on, and what to change.
func listenError(kind, asked string, addr netip.AddrPort, err error) error {
	var why string
	switch {
	case portInUse(err):
		why = "another program listens there"
		if holder := portHolder(addr); holder != "" {
			why = "it is taken by " + holder
		}
		why += "; stop it, or change the port in listen." + kind
	case portForbidden(err):
		why = "this user may not listen on so low a port; use one above 1023 in listen." + kind
	case notHere(err):
		why = "this machine has no such address; change it in listen." + kind
	default:
		return fmt.Errorf("cannot listen on %s: %w", asked, err)
	}
	return &bindError{text: fmt.Sprintf("cannot listen on %s: %s", asked, why), err: err}
}

// bindError reads as a sentence and keeps its cause.
type bindError struct {
	text string
	err  error
}

func (e *bindError) Error() string { return e.text }

func (e *bindError) Unwrap() error { return e.err }

// addrPort returns a TCP address with an IPv4 one as such; zero for others.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}
