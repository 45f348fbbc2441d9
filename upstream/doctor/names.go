package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"melon/upstream/dial"
)

// names is the resolver of one examination: it asks once for each host, so that
// every check speaks of the same addresses.
type names struct {
	inner dial.Resolver
	mu    sync.Mutex
	known map[string]*answer
}

// answer is what became of one question; done is closed when it is known.
type answer struct {
	done  chan struct{}
	addrs []netip.Addr
	err   error
}

func newNames(r dial.Resolver) *names {
	if r == nil {
		r = net.DefaultResolver
	}
	return &names{inner: r, known: map[string]*answer{}}
}

// LookupNetIP implements dial.Resolver. The one who asks first decides how long
// it may take.
func (n *names) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	n.mu.Lock()
	a, asked := n.known[host]
	if !asked {
		a = &answer{done: make(chan struct{})}
		n.known[host] = a
	}
	n.mu.Unlock()
	if asked {
		select {
		case <-a.done:
			return a.addrs, a.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer close(a.done)
	found, err := n.inner.LookupNetIP(ctx, network, host)
	for _, ip := range found {
		if ip.IsValid() && !ip.IsUnspecified() {
			a.addrs = append(a.addrs, ip.Unmap())
		}
	}
	if err == nil && len(a.addrs) == 0 {
		err = &net.DNSError{Err: "no usable address", Name: host, IsNotFound: true}
	}
	a.err = err
	return a.addrs, a.err
}

// reverse returns the names of an address, or none where nobody can be asked.
func (x *examination) reverse(ctx context.Context, ip netip.Addr) []string {
	ask := x.o.Machine.Reverse
	if ask == nil {
		r, ok := x.names.inner.(interface {
			LookupAddr(ctx context.Context, addr string) ([]string, error)
		})
		if !ok {
			return nil
		}
		ask = r.LookupAddr
	}
	found, err := ask(ctx, ip.String())
	if err != nil {
		return nil
	}
	return found
}

// dnsFinding is what the names resolved to.
type dnsFinding struct {
	smtp, pop hostFinding
	// same is true when a name that nobody has leads to where the SMTP server is
	// said to be.
	same bool
}

// hostFinding is one host's addresses.
type hostFinding struct {
	literal bool // an address was configured, so that nobody was asked
	addrs   []netip.Addr
	err     error
	// astray is true when every address is one that no provider can have:
	// private (RFC 1918, RFC 4193), of this machine, link-local.
	astray bool
}

// lookUp finds the servers' addresses and goes on with all that needs them.
func (x *examination) lookUp(ctx context.Context) {
	x.resolve(ctx)
	x.lookAtRoutes()
	x.lookAtPorts(ctx)
	x.logIn(ctx)
}

// resolve asks for the servers, and for a name that nobody has.
func (x *examination) resolve(ctx context.Context) {
	ctx, cancel := x.until(ctx, namesEnd)
	defer cancel()
	a := x.o.Account
	var wg sync.WaitGroup
	wg.Go(func() { x.dns.smtp = x.host(ctx, checkDNSSMTP, a.SMTP.Host) })
	if a.POP.Host != "" && !strings.EqualFold(a.POP.Host, a.SMTP.Host) {
		wg.Go(func() { x.dns.pop = x.host(ctx, checkDNSPOP, a.POP.Host) })
	}
	var stray []netip.Addr
	if literal(a.SMTP.Host) == nil && !x.onThisMachine() {
		wg.Go(func() { stray, _ = x.names.inner.LookupNetIP(ctx, "ip", nobody()) }) // an error is what is hoped for
	}
	start := time.Now()
	wg.Wait()
	if strings.EqualFold(a.POP.Host, a.SMTP.Host) {
		x.dns.pop = x.dns.smtp
	}
	if literal(a.SMTP.Host) != nil || x.onThisMachine() {
		return
	}
	for _, s := range stray {
		for _, m := range x.dns.smtp.addrs {
			x.dns.same = x.dns.same || s.Unmap() == m
		}
	}
	switch {
	case x.dns.same:
		x.note(checkDNSHonest, StatusFail, start, x.say(sayDNSSame, x.o.Account.SMTP.Host, list(stray)))
	case len(stray) > 0:
		x.note(checkDNSHonest, StatusWarn, start, x.say(sayDNSInvents, list(stray)))
	case x.dns.smtp.err == nil:
		x.note(checkDNSHonest, StatusOK, start, x.say(sayDNSHonest))
	}
}

// nobody returns a name that does not exist, below a domain reserved for
// examples.
func nobody() string { return "melon-" + strings.ToLower(rand.Text()[:16]) + ".example.com" }

// host looks one host up.
func (x *examination) host(ctx context.Context, check, host string) hostFinding {
	start := time.Now()
	if ip := literal(host); ip != nil {
		x.note(check, StatusSkip, start, x.say(sayDNSLiteral, ip))
		return hostFinding{literal: true, addrs: []netip.Addr{*ip}}
	}
	ascii := dialName(host)
	addrs, err := x.names.LookupNetIP(ctx, "ip", ascii)
	f := hostFinding{addrs: addrs, err: err, astray: len(addrs) > 0 && !x.onThisMachine()}
	for _, ip := range addrs {
		f.astray = f.astray && unlikely(ip)
	}
	var dns *net.DNSError
	switch {
	case err == nil && f.astray:
		x.note(check, StatusWarn, start, x.say(sayDNSPrivate, host, list(addrs)))
	case err == nil:
		x.note(check, StatusOK, start, x.say(sayDNSFound, host, list(addrs)))
	case errors.As(err, &dns) && dns.IsNotFound:
		x.note(check, StatusFail, start, x.say(sayDNSNone, host))
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &dns) && dns.IsTimeout:
		x.note(check, StatusFail, start, x.say(sayDNSSilent, host))
	default:
		x.note(check, StatusFail, start, x.say(sayDNSFailed, host))
	}
	return f
}

// unlikely reports whether no provider can have this address.
func unlikely(ip netip.Addr) bool {
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified()
}

// literal returns the address that stands in place of a host's name, or nil.
func literal(host string) *netip.Addr {
	ip, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(host), "[]"))
	if err != nil {
		return nil
	}
	ip = ip.Unmap()
	return &ip
}

// list writes at most four addresses.
func list(addrs []netip.Addr) string {
	var out []string
	for i, a := range addrs {
		if i == 4 {
			out = append(out, "…")
			break
		}
		out = append(out, a.String())
	}
	return strings.Join(out, ", ")
}
