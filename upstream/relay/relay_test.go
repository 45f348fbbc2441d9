package relay

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/lab"
	"melon/upstream/network"
)

const rtt = 100 * time.Millisecond

// house is a provider in a box and a relay in front of it, on a network in
// memory, in a synctest bubble.
type house struct {
	t     *testing.T
	p     *lab.Provider
	net   *lab.Net
	r     *Relay
	a     upstream.Account
	iface atomic.Value // name of the interface: the network's identity
	skew  atomic.Int64 // added to the wall clock
	pass  atomic.Value // the password that the account has
	addrs atomic.Value // []net.Addr that the machine has
}

// Get implements Secrets.
func (h *house) Get(context.Context, upstream.SecretRef) (string, error) {
	return h.pass.Load().(string), nil
}

// in runs f in a bubble with a house built from o.
func in(t *testing.T, o lab.Options, f func(h *house)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, o, lab.NewNet(rtt), Options{})
		defer h.close()
		f(h)
	})
}

func newHouse(t *testing.T, o lab.Options, n *lab.Net, ro Options) *house {
	t.Helper()
	h := &house{t: t, net: n}
	h.iface.Store("wlan0")
	h.addrs.Store([]net.Addr{prefix("10.1.2.3")})
	h.pass.Store(lab.DefaultUser.Password)
	o.Net = n
	if o.Hosts == nil {
		o.Hosts = []string{"127.0.0.1"}
	}
	p, err := lab.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	h.p = p
	h.a = p.Account("home")
	h.r = h.relay(ro)
	return h
}

// relay makes a relay for the house.
func (h *house) relay(ro Options) *Relay {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(h.p.CAPEM())
	ro.Now = func() time.Time { return time.Now().Add(time.Duration(h.skew.Load())) }
	ro.Dialer = &dial.Dialer{RootCAs: pool, DialContext: h.net.DialContext}
	ro.Secrets = h
	ro.Addresses = func() ([]net.Addr, error) { return h.addrs.Load().([]net.Addr), nil }
	ro.Network = func() network.State {
		return network.State{Online: true, Interface: h.iface.Load().(string)}
	}
	r, err := New(ro)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) close() {
	h.r.Close()
	h.p.Close()
}

func env(to ...string) upstream.Envelope {
	e := upstream.Envelope{From: "taro@provider-a.example"}
	if len(to) == 0 {
		to = []string{"hanako@elsewhere.example"}
	}
	for _, a := range to {
		e.Recipients = append(e.Recipients, upstream.Recipient{Address: a})
	}
	return e
}

const letter = text("From: taro@provider-a.example\r\nSubject: x\r\n\r\nhello\r\n.\r\n")

// text is a complete body.
type text string

func (b text) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(b))), nil }
func (b text) Size() (int64, bool)          { return int64(len(b)), true }

func (h *house) send(to ...string) upstream.Result {
	return h.r.Send(context.Background(), []upstream.Account{h.a}, env(to...), letter)
}

func (h *house) mustSend(to ...string) upstream.Result {
	h.t.Helper()
	res := h.send(to...)
	if res.Err != nil {
		h.t.Fatalf("not sent: %v", res.Err)
	}
	return res
}

// logins checks how many POP logins there were so far.
func (h *house) logins(want int) {
	h.t.Helper()
	if got := h.p.Stats().POPLogins; got != want {
		h.t.Errorf("%d POP logins, want %d", got, want)
	}
}

// many sends n messages at once.
func (h *house) many(n int) {
	h.t.Helper()
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if res := h.send(); res.Err != nil {
				h.t.Errorf("not sent: %v", res.Err)
			}
		})
	}
	wg.Wait()
}

// pbs is a provider with POP before SMTP alone, in clear.
func pbs(p lab.PBS) lab.Options {
	if p.Window == 0 {
		p.Window = 10 * time.Minute
	}
	return lab.Options{
		Rules: lab.Rules{PBS: p},
		SMTP:  lab.SMTP{Without: []string{"STARTTLS", "AUTH"}},
		POP:   lab.POP{Without: []string{"STLS"}},
	}
}

// Twenty messages at once need one POP login; within the window none.
func TestOneLoginForMany(t *testing.T) {
	in(t, pbs(lab.PBS{}), func(h *house) {
		h.many(20)
		h.logins(1)
		if n := h.p.Stats().Messages; n != 20 {
			t.Errorf("%d messages", n)
		}
		time.Sleep(5 * time.Minute)
		if res := h.mustSend(); res.Auth != popMethod || res.Account != "home" || res.Host == "" {
			t.Errorf("%+v", res)
		}
		h.logins(1)
		if s := h.r.Status("home"); s.State != StateReady || s.RelayOpenUntil == nil || s.Auth != popMethod {
			t.Errorf("%+v", s)
		}
	})
}

// twoCAs is a dialler that trusts both providers.
func twoCAs(a, b *house) Dialer {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.p.CAPEM())
	pool.AppendCertsFromPEM(b.p.CAPEM())
	return &dial.Dialer{RootCAs: pool, DialContext: a.net.DialContext}
}

// prefix is an address as an interface has it.
func prefix(a string) net.Addr {
	return &net.IPNet{IP: net.ParseIP(a), Mask: net.CIDRMask(24, 32)}
}

// from is a dialler whose connections leave by a local address.
func from(h *house, local string) Dialer {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(h.p.CAPEM())
	return &dial.Dialer{RootCAs: pool, DialContext: func(ctx context.Context, network, laddr, addr string) (net.Conn, error) {
		return h.net.DialContext(ctx, network, local, addr)
	}}
}
