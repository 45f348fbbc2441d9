package setup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

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
		a.acc.Name = a.cfg.FreeName(a.address)
	}
	if _, ok := a.cfg.Account(a.acc.Name); ok {
		return a.misuse("name.taken", a.acc.Name)
	}
	smtp, err := a.parseServer("smtp", a.w.Servers.SMTP, a.w.Servers.Security)
	if err != nil {
		return err
	}
	pop, err := a.parseServer("pop", a.w.Servers.POP, a.w.Servers.POPSecurity)
	if err != nil {
		return err
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
func (s *Setup) parseServer(flag, text, security string) (upstream.Server, error) {
	server := upstream.Server{Security: upstream.SecurityAuto}
	if security != "" {
		server.Security = upstream.Security(security)
	}
	if text == "" {
		if security != "" {
			return server, s.misuse("server.security", strings.ToUpper(flag), flag)
		}
		return server, nil
	}
	server.Host = text
	if host, port, err := net.SplitHostPort(text); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return server, s.misuse("server.port", flag, text)
		}
		server.Host, server.Port = host, int(n)
	}
	server.Host = strings.Trim(server.Host, "[]")
	return server, nil
}

// find asks for the servers, and shows them with their source.
func (a *adding) find(ctx context.Context) error {
	o := discover.Options{AllowISPDB: a.w.ISPDB, Dialer: a.Dialer, Trust: upstream.Trust{CA: a.w.CA}, Timeout: findTime}
	a.tell("find.begins", a.address)
	found, err := a.Find(ctx, o, a.address)
	if now, netErr := network.Current(); errors.Is(err, discover.ErrNothing) && netErr == nil && !now.Online {
		return a.fail("find.offline")
	}
	if errors.Is(err, discover.ErrNothing) && !o.AllowISPDB {
		ok, askErr := a.person.Confirm(ctx, a.say("find.ispdb"), true)
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
		return a.fail("find.nothing", a.address)
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
		provider := c.Provider
		if provider != "" {
			provider += " "
		}
		source := a.say("source." + string(c.Source))
		if i > 0 {
			a.tell("find.also", provider, source, c.Where)
			a.person.Tell(a.words.Row("candidate.sending", a.DescribeServer(c.SMTP)))
			continue
		}
		a.tell("find.found", provider, source, c.Where)
		a.person.Tell(a.DescribeCandidate(c))
	}
}

// agree asks whether the found settings are right; always when a password would
// go to a stranger that somebody on the way may have named.
func (a *adding) agree(ctx context.Context, c discover.Candidate) error {
	if a.w.Yes {
		return nil
	}
	foreign := len(c.Foreign) > 0
	why := a.say("find.foreign", strings.Join(c.Foreign, a.say("find.comma")))
	question := a.say("find.agree")
	if foreign {
		question = a.say("find.foreign.ask", why)
	}
	ok, err := a.person.Confirm(ctx, question, !foreign)
	switch {
	case errors.Is(err, ErrNobody) && foreign:
		return a.fail("find.foreign.yes", why)
	case errors.Is(err, ErrNobody):
		return nil
	case err == nil && !ok:
		return a.fail("find.declined")
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
