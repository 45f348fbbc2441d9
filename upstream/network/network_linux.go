package network

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// thisPlatform is Linux: rtnetlink and a timerfd report.
func thisPlatform() platform {
	return platform{read: current, start: startReports, clocks: readClocks}
}

// current asks the kernel, or where a sandbox keeps netlink away does without the
// gateway.
func current() (State, error) {
	s, err := byNetlink()
	if err != nil {
		return byConnecting(func(int, bool) netip.Addr { return netip.Addr{} }, ssid)
	}
	return s, nil
}

// byNetlink asks the kernel which way packets would take. That is a look-up in
// its tables, policy rules included, and sends nothing.
func byNetlink() (State, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return State{}, fmt.Errorf("asking for the route: %w", err)
	}
	defer c.Close()
	four, err := lookUp(c, internet4)
	if err != nil {
		return State{}, err
	}
	six, err := lookUp(c, internet6)
	if err != nil {
		return State{}, err
	}
	return stateOf(four, six, ssid), nil
}

// rtmsgSize is the size of struct rtmsg (rtnetlink(7)).
const rtmsgSize = 12

// lookUp returns the way to an address, or nil when there is none.
func lookUp(c *netlink.Conn, to netip.Addr) (*way, error) {
	ae := netlink.NewAttributeEncoder()
	ae.Bytes(unix.RTA_DST, to.AsSlice())
	attrs, err := ae.Encode()
	if err != nil {
		return nil, err
	}
	header := make([]byte, rtmsgSize)
	header[0], header[1] = unix.AF_INET, 32 // family, length of the destination
	if to.Is6() {
		header[0], header[1] = unix.AF_INET6, 128
	}
	answers, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETROUTE, Flags: netlink.Request},
		Data:   append(header, attrs...),
	})
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.EACCES) ||
		errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, nil // unreachable, prohibited, blackhole; no such address family
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the route: %w", err)
	}
	for _, a := range answers {
		if len(a.Data) >= rtmsgSize {
			return parseRoute(a.Data)
		}
	}
	return nil, nil
}

// parseRoute reads a struct rtmsg and its attributes. A route without an
// interface or a local address leads nowhere.
func parseRoute(data []byte) (*way, error) {
	if kind := data[7]; kind != unix.RTN_UNICAST {
		return nil, nil
	}
	ad, err := netlink.NewAttributeDecoder(data[rtmsgSize:])
	if err != nil {
		return nil, err
	}
	var w way
	for ad.Next() {
		switch ad.Type() {
		case unix.RTA_OIF:
			w.name = interfaceName(int(ad.Uint32()))
		case unix.RTA_PREFSRC:
			w.local, _ = netip.AddrFromSlice(ad.Bytes())
		case unix.RTA_GATEWAY:
			w.gateway, _ = netip.AddrFromSlice(ad.Bytes())
		case unix.RTA_VIA: // struct rtvia: an address family and a next hop of another family
			if b := ad.Bytes(); len(b) > 2 {
				w.gateway, _ = netip.AddrFromSlice(b[2:])
			}
		}
	}
	if err := ad.Err(); err != nil {
		return nil, err
	}
	if w.name == "" || !w.local.IsValid() || w.local.IsLoopback() {
		return nil, nil
	}
	return &w, nil
}

// interfaceName returns the name of an interface, "" when it is gone.
func interfaceName(index int) string {
	i, err := net.InterfaceByIndex(index)
	if err != nil {
		return ""
	}
	return i.Name
}

// group is the bit of a multicast group.
func group(n uint) uint32 { return 1 << (n - 1) }

// startReports listens to the kernel. Changes of links are not among it: what
// matters of them shows in addresses and routes, and Wi-Fi scans would be too.
func startReports(report func(signal)) (func() error, error) {
	routes, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{
		Groups: group(unix.RTNLGRP_IPV4_IFADDR) | group(unix.RTNLGRP_IPV6_IFADDR) |
			group(unix.RTNLGRP_IPV4_ROUTE) | group(unix.RTNLGRP_IPV6_ROUTE),
	})
	if err != nil {
		return nil, fmt.Errorf("listening for changes of the network: %w", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { readRoutes(routes, report) })
	clock, err := clockTimer()
	if err == nil { // without it a sleep goes unnoticed; the network still is watched
		wg.Go(func() { readClock(clock, report) })
	}
	return func() error {
		err := routes.Close()
		if clock != nil {
			err = errors.Join(err, clock.Close())
		}
		wg.Wait()
		return err
	}, nil
}

// readRoutes reports changes until the socket is closed.
func readRoutes(c *netlink.Conn, report func(signal)) {
	for {
		_, err := c.Receive()
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // ENOBUFS: too many to keep, look anyway
			return
		}
		report(networkTouched)
	}
}

// clockTimer returns a timer that never expires, and whose Read fails with
// ECANCELED when the wall clock is set or the machine resumes (timerfd_create(2)).
func clockTimer() (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "timerfd")
	if err := arm(fd); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func arm(fd int) error {
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(math.MaxInt64)}
	err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &at, nil)
	return os.NewSyscallError("timerfd_settime", err)
}

// readClock reports jumps of the clock until the timer is closed.
func readClock(f *os.File, report func(signal)) {
	b := make([]byte, 8)
	for {
		_, err := f.Read(b)
		if !errors.Is(err, unix.ECANCELED) {
			return
		}
		report(clockTouched)
		raw, err := f.SyscallConn()
		if err != nil {
			return
		}
		var armed error
		if err := raw.Control(func(fd uintptr) { armed = arm(int(fd)) }); err != nil || armed != nil {
			return
		}
	}
}

// readClocks reads CLOCK_BOOTTIME and CLOCK_MONOTONIC.
func readClocks() (uptime, running time.Duration) {
	var boot, mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil {
		return 0, 0
	}
	return time.Duration(boot.Nano()), time.Duration(mono.Nano())
}
