package discover

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
	"gopkg.in/yaml.v3"

	"melon/upstream"
)

//go:embed providers.yaml
var table []byte // never changed

// Provider is one row of the table of providers.
type Provider struct {
	ID      string
	Name    string
	Domains []string // patterns: "d", "*.d" (any domain below d), "d.*" (any ending)
	MX      []string // how the names of the MX hosts of domains hosted there end
	SMTP    upstream.Server
	POP     upstream.Server
	Logins  []Login
	OAuth   string // value of oauth.provider, or ""
	User    string // "address", "local", "dotted" or "ask"
	Note    string
}

// row is a Provider as the file spells it.
type row struct {
	ID, Name, SMTP, POP, OAuth, User, Note string
	Domains, MX                            []string
	Login                                  []Login
}

// Providers returns the table, in its order. The table is part of the program:
// that it can be read is its tests' business.
func Providers() []Provider {
	d := yaml.NewDecoder(bytes.NewReader(table))
	d.KnownFields(true)
	var rows []row
	if err := d.Decode(&rows); err != nil {
		panic("discover: providers.yaml: " + err.Error())
	}
	all := make([]Provider, len(rows))
	for i, r := range rows {
		p := Provider{ID: r.ID, Name: r.Name, Domains: r.Domains, MX: r.MX, Logins: r.Login, OAuth: r.OAuth, User: r.User, Note: r.Note}
		var err error
		if p.SMTP, err = tableServer(r.SMTP); err == nil {
			p.POP, err = tableServer(r.POP)
		}
		if err != nil {
			panic("discover: providers.yaml: " + r.ID + ": " + err.Error())
		}
		if p.User == "" {
			p.User = "address"
		}
		all[i] = p
	}
	return all
}

// tableServer reads "HOST PORT SECURITY" or "none".
func tableServer(s string) (upstream.Server, error) {
	if s == "none" {
		return upstream.Server{}, nil
	}
	f := strings.Fields(s)
	if len(f) != 3 {
		return upstream.Server{}, fmt.Errorf("%q is not HOST PORT SECURITY", s)
	}
	port, err := strconv.Atoi(f[1])
	return upstream.Server{Host: f[0], Port: port, Security: upstream.Security(f[2])}, err
}

// Find returns the row with this id, or the one for this domain.
func Find(idOrDomain string) (Provider, bool) {
	all := Providers()
	s := strings.ToLower(idOrDomain)
	if i := slices.IndexFunc(all, func(p Provider) bool { return p.ID == s }); i >= 0 {
		return all[i], true
	}
	return byDomain(all, s)
}

// byDomain returns the row for an address's domain; a whole name goes before a
// pattern.
func byDomain(all []Provider, domain string) (Provider, bool) {
	for _, exact := range []bool{true, false} {
		for _, p := range all {
			for _, d := range p.Domains {
				if exact && d == domain || !exact && matches(d, domain) {
					return p, true
				}
			}
		}
	}
	return Provider{}, false
}

func matches(pattern, domain string) bool {
	if below, ok := strings.CutPrefix(pattern, "*."); ok {
		return strings.HasSuffix(domain, "."+below)
	}
	if name, ok := strings.CutSuffix(pattern, ".*"); ok {
		ending, found := strings.CutPrefix(domain, name+".")
		if !found {
			return false
		}
		suffix, icann := publicsuffix.PublicSuffix(domain)
		return icann && suffix == ending
	}
	return false
}

// byMX returns the row for where a domain's mail goes.
func byMX(all []Provider, host string) (Provider, bool) {
	best, length := Provider{}, 0
	for _, p := range all {
		for _, m := range p.MX {
			if within(host, m) && len(m) > length {
				best, length = p, len(m)
			}
		}
	}
	return best, length > 0
}

// known reports whether the table names this server.
func known(table []Provider, host string) bool {
	return slices.ContainsFunc(table, func(p Provider) bool {
		return strings.EqualFold(p.SMTP.Host, host) || strings.EqualFold(p.POP.Host, host)
	})
}

// candidate fills the row in for one address.
func (p Provider) candidate(a address, from Source) Candidate {
	c := Candidate{
		Source: from, Where: "the table of providers, " + p.ID, Provider: p.Name,
		SMTP: p.SMTP, POP: p.POP, Logins: slices.Clone(p.Logins), Note: p.Note,
		OAuth: upstream.OAuth{Provider: p.OAuth},
	}
	c.SMTP.Host = strings.ReplaceAll(c.SMTP.Host, "{domain}", a.domain)
	c.POP.Host = strings.ReplaceAll(c.POP.Host, "{domain}", a.domain)
	switch p.User {
	case "local":
		c.Username = a.local
	case "dotted":
		c.Username = a.local + "." + a.domain
	case "ask":
	default:
		c.Username = a.full
	}
	return c
}

// organisation is the domain that somebody registered: "example.co.jp" for
// "mail.example.co.jp".
func organisation(domain string) string {
	if o, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return o
	}
	return domain
}
