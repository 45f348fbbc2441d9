package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/submit"
	"melon/upstream/trace"
)

const (
	portTime = 6 * time.Second // for one port: connection, greeting, TLS
	stepTime = 5 * time.Second // for one reply during the trial
)

// portFinding is what the ports of one server showed.
type portFinding struct {
	ports []*port // those of the account, in the order in which Melon tries them
	extra []*port // others, looked at to give advice
	best  *port   // the one to go on with, or the most telling failure; nil: none was tried
}

// works reports whether a conversation is possible.
func (f *portFinding) works() bool { return f.best != nil && f.best.fault == nil }

// port is what one port showed. It is written by one goroutine and read after it.
type port struct {
	proto    trace.Protocol
	server   upstream.Server
	remote   netip.Addr
	greeting string // the first line
	name     string // the host name in it, "" for none
	offered  bool   // STARTTLS or STLS, or TLS from the start
	masked   bool   // a firewall blotted keywords out
	tls      *tls.ConnectionState
	proven   bool            // by a certificate that was verified for the host
	fault    *upstream.Error // nil: ready for a login
	strange  bool
	took     time.Duration
}

// spoke reports whether a server answered in its protocol, be it with a refusal.
func (p *port) spoke() bool { return p.fault == nil || !p.fault.Reply.IsZero() }

// lookAtPorts examines all ports side by side. Those of the account are waited
// for; the others are done by the end of the Run's second stage as well.
func (x *examination) lookAtPorts(ctx context.Context) {
	ctx, cancel := x.until(ctx, portsEnd)
	defer cancel()
	a := x.o.Account
	var wg sync.WaitGroup
	if x.dns.smtp.err == nil {
		x.smtp.ports = x.list(trace.SMTP, a.SMTP)
		if a.SMTP.Port != 0 && !x.onThisMachine() {
			x.smtp.extra = x.others(a.SMTP)
		}
	}
	if a.POP.Host != "" && x.dns.pop.err == nil {
		x.pop.ports = x.list(trace.POP3, a.POP.Server)
	}
	for _, p := range slices.Concat(x.smtp.ports, x.smtp.extra, x.pop.ports) {
		wg.Go(func() { x.examine(ctx, p) })
	}
	wg.Wait()
	for _, f := range []*portFinding{&x.smtp, &x.pop} {
		f.best = best(f.ports)
	}
	x.notePorts()
	if p := x.smtp.best; p != nil && (p.spoke() || p.greeting != "") {
		x.identify(ctx, x.smtp.best)
	}
	x.noteTLS()
}

// list is the ports that Melon would try for a server, in its order.
func (x *examination) list(proto trace.Protocol, s upstream.Server) []*port {
	numbers := []int{s.Port}
	if s.Port == 0 {
		ladder := map[trace.Protocol][]int{trace.SMTP: {465, 587, 25, 2525}, trace.POP3: {995, 110}}[proto]
		numbers = slices.DeleteFunc(slices.Clone(ladder), func(n int) bool {
			implicit := n == 465 || n == 995
			switch s.Security {
			case upstream.SecurityTLS:
				return !implicit
			case upstream.SecurityStartTLS, upstream.SecurityNone:
				return implicit
			}
			return false
		})
	}
	var out []*port
	for _, n := range numbers {
		s.Port = n
		out = append(out, &port{proto: proto, server: s})
	}
	return out
}

// others is the usual ports that the account does not use.
func (x *examination) others(s upstream.Server) []*port {
	var out []*port
	for _, n := range []int{465, 587, 25} {
		if n != s.Port {
			out = append(out, &port{proto: trace.SMTP, server: upstream.Server{Host: s.Host, Port: n, Security: upstream.SecurityAuto}})
		}
	}
	return out
}

// best is the first port that works, those with TLS before those without, or the
// failure that tells most.
func best(ports []*port) *port {
	if len(ports) == 0 {
		return nil
	}
	grade := func(p *port) int {
		switch {
		case p.fault == nil && p.tls != nil:
			return 0
		case p.fault == nil:
			return 1
		case !p.fault.Reply.IsZero():
			return 2
		case p.fault.Class == upstream.ClassServerUnreachable, p.fault.Class == upstream.ClassPortBlocked, p.fault.Class == upstream.ClassOffline:
			return 4
		}
		return 3
	}
	return slices.MinFunc(ports, func(a, b *port) int { return cmp.Compare(grade(a), grade(b)) })
}

// examine connects to one port, hears the greeting and encrypts. It logs in
// nowhere.
func (x *examination) examine(ctx context.Context, p *port) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, portTime)
	defer cancel()
	defer func() { p.took = time.Since(start) }()
	heard := &listener{}
	d := x.dialer()
	d.Trace = func(_ dial.Target, l trace.Line) { heard.hear(l) }
	conn, err := d.Dial(ctx, dial.Target{
		Server: p.server, ImplicitTLS: dial.ImplicitTLS(p.server.Security, p.server.Port),
		Trust: x.o.Account.Trust, Protocol: p.proto, Account: x.o.Account.Name, Timeout: portTime,
	})
	if err != nil {
		p.fault = upstream.AsError(err, upstream.PhaseConnect)
		return
	}
	defer conn.Close()
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		p.remote = a.AddrPort().Addr().Unmap()
	}
	if p.proto == trace.POP3 {
		err = x.meetPOP(ctx, p, conn)
	} else {
		err = x.meetSMTP(ctx, p, conn)
	}
	p.greeting, p.masked = heard.greeting()
	p.name = greetingName(p.greeting)
	x.heardDate(p.server.Host, p.greeting)
	if err != nil {
		p.fault = upstream.AsError(err, upstream.PhaseConnect)
		if p.masked && p.fault.Class == upstream.ClassServerBroken {
			p.fault = x.stripped(p)
		}
	}
	if p.masked && !p.offered && p.fault == nil && p.server.Security != upstream.SecurityNone {
		p.fault = x.stripped(p) // what is blotted out is no keyword of the server's
	}
	if s, on := conn.TLS(); on {
		p.tls = &s
		p.proven = !x.o.Account.Trust.Insecure
	}
}

// meetSMTP hears the greeting, says EHLO and encrypts as the account has it.
func (x *examination) meetSMTP(ctx context.Context, p *port, conn *dial.Conn) error {
	client, err := submit.Open(ctx, conn, x.submitOptions(portTime))
	if err != nil {
		return err
	}
	defer client.Close()
	err = x.encrypt(ctx, p, client)
	if client.Usable() {
		quit, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		client.Quit(quit) // the answer does not matter
	}
	return err
}

func (x *examination) submitOptions(step time.Duration) submit.Options {
	return submit.Options{
		Account: x.o.Account.Name,
		Timeout: func(upstream.Phase) time.Duration { return step },
	}
}

// encrypt is STARTTLS as the account's security setting has it. TLS that was
// there once and is not offered any more was taken away.
func (x *examination) encrypt(ctx context.Context, p *port, client *submit.Client) error {
	if _, on := client.TLS(); on {
		p.offered = true
		return nil
	}
	p.offered = client.Capabilities().StartTLS
	switch {
	case p.server.Security == upstream.SecurityNone:
		return nil
	case p.offered:
		return client.StartTLS(ctx)
	case p.server.Security == upstream.SecurityStartTLS, x.o.Known.SMTPTLS:
		return x.stripped(p)
	}
	return nil
}

// stripped is TLS that should be there.
func (x *examination) stripped(p *port) *upstream.Error {
	return &upstream.Error{
		Account: x.o.Account.Name, Host: p.server.Addr(),
		Phase: upstream.PhaseStartTLS, Class: upstream.ClassStartTLSStripped,
		Sentence: upstream.CleanLine(p.server.Addr() + " does not offer encryption although it should; somebody in between may have taken it away."),
	}
}

// listener keeps the beginning of what a server says.
type listener struct {
	mu    sync.Mutex
	lines []string
}

func (l *listener) hear(line trace.Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !line.Client && len(l.lines) < 40 {
		l.lines = append(l.lines, line.Text)
	}
}

// greeting returns the first line that the server said, and whether a keyword
// was blotted out after it.
func (l *listener) greeting() (line string, masked bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range l.lines {
		if i == 0 {
			line = s
		}
		masked = masked || maskedKeyword.MatchString(s)
	}
	return line, masked
}

// notePorts writes a check for each port.
func (x *examination) notePorts() {
	for _, f := range []*portFinding{&x.pop, &x.smtp} {
		for _, p := range f.ports {
			status := StatusOK
			if p.fault != nil {
				status = StatusFail
				if f.works() {
					status = StatusWarn // another one does
				}
			}
			x.notePort(p, status)
		}
	}
	for _, p := range x.smtp.extra {
		status := StatusOK
		if p.fault != nil {
			status = StatusSkip
		}
		x.notePort(p, status)
	}
}

// notePort describes one port.
func (x *examination) notePort(p *port, status Status) {
	name := string(checkSMTPPort)
	if p.proto == trace.POP3 {
		name = checkPOPPort
	}
	detail := ""
	switch {
	case p.fault == nil && p.tls != nil:
		detail = x.say(sayPortTLS, p.server.Addr(), shown(p.greeting), tls.VersionName(p.tls.Version))
	case p.fault == nil:
		detail = x.say(sayPortClear, p.server.Addr(), shown(p.greeting))
	default:
		detail = x.sayFault(p.fault)
		if p.greeting != "" && p.fault.Reply.IsZero() {
			detail += " " + x.say(sayPortSaid, shown(p.greeting))
		}
	}
	x.note(name+strconv.Itoa(p.server.Port), status, time.Now().Add(-p.took), detail)
}

// noteTLS writes what is to be said of STARTTLS and of the certificate on the
// port that is gone on with.
func (x *examination) noteTLS() {
	now, p := time.Now(), x.smtp.best
	if p == nil {
		return
	}
	class := upstream.Class("")
	if p.fault != nil {
		class = p.fault.Class
	}
	switch {
	case class == upstream.ClassStartTLSStripped:
		x.note(checkStartTLS, StatusFail, now, x.sayFault(p.fault))
	case !p.spoke() && p.greeting == "" && p.tls == nil:
		x.note(checkStartTLS, StatusSkip, now, x.say(sayNotReached))
	case p.server.Security == upstream.SecurityNone && p.offered:
		x.note(checkStartTLS, StatusWarn, now, x.say(sayTLSUnused, p.server.Addr()))
	case p.offered || p.tls != nil:
		x.note(checkStartTLS, StatusOK, now, x.say(sayTLSOffered, p.server.Addr()))
	default:
		x.note(checkStartTLS, StatusWarn, now, x.say(sayTLSMissing, p.server.Addr()))
	}
	switch {
	case class == upstream.ClassCertificateInvalid, class == upstream.ClassClockWrong:
		x.note(checkCertificate, StatusFail, now, x.sayFault(p.fault))
	case p.tls == nil || len(p.tls.PeerCertificates) == 0:
		x.note(checkCertificate, StatusSkip, now, x.say(sayCertificateNone))
	case x.o.Account.Trust.Insecure:
		x.note(checkCertificate, StatusWarn, now, x.say(sayCertificateIgnored))
	default:
		leaf := p.tls.PeerCertificates[0]
		x.note(checkCertificate, StatusOK, now,
			x.say(sayCertificateGood, shown(subject(leaf)), shown(issuer(leaf)), leaf.NotAfter.UTC().Format(time.DateOnly)))
	}
}

// subject is for whom a certificate is.
func subject(c *x509.Certificate) string {
	if len(c.DNSNames) > 0 {
		return strings.Join(c.DNSNames[:min(3, len(c.DNSNames))], ", ")
	}
	return c.Subject.CommonName
}

// issuer is who vouches for it.
func issuer(c *x509.Certificate) string {
	if len(c.Issuer.Organization) > 0 {
		return c.Issuer.Organization[0]
	}
	return c.Issuer.CommonName
}
