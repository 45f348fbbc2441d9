package doctor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/lab"
	"melon/upstream/network"
)

// The addresses of a clinic: the provider's two families, the probe's server, the
// laptop's own.
const (
	provider4 = "198.51.100.25"
	provider6 = "2001:db8::25"
	probeAddr = "203.0.113.80"
	laptop4   = "192.0.2.77"
	laptop6   = "2001:db8:77::77"
)

// clinic is a laptop, a network in memory, a provider and a probe's server, in a
// synctest bubble: all waiting is in no time, and time is exact.
type clinic struct {
	t        *testing.T
	net      *lab.Net
	provider *lab.Provider
	names    *fakeNames
	opts     Options
	portal   http.HandlerFunc
	now      func() time.Time // the provider's and the probe's clock: the true time
}

// today is the true time when a bubble begins.
var today = time.Date(2026, time.August, 1, 12, 0, 0, 0, time.UTC)

// examine runs f in a bubble, for a provider with the options.
func examine(t *testing.T, o lab.Options, f func(c *clinic)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := &clinic{t: t, net: lab.NewNet(20 * time.Millisecond)}
		c.now = func() time.Time { return today.Add(time.Since(began)) }
		o.Net, o.Now = c.net, c.now
		if o.Hosts == nil {
			o.Hosts = []string{provider4}
		}
		c.provider = lab.Run(t, o)
		c.names = &fakeNames{known: map[string][]string{
			"smtp.provider-a.example": {provider4}, "pop.provider-a.example": {provider4},
			"detectportal.firefox.com": {probeAddr}, "mail.hotel.example": {"203.0.113.1"},
		}}
		c.portal = func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("success\n")) }
		c.serveProbe()
		c.opts = Options{
			Account: c.account(), Secrets: c.provider, Now: c.now,
			Dialer: &dial.Dialer{Resolver: c.names, DialContext: c.dial, RootCAs: c.provider.CertPool()},
			Machine: Machine{
				Network: func() (network.State, error) {
					return network.State{Online: true, Interface: "wlan0", SSID: "Hotel",
						Local4: netip.MustParseAddr(laptop4), Gateway: netip.MustParseAddr("192.0.2.1")}, nil
				},
				Route: func(to netip.Addr) (Way, error) {
					return Way{Interface: "wlan0", Local: netip.MustParseAddr(laptop4)}, nil
				},
				Files: fstest.MapFS{}, Name: "laptop",
			},
		}
		f(c)
	})
}

// account is the provider's user, by the servers' names and the usual ports.
func (c *clinic) account() upstream.Account {
	a := c.provider.Account("home")
	a.SMTP.Host, a.SMTP.Port, a.SMTP.Security = "smtp.provider-a.example", 587, upstream.SecurityAuto
	a.POP.Host, a.POP.Port, a.POP.Security = "pop.provider-a.example", 110, upstream.SecurityAuto
	return a
}

// dial leaves by the laptop's addresses.
func (c *clinic) dial(ctx context.Context, network, laddr, addr string) (net.Conn, error) {
	if laddr == "" {
		laddr = laptop4
		if strings.HasPrefix(addr, "[") {
			laddr = laptop6
		}
	}
	return c.net.DialContext(ctx, network, laddr, addr)
}

// serveProbe is the probe's web server.
func (c *clinic) serveProbe() {
	l, err := c.net.Listen(probeAddr + ":80")
	if err != nil {
		c.t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if w.Header()["Date"] == nil {
			w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat))
		}
		c.portal(w, r)
	})}
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(l) })
	c.t.Cleanup(func() {
		srv.Close()
		wg.Wait()
	})
}

// run examines and checks what holds for every report: it is in time, no message
// was sent, the summary and the advice are there.
func (c *clinic) run() Report {
	c.t.Helper()
	start := time.Now()
	r := Run(c.t.Context(), c.opts)
	if took := time.Since(start); took > Limit {
		c.t.Errorf("took %v, more than %v", took, Limit)
	}
	if n := len(c.provider.Messages()); n > 0 {
		c.t.Errorf("%d messages were sent", n)
	}
	if n := c.provider.Count(lab.SMTPProto, "DATA", "BDAT"); n > 0 {
		c.t.Errorf("%d times DATA or BDAT", n)
	}
	if r.Summary == "" || len(r.Advice) == 0 || len(r.Checks) == 0 {
		c.t.Errorf("incomplete report %+v", r)
	}
	return r
}

// want runs and compares the verdict.
func (c *clinic) want(class upstream.Class) Report {
	c.t.Helper()
	r := c.run()
	if r.Verdict != class {
		c.t.Errorf("verdict %s, want %s", r.Verdict, class)
		for _, k := range r.Checks {
			c.t.Logf("%-4s %-14s %5d ms  %s", k.Status, k.Name, k.MS, k.Detail)
		}
	}
	return r
}

// check compares one check's status and a part of its detail.
func (c *clinic) check(r Report, name string, s Status, part string) {
	c.t.Helper()
	for _, k := range r.Checks {
		if k.Name == name {
			if k.Status != s || !strings.Contains(k.Detail, part) {
				c.t.Errorf("check %s: %s %q, want %s with %q", name, k.Status, k.Detail, s, part)
			}
			return
		}
	}
	c.t.Errorf("no check %s in %+v", name, r.Checks)
}

// fakeNames is a resolver.
type fakeNames struct {
	mu      sync.Mutex
	known   map[string][]string
	reverse map[string][]string
	others  []string // for every name that is not known
	err     error
	hangs   bool
}

// LookupNetIP implements dial.Resolver.
func (f *fakeNames) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	if f.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if f.err != nil {
		return nil, f.err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	list, ok := f.known[host]
	if !ok {
		list = f.others
	}
	if len(list) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out, nil
}

// LookupAddr gives the names of an address.
func (f *fakeNames) LookupAddr(_ context.Context, addr string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := f.reverse[addr]; len(n) > 0 {
		return n, nil
	}
	return nil, errors.New("no name")
}

// listen runs serve for each connection to an address of the clinic's network.
func (c *clinic) listen(addr string, serve func(net.Conn)) {
	c.t.Helper()
	l, err := c.net.Listen(addr)
	if err != nil {
		c.t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	c.t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}
