//go:build realmail

package realmail

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"slices"
	"strings"
	"testing"
)

// token is the OAuth 2.0 access token of the user "bearer".
const token = "ya29.melon-token"

// tokenService answers Dovecot's question whose a token is.
func tokenService(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, `{"error": "invalid_token"}`, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"email": "bearer", "active": "yes"})
	}))
	t.Cleanup(s.Close)
	return s.URL + "/introspect"
}

// Every mechanism that Dovecot has, through Melon; Postfix's log says which was
// used. `auto` takes the strongest.
func TestRealMechanisms(t *testing.T) {
	t.Parallel()
	tests := []struct{ auth, method, user string }{
		{"plain", "PLAIN", "taro"},
		{"login", "LOGIN", "taro"},
		{"cram-md5", "CRAM-MD5", "taro"},
		{"scram-sha-1", "SCRAM-SHA-1", "taro"},
		{"scram-sha-256", "SCRAM-SHA-256", "taro"},
		{"auto", "SCRAM-SHA-256", "taro"},
		{"xoauth2", "XOAUTH2", "bearer"},
		{"oauthbearer", "OAUTHBEARER", "bearer"},
	}
	p := startProvider(t, providerOptions{domain: "sasl.example", authOnlyTLS: true, tokens: tokenService(t), users: []string{"bearer"}})
	var accounts []string
	for _, tt := range tests {
		a := p.authenticated(tt.auth, tt.user, tt.auth)
		if tt.user == "bearer" {
			a = secret(a, "MELON_REALMAIL_TOKEN")
		}
		// The same address for all would be ambiguous: the account is chosen by the sender.
		accounts = append(accounts, strings.Replace(a, "address: "+tt.user+"@", "address: "+tt.auth+"@", 1))
	}
	m := startMelon(t, pass, accounts...)
	for _, tt := range tests {
		t.Run(tt.auth, func(t *testing.T) {
			from, to := tt.auth+"@"+p.domain, tt.auth+"@elsewhere.example"
			if err := submit(within(t), m.addr, from, to, note(to)); err != nil {
				t.Fatal(err)
			}
			s := p.mailbox.one(t, to)
			wantStored(t, s, from, note(to))
			p.postfix.waitFor(t, "smtpd", queueID(t, s)+":", "sasl_method="+tt.method+",", "sasl_username="+tt.user)
		})
	}
}

// queueID finds Postfix's name for a message in its Received line.
func queueID(t testing.TB, s stored) string {
	t.Helper()
	_, rest, ok := strings.Cut(s.postfix, " id ")
	if !ok {
		t.Fatalf("no id in %q", s.postfix)
	}
	return strings.FieldsFunc(rest, func(r rune) bool { return r <= ' ' })[0]
}

// How Melon logs in by POP3 depends on what Dovecot offers and on whether the
// line is encrypted: without TLS there is none, and with it Dovecot takes no
// password before it.
func TestRealPOPLogins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		provider providerOptions
		security string
		extra    string
		method   string
	}{
		{"apop", providerOptions{noTLS: true}, "auto", "", "APOP"}, // no password in clear, so nothing to allow
		{"plain", providerOptions{noTLS: true, mechanisms: "plain"}, "auto", "allow_plaintext: true", "PLAIN"},
		{"stls", providerOptions{authOnlyTLS: true, mechanisms: "plain login"}, "starttls", "", "PLAIN"},
		{"tls", providerOptions{authOnlyTLS: true}, "tls", "", "PLAIN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := tt.provider
			o.domain, o.pbs = "pbs.example", true
			p := startProvider(t, o)
			port := p.pop
			if tt.security == "tls" {
				port = p.pops
			}
			m := startMelon(t, pass, p.account("pbs", "taro", "auth: pop-before-smtp", tt.extra,
				fmt.Sprintf("smtp: {host: %s, port: %d}", p.host, p.smtp),
				fmt.Sprintf("pop: {host: %s, port: %d, security: %s}", p.host, port, tt.security)))
			from, to := "taro@"+p.domain, "hanako@elsewhere.example"
			if err := submit(within(t), m.addr, from, to, note(to)); err != nil {
				t.Fatal(err)
			}
			wantStored(t, p.mailbox.one(t, to), from, note(to))
			if got, want := p.popLogins(t), []string{"taro " + tt.method}; !slices.Equal(got, want) {
				t.Errorf("POP logins %q, want %q", got, want)
			}
		})
	}
}

// STARTTLS and implicit TLS with the account's own CA; with another CA nothing
// is sent, and no password.
func TestRealTLS(t *testing.T) {
	t.Parallel()
	p := startProvider(t, providerOptions{domain: "sasl.example", authOnlyTLS: true})
	foreign := startProvider(t, providerOptions{domain: "foreign.example", authOnlyTLS: true})
	server := func(name string, port int, security string) string {
		a := p.account(name, "taro", "auth: plain", fmt.Sprintf("smtp: {host: %s, port: %d, security: %s}", p.host, port, security))
		return strings.Replace(a, "address: taro@", "address: "+name+"@", 1)
	}
	m := startMelon(t, pass,
		server("starttls", p.smtp, "starttls"),
		server("implicit", p.smtps, "tls"),
		server("auto", p.smtp, "auto"),
		strings.Replace(server("foreign", p.smtp, "starttls"), p.ca, foreign.ca, 1),
		strings.Replace(server("foreign-implicit", p.smtps, "tls"), p.ca, foreign.ca, 1))
	for _, name := range []string{"starttls", "implicit", "auto"} {
		from, to := name+"@"+p.domain, name+"@elsewhere.example"
		if err := submit(within(t), m.addr, from, to, note(to)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := p.mailbox.one(t, to)
		wantStored(t, s, from, note(to))
		if !strings.Contains(s.postfix, "with ESMTPSA id") { // RFC 3848: TLS and AUTH
			t.Errorf("%s: without TLS: %s", name, s.postfix)
		}
	}
	tries := p.postfix.count("sasl_method=")
	for _, name := range []string{"foreign", "foreign-implicit"} {
		to := name + "@elsewhere.example"
		err := submit(within(t), m.addr, name+"@"+p.domain, to, note(to))
		if code := replyCode(err); code/100 != 4 {
			t.Errorf("%s: %v, want a 4xx: a certificate is the network's fault", name, err)
		}
		if n := p.mailbox.count(to); n != 0 {
			t.Errorf("%s: %d messages sent", name, n)
		}
	}
	if n := p.postfix.count("sasl_method="); n != tries {
		t.Errorf("%d logins at a server whose certificate is not trusted", n-tries)
	}
}

// replyCode returns the code of the server's refusal, 0 when there was none.
func replyCode(err error) int {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return reply.Code
	}
	return 0
}

// A wrong password is a 554 5.7.8 for the app, by SMTP and by POP3; without
// allow_plaintext no password leaves on a line that is not encrypted.
func TestRealRefusedLogins(t *testing.T) {
	t.Parallel()
	pbs := startProvider(t, providerOptions{domain: "pbs.example", pbs: true, noTLS: true, mechanisms: "plain login"})
	sasl := startProvider(t, providerOptions{domain: "sasl.example", noTLS: true, mechanisms: "plain login"})
	smtp := func(p *provider) string {
		return fmt.Sprintf("smtp: {host: %s, port: %d}", p.host, p.smtp)
	}
	pop := fmt.Sprintf("pop: {host: %s, port: %d}", pbs.host, pbs.pop)
	for _, tt := range []struct {
		name     string
		provider *provider
		account  string
		enhanced string // the app's answer
		tried    int    // logins that the provider saw
	}{
		{"clear SMTP", sasl, sasl.account("a", "taro", "auth: auto", smtp(sasl)), "", 0},
		{"clear POP", pbs, pbs.account("a", "taro", "auth: pop-before-smtp", smtp(pbs), pop), "", 0},
		{"wrong by SMTP", sasl, secret(sasl.account("a", "taro", "auth: plain", "allow_plaintext: true", smtp(sasl)), "MELON_REALMAIL_WRONG"), "5.7.8", 1},
		{"wrong by POP", pbs, secret(pbs.account("a", "taro", "auth: pop-before-smtp", "allow_plaintext: true", smtp(pbs), pop), "MELON_REALMAIL_WRONG"), "5.7.8", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := startMelon(t, live, tt.account)
			to := strings.ReplaceAll(tt.name, " ", "-") + "@elsewhere.example"
			before := tt.provider.dovecot.count("Password mismatch")
			err := submit(within(t), m.addr, "taro@"+tt.provider.domain, to, note(to))
			if replyCode(err) != 554 || !strings.Contains(err.Error(), tt.enhanced) {
				t.Errorf("the app heard %v, want 554 %s", err, tt.enhanced)
			}
			if tt.tried > 0 {
				tt.provider.dovecot.waitFor(t, "Password mismatch")
			}
			if n := tt.provider.dovecot.count("Password mismatch") - before; n != tt.tried {
				t.Errorf("%d tries of the wrong password, want %d", n, tt.tried)
			}
			tt.provider.wantPOPLogins(t, 0, "with a wrong password or none")
			if n := tt.provider.mailbox.count(to); n != 0 {
				t.Errorf("%d messages arrived", n)
			}
		})
	}
}
