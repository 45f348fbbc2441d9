package lab

import (
	"net/netip"
	"slices"

	"github.com/xdg-go/scram"

	"melon/upstream"
)

// SetRules replaces the rules for what comes from now on.
func (p *Provider) SetRules(r Rules) {
	if !r.Open && r.PBS.Window == 0 && !r.Auth && r.Nets == nil && r.Domains == nil {
		r.Auth = true
	}
	if r.Local == nil {
		r.Local = []string{domainOf(p.opts.Users[0].Address)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = r
}

// SetSMTP replaces what the SMTP server can do, for new connections.
func (p *Provider) SetSMTP(s SMTP) {
	if s.Hostname == "" {
		s.Hostname = "mail.provider-a.example"
	}
	if s.Mechanisms == nil {
		s.Mechanisms = []string{"PLAIN", "LOGIN"}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.smtp = s
}

// SetPOP replaces what the POP3 server can do, for new connections.
func (p *Provider) SetPOP(s POP) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pop = s
}

// SetFaults replaces the script of faults; attempts count from now.
func (p *Provider) SetFaults(list ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = faults{list: slices.Clone(list), met: make([]int, len(list))}
}

// Release lets everything go on that a Stall holds up now.
func (p *Provider) Release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.release)
	p.release = make(chan struct{})
}

// released returns the channel that the next Release closes.
func (p *Provider) released() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.release
}

// Drop cuts every open connection of one server, or of both when proto is "",
// as a line that drops. It voids what VoidOnDrop says.
func (p *Provider) Drop(proto Proto) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if proto == "" || c.proto == proto {
			c.raw.Close()
		}
	}
}

// SetPublic makes new connections to one server, or to both when proto is "",
// appear to come from an address, as through another network's gateway or a
// tunnel. The zero address ends that.
func (p *Provider) SetPublic(proto Proto, a netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if proto != POPProto {
		p.public[SMTPProto] = a
	}
	if proto != SMTPProto {
		p.public[POPProto] = a
	}
}

// SetPassword changes a user's password; it unlocks the account.
func (p *Provider) SetPassword(user, password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.users[user]; u != nil {
		u.Password, u.failures = password, 0
		u.scram = map[string]scram.StoredCredentials{}
	}
}

// LockMailbox makes POP3 logins of the user fail with [IN-USE], as when another
// mail app has the mailbox open, until unlock is called.
func (p *Provider) LockMailbox(user string) (unlock func()) {
	set := func(v bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if u := p.users[user]; u != nil {
			u.inUse = v
		}
	}
	set(true)
	return func() { set(false) }
}

// connsOfLocked counts the open connections of an address to one server. The caller
// holds p.mu.
func (p *Provider) connsOfLocked(proto Proto, a netip.Addr) int {
	n := 0
	for c := range p.conns {
		if c.proto == proto && c.client == a {
			n++
		}
	}
	return n
}

// fault notes that a client reached the phase and returns the Fault that
// strikes, or nil.
func (p *Provider) fault(proto Proto, phase upstream.Phase) *Fault {
	p.mu.Lock()
	f := p.faults.hit(proto, phase)
	p.mu.Unlock()
	if f != nil {
		p.rec.update(func() { p.rec.stats.Faults++ })
	}
	return f
}

// tooMany reports whether a connection is beyond Limits.Connections.
func (p *Provider) tooMany(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.rules.Limits.Connections
	return n > 0 && p.connsOfLocked(c.proto, c.client) > n
}
