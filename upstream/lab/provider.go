package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xdg-go/scram"
)

// Provider is a running provider. Close ends it. mu guards the three embedded
// structs and is never held while something waits; rec has its own lock, which
// may be taken under mu.
type Provider struct {
	opts  Options
	certs *certs
	tls   *tls.Config // without client certificates: a request for one delays the session tickets
	mtls  *tls.Config // with them, where EXTERNAL is offered
	rec   *record

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu sync.Mutex
	settings
	memory
	doors

	transcript sync.Mutex // one Options.Transcript call at a time
}

// settings are what can be changed while the provider runs.
type settings struct {
	rules   Rules
	smtp    SMTP
	pop     POP
	faults  faults
	public  map[Proto]netip.Addr // by SetPublic
	release chan struct{}        // closed and replaced by Release
}

// memory is what the provider remembers of its clients.
type memory struct {
	list   relayList
	users  map[string]*userState
	grey   map[string]time.Time
	rates  map[netip.Addr][]time.Time
	tokens func(token string) (user string, ok bool) // the OAuth server's, if there is one
}

// doors are what is open.
type doors struct {
	addrs     map[string][]string // by server's name: "smtp", "smtps", "pop", "pops"
	listeners []net.Listener
	closers   []io.Closer // of HTTP servers
	conns     map[*conn]struct{}
	lastConn  int
	closed    bool
}

// userState is what the provider remembers of a user.
type userState struct {
	User
	failures  int       // AUTH failures in a row
	sessions  int       // open POP3 sessions
	lastLogin time.Time // POP3
	inUse     bool      // by Provider.LockMailbox
	scram     map[string]scram.StoredCredentials
}

// maxConns bounds the connections that are open at once; more are closed
// unanswered.
const maxConns = 2000

// Start makes a provider. The caller closes it.
func Start(o Options) (*Provider, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Users == nil {
		o.Users = []User{DefaultUser}
	}
	if len(o.Users) == 0 {
		return nil, errors.New("lab: a provider needs a user")
	}
	certs, err := newCerts(o.Cert, o.Now())
	if err != nil {
		return nil, fmt.Errorf("lab: certificates: %w", err)
	}
	p := &Provider{
		opts: o, certs: certs, rec: newRecord(),
		settings: settings{public: map[Proto]netip.Addr{}, release: make(chan struct{})},
		memory: memory{
			list: relayList{}, users: map[string]*userState{},
			grey: map[string]time.Time{}, rates: map[netip.Addr][]time.Time{},
		},
		doors: doors{conns: map[*conn]struct{}{}, addrs: map[string][]string{}},
	}
	for _, u := range o.Users {
		p.users[u.Name] = &userState{User: u, scram: map[string]scram.StoredCredentials{}}
	}
	p.tls, p.mtls = p.newTLSConfig(false), p.newTLSConfig(true)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.SetRules(o.Rules)
	p.SetSMTP(o.SMTP)
	p.SetPOP(o.POP)
	p.SetFaults(o.Faults...)
	if err := p.listenAll(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// TB is what Run needs of a testing.TB.
type TB interface {
	Helper()
	Fatal(args ...any)
	Cleanup(func())
}

// Run is Start for tests: the test fails when the provider does not start, and
// the provider is closed when the test ends.
func Run(t TB, o Options) *Provider {
	t.Helper()
	p, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// Close ends every listener and connection and returns when every goroutine of
// the provider has ended. It may be called more than once.
func (p *Provider) Close() error {
	p.mu.Lock()
	p.closed = true
	p.cancel()
	for _, l := range p.listeners {
		l.Close()
	}
	for c := range p.conns {
		c.raw.Close()
	}
	closers := p.closers
	p.mu.Unlock()
	for _, c := range closers {
		c.Close()
	}
	p.wg.Wait()
	return nil
}

// SMTPAddr returns the first address of the plain SMTP port, as "host:port".
func (p *Provider) SMTPAddr() string { return p.first("smtp") }

// SMTPSAddr returns that of SMTP with implicit TLS.
func (p *Provider) SMTPSAddr() string { return p.first("smtps") }

// POPAddr returns that of plain POP3.
func (p *Provider) POPAddr() string { return p.first("pop") }

// POPSAddr returns that of POP3 with implicit TLS.
func (p *Provider) POPSAddr() string { return p.first("pops") }

func (p *Provider) first(server string) string { return p.Addrs(server)[0] }

// Addrs returns every address of a server: "smtp", "smtps", "pop" or "pops".
func (p *Provider) Addrs(server string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.addrs[server])
}

// CertPool returns the CA that signed the servers' certificates (see CertKind).
func (p *Provider) CertPool() *x509.CertPool { return p.certs.pool() }

// CAPEM returns the same CA as a PEM file's contents.
func (p *Provider) CAPEM() []byte { return p.certs.caPEM() }

// Certificate returns the leaf that the servers show, for pins.
func (p *Provider) Certificate() *x509.Certificate { return p.certs.leaf.Leaf }

// ClientCertificate returns a certificate for SMTP.ClientCertUser.
func (p *Provider) ClientCertificate() tls.Certificate { return p.certs.client }

// listenAll opens the four servers on every host.
func (p *Provider) listenAll() error {
	hosts := p.opts.Hosts
	optional6 := hosts == nil // ::1 only where the machine has it
	if hosts == nil {
		hosts = []string{"127.0.0.1", "::1"}
	}
	popHosts := p.opts.POPHosts
	if popHosts == nil {
		popHosts = hosts
	}
	for _, s := range []struct {
		name  string
		hosts []string
		port  int // on a Net: the well-known one
	}{{"smtp", hosts, 587}, {"smtps", hosts, 465}, {"pop", popHosts, 110}, {"pops", popHosts, 995}} {
		port := s.port
		if p.opts.Net == nil {
			port = 0
		}
		if err := p.listenHosts(s.name, s.hosts, port, optional6); err != nil {
			return err
		}
	}
	return nil
}

// listenHosts listens on one port of every host; port 0 finds one that is free
// on all of them.
func (p *Provider) listenHosts(server string, hosts []string, port int, optional6 bool) error {
	var err error
	for range 20 {
		var ls []net.Listener
		if ls, err = p.tryListen(hosts, port, optional6); err != nil {
			continue
		}
		for _, l := range ls {
			p.serve(server, l)
		}
		return nil
	}
	return fmt.Errorf("lab: %s: %w", server, err)
}

// tryListen listens on all hosts or on none.
func (p *Provider) tryListen(hosts []string, port int, optional6 bool) (ls []net.Listener, err error) {
	for i, h := range hosts {
		var l net.Listener
		if p.opts.Net != nil {
			l, err = p.opts.Net.Listen(net.JoinHostPort(h, strconv.Itoa(port)))
		} else {
			l, err = net.Listen("tcp", net.JoinHostPort(h, strconv.Itoa(port)))
		}
		if err != nil {
			if i > 0 && optional6 && strings.Contains(h, ":") && !haveIPv6() {
				return ls, nil
			}
			for _, l := range ls {
				l.Close()
			}
			return nil, err
		}
		port = int(netip.MustParseAddrPort(l.Addr().String()).Port())
		ls = append(ls, l)
	}
	return ls, nil
}

// haveIPv6 reports whether the machine has ::1.
func haveIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	l.Close()
	return true
}

// Listen opens one more address for a server ("smtp", "smtps", "pop", "pops"),
// such as another port of a Net.
func (p *Provider) Listen(server, addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return "", err
	}
	ls, err := p.tryListen([]string{host}, n, false)
	if err != nil {
		return "", err
	}
	p.serve(server, ls[0])
	return ls[0].Addr().String(), nil
}

// serve accepts connections of l in a goroutine that ends with l.
func (p *Provider) serve(server string, l net.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		l.Close()
		return
	}
	p.listeners = append(p.listeners, l)
	p.addrs[server] = append(p.addrs[server], l.Addr().String())
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			p.handle(server, nc)
		}
	}()
}

// handle gives a new connection its number and goroutine.
func (p *Provider) handle(server string, nc net.Conn) {
	proto, implicit := SMTPProto, strings.HasSuffix(server, "s")
	if strings.HasPrefix(server, "pop") {
		proto = POPProto
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.conns) >= maxConns {
		nc.Close()
		return
	}
	if p.opts.Delay > 0 && p.opts.Net == nil {
		nc = delayed(p.ctx, &p.wg, nc, p.opts.Delay)
	}
	p.lastConn++
	c := newConn(p, p.lastConn, proto, nc)
	p.conns[c] = struct{}{}
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		c.run(implicit)
		p.mu.Lock()
		delete(p.conns, c)
		p.mu.Unlock()
	}()
}
