package auth

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/endpoints"

	"melon/upstream"
)

// provider is what Melon knows of an authorization server.
type provider struct {
	endpoint oauth2.Endpoint
	scopes   []string
	// redirectHost is how the browser is told to come back. RFC 8252 section
	// 8.3 prefers the literal; Microsoft and Yahoo register the name.
	redirectHost string
	params       map[string]string // more parameters for the authorization request
}

// knownProvider is the table of providers; it returns one row. tenant is Microsoft's, "common" when
// empty.
func knownProvider(name, tenant string) (provider, bool) {
	switch strings.ToLower(name) {
	case "google":
		// Google grants a refresh token only for these parameters, and no mail
		// scope by the device flow.
		e := endpoints.Google
		e.DeviceAuthURL = ""
		return provider{
			endpoint:     e,
			scopes:       []string{"https://mail.google.com/"},
			redirectHost: "127.0.0.1",
			params:       map[string]string{"access_type": "offline", "prompt": "consent"},
		}, true
	case "microsoft":
		// The scope names the mail service, not Graph: a token for one is
		// refused by the other.
		return provider{
			endpoint:     endpoints.AzureAD(tenant),
			scopes:       []string{"https://outlook.office.com/SMTP.Send", "offline_access"},
			redirectHost: "localhost",
		}, true
	case "yahoo":
		// "mail-w" is sending; reading is not Melon's business.
		return provider{
			endpoint:     endpoints.Yahoo,
			scopes:       []string{"mail-w"},
			redirectHost: "localhost",
		}, true
	}
	return provider{redirectHost: "127.0.0.1"}, false
}

// Providers lists the values of oauth.provider that need no URLs.
func Providers() []string { return []string{"google", "microsoft", "yahoo"} }

// CheckClient says, without asking anybody, whether an account's oauth block can
// work. Its error is an *upstream.Error around ErrNoClient that says what to
// change.
func CheckClient(o upstream.OAuth) error {
	_, err := resolve(o)
	return err
}

// resolve overlays the table's row with the account's own settings, and refuses
// what cannot work or would send a token in clear (RFC 6749 sections 3.1 and 3.2
// want TLS).
func resolve(o upstream.OAuth) (provider, error) {
	bad := func(sentence string) (provider, error) {
		return provider{}, fail(upstream.ClassAppPasswordOrOAuthRequired, sentence, ErrNoClient)
	}
	if o.Tenant != "" && !tenantName(o.Tenant) {
		return bad("The tenant in the account's oauth block is no name or id; copy it from the provider's page.")
	}
	p, known := knownProvider(o.Provider, o.Tenant)
	for _, u := range []struct{ own, set *string }{
		{&o.AuthURL, &p.endpoint.AuthURL}, {&o.TokenURL, &p.endpoint.TokenURL}, {&o.DeviceURL, &p.endpoint.DeviceAuthURL},
	} {
		if *u.own != "" {
			*u.set = *u.own
		}
		if *u.set != "" && !secureURL(*u.set) {
			return bad("The URLs in the account's oauth block must begin with https://.")
		}
	}
	if len(o.Scopes) > 0 {
		p.scopes = slices.Clone(o.Scopes)
	}
	switch {
	case p.endpoint.TokenURL == "" && !known && o.Provider != "":
		return bad("The oauth provider is none that Melon knows (" + strings.Join(Providers(), ", ") + "); set auth_url and token_url as well.")
	case p.endpoint.TokenURL == "":
		return bad("The account's oauth block names no provider and no token_url; set one of them.")
	case o.ClientID == "":
		return bad("The account's oauth block has no client_id: Melon has none of its own, so register an application with the provider (the README says how, step by step) and set oauth.client_id.")
	}
	// The secret, if any, goes into the body, as every known provider takes it;
	// letting the library find out would send a refresh token twice.
	p.endpoint.AuthStyle = oauth2.AuthStyleInParams
	return p, nil
}

// oauthClient is one account's client, ready to ask.
type oauthClient struct {
	provider
	conf oauth2.Config
}

// client builds the account's client and fetches its secret.
func (o *OAuth) client(ctx context.Context, a upstream.Account) (*oauthClient, error) {
	p, err := resolve(a.OAuth)
	if err != nil {
		return nil, err
	}
	c := &oauthClient{provider: p, conf: oauth2.Config{
		ClientID: a.OAuth.ClientID, Endpoint: p.endpoint, Scopes: p.scopes,
	}}
	if !a.OAuth.ClientSecret.IsZero() {
		if c.conf.ClientSecret, err = o.o.Secrets.Get(ctx, a.OAuth.ClientSecret); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// secureURL reports whether tokens may be sent to u: https, or http on this
// machine (a test's or the demo's server).
func secureURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

// loopback reports whether host is this machine by its literal or its name.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// tenantName reports whether s can be one segment of a path: a domain or a UUID.
func tenantName(s string) bool {
	return len(s) <= 255 && s != "." && s != ".." && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
	})
}
