package config

import (
	"strings"

	"gopkg.in/yaml.v3"

	"melon/upstream"
)

// maxAccounts keeps checks that compare all with all short.
const maxAccounts = 500

// maxConnections bounds an account's connections; providers that allow more are
// few.
const maxConnections = 8

// draft is an account as it was read, with what its checks need to point at
// the right place.
type draft struct {
	upstream.Account
	key                                  *yaml.Node // its name
	top, smtp, pop, window, trust, oauth section
}

// accounts reads every account; what needs the others is done by finish.
func (d *decoder) accounts(n *yaml.Node) []draft {
	var all []draft
	folded := map[string]string{}
	d.mapping(n, "accounts", "home: {address: taro@provider-a.example, …}", func(e entry) {
		name, ok := d.text(e.key, "the name of an account")
		if !ok || len(all) > maxAccounts {
			return
		}
		if len(all) == maxAccounts {
			d.fail(e.key, "more than %d accounts are here: take out this one and all below", maxAccounts)
		}
		if _, err := parseName(name); err != nil {
			d.fail(e.key, "the name of an account cannot be %s: %v", show(name), err)
			return
		}
		if twin, ok := folded[strings.ToLower(name)]; ok {
			d.fail(e.key, "the accounts %s and %s differ by case alone: rename one", twin, name)
			return
		}
		folded[strings.ToLower(name)] = name
		a := draft{Account: defaultAccount(name), key: e.key}
		d.account(e.val, &a)
		all = append(all, a)
	})
	return all
}

func (d *decoder) account(n *yaml.Node, a *draft) {
	p := "accounts." + a.Name
	var envelope string
	a.top = d.section(n, p, []field{
		{"address", value(d, &a.Address, p+".address", parseAddress)},
		{"senders", values(d, &a.Senders, p+".senders", `["*@work.example"]`, parsePattern)},
		{"username", value(d, &a.Username, p+".username", asIs)},
		{"password", d.secret(&a.Password, a.Name, p+".password")},
		{"auth", oneOf(d, &a.Auth, p+".auth",
			upstream.AuthAuto, upstream.AuthNone, upstream.AuthPlain, upstream.AuthLogin,
			upstream.AuthCRAMMD5, upstream.AuthSCRAMSHA1, upstream.AuthSCRAMSHA256,
			upstream.AuthXOAUTH2, upstream.AuthOAUTHBEARER, upstream.AuthExternal,
			upstream.AuthPOPBeforeSMTP)},
		{"smtp", func(n *yaml.Node) { a.smtp = d.section(n, p+".smtp", d.server(&a.SMTP, p+".smtp")) }},
		{"pop", func(n *yaml.Node) {
			a.pop = d.section(n, p+".pop", append(d.server(&a.POP.Server, p+".pop"),
				field{"username", value(d, &a.POP.Username, p+".pop.username", asIs)},
				field{"password", d.secret(&a.POP.Password, a.Name, p+".pop.password")}))
		}},
		{"pop_before_smtp", func(n *yaml.Node) { a.window = d.window(n, p+".pop_before_smtp", &a.PopBeforeSMTP) }},
		{"trust", func(n *yaml.Node) { a.trust = d.trust(n, a.Name, &a.Trust) }},
		{"allow_plaintext", d.boolean(&a.AllowPlaintext, p+".allow_plaintext")},
		{"envelope_from", oneOf(d, &envelope, p+".envelope_from", "keep", "account")},
		{"fallback", values(d, &a.Fallback, p+".fallback", "[other]", asIs)},
		{"oauth", func(n *yaml.Node) { a.oauth = d.oauthClient(n, p+".oauth", a) }},
		{"connections", d.number(&a.Connections, p+".connections", 1, maxConnections)},
	})
	a.EnvelopeFromAccount = envelope == "account"
}

// server reads what smtp and pop have in common.
func (d *decoder) server(s *upstream.Server, p string) []field {
	return []field{
		{"host", value(d, &s.Host, p+".host", parseHost)},
		{"port", d.number(&s.Port, p+".port", 0, 65535)},
		{"security", oneOf(d, &s.Security, p+".security",
			upstream.SecurityAuto, upstream.SecurityTLS, upstream.SecurityStartTLS, upstream.SecurityNone)},
	}
}

func (d *decoder) window(n *yaml.Node, p string, w *upstream.PopBeforeSMTP) section {
	return d.section(n, p, []field{
		{"window", value(d, &w.Window, p+".window", parsePositive)},
		{"finish", oneOf(d, &w.Finish, p+".finish", "login", "stat", "list", "quit")},
		{"hold", d.boolean(&w.Hold, p+".hold")},
		{"settle", value(d, &w.Settle, p+".settle", parseDuration)},
	})
}

func (d *decoder) trust(n *yaml.Node, account string, t *upstream.Trust) section {
	p := "accounts." + account + ".trust"
	return d.section(n, p, []field{
		{"ca", func(n *yaml.Node) {
			d.path(&t.CA, p+".ca")(n)
			if t.CA != "" {
				d.uses = append(d.uses, use{account: account, what: p + ".ca", ca: t.CA, at: d.problemAt(n, "")})
			}
		}},
		{"pin", values(d, &t.Pins, p+".pin", `["sha256/…"]`, parsePin)},
		{"server_name", value(d, &t.ServerName, p+".server_name", parseHost)},
		{"legacy_tls", d.boolean(&t.LegacyTLS, p+".legacy_tls")},
		{"insecure", d.boolean(&t.Insecure, p+".insecure")},
	})
}

func (d *decoder) oauthClient(n *yaml.Node, p string, a *draft) section {
	o := &a.OAuth
	return d.section(n, p, []field{
		{"provider", value(d, &o.Provider, p+".provider", asIs)},
		{"client_id", value(d, &o.ClientID, p+".client_id", asIs)},
		{"client_secret", d.secret(&o.ClientSecret, a.Name, p+".client_secret")},
		{"tenant", value(d, &o.Tenant, p+".tenant", asIs)},
		{"scopes", values(d, &o.Scopes, p+".scopes", "[https://mail.google.com/]", asIs)},
		{"auth_url", value(d, &o.AuthURL, p+".auth_url", parseURL)},
		{"token_url", value(d, &o.TokenURL, p+".token_url", parseURL)},
		{"device_url", value(d, &o.DeviceURL, p+".device_url", parseURL)},
	})
}

// finish checks an account as a whole and fills in what follows from the rest.
func (d *decoder) finish(a *draft, names []string) upstream.Account {
	d.checkRequired(a)
	d.checkAuth(a)
	d.checkPlaintext(a)
	d.checkPOP(a)
	d.checkTrust(a)
	d.checkOAuth(a)
	d.checkFallback(a, names)
	if a.Username == "" {
		a.Username = a.Address
	}
	if a.POP.Host != "" {
		if a.POP.Username == "" {
			a.POP.Username = a.Username
		}
		if a.POP.Password.IsZero() {
			a.POP.Password = a.Password
		}
	}
	return a.Account
}
