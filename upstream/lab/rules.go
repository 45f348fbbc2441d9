package lab

import (
	"slices"
	"strings"
	"time"
)

// domainOf returns the domain of an address in lower case, "" for the empty
// sender.
func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

// in reports whether a list of domains or addresses has one, in any case.
func in(list []string, name string) bool {
	return slices.ContainsFunc(list, func(d string) bool { return strings.EqualFold(d, name) })
}

// byAddress reports whether the client's address alone is a way in now.
func (s *smtpSession) byAddress() bool {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	r := &s.p.rules
	if r.Open || s.p.list.allows(s.client, s.p.opts.Now(), r.PBS) {
		return true
	}
	for _, n := range r.Nets {
		if n.Contains(s.client) {
			return true
		}
	}
	return false
}

// mayRelay reports whether the client may send from the transaction's sender
// to a recipient ("" before there is one).
func (s *smtpSession) mayRelay(to string) bool {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	r := &s.p.rules
	if r.Open || to != "" && in(r.Local, domainOf(to)) {
		return true
	}
	atConnect := r.Check == CheckConnect || r.Check == CheckBanner
	var ways []bool
	if r.PBS.Window > 0 {
		ok := s.p.list.allows(s.client, s.p.opts.Now(), r.PBS)
		ways = append(ways, ok && (!atConnect || s.listed))
	}
	if r.Auth {
		ways = append(ways, s.user != "")
	}
	if r.Nets != nil {
		ok := false
		for _, n := range r.Nets {
			ok = ok || n.Contains(s.client)
		}
		ways = append(ways, ok)
	}
	if r.Domains != nil {
		ways = append(ways, in(r.Domains, domainOf(s.tx.env.From)) || to != "" && in(r.Domains, domainOf(to)))
	}
	if r.All {
		return !slices.Contains(ways, false)
	}
	return slices.Contains(ways, true)
}

// relayWord returns the word for a refusal to relay.
func (s *smtpSession) relayWord() Word {
	s.p.mu.Lock()
	r := s.p.rules
	s.p.mu.Unlock()
	w := WordRelay
	switch {
	case r.PBS.Window > 0:
		w = WordRelayPOP
	case r.Auth:
		w = WordRelayAuth
	case r.Nets != nil && r.Domains == nil:
		w = WordRelayAddress
	case r.Domains != nil && r.Nets == nil:
		w = WordRelayDomain
	}
	if _, given := s.p.opts.Words[w]; given {
		return w
	}
	if _, given := s.p.opts.Words[WordRelay]; given {
		return WordRelay
	}
	return w
}

// greylisted reports whether the triple is too new, and remembers it.
func (s *smtpSession) greylisted(to string) bool {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	wait := s.p.rules.Greylist
	if wait <= 0 {
		return false
	}
	key := s.client.String() + "\x00" + strings.ToLower(s.tx.env.From+"\x00"+to)
	now := s.p.opts.Now()
	first, known := s.p.grey[key]
	if !known && len(s.p.grey) < 100_000 {
		s.p.grey[key] = now
	}
	return !known || now.Sub(first) < wait
}

// overRate reports whether the client has sent too much lately.
func (s *smtpSession) overRate() bool {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	l := s.p.rules.Limits
	if l.Rate <= 0 {
		return false
	}
	per := l.RatePer
	if per == 0 {
		per = time.Minute
	}
	now := s.p.opts.Now()
	times := slices.DeleteFunc(s.p.rates[s.client], func(t time.Time) bool { return now.Sub(t) >= per })
	s.p.rates[s.client] = times
	return len(times) >= l.Rate
}

// sent notes a message against the client's rate.
func (s *smtpSession) sent() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.rules.Limits.Rate > 0 {
		s.p.rates[s.client] = append(s.p.rates[s.client], s.p.opts.Now())
	}
}

// limits returns the limits as they are now.
func (s *smtpSession) limits() Limits {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return s.p.rules.Limits
}
