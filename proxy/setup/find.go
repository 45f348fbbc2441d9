package setup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"melon/proxy/config"
	"melon/upstream"
	"melon/upstream/discover"
	"melon/upstream/network"
)

// blank is an account of which nothing is known yet.
func blank() upstream.Account {
	return upstream.Account{Auth: upstream.AuthAuto, PopBeforeSMTP: upstream.PopBeforeSMTP{Window: defaultWindow, Finish: "login"}}
}

// servers fills in the account: from the wishes, or from what is found.
func (a *adding) servers(ctx context.Context) error {
	a.acc = blank()
	a.acc.Name, a.acc.Address, a.acc.Username, a.acc.AllowPlaintext = a.w.Name, a.address, a.w.Username, a.w.Plaintext
	if a.w.Auth != "" {
		a.acc.Auth = upstream.AuthMethod(a.w.Auth)
	}
	if a.acc.Name == "" {
		a.acc.Name = freeName(a.cfg, a.address)
	}
	if _, ok := a.cfg.Account(a.acc.Name); ok {
		return usage(fmt.Errorf("there is an account %s already; remove it, edit it, or take another --name", a.acc.Name))
	}
	smtp, err := parseServer("smtp", a.w.Servers.SMTP, a.w.Servers.Security)
	if err != nil {
		return usage(err)
	}
	pop, err := parseServer("pop", a.w.Servers.POP, a.w.Servers.POPSecurity)
	if err != nil {
		return usage(err)
	}
	if smtp.Host == "" {
		if err := a.find(ctx); err != nil {
			return err
		}
		a.fromCandidate(*a.found)
	} else {
		a.acc.SMTP = smtp
	}
	if pop.Host != "" {
		a.acc.POP.Server = pop
	}
	if a.wantsOAuth() {
		a.acc.OAuth, a.acc.POP = a.mergedOAuth(), upstream.POPServer{}
	}
	if a.acc.Username == "" && a.found == nil {
		a.acc.Username = a.address
	}
	if a.acc.POP.Host != "" {
		a.acc.POP.Username = a.acc.Username
	}
	return nil
}

// parseServer reads HOST[:PORT] and a security.
func parseServer(flag, s, security string) (upstream.Server, error) {
	server := upstream.Server{Security: upstream.SecurityAuto}
	if security != "" {
		server.Security = upstream.Security(security)
	}
	if s == "" {
		if security != "" {
			return server, fmt.Errorf("the security of the %s connection needs --%s HOST[:PORT]", strings.ToUpper(flag), flag)
		}
		return server, nil
	}
	server.Host = s
	if host, port, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return server, fmt.Errorf("--%s %s: the port is no number from 1 to 65535", flag, s)
		}
		server.Host, server.Port = host, int(n)
	}
	server.Host = strings.Trim(server.Host, "[]")
	return server, nil
}

// freeName makes a name from the address's domain that no account has.
func freeName(cfg *config.Config, address string) string {
	_, domain, _ := strings.Cut(address, "@")
	base, _, _ := strings.Cut(strings.ToLower(domain), ".")
	base = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, base)
	if base = strings.TrimLeft(base, "-"); base == "" {
		base = "account"
	}
	name := base
	for n := 2; ; n++ {
		if _, taken := cfg.Account(name); !taken {
			return name
		}
		name = base + "-" + strconv.Itoa(n)
	}
}

// find asks for the servers, and shows them with their source.
func (a *adding) find(ctx context.Context) error {
	o := discover.Options{AllowISPDB: a.w.ISPDB, Dialer: a.Dialer, Trust: upstream.Trust{CA: a.w.CA}, Timeout: findTime}
	a.tell("Looking for the servers of %s …\n", a.address)
	found, err := a.Find(ctx, o, a.address)
	if now, netErr := network.Current(); errors.Is(err, discover.ErrNothing) && netErr == nil && !now.Online {
		return errors.New("there is no network here, so the servers cannot be looked up; try again when there is one, or give them with --smtp HOST and --no-test")
	}
	if errors.Is(err, discover.ErrNothing) && !o.AllowISPDB {
		ok, askErr := a.person.Confirm(ctx, "Nothing was found. May Thunderbird's public database be asked? It learns the domain, not the address.", true)
		if askErr != nil && !errors.Is(askErr, ErrNobody) {
			return askErr
		}
		if ok {
			o.AllowISPDB = true
			found, err = a.Find(ctx, o, a.address)
		}
	}
	switch {
	case errors.Is(err, discover.ErrAddress):
		return usage(fmt.Errorf("%s: %w", a.address, err))
	case errors.Is(err, discover.ErrNothing):
		return errors.New("no servers were found for " + a.address + "; take them from your provider's page and give them with --smtp HOST (and --pop HOST if it wants a POP login first)")
	case err != nil:
		return err
	}
	best := found[0]
	a.show(found)
	if best.SMTP.Host == "" {
		return errors.New(best.Note)
	}
	if err := a.agree(ctx, best); err != nil {
		return err
	}
	a.found = &best
	return nil
}

// show tells what was found and where.
func (a *adding) show(found []discover.Candidate) {
	for i, c := range found {
		title := "Found"
		if i > 0 {
			title = "Also found"
		}
		provider := c.Provider
		if provider != "" {
			provider += " "
		}
		a.tell("%s: %s(%s: %s)\n", title, provider, c.Source, c.Where)
		if i > 0 {
			a.tell("  sending    %s\n", DescribeServer(c.SMTP))
			continue
		}
		a.person.Tell(DescribeCandidate(c))
	}
}

// agree asks whether the found settings are right; always when a password would
// go to a stranger that somebody on the way may have named.
func (a *adding) agree(ctx context.Context, c discover.Candidate) error {
	if a.w.Yes {
		return nil
	}
	foreign := len(c.Foreign) > 0
	why := fmt.Sprintf("%s is outside of the address's domain, and known only from a source that the network here could have made up", strings.Join(c.Foreign, ", "))
	question := "Use these settings?"
	if foreign {
		question = why + ". Send your password there?"
	}
	ok, err := a.person.Confirm(ctx, question, !foreign)
	switch {
	case errors.Is(err, ErrNobody) && foreign:
		return fmt.Errorf("%s; if it is right, add --yes", why)
	case errors.Is(err, ErrNobody):
		return nil
	case err == nil && !ok:
		return errors.New("nothing was saved; give the servers with --smtp HOST and --pop HOST")
	}
	return err
}

// fromCandidate takes over what was found, where no wish said otherwise. A usual
// port is not written down: Melon then tries the others too where a network
// blocks it. POP is left out where the provider takes a login for sending.
func (a *adding) fromCandidate(c discover.Candidate) {
	a.acc.SMTP = settleServer(c.SMTP, 465, 587)
	if a.acc.Username == "" {
		a.acc.Username = c.Username
	}
	password := c.Has(discover.LoginPassword) || c.Has(discover.LoginAppPassword)
	if c.POP.Host != "" && (!password || c.Has(discover.LoginPOP)) && !(len(c.Logins) == 1 && c.Logins[0] == discover.LoginOAuth) {
		a.acc.POP.Server = settleServer(c.POP, 995)
	}
	if a.w.Auth != "" {
		return
	}
	switch {
	case password || len(c.Logins) == 0 || c.Has(discover.LoginOAuth):
	case c.Has(discover.LoginPOP) && a.acc.POP.Host != "":
		a.acc.Auth = upstream.AuthPOPBeforeSMTP
	case c.Has(discover.LoginNone):
		a.acc.Auth, a.acc.POP = upstream.AuthNone, upstream.POPServer{}
	}
}

// settleServer turns a found server into a setting.
func settleServer(s upstream.Server, usual ...int) upstream.Server {
	for _, port := range usual {
		if s.Port == port && s.Security != upstream.SecurityNone {
			return upstream.Server{Host: s.Host, Security: upstream.SecurityAuto}
		}
	}
	if s.Security == upstream.SecurityNone {
		s.Security = upstream.SecurityAuto // better than promised is welcome
	}
	return s
}

// Found is what was found out about an address.
type Found struct {
	// Account has the servers, the user name and the method that suit the best of
	// All, as far as they are known.
	Account upstream.Account
	All     []discover.Candidate // the best first; none when nothing was found
}

// Look finds the servers of an address and asks nothing: whoever looks at what was
// found decides. Nothing found is no error.
func (s *Setup) Look(ctx context.Context, address string) (Found, error) {
	a := &adding{Setup: s, address: address, acc: blank()}
	unknown := upstream.POPServer{Server: upstream.Server{Security: upstream.SecurityAuto}}
	a.acc.SMTP, a.acc.POP = unknown.Server, unknown
	found, err := s.Find(ctx, discover.Options{Dialer: s.Dialer, Timeout: findTime}, address)
	if errors.Is(err, discover.ErrNothing) {
		err = nil
	}
	if err != nil || len(found) == 0 {
		return Found{Account: a.acc}, err
	}
	if a.found = &found[0]; a.found.SMTP.Host != "" {
		a.fromCandidate(*a.found)
		if a.acc.POP.Host != "" {
			a.acc.POP.Username = a.acc.Username
		}
		if a.wantsOAuth() {
			a.acc.OAuth, a.acc.POP = a.mergedOAuth(), unknown
		}
	}
	return Found{a.acc, found}, nil
}
