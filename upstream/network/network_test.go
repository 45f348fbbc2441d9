package network

import (
	"net/netip"
	"testing"
)

func TestKey(t *testing.T) {
	t.Parallel()
	a := netip.MustParseAddr
	home := State{Online: true, Interface: "wlan0", Local4: a("192.0.2.23"), Local6: a("2001:db8:1:2:aaaa::1"), Gateway: a("192.0.2.1"), SSID: "HKO"}
	if got, want := home.Key(), "wlan0 192.0.2.1 192.0.2.23 2001:db8:1:2::/64 HKO"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, tc := range []struct {
		what   string
		change func(*State)
		same   bool
	}{
		{"another temporary IPv6 address", func(s *State) { s.Local6 = a("2001:db8:1:2:bbbb::9") }, true},
		{"another IPv6 prefix", func(s *State) { s.Local6 = a("2001:db8:1:3:aaaa::1") }, false},
		{"no IPv6", func(s *State) { s.Local6 = netip.Addr{} }, false},
		{"another IPv4 address", func(s *State) { s.Local4 = a("192.0.2.24") }, false},
		{"another gateway", func(s *State) { s.Gateway = a("192.0.2.2") }, false},
		{"another interface", func(s *State) { s.Interface = "tun0" }, false},
		{"another Wi-Fi", func(s *State) { s.SSID = "Cafe" }, false},
	} {
		s := home
		tc.change(&s)
		if (s.Key() == home.Key()) != tc.same {
			t.Errorf("%s: %q", tc.what, s.Key())
		}
	}
	if k := (State{Interface: "lo"}).Key(); k != "" {
		t.Errorf("offline: %q", k)
	}
	if k := (State{Online: true, Interface: "tun0"}).Key(); k != "tun0 - - - " {
		t.Errorf("bare: %q", k)
	}
}

func TestStateOf(t *testing.T) {
	t.Parallel()
	a := netip.MustParseAddr
	four := &way{local: a("192.0.2.23"), gateway: a("192.0.2.1"), name: "wlan0"}
	six := &way{local: a("2001:db8::1"), gateway: a("fe80::1"), name: "tun0"}
	name := func(i string) string { return "SSID of " + i }
	for _, tc := range []struct {
		four, six *way
		want      State
	}{
		{nil, nil, State{}},
		{four, nil, State{true, "wlan0", four.local, netip.Addr{}, four.gateway, "SSID of wlan0"}},
		{nil, six, State{true, "tun0", netip.Addr{}, six.local, six.gateway, "SSID of tun0"}},
		{four, six, State{true, "wlan0", four.local, six.local, four.gateway, "SSID of wlan0"}},
	} {
		if got := stateOf(tc.four, tc.six, name); got != tc.want {
			t.Errorf("%+v, want %+v", got, tc.want)
		}
	}
	if internet4.String() != "198.41.0.4" || internet6.String() != "2001:503:ba3e::2:30" {
		t.Error(internet4, internet6)
	}
}

// TestCurrent asks this machine, whatever it is connected to.
func TestCurrent(t *testing.T) {
	t.Parallel()
	s, err := Current()
	if err != nil {
		t.Fatal(err)
	}
	if s.Online != (s.Local4.IsValid() || s.Local6.IsValid()) || s.Online != (s.Interface != "") || s.Online != (s.Key() != "") {
		t.Errorf("%+v", s)
	}
}

// TestRealWatcher starts and stops the platform's own reports.
func TestRealWatcher(t *testing.T) {
	t.Parallel()
	w, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := w.State(); s.Online != (s.Key() != "") {
		t.Errorf("%+v", s)
	}
	w.Waiting(true)
	w.Waiting(false)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	for range w.Events() { // closed
	}
}
