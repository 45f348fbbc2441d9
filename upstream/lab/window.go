package lab

import (
	"net/netip"
	"time"
)

// relayList is the list of addresses that logged in by POP3. Provider.mu
// guards it.
type relayList map[netip.Addr]*relayEntry

// relayEntry is one address on the list.
type relayEntry struct {
	login time.Time // of the latest login that opened the relay
	open  int       // POP3 sessions of the address that got so far and are still open
}

// opened notes that a POP3 session of a got far enough at t.
func (l relayList) opened(a netip.Addr, t time.Time) {
	e := l[a]
	if e == nil {
		e = &relayEntry{}
		l[a] = e
	}
	e.login = t
	e.open++
}

// ended notes that such a session ended, by QUIT or by a dropped line.
func (l relayList) ended(a netip.Addr, quit bool, rules PBS) {
	e := l[a]
	if e == nil {
		return
	}
	e.open--
	if !quit && rules.VoidOnDrop {
		e.login = time.Time{}
	}
}

// allows reports whether a may relay at t.
func (l relayList) allows(a netip.Addr, t time.Time, rules PBS) bool {
	e := l[a]
	if rules.Window <= 0 || e == nil || e.login.IsZero() {
		return false
	}
	if rules.Hold && e.open <= 0 {
		return false
	}
	age := t.Sub(e.login)
	return age >= rules.Settle && age < rules.Window
}

// RelayOpen reports whether POP before SMTP opens the relay for an address now.
func (p *Provider) RelayOpen(a netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list.allows(a, p.opts.Now(), p.rules.PBS)
}

// ForgetRelay empties the list, as a provider does that was restarted.
func (p *Provider) ForgetRelay() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.list {
		e.login = time.Time{}
	}
}
