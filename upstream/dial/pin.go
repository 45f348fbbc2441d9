package dial

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// lookupAge is how long the addresses of a host are used without asking
	// again: long enough for the connections of one attempt to agree.
	lookupAge = time.Minute
	// otherLookup bounds the wait for the addresses of the account's other host.
	otherLookup = 3 * time.Second
)

// Pin makes all connections of an account leave by the same address family and
// local address: the first TCP connection that stands decides, all others
// follow. A host that cannot be reached that way any more makes the Pin decide
// anew, as a server that then refuses is better than none; the next login goes
// the new way. It is safe for concurrent use.
type Pin struct {
	mu      sync.Mutex
	hosts   []string
	choice  choice
	lookups map[string]lookup
}

// choice is what a Pin has decided; the zero value is nothing yet.
type choice struct {
	family int // 4 or 6
	local  netip.Addr
}

// lookup is what a host's name resolved to.
type lookup struct {
	addrs []netip.Addr
	at    time.Time
}

// NewPin returns a Pin for connections to the given hosts (POP and SMTP server).
// Only an address family that all of them have is used, if there is one.
func NewPin(hosts ...string) *Pin {
	p := &Pin{lookups: map[string]lookup{}}
	for _, h := range hosts {
		if h, err := hostName(h); err == nil {
			p.hosts = append(p.hosts, h)
		}
	}
	return p
}

// Local returns the local address that was decided on; invalid before.
func (p *Pin) Local() netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.choice.local
}

// Reset forgets family, local address and resolved addresses. Call it when no
// connection and no window depends on the choice any more: after a change of
// network, or before all of an account's connections are made anew.
func (p *Pin) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.choice = choice{}
	clear(p.lookups)
}

// settle puts a new connection's family and local address to the Pin. It agrees
// when nobody has decided since the choice was read, or has decided the same.
func (p *Pin) settle(read choice, family int, local netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.choice == read {
		p.choice = choice{family, local}
		return true
	}
	// A loopback address says nothing about the way to another machine.
	return p.choice.family == family &&
		(p.choice.local == local || p.choice.local.IsLoopback() != local.IsLoopback())
}

// addresses returns host's addresses in the order in which to try them, and the
// choice that this order follows.
func (p *Pin) addresses(ctx context.Context, d *Dialer, host string) ([]netip.Addr, choice, error) {
	own, others, err := p.resolve(ctx, d, host)
	if err != nil {
		return nil, choice{}, err
	}
	common := own
	for _, addrs := range others {
		var both []netip.Addr
		for _, a := range common {
			if hasFamily(addrs, family(a)) {
				both = append(both, a)
			}
		}
		if len(both) > 0 {
			common = both
		}
	}
	p.mu.Lock()
	now := p.choice
	p.mu.Unlock()
	if now.family != 0 {
		// The decided family first; the other only when that fails.
		first, second := split(own, now.family)
		return firstN(append(first, second...)), now, nil
	}
	first, second := split(common, family(common[0]))
	return firstN(interleave(first, second)), now, nil
}

// resolve looks up host, and the account's other hosts beside it; what cannot
// be found out about those in time is left out.
func (p *Pin) resolve(ctx context.Context, d *Dialer, host string) (own []netip.Addr, others [][]netip.Addr, err error) {
	side, cancel := context.WithTimeout(ctx, otherLookup)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, h := range p.hosts {
		if h == host {
			continue
		}
		wg.Go(func() {
			addrs, err := p.lookup(side, d, h)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			others = append(others, addrs)
		})
	}
	own, err = p.lookup(ctx, d, host)
	if err != nil || !hasFamily(own, 4) || !hasFamily(own, 6) {
		cancel() // there is nothing to choose
	}
	wg.Wait()
	return own, others, err
}

// lookup returns the addresses of one host, never none without an error.
func (p *Pin) lookup(ctx context.Context, d *Dialer, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	now := d.now()
	p.mu.Lock()
	known, ok := p.lookups[host]
	p.mu.Unlock()
	if age := now.Sub(known.at); ok && age >= 0 && age < lookupAge {
		return known.addrs, nil
	}
	var r Resolver = net.DefaultResolver
	if d.Resolver != nil {
		r = d.Resolver
	}
	found, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.Addr, 0, len(found))
	for _, a := range found {
		if a.IsValid() && !a.IsUnspecified() {
			addrs = append(addrs, a.Unmap())
		}
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no usable address", Name: host, IsNotFound: true}
	}
	p.mu.Lock()
	p.lookups[host] = lookup{addrs, now}
	p.mu.Unlock()
	return addrs, nil
}

// now is the wall clock.
func (d *Dialer) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

// family returns 4 or 6.
func family(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

func hasFamily(addrs []netip.Addr, f int) bool {
	for _, a := range addrs {
		if family(a) == f {
			return true
		}
	}
	return false
}

// split returns the addresses of family f, and the others.
func split(addrs []netip.Addr, f int) (first, second []netip.Addr) {
	for _, a := range addrs {
		if family(a) == f {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	return first, second
}

// interleave takes from both lists by turns (RFC 8305 section 4).
func interleave(a, b []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for i := range max(len(a), len(b)) {
		out = append(append(out, a[min(i, len(a)):min(i+1, len(a))]...), b[min(i, len(b)):min(i+1, len(b))]...)
	}
	return out
}

func firstN(addrs []netip.Addr) []netip.Addr { return addrs[:min(len(addrs), maxAddresses)] }

// localAddr returns the local IP address of a TCP connection; invalid for
// anything else.
func localAddr(c net.Conn) netip.Addr {
	if a, ok := c.LocalAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
