package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// network is a fake of the way out: what each "IP:port" does, and what was dialled.
type fakeNetwork struct {
	mu    sync.Mutex
	peers map[string]string // address: "" connects, "slow" takes two seconds, "silent" never answers, else an error
	calls []string          // "laddr>addr"
	gone  string            // local address that is not there any more
	open  int
}

var errnos = map[string]error{
	"refused": errRefused, "unreachable": errNetUnreach, "host": errHostUnreach,
	"reset": errReset, "timeout": errTimedOut, "down": errNetDown, "odd": errors.New("odd"),
}

// fakeConn has TCP addresses.
type fakeConn struct {
	net.Conn
	local net.Addr
	close func() error
}

func (c fakeConn) LocalAddr() net.Addr { return c.local }
func (c fakeConn) Close() error        { return c.close() }

func (f *fakeNetwork) dial(ctx context.Context, network, laddr, addr string) (net.Conn, error) {
	f.mu.Lock()
	what, known := f.peers[addr]
	f.calls = append(f.calls, laddr+">"+addr)
	gone := laddr != "" && laddr == f.gone
	f.mu.Unlock()
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", err)}
	}
	switch {
	case gone:
		return fail(errAddrNotAvail)
	case !known:
		return fail(errRefused)
	case what == "slow":
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return fail(ctx.Err())
		}
	case what == "silent":
		<-ctx.Done()
		return fail(ctx.Err())
	case what != "":
		return fail(errnos[what])
	}
	if laddr == "" {
		laddr = "192.0.2.77"
		if network == "tcp6" {
			laddr = "2001:db8::77"
		}
	}
	near, far := net.Pipe()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open++
	closeBoth := sync.OnceValue(func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.open--
		far.Close()
		return near.Close()
	})
	return fakeConn{near, net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(laddr), 4711)), closeBoth}, nil
}

// target is a plain target on port 25.
func target(host string, p *Pin) Target {
	return Target{Server: upstream.Server{Host: host, Port: 25}, Pin: p}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	hosts := zone{
		"both.example":  "2001:db8::1 192.0.2.1",
		"four.example":  "192.0.2.4",
		"six.example":   "2001:db8::6",
		"many.example":  "192.0.2.1 192.0.2.2 192.0.2.3",
		"mixed.example": "2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2",
		"slow.example":  "wait",
		"gone.example":  "!server misbehaving",
	}
	for _, tc := range []struct {
		name  string
		pin   []string
		peers map[string]string
		dials []string // hosts, one after the other
		calls string
		took  time.Duration
	}{
		{"first address", nil, map[string]string{"192.0.2.1:25": ""}, []string{"many.example"}, ">192.0.2.1:25", 0},
		{"refused: the next at once", nil, map[string]string{"192.0.2.2:25": ""}, []string{"many.example"}, ">192.0.2.1:25 >192.0.2.2:25", 0},
		{"silent: the next a quarter of a second later", nil, map[string]string{"192.0.2.1:25": "silent", "192.0.2.2:25": ""},
			[]string{"many.example"}, ">192.0.2.1:25 >192.0.2.2:25", 250 * time.Millisecond},
		{"slow, but first", nil, map[string]string{"192.0.2.1:25": "slow", "192.0.2.2:25": "silent", "192.0.2.3:25": "silent"},
			[]string{"many.example"}, ">192.0.2.1:25 >192.0.2.2:25 >192.0.2.3:25", 2 * time.Second},
		{"families by turns", nil, map[string]string{"192.0.2.2:25": ""},
			[]string{"mixed.example"}, ">[2001:db8::1]:25 >192.0.2.1:25 >[2001:db8::2]:25 >192.0.2.2:25", 0},
		{"the family that both have", []string{"both.example", "four.example"},
			map[string]string{"[2001:db8::1]:25": "", "192.0.2.1:25": "", "192.0.2.4:25": ""},
			[]string{"both.example", "four.example"}, ">192.0.2.1:25 192.0.2.77>192.0.2.4:25", 0},
		{"no family in common", []string{"six.example", "four.example"},
			map[string]string{"[2001:db8::6]:25": "", "192.0.2.4:25": ""},
			[]string{"six.example", "four.example"}, ">[2001:db8::6]:25 >192.0.2.4:25", 0},
		{"the second follows the first", []string{"both.example", "mixed.example"},
			map[string]string{"192.0.2.1:25": "", "[2001:db8::2]:25": ""},
			[]string{"both.example", "mixed.example"},
			">[2001:db8::1]:25 >192.0.2.1:25 192.0.2.77>192.0.2.1:25", 0},
		{"a host without the decided family decides anew", []string{"both.example", "mixed.example"},
			map[string]string{"[2001:db8::1]:25": "", "192.0.2.4:25": ""},
			[]string{"both.example", "six.example", "four.example", "both.example"},
			">[2001:db8::1]:25 2001:db8::77>[2001:db8::6]:25 ! >192.0.2.4:25 192.0.2.77>192.0.2.1:25 >[2001:db8::1]:25", 0},
		{"the other host's name server is slow", []string{"both.example", "slow.example"},
			map[string]string{"[2001:db8::1]:25": ""}, []string{"both.example"}, ">[2001:db8::1]:25", 3 * time.Second},
		{"the other host cannot be found", []string{"both.example", "gone.example", "none.example"},
			map[string]string{"[2001:db8::1]:25": ""}, []string{"both.example"}, ">[2001:db8::1]:25", 0},
		{"one family: no need to wait for the other host", []string{"four.example", "slow.example"},
			map[string]string{"192.0.2.4:25": ""}, []string{"four.example"}, ">192.0.2.4:25", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := &fakeNetwork{peers: tc.peers}
				d := &Dialer{Resolver: hosts, DialContext: f.dial}
				var pin *Pin
				if tc.pin != nil {
					pin = NewPin(tc.pin...)
				}
				start := time.Now()
				for _, h := range tc.dials {
					c, err := d.Dial(t.Context(), target(h, pin))
					if err != nil {
						f.calls = append(f.calls, "!")
						continue
					}
					c.Close()
				}
				if got := strings.Join(f.calls, " "); got != tc.calls {
					t.Errorf("dialled %s\nwant    %s", got, tc.calls)
				}
				if took := time.Since(start); took != tc.took {
					t.Errorf("took %v, want %v", took, tc.took)
				}
				if f.open != 0 {
					t.Errorf("%d connections are left open", f.open)
				}
			})
		})
	}
}

// TestPinFamilyChange: when the decided family does not answer, the other one is
// tried after three seconds and decides anew.
func TestPinFamilyChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNetwork{peers: map[string]string{"[2001:db8::1]:25": ""}}
		d := &Dialer{Resolver: zone{"pop.example": "2001:db8::1 192.0.2.1", "smtp.example": "2001:db8::2 192.0.2.2"}, DialContext: f.dial}
		pin := NewPin("pop.example", "smtp.example")
		mustDial := func(host string) {
			t.Helper()
			c, err := d.Dial(t.Context(), target(host, pin))
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		mustDial("pop.example")
		if pin.Local() != netip.MustParseAddr("2001:db8::77") {
			t.Error("local address", pin.Local())
		}
		f.peers["[2001:db8::2]:25"], f.peers["192.0.2.2:25"], f.peers["192.0.2.1:25"] = "silent", "", ""
		start := time.Now()
		mustDial("smtp.example")
		if took := time.Since(start); took != familyDelay || pin.Local() != netip.MustParseAddr("192.0.2.77") {
			t.Errorf("took %v, local address %v", took, pin.Local())
		}
		f.calls = nil
		mustDial("pop.example") // the next login goes the new way
		f.gone = "192.0.2.77"
		mustDial("smtp.example") // the local address went away: take what there is
		pin.Reset()
		mustDial("pop.example")
		want := "192.0.2.77>192.0.2.1:25 192.0.2.77>192.0.2.2:25 >192.0.2.2:25 >[2001:db8::1]:25"
		if got := strings.Join(f.calls, " "); got != want {
			t.Errorf("dialled %s\nwant    %s", got, want)
		}
	})
}

// TestPinSideBySide dials POP and SMTP at once, where the first addresses differ
// in speed: both end on one family.
func TestPinSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeNetwork{peers: map[string]string{
			"[2001:db8::1]:25": "slow", "192.0.2.1:25": "silent", "[2001:db8::2]:25": "slow", "192.0.2.2:25": "",
		}}
		d := &Dialer{Resolver: zone{"pop.example": "2001:db8::1 192.0.2.1", "smtp.example": "2001:db8::2 192.0.2.2"}, DialContext: f.dial}
		pin := NewPin("pop.example", "smtp.example")
		var wg sync.WaitGroup
		var families [2]int
		for i, h := range []string{"pop.example", "smtp.example"} {
			wg.Go(func() {
				c, err := d.Dial(t.Context(), target(h, pin))
				if err != nil {
					t.Error(err)
					return
				}
				families[i] = family(localAddr(c))
				c.Close()
			})
		}
		wg.Wait()
		// SMTP stood first, by IPv4. POP's IPv4 is silent, so that POP comes to
		// stand by IPv6, but only after IPv4 had its chance and the Pin knows.
		if families != [2]int{6, 4} || pin.Local().Is4() {
			t.Errorf("families %v, pinned to %v", families, pin.Local())
		}
		f.peers["192.0.2.1:25"] = ""
		f.peers["[2001:db8::2]:25"] = "refused"
		pin.Reset()
		for i, h := range []string{"smtp.example", "pop.example"} {
			wg.Go(func() {
				c, err := d.Dial(t.Context(), target(h, pin))
				if err != nil {
					t.Error(err)
					return
				}
				families[i] = family(localAddr(c))
				c.Close()
			})
		}
		wg.Wait()
		if families != [2]int{4, 4} || f.open != 0 {
			t.Errorf("families %v, %d open", families, f.open)
		}
	})
}

func TestConnectFaults(t *testing.T) {
	t.Parallel()
	const (
		offline, dns = upstream.ClassOffline, upstream.ClassDNSFailure
		unreachable  = upstream.ClassServerUnreachable
	)
	for _, tc := range []struct {
		name     string
		hosts    string // addresses of mail.example, or see zone
		peers    map[string]string
		offline  bool
		host     string
		class    upstream.Class
		sentence string
	}{
		{name: "no such name", host: "none.example", class: dns, sentence: "no server named none.example"},
		{name: "empty name", host: " ", class: dns},
		{name: "bad name", host: "bad name\n", class: dns},
		{name: "server failure", hosts: "!server misbehaving", class: dns, sentence: "could not say where mail.example is"},
		{name: "name server silent", hosts: "wait", class: dns, sentence: "did not answer when asked"},
		{name: "no way to the name server", hosts: "!dial udp 192.0.2.53:53: connect: network is unreachable", class: offline},
		{name: "no network known", hosts: "!server misbehaving", offline: true, class: offline},
		{name: "no address", hosts: "0.0.0.0", class: dns, sentence: "no server named"},
		{name: "refused", hosts: "192.0.2.1", class: unreachable, sentence: "mail.example (port 25) refuses"},
		{name: "one silent, one refused", hosts: "192.0.2.1 192.0.2.2", peers: map[string]string{"192.0.2.1:25": "silent"}, class: unreachable, sentence: "refuses"},
		{name: "silent", hosts: "192.0.2.1", peers: map[string]string{"192.0.2.1:25": "silent"}, class: upstream.ClassPortBlocked, sentence: "may block that port"},
		{name: "timed out by the system", hosts: "192.0.2.1", peers: map[string]string{"192.0.2.1:25": "timeout"}, class: upstream.ClassPortBlocked},
		{name: "IPv6 without a route, IPv4 silent", hosts: "2001:db8::1 192.0.2.1", peers: map[string]string{"[2001:db8::1]:25": "unreachable", "192.0.2.1:25": "silent"}, class: upstream.ClassPortBlocked},
		{name: "no route", hosts: "2001:db8::1 192.0.2.1", peers: map[string]string{"[2001:db8::1]:25": "unreachable", "192.0.2.1:25": "unreachable"}, class: offline, sentence: "not connected"},
		{name: "network down", hosts: "192.0.2.1", peers: map[string]string{"192.0.2.1:25": "down"}, class: offline},
		{name: "silent, no network known", hosts: "192.0.2.1", peers: map[string]string{"192.0.2.1:25": "silent"}, offline: true, class: offline},
		{name: "host unreachable", hosts: "192.0.2.1", peers: map[string]string{"192.0.2.1:25": "host"}, class: unreachable, sentence: "cannot be reached"},
		{name: "reset", hosts: "192.0.2.1", peers: map[string]string{"192.0.2.1:25": "reset"}, class: unreachable, sentence: "broke the connection off"},
		{name: "odd", hosts: "192.0.2.1", peers: map[string]string{"192.0.2.1:25": "odd"}, class: unreachable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := &Dialer{Resolver: zone{"mail.example": tc.hosts}, DialContext: (&fakeNetwork{peers: tc.peers}).dial,
					Offline: func() bool { return tc.offline }}
				if tc.hosts == "" {
					d.Resolver = zone{}
				}
				host := "mail.example"
				if tc.host != "" {
					host = tc.host
				}
				_, err := d.Dial(t.Context(), target(host, nil))
				wantError(t, err, tc.class, upstream.PhaseConnect, tc.sentence)
			})
		})
	}
}

// TestDialCancelled: a Dial ends at once when its context does, wherever it is.
func TestDialCancelled(t *testing.T) {
	t.Parallel()
	for _, hosts := range []string{"wait", "192.0.2.1", "192.0.2.2"} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeNetwork{peers: map[string]string{"192.0.2.1:25": "silent", "192.0.2.2:25": ""}}
			d := &Dialer{Resolver: zone{"mail.example": hosts}, DialContext: f.dial}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			to := target("mail.example", nil)
			to.ImplicitTLS = true
			_, err := d.Dial(ctx, to)
			wantError(t, err, upstream.ClassOther, upstream.PhaseConnect, "given up")
			if !errors.Is(err, context.Canceled) || time.Since(start) != time.Second || f.open != 0 {
				t.Errorf("%v after %v, %d open", err, time.Since(start), f.open)
			}
		})
	}
}

func TestDialFirst(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		peers map[string]string
		ports []int
		won   int
		class upstream.Class
		took  time.Duration
	}{
		{map[string]string{"192.0.2.1:465": "", "192.0.2.1:587": ""}, []int{465, 587}, 465, "", 0},
		{map[string]string{"192.0.2.1:587": ""}, []int{465, 587}, 587, "", 0},
		{map[string]string{"192.0.2.1:465": "slow", "192.0.2.1:587": ""}, []int{465, 587}, 587, "", 300 * time.Millisecond},
		{map[string]string{"192.0.2.1:465": "silent"}, []int{465, 587}, 0, upstream.ClassServerUnreachable, defaultTimeout},
		{map[string]string{"192.0.2.1:465": "unreachable"}, []int{25, 465, 587}, 0, upstream.ClassOffline, 0},
		{nil, nil, 0, upstream.ClassOther, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeNetwork{peers: tc.peers}
			d := &Dialer{Resolver: zone{"mail.example": "192.0.2.1"}, DialContext: f.dial}
			var targets []Target
			for _, p := range tc.ports {
				targets = append(targets, Target{Server: upstream.Server{Host: "mail.example", Port: p}, Pin: NewPin()})
			}
			start := time.Now()
			c, err := d.DialFirst(t.Context(), targets, 300*time.Millisecond)
			if took := time.Since(start); took != tc.took {
				t.Errorf("%v took %v", tc.peers, took)
			}
			if tc.class != "" {
				wantError(t, err, tc.class, upstream.PhaseConnect, "")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Target().Server.Port != tc.won || c.Addr() != fmt.Sprintf("mail.example:%d", tc.won) {
				t.Errorf("%v: port %d, %s", tc.peers, c.Target().Server.Port, c.Addr())
			}
			c.Close()
			if f.open != 0 {
				t.Errorf("%d connections are left open", f.open)
			}
		})
	}
}

func TestHostName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Mail.Example.": "mail.example", "[::1]": "::1", "192.0.2.1": "192.0.2.1", "fe80::1%eth0": "fe80::1%eth0",
		"メール.example": "xn--4dkua4c.example", "my_host.example": "my_host.example", "": "", "a b": "", "ü\x01": "",
	} {
		if got, err := hostName(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	var yes []string
	for _, s := range []upstream.Security{upstream.SecurityAuto, upstream.SecurityTLS, upstream.SecurityStartTLS, upstream.SecurityNone} {
		for _, p := range []int{25, 110, 465, 587, 995} {
			if ImplicitTLS(s, p) {
				yes = append(yes, fmt.Sprint(s, p))
			}
		}
	}
	if want := []string{"auto465", "auto995", "tls25", "tls110", "tls465", "tls587", "tls995"}; !slices.Equal(yes, want) {
		t.Error(yes)
	}
}
