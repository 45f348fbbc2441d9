package network

import (
	"net"
	"net/netip"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"melon/upstream"
)

// route builds the answer to RTM_GETROUTE.
func route(t testing.TB, kind byte, attrs func(*netlink.AttributeEncoder)) []byte {
	t.Helper()
	ae := netlink.NewAttributeEncoder()
	attrs(ae)
	b, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	header := make([]byte, rtmsgSize)
	header[7] = kind
	return append(header, b...)
}

func TestParseRoute(t *testing.T) {
	t.Parallel()
	lo, err := net.InterfaceByIndex(1)
	if err != nil {
		t.Fatal(err)
	}
	local, gw := netip.MustParseAddr("192.0.2.23"), netip.MustParseAddr("192.0.2.1")
	gw6 := netip.MustParseAddr("fe80::1")
	usual := func(ae *netlink.AttributeEncoder) {
		ae.Uint32(unix.RTA_OIF, uint32(lo.Index))
		ae.Bytes(unix.RTA_PREFSRC, local.AsSlice())
	}
	for _, tc := range []struct {
		name  string
		kind  byte
		attrs func(*netlink.AttributeEncoder)
		want  *way
	}{
		{"by a gateway", unix.RTN_UNICAST, func(ae *netlink.AttributeEncoder) { usual(ae); ae.Bytes(unix.RTA_GATEWAY, gw.AsSlice()) }, &way{local, gw, lo.Name}},
		{"point to point", unix.RTN_UNICAST, usual, &way{local, netip.Addr{}, lo.Name}},
		{"IPv4 by an IPv6 gateway", unix.RTN_UNICAST, func(ae *netlink.AttributeEncoder) {
			usual(ae)
			ae.Bytes(unix.RTA_VIA, append([]byte{unix.AF_INET6, 0}, gw6.AsSlice()...))
		}, &way{local, gw6, lo.Name}},
		{"local", unix.RTN_LOCAL, usual, nil},
		{"unreachable", unix.RTN_UNREACHABLE, usual, nil},
		{"no source", unix.RTN_UNICAST, func(ae *netlink.AttributeEncoder) { ae.Uint32(unix.RTA_OIF, uint32(lo.Index)) }, nil},
		{"interface that is gone", unix.RTN_UNICAST, func(ae *netlink.AttributeEncoder) {
			ae.Uint32(unix.RTA_OIF, 1<<30)
			ae.Bytes(unix.RTA_PREFSRC, local.AsSlice())
		}, nil},
	} {
		got, err := parseRoute(route(t, tc.kind, tc.attrs))
		if err != nil || (got == nil) != (tc.want == nil) || got != nil && *got != *tc.want {
			t.Errorf("%s: %+v, %v", tc.name, got, err)
		}
	}
}

func TestParseSSID(t *testing.T) {
	t.Parallel()
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(unix.NL80211_ATTR_IFINDEX, 3)
	ae.Bytes(unix.NL80211_ATTR_SSID, []byte("HKO\x1b Guest"))
	b, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got := parseSSID(b); got != "HKO? Guest" {
		t.Errorf("%q", got)
	}
	if got := parseSSID(b[:8]); got != "" {
		t.Errorf("%q", got)
	}
	if got := ssid("lo"); got != "" {
		t.Errorf("lo: %q", got)
	}
}

// FuzzParse: what comes from the kernel is not trusted to be well-formed: a way
// has an interface and an address, and the name of a Wi-Fi network can be shown.
func FuzzParse(f *testing.F) {
	f.Add(make([]byte, rtmsgSize))
	f.Add(route(f, unix.RTN_UNICAST, func(ae *netlink.AttributeEncoder) { ae.Uint32(unix.RTA_OIF, 1) }))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s := parseSSID(b); s != upstream.CleanLine(s) {
			t.Errorf("%q cannot be shown", s)
		}
		if len(b) < rtmsgSize {
			return
		}
		if w, err := parseRoute(b); w != nil && (err != nil || w.name == "" || !w.local.IsValid() || w.local.IsLoopback()) {
			t.Errorf("%+v, %v", w, err)
		}
	})
}

// TestClockTimer: the timer can be armed again and again, and Close ends a Read.
func TestClockTimer(t *testing.T) {
	t.Parallel()
	timer, err := clockTimer()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := timer.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var armed error
		if err := raw.Control(func(fd uintptr) { armed = arm(int(fd)) }); err != nil || armed != nil {
			t.Error(err, armed)
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		readClock(timer, func(signal) { t.Error("the clock has not jumped") })
	}()
	if err := timer.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	if uptime, running := readClocks(); running <= 0 || uptime < running-slack {
		t.Error(uptime, running)
	}
}

// TestByConnecting: the way without netlink finds the same addresses.
func TestByConnecting(t *testing.T) {
	t.Parallel()
	want, err := byNetlink()
	if err != nil {
		t.Fatal(err)
	}
	got, err := byConnecting(func(int, bool) netip.Addr { return want.Gateway }, func(string) string { return want.SSID })
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}
