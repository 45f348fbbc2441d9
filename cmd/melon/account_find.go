package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"melon/proxy/config"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/discover"
	"melon/upstream/network"
)

// defaultWindow is how long a POP login opens a relay, as far as nobody says
// otherwise.
const defaultWindow = 5 * time.Minute

// servers fills in the account: from the flags, or from what is found.
func (a *adding) servers(ctx context.Context) error {
	a.acc = upstream.Account{
		Name: a.f.Name, Address: a.address, Username: a.f.Username, Auth: upstream.AuthMethod(a.f.Auth), AllowPlaintext: a.f.Plaintext,
	}
	if a.acc.Auth == "" {
		a.acc.Auth = upstream.AuthAuto
	}
	a.acc.PopBeforeSMTP = upstream.PopBeforeSMTP{Window: defaultWindow, Finish: "login"}
	if a.acc.Name == "" {
		a.acc.Name = freeName(a.cfg, a.address)
	}
	if _, ok := a.cfg.Account(a.acc.Name); ok {
		return &failure{exitUsage, fmt.Errorf("there is an account %s already; remove it, edit it, or take another --name", a.acc.Name)}
	}
	smtp, err := parseServer("smtp", a.f.SMTP, a.f.Security)
	if err != nil {
		return err
	}
	pop, err := parseServer("pop", a.f.POP, a.f.POPSecurity)
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
func parseServer(flag, s, security string) (upstream.Server, error) {
	server := upstream.Server{Security: upstream.SecurityAuto}
	if security != "" {
		server.Security = upstream.Security(security)
	}
	if s == "" {
		if security != "" {
			return server, &failure{exitUsage, fmt.Errorf("the security of the %s connection needs --%s HOST[:PORT]", strings.ToUpper(flag), flag)}
		}
		return server, nil
	}
	server.Host = s
	if host, port, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return server, &failure{exitUsage, fmt.Errorf("--%s %s: the port is no number from 1 to 65535", flag, s)}
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
	o := discover.Options{AllowISPDB: a.f.ISPDB, Dialer: a.dialer, Trust: upstream.Trust{CA: a.f.CA}, Timeout: findTime}
	fmt.Fprintf(a.c.stderr, "Looking for the servers of %s …\n", a.address)
	find := a.c.find
	if find == nil {
		find = discover.Discover
	}
	found, err := find(ctx, o, a.address)
	if now, netErr := network.Current(); errors.Is(err, discover.ErrNothing) && netErr == nil && !now.Online {
		return errors.New("there is no network here, so the servers cannot be looked up; try again when there is one, or give them with --smtp HOST and --no-test")
	}
	if errors.Is(err, discover.ErrNothing) && a.tty != nil && !o.AllowISPDB {
		ok, askErr := a.tty.confirm(ctx, "Nothing was found. May Thunderbird's public database be asked? It learns the domain, not the address.", true)
		if askErr != nil {
			return askErr
		}
		if ok {
			o.AllowISPDB = true
			found, err = find(ctx, o, a.address)
		}
	}
	switch {
	case errors.Is(err, discover.ErrAddress):
		return &failure{exitUsage, fmt.Errorf("%s: %w", a.address, err)}
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

// show prints what was found and where.
func (a *adding) show(found []discover.Candidate) {
	for i, c := range found {
		title := "Found"
		if i > 0 {
			title = "Also found"
		}
		fmt.Fprintf(a.c.stderr, "%s: %s(%s: %s)\n", title, onlyIf(c.Provider != "", c.Provider+" "), c.Source, c.Where)
		if i > 0 {
			fmt.Fprintf(a.c.stderr, "  sending    %s\n", showServer(c.SMTP))
			continue
		}
		fmt.Fprint(a.c.stderr, describeCandidate(c))
	}
}

// describeCandidate shows a candidate's settings.
func describeCandidate(c discover.Candidate) string {
	var b strings.Builder
	if c.SMTP.Host != "" {
		fmt.Fprintf(&b, "  sending    %s\n", showServer(c.SMTP))
	}
	if c.POP.Host != "" {
		fmt.Fprintf(&b, "  POP        %s\n", showServer(c.POP))
	}
	if c.Username != "" {
		fmt.Fprintf(&b, "  login      %s\n", c.Username)
	}
	if len(c.Logins) > 0 {
		fmt.Fprintf(&b, "  by         %s\n", loginWords(c.Logins))
	}
	if c.Note != "" && c.SMTP.Host != "" {
		fmt.Fprintf(&b, "  note       %s\n", c.Note)
	}
	return b.String()
}

// loginWords says the ways in, in words.
func loginWords(l []discover.Login) string {
	words := map[discover.Login]string{
		discover.LoginPassword: "password", discover.LoginAppPassword: "app password", discover.LoginOAuth: "sign-in (OAuth 2.0)",
		discover.LoginPOP: "POP login before sending", discover.LoginNone: "no login, from the provider's own network only",
	}
	var all []string
	for _, one := range l {
		all = append(all, words[one])
	}
	return strings.Join(all, ", or ")
}

// agree asks whether the found settings are right; always when a password would
// go to a stranger that somebody on the way may have named.
func (a *adding) agree(ctx context.Context, c discover.Candidate) error {
	stop := errors.New("nothing was saved; give the servers with --smtp HOST and --pop HOST")
	if len(c.Foreign) > 0 && !a.f.Yes {
		why := fmt.Sprintf("%s is outside of the address's domain, and known only from a source that the network here could have made up", strings.Join(c.Foreign, ", "))
		if a.tty == nil {
			return fmt.Errorf("%s; if it is right, add --yes", why)
		}
		ok, err := a.tty.confirm(ctx, why+". Send your password there?", false)
		if err == nil && !ok {
			err = stop
		}
		return err
	}
	if a.tty == nil || a.f.Yes {
		return nil
	}
	ok, err := a.tty.confirm(ctx, "Use these settings?", true)
	if err == nil && !ok {
		err = stop
	}
	return err
}

// fromCandidate takes over what was found, where no flag said otherwise. A usual
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
	if a.f.Auth != "" {
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

// wantsOAuth reports whether the account signs in with OAuth: the flags say so,
// or there is no other way in.
func (a *adding) wantsOAuth() bool {
	o := a.f.OAuth
	if o.Provider != "" || o.ClientID != "" || o.TokenURL != "" {
		return true
	}
	m := a.acc.Auth
	if m == upstream.AuthXOAUTH2 || m == upstream.AuthOAUTHBEARER {
		return true
	}
	return a.found != nil && m == upstream.AuthAuto && len(a.found.Logins) == 1 && a.found.Logins[0] == discover.LoginOAuth
}

// mergedOAuth is what was found, with the flags over it.
func (a *adding) mergedOAuth() upstream.OAuth {
	o := a.f.OAuth
	if a.found == nil || o.Provider != "" || o.TokenURL != "" {
		return o
	}
	f := a.found.OAuth
	o.Provider, o.AuthURL, o.TokenURL = f.Provider, f.AuthURL, f.TokenURL
	if len(o.Scopes) == 0 {
		o.Scopes = f.Scopes
	}
	return o
}

// oauthClient checks that there is a client to sign in with, and says how to get
// one when there is none.
func (a *adding) oauthClient(ctx context.Context) error {
	o := &a.acc.OAuth
	if a.f.ClientSecretFile != "" {
		path, err := filepath.Abs(a.f.ClientSecretFile)
		if err != nil {
			return err
		}
		o.ClientSecret = upstream.SecretRef{File: path}
		if err := a.secrets.stores.Check(o.ClientSecret); err != nil {
			return &failure{exitUsage, err}
		}
	}
	if o.ClientID == "" && a.tty != nil {
		fmt.Fprintln(a.c.stderr, clientHelp(o.Provider))
		var err error
		if o.ClientID, err = a.tty.line(ctx, "Client ID:"); err != nil {
			return err
		}
	}
	if err := auth.CheckClient(*o); err != nil {
		text := sentence(err)
		if o.ClientID == "" {
			text += "\n\n" + clientHelp(o.Provider)
		}
		return &failure{exitUsage, errors.New(text)}
	}
	return os.MkdirAll(a.p.State, 0o700)
}
