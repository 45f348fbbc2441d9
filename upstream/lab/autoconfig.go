package lab

import (
	"context"
	"fmt"
	"html"
	"net"
	"net/http"
	"strings"
	"sync"

	"melon/upstream"
)

// Autoconfig is a web host that serves config-v1.1.xml at both well-known
// places, for every name, over HTTP and HTTPS. It ends with the provider.
type Autoconfig struct {
	http, https string

	mu       sync.Mutex
	handler  http.Handler
	requests []string
}

// StartAutoconfig starts one; xml is what it serves, the provider's own
// settings (ConfigXML) when "".
func (p *Provider) StartAutoconfig(xml string) (*Autoconfig, error) {
	if xml == "" {
		xml = p.ConfigXML(p.Account("autoconfig"))
	}
	a := &Autoconfig{}
	a.SetHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mail/config-v1.1.xml" && r.URL.Path != "/.well-known/autoconfig/mail/config-v1.1.xml" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprint(w, xml)
	}))
	var err error
	if a.http, err = p.serveHTTP(a, false); err != nil {
		return nil, err
	}
	if a.https, err = p.serveHTTP(a, true); err != nil {
		return nil, err
	}
	return a, nil
}

// SetHandler replaces what is served, for instance by a fault.
func (a *Autoconfig) SetHandler(h http.Handler) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handler = h
}

// Requests returns what was asked for, as "https://host/path?query", in order.
func (a *Autoconfig) Requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.requests...)
}

// ServeHTTP notes the request and hands it on.
func (a *Autoconfig) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	a.mu.Lock()
	if len(a.requests) < maxOAuth {
		a.requests = append(a.requests, scheme+r.Host+r.URL.RequestURI())
	}
	h := a.handler
	a.mu.Unlock()
	h.ServeHTTP(w, r)
}

// DialContext is for an http.Transport: it connects to this host whatever the
// name, by HTTPS for port 443 and by HTTP for any other. The certificate is
// good for provider-a.example and autoconfig.provider-a.example.
func (a *Autoconfig) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	to := a.http
	if strings.HasSuffix(addr, ":443") {
		to = a.https
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to)
}

// ConfigXML returns a config-v1.1.xml that describes an account at this
// provider, with smtp-after-pop when that is how it authenticates.
func (p *Provider) ConfigXML(acc upstream.Account) string {
	socket := func(s upstream.Security) string {
		switch s {
		case upstream.SecurityTLS:
			return "SSL"
		case upstream.SecurityStartTLS:
			return "STARTTLS"
		}
		return "plain"
	}
	auth := "password-cleartext"
	switch acc.Auth {
	case upstream.AuthPOPBeforeSMTP:
		auth = "smtp-after-pop"
	case upstream.AuthXOAUTH2, upstream.AuthOAUTHBEARER:
		auth = "OAuth2"
	}
	server := func(kind, typ, host string, port int, security, auth string) string {
		return fmt.Sprintf(`    <%[1]sServer type="%[2]s">
      <hostname>%[3]s</hostname>
      <port>%[4]d</port>
      <socketType>%[5]s</socketType>
      <username>%%EMAILLOCALPART%%</username>
      <authentication>%[6]s</authentication>
    </%[1]sServer>
`, kind, typ, html.EscapeString(host), port, security, auth)
	}
	domain := html.EscapeString(domainOf(acc.Address))
	return `<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="` + domain + `">
    <domain>` + domain + `</domain>
    <displayName>Provider A</displayName>
` + server("incoming", "pop3", acc.POP.Host, acc.POP.Port, socket(acc.POP.Security), "password-cleartext") +
		server("outgoing", "smtp", acc.SMTP.Host, acc.SMTP.Port, socket(acc.SMTP.Security), auth) +
		`  </emailProvider>
</clientConfig>
`
}
