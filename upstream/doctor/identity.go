package doctor

import (
	"context"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"melon/upstream"
)

// dialName is the ASCII form of a host (RFC 5891), as package dial asks for it.
func dialName(host string) string {
	host = strings.Trim(strings.TrimSuffix(strings.TrimSpace(host), "."), "[]")
	if ascii, err := idna.Lookup.ToASCII(host); err == nil && ascii != "" {
		return ascii
	}
	return host
}

var (
	replyHead = regexp.MustCompile(`^[2-5][0-9][0-9][ -](?:[245]\.[0-9]{1,3}\.[0-9]{1,3} )?`)
	fullName  = regexp.MustCompile(`^(?i:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?\.)+(?i:[a-z][a-z0-9-]*[a-z0-9])\.?$`)
)

// greetingName returns the host name that a greeting begins with (RFC 5321
// section 4.2), or "" when it has none that says anything.
func greetingName(line string) string {
	rest := replyHead.ReplaceAllString(line, "")
	word, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	word = strings.TrimRight(strings.ToLower(word), ".,;:")
	if !fullName.MatchString(word) || strings.HasPrefix(word, "localhost.") {
		return ""
	}
	return word
}

// domainOf returns the part of a name that somebody registered, or the name
// itself. It is "" for an address.
func domainOf(name string) string {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil || name == "" {
		return ""
	}
	if d, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return d
	}
	return name
}

// expectedDomains are those that the account's servers may call themselves by.
func (x *examination) expectedDomains() map[string]bool {
	a := x.o.Account
	out := map[string]bool{}
	_, mail, _ := strings.Cut(a.Address, "@")
	for _, n := range []string{a.SMTP.Host, a.POP.Host, a.Trust.ServerName, mail} {
		if d := domainOf(dialName(n)); d != "" && d != "localhost" {
			out[d] = true
		}
	}
	return out
}

// identify judges who answered on a port whose server proved nothing by a
// certificate. A stranger is one whose greeting names a host of a domain that the
// account has nothing to do with, and for whom nothing else speaks: neither does
// his name lead to the address that was dialled, nor the address to a name in
// his domain. A provider that has moved in with another is known by that.
func (x *examination) identify(ctx context.Context, p *port) {
	start := time.Now()
	switch {
	case p.proven:
		x.note(checkIdentity, StatusOK, start, x.say(sayIdentityProven, p.server.Host))
		return
	case p.name == "":
		x.note(checkIdentity, StatusSkip, start, x.say(sayIdentityNameless, p.server.Addr()))
		return
	}
	expected := x.expectedDomains()
	domain := domainOf(p.name)
	if len(expected) == 0 || expected[domain] {
		x.note(checkIdentity, StatusOK, start, x.say(sayIdentityFits, p.name))
		return
	}
	if p.remote.IsLoopback() && strings.EqualFold(p.name, x.o.Machine.Name) {
		x.note(checkIdentity, StatusOK, start, x.say(sayIdentityFits, p.name))
		return
	}
	if x.vouched(ctx, p, domain) {
		x.note(checkIdentity, StatusOK, start, x.say(sayIdentityVouched, p.name, p.remote))
		return
	}
	p.strange = true
	x.note(checkIdentity, StatusFail, start, x.say(sayIdentityStrange, p.name, p.server.Host))
}

// vouched reports whether the name service ties the greeting's name to the
// address that was dialled.
func (x *examination) vouched(ctx context.Context, p *port, domain string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	back := make(chan bool, 1)
	go func() {
		ok := false
		for _, n := range x.reverse(ctx, p.remote) {
			ok = ok || domainOf(n) == domain
		}
		back <- ok
	}()
	addrs, err := x.names.inner.LookupNetIP(ctx, "ip", p.name)
	ok := <-back
	if err != nil || p.remote.IsLoopback() && x.dns.same {
		return ok
	}
	for _, a := range addrs {
		ok = ok || a.Unmap() == p.remote && !unlikely(p.remote)
	}
	return ok
}

// maskedKeyword is what firewalls leave of an EHLO keyword they do not like.
var maskedKeyword = regexp.MustCompile(`^250[ -]X{6,}[A-Z]?\s*$`)

// shown is a stranger's text for use within a sentence.
func shown(s string) string {
	s = upstream.CleanLine(s)
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "…"
	}
	return s
}
