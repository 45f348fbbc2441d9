package lab

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"melon/upstream"
)

// OAuth says what an OAuth 2.0 authorization server is like. The zero value
// issues tokens for an hour, rotates refresh tokens and knows any client.
type OAuth struct {
	User         string        // who signs in; the provider's first user when ""
	ClientID     string        // the only client, when set
	ClientSecret string        // needed with ClientID, when set, in the body or the header
	Lifetime     time.Duration // of an access token; an hour when 0
	// KeepRefresh gives no new refresh token at a refresh. Otherwise each one
	// works once; to show an old one again is invalid_grant and ends the whole
	// grant (RFC 9700 section 4.14.2).
	KeepRefresh bool
	// ReuseGrace lets the refresh token before the latest work for so long
	// after the rotation, as servers do that reckon with lost answers.
	ReuseGrace time.Duration
	Interval   time.Duration // between polls of the device flow; 5 s when 0
}

// OAuthFault is what is wrong with the token and device endpoints.
type OAuthFault int

// The faults.
const (
	OAuthFine         OAuthFault = iota
	OAuthDown                    // connections end unanswered
	OAuthStall                   // no answer until Release or until the client leaves
	OAuthLostAnswer              // the request is carried out, the answer never comes
	OAuthError500                // 500 with an HTML page
	OAuthHTML                    // 200 with an HTML page
	OAuthPortal                  // a redirect to a captive portal's sign-in page
	OAuthBusy                    // 503 {"error":"temporarily_unavailable"}
	OAuthInvalidGrant            // 400 {"error":"invalid_grant"} whatever was sent
	OAuthEmpty                   // 200 {}
	OAuthHuge                    // 200 and a mebibyte of JSON
)

// OAuthStats counts what the server was asked.
type OAuthStats struct {
	Authorize, Consents   int // pages shown, buttons pressed
	Codes, Refreshes      int // tokens issued for a code and for a refresh token
	Device, Polls         int // device codes issued, and polls of them
	Revoked, Refused      int // revocations; 4xx answers of the token endpoint but "pending"
	Requests, Reused      int // of the token endpoint; refresh tokens shown twice
	WrongVerifier, NoPKCE int // failed PKCE checks (RFC 7636)
}

// OAuthServer is an authorization server (RFC 6749) beside a provider: its
// access tokens let the user in by XOAUTH2 and OAUTHBEARER.
type OAuthServer struct {
	p    *Provider
	o    OAuth
	base string

	mu      sync.Mutex
	fault   OAuthFault
	stats   OAuthStats
	grants  map[*oauthGrant]bool
	codes   map[string]*oauthCode
	devices map[string]*oauthDevice // by device code
}

// oauthGrant is what the user allowed a client, until it is revoked.
type oauthGrant struct {
	user     string
	refresh  string
	previous string // the refresh token before, and when it was rotated
	rotated  time.Time
	access   map[string]time.Time // token to expiry
}

// oauthCode is an authorization code on its way to the client.
type oauthCode struct {
	redirect, challenge string
	client              string
	expiry              time.Time
}

// oauthDevice is a device flow (RFC 8628) under way.
type oauthDevice struct {
	userCode string
	decided  bool
	allowed  bool
	expiry   time.Time
	polled   time.Time
	interval time.Duration
}

// maxOAuth bounds codes and device flows under way.
const maxOAuth = 1000

// StartOAuth starts an authorization server on loopback, in clear as RFC 8252
// lets loopback be. It ends with the provider. There is one to a provider.
func (p *Provider) StartOAuth(o OAuth) (*OAuthServer, error) {
	if o.User == "" {
		o.User = p.opts.Users[0].Name
	}
	if o.Lifetime == 0 {
		o.Lifetime = time.Hour
	}
	if o.Interval == 0 {
		o.Interval = 5 * time.Second
	}
	s := &OAuthServer{
		p: p, o: o,
		grants: map[*oauthGrant]bool{}, codes: map[string]*oauthCode{}, devices: map[string]*oauthDevice{},
	}
	addr, err := p.serveHTTP(s.handler(), false)
	if err != nil {
		return nil, fmt.Errorf("lab: oauth: %w", err)
	}
	s.base = "http://" + addr
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tokens != nil {
		return nil, errors.New("lab: there is an OAuth server already")
	}
	p.tokens = s.user
	return s, nil
}

// URL returns the server's base URL, "http://127.0.0.1:PORT". The endpoints
// below it are /authorize, /token, /device, /activate and /revoke.
func (s *OAuthServer) URL() string { return s.base }

// Settings returns an account's OAuth settings for this server. A client's
// secret has to be added by who knows where it is kept.
func (s *OAuthServer) Settings() upstream.OAuth {
	id := s.o.ClientID
	if id == "" {
		id = "lab-client"
	}
	return upstream.OAuth{
		ClientID: id, Scopes: []string{"https://provider-a.example/mail", "offline_access"},
		AuthURL: s.base + "/authorize", TokenURL: s.base + "/token", DeviceURL: s.base + "/device",
	}
}

// SetFault makes the token and device endpoints fail from now on.
func (s *OAuthServer) SetFault(f OAuthFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Stats returns the counters.
func (s *OAuthServer) Stats() OAuthStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Grant signs the user in without a browser and returns the tokens.
func (s *OAuthServer) Grant() (access, refresh string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.grantLocked()
	return s.issueLocked(g), g.refresh
}

// Expire ends every access token; refresh tokens live on.
func (s *OAuthServer) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for g := range s.grants {
		g.access = map[string]time.Time{}
	}
}

// Revoke ends every grant: all tokens are refused, a refresh with invalid_grant.
func (s *OAuthServer) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.grants)
}

// Decide is the person at the activation page of the device flow.
func (s *OAuthServer) Decide(userCode string, allow bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.userCode == userCode && !d.decided && s.p.opts.Now().Before(d.expiry) {
			d.decided, d.allowed = true, allow
			return nil
		}
	}
	return errors.New("lab: no such user code")
}

// user is what Provider.tokenUser asks. It holds p.mu; s.mu comes after it.
func (s *OAuthServer) user(token string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for g := range s.grants {
		if exp, ok := g.access[token]; ok && s.p.opts.Now().Before(exp) {
			return g.user, true
		}
	}
	return "", false
}

// grantLocked makes a grant with its first refresh token.
func (s *OAuthServer) grantLocked() *oauthGrant {
	g := &oauthGrant{user: s.o.User, refresh: "refresh-" + rand.Text(), access: map[string]time.Time{}}
	s.grants[g] = true
	return g
}

// issueLocked makes an access token.
func (s *OAuthServer) issueLocked(g *oauthGrant) string {
	t := "access-" + rand.Text()
	g.access[t] = s.p.opts.Now().Add(s.o.Lifetime)
	return t
}

// refreshLocked rotates a refresh token and returns its grant, or nil when the
// token is not good. A token that was rotated away ends its grant.
func (s *OAuthServer) refreshLocked(token string) *oauthGrant {
	now := s.p.opts.Now()
	for g := range s.grants {
		switch {
		case token == "":
		case token == g.refresh:
			if !s.o.KeepRefresh {
				g.previous, g.rotated = g.refresh, now
				g.refresh = "refresh-" + rand.Text()
			}
			return g
		case token == g.previous:
			s.stats.Reused++
			if now.Sub(g.rotated) < s.o.ReuseGrace {
				return g
			}
			delete(s.grants, g)
		}
	}
	return nil
}

// loopbackRedirect reports whether a redirect URI is that of a native app
// (RFC 8252 section 7.3).
func loopbackRedirect(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.Fragment != "" {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && a.IsLoopback()
}

// handler routes the endpoints.
func (s *OAuthServer) handler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /authorize", s.authorize)
	m.HandleFunc("POST /authorize", s.consent)
	m.HandleFunc("POST /token", s.faulty(s.token))
	m.HandleFunc("POST /device", s.faulty(s.device))
	m.HandleFunc("GET /activate", s.activate)
	m.HandleFunc("POST /activate", s.activated)
	m.HandleFunc("POST /revoke", s.revoke)
	m.HandleFunc("GET /portal", func(w http.ResponseWriter, _ *http.Request) {
		page(w, 200, "Welcome to the hotel", "Accept to go online.")
	})
	return m
}
