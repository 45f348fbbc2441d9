package config

import (
	"strings"

	"gopkg.in/yaml.v3"

	"melon/upstream"
)

func (d *decoder) checkRequired(a *draft) {
	if !a.top.has("address") {
		d.fail(a.key, "accounts.%s has no address: add address: NAME@DOMAIN", a.Name)
	}
	if !a.top.has("smtp") || !a.smtp.has("host") && isSection(a.top["smtp"].val) {
		d.fail(a.top.at("smtp", a.key), "accounts.%s has no server to send by: add smtp: {host: smtp.example.net}", a.Name)
	}
	if e, ok := a.top["pop"]; ok && e.val.Kind == yaml.MappingNode && !a.pop.has("host") {
		d.fail(e.val, "accounts.%s.pop has no host: write pop: {host: pop.example.net}", a.Name)
	}
}

// checkAuth refuses a method that lacks what it logs in with.
func (d *decoder) checkAuth(a *draft) {
	at := a.top.at("auth", a.key)
	password := a.top.has("password")
	switch a.Auth {
	case upstream.AuthPlain, upstream.AuthLogin, upstream.AuthCRAMMD5,
		upstream.AuthSCRAMSHA1, upstream.AuthSCRAMSHA256:
		if !password {
			d.fail(at, "accounts.%s.auth is %s, which needs a password: add password: {keyring: %s}", a.Name, a.Auth, a.Name)
		}
	case upstream.AuthXOAUTH2, upstream.AuthOAUTHBEARER:
		if !password && !a.top.has("oauth") {
			d.fail(at, "accounts.%s.auth is %s, which needs a sign-in: add oauth: {provider: …}, or the token's place as password: {command: […]}", a.Name, a.Auth)
		}
	case upstream.AuthPOPBeforeSMTP:
		if !hasPOP(a) {
			d.fail(at, "accounts.%s.auth is pop-before-smtp, but there is no POP server to log in to: add pop: {host: pop.example.net}", a.Name)
		}
	}
	if !hasPOP(a) && len(a.window) > 0 {
		d.fail(a.top["pop_before_smtp"].key, "accounts.%s.pop_before_smtp needs a POP server to log in to: add pop: {host: pop.example.net}, or take it out", a.Name)
	}
}

// checkPlaintext refuses `security: none` where it would give a secret away.
func (d *decoder) checkPlaintext(a *draft) {
	if a.AllowPlaintext {
		return
	}
	const advice = "set security: auto, or allow_plaintext: true if it may really be sent in clear"
	sends := false // whether the SMTP login gives the secret away
	switch a.Auth {
	case upstream.AuthPlain, upstream.AuthLogin:
		sends = a.top.has("password")
	case upstream.AuthXOAUTH2, upstream.AuthOAUTHBEARER:
		sends = true
	case upstream.AuthAuto: // with a POP server the password is for that
		sends = (a.top.has("password") || a.top.has("oauth")) && !hasPOP(a)
	}
	if a.SMTP.Security == upstream.SecurityNone && sends {
		d.fail(a.smtp.at("security", a.key), "accounts.%s.smtp.security is none, but the account has a password: %s", a.Name, advice)
	}
	if a.POP.Security == upstream.SecurityNone && (a.top.has("password") || a.pop.has("password")) {
		d.fail(a.pop.at("security", a.key), "accounts.%s.pop.security is none, but the account has a password: %s", a.Name, advice)
	}
}

func (d *decoder) checkPOP(a *draft) {
	if !hasPOP(a) {
		return
	}
	if !a.top.has("password") && !a.pop.has("password") && !a.top.has("oauth") {
		d.fail(a.top["pop"].key, "accounts.%s.pop needs a password to log in with: add password: {keyring: %s}", a.Name, a.Name)
	}
	if a.PopBeforeSMTP.Hold && a.PopBeforeSMTP.Finish == "quit" {
		d.fail(a.window.at("hold", a.key), "accounts.%s.pop_before_smtp cannot hold a session that finish: quit has ended: take out one of the two", a.Name)
	}
}

func (d *decoder) checkTrust(a *draft) {
	if !a.Trust.Insecure {
		return
	}
	for _, key := range []string{"ca", "pin", "server_name"} {
		if a.trust.has(key) {
			d.fail(a.trust.at("insecure", a.key), "accounts.%s.trust is insecure, so that %s would never be looked at: take out one of the two", a.Name, key)
			return
		}
	}
}

func (d *decoder) checkOAuth(a *draft) {
	e, ok := a.top["oauth"]
	if !ok || e.val.Kind != yaml.MappingNode {
		return
	}
	known := []string{"google", "microsoft", "yahoo"}
	o := a.OAuth
	custom := a.oauth.has("token_url") && (a.oauth.has("auth_url") || a.oauth.has("device_url"))
	switch {
	case o.Provider == "" && a.oauth.has("provider"), o.Provider != "" && oneOfFold(o.Provider, known):
		return
	case o.Provider != "" && !custom:
		hint := "write google, microsoft or yahoo, or add auth_url and token_url"
		if near := nearest(o.Provider, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		d.fail(a.oauth.at("provider", e.val), "accounts.%s.oauth.provider %s is not known: %s", a.Name, show(o.Provider), hint)
	case !custom:
		d.fail(e.key, "accounts.%s.oauth does not say where to sign in: add provider: google, microsoft or yahoo, or client_id, auth_url and token_url", a.Name)
	case !a.oauth.has("client_id"):
		d.fail(e.key, "accounts.%s.oauth has no client_id: add the one that the provider gave you", a.Name)
	}
}

func oneOfFold(s string, words []string) bool {
	for _, w := range words {
		if strings.EqualFold(s, w) {
			return true
		}
	}
	return false
}

func (d *decoder) checkFallback(a *draft, names []string) {
	e, ok := a.top["fallback"]
	if !ok || e.val.Kind != yaml.SequenceNode || len(a.Fallback) != len(e.val.Content) {
		return // reported already
	}
	what := "accounts." + a.Name + ".fallback"
	seen := map[string]bool{}
	for i, name := range a.Fallback {
		n := e.val.Content[i]
		switch {
		case strings.EqualFold(name, a.Name):
			d.fail(n, "%s names the account itself: name another, or take it out", what)
		case seen[strings.ToLower(name)]:
			d.fail(n, "%s names %s twice: take one out", what, show(name))
		default:
			a.Fallback[i] = d.known(n, what, name, "account", names)
		}
		seen[strings.ToLower(name)] = true
	}
}

// hasPOP reports whether the file gives the account a POP server, right or wrong.
func hasPOP(a *draft) bool {
	e, ok := a.top["pop"]
	return ok && !isNull(e.val)
}

// isSection reports a mapping, or a key whose mapping is empty.
func isSection(n *yaml.Node) bool { return n.Kind == yaml.MappingNode || isNull(n) }
