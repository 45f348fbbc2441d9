package auth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"melon/upstream"
)

func challengeOf(verifier string) string { return oauth2.S256ChallengeFromVerifier(verifier) }

// consent is the browser's half: it reads the address that it was sent to and
// returns the one that the provider would send it back to.
func (s *authServer) consent(t *testing.T, address string) (back string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes["code-"+canary] = q
	return q.Get("redirect_uri") + "/?" + url.Values{"code": {"code-" + canary}, "state": {q.Get("state")}}.Encode()
}

func get(t *testing.T, address string, change func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), resp.Header
}

func begin(t *testing.T, o *OAuth, a upstream.Account, lang string) *SignIn {
	t.Helper()
	s, err := o.Begin(t.Context(), a, lang)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	server := newAuthServer(t)
	store := &memoryStore{tokens: map[string]Token{}}
	o := newTestOAuth(t, OAuthOptions{Store: store})
	a := server.account()
	s := begin(t, o, a, "en")

	u, _ := url.Parse(s.URL)
	q := u.Query()
	redirect, _ := url.Parse(q.Get("redirect_uri"))
	if !strings.HasPrefix(s.URL, a.OAuth.AuthURL+"?") || q.Get("response_type") != "code" || q.Get("client_id") != "melon-test" ||
		q.Get("scope") != "mail" || q.Get("code_challenge_method") != "S256" || q.Get("login_hint") != user ||
		len(q.Get("state")) < 20 || redirect.Hostname() != "127.0.0.1" || redirect.Scheme != "http" {
		t.Errorf("sent to %s", s.URL)
	}
	back := server.consent(t, s.URL)
	status, page, head := get(t, back, nil)
	if status != 200 || !strings.Contains(page, "You can close this page") || strings.Contains(page, canary) {
		t.Errorf("page %d %s", status, page)
	}
	if head.Get("Cache-Control") != "no-store" || head.Get("Referrer-Policy") != "no-referrer" || !strings.Contains(head.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("headers %v", head)
	}
	for range 2 {
		if err := s.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if store.tokens["home"].Refresh != "refresh-1-"+canary {
		t.Errorf("stored %+v", store.tokens["home"])
	}
	if token, err := o.Token(t.Context(), a); token != "access-1-"+canary || err != nil {
		t.Errorf("Token = %q, %v", token, err)
	}
	if status, _, _ := get(t, back, nil); status != http.StatusGone {
		t.Errorf("a second return: %d", status)
	}
	s.Close()
	if err := s.Wait(t.Context()); err != nil {
		t.Errorf("Wait after Close: %v", err)
	}
	if n := server.asked.Load(); n != 1 {
		t.Errorf("%d requests for a token", n)
	}
}

// TestSignInByName: Microsoft sends the browser back to "localhost", whichever
// address that is here.
func TestSignInByName(t *testing.T) {
	t.Parallel()
	server := newAuthServer(t)
	o := newTestOAuth(t, OAuthOptions{Store: &memoryStore{tokens: map[string]Token{}}})
	a := server.account()
	a.OAuth.Provider = "microsoft"
	s := begin(t, o, a, "en")
	back := server.consent(t, s.URL)
	if !strings.HasPrefix(back, "http://localhost:"+s.port+"/") {
		t.Fatalf("sent back to %s", back)
	}
	if status, _, _ := get(t, back, nil); status != 200 {
		t.Errorf("status %d", status)
	}
	if err := s.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestStrangers: what did not come from the browser that was sent out changes
// nothing, and the real return still works.
func TestStrangers(t *testing.T) {
	t.Parallel()
	server := newAuthServer(t)
	o := newTestOAuth(t, OAuthOptions{Store: &memoryStore{tokens: map[string]Token{}}})
	s := begin(t, o, server.account(), "ja")
	back := server.consent(t, s.URL)
	state := s.state
	tests := []struct {
		name   string
		change func(*http.Request)
		status int
	}{
		{"another state", func(r *http.Request) { r.URL.RawQuery = "code=x&state=y" }, 400},
		{"no state", func(r *http.Request) { r.URL.RawQuery = "error=access_denied" }, 400},
		{"another path", func(r *http.Request) { r.URL.Path = "/favicon.ico" }, 404},
		{"another method", func(r *http.Request) { r.Method = http.MethodPost }, 404},
		{"another host", func(r *http.Request) { r.Host = "evil.example" }, 403},
		{"another port", func(r *http.Request) { r.Host = "127.0.0.1:1" }, 403},
	}
	for _, tt := range tests {
		status, page, _ := get(t, back, tt.change)
		if status != tt.status || strings.Contains(page, state) || !strings.Contains(page, "閉じて") {
			t.Errorf("%s: %d %s", tt.name, status, page)
		}
	}
	if status, page, _ := get(t, back, nil); status != 200 || !strings.Contains(page, "サインインしました") {
		t.Errorf("the real one: %d %s", status, page)
	}
	if err := s.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSignInFails(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status); io.WriteString(w, body) }
	}
	tests := []struct {
		name  string
		query url.Values // of the return; nil for a code
		fault http.HandlerFunc
		store func(string) error
		is    error
		kind  upstream.Kind
		says  string
	}{
		{"declined", url.Values{"error": {"access_denied"}}, nil, nil, ErrSignIn, upstream.KindPerson, "declined"},
		{"refused", url.Values{"error": {"invalid_scope"}, "error_description": {canary}}, nil, nil, ErrSignIn, upstream.KindPerson, "scopes"},
		{"neither", url.Values{}, nil, nil, ErrSignIn, upstream.KindPerson, "did not complete"},
		{"a code of long ago", nil, answer(400, `{"error":"invalid_grant"}`), nil, ErrSignIn, upstream.KindPerson, "start it again"},
		{"client unknown", nil, answer(401, `{"error":"invalid_client"}`), nil, ErrTokenEndpoint, upstream.KindTemporary, "client_id"},
		{"a server that is down", nil, answer(500, "no"), nil, ErrTokenEndpoint, upstream.KindTemporary, "fault"},
		{"no place for the token", nil, nil, func(string) error { return keyringError(context.Background(), errors.New("x")) }, ErrKeyring, upstream.KindTemporary, "keyring"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := newAuthServer(t)
			server.fault = tt.fault
			o := newTestOAuth(t, OAuthOptions{Store: &memoryStore{fault: tt.store, tokens: map[string]Token{}}})
			s := begin(t, o, server.account(), "en")
			back := server.consent(t, s.URL)
			if tt.query != nil {
				tt.query.Set("state", s.state)
				back = back[:strings.IndexByte(back, '?')+1] + tt.query.Encode()
			}
			if _, page, _ := get(t, back, nil); !strings.Contains(page, "Not signed in") || strings.Contains(page, canary) {
				t.Errorf("page %s", page)
			}
			err := s.Wait(t.Context())
			e := upstream.AsError(err, "")
			if !errors.Is(err, tt.is) || e.Kind() != tt.kind || !strings.Contains(e.Sentence, tt.says) || strings.Contains(e.Error(), canary) {
				t.Errorf("Wait = %v, sentence %q", err, e.Sentence)
			}
		})
	}
}

// TestSignInAbandoned: nobody comes back.
func TestSignInAbandoned(t *testing.T) {
	t.Parallel()
	server := newAuthServer(t)
	o := newTestOAuth(t, OAuthOptions{Store: &memoryStore{}})
	s := begin(t, o, server.account(), "en")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Wait(ctx); !errors.Is(err, ErrSignIn) || !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v", err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	if err := s.Wait(t.Context()); !errors.Is(err, ErrSignIn) {
		t.Errorf("Wait after Close = %v", err)
	}
}

func TestProviders(t *testing.T) {
	t.Parallel()
	for _, name := range Providers() {
		p, err := resolve(upstream.OAuth{Provider: name, ClientID: "x"})
		if err != nil || !secureURL(p.endpoint.AuthURL) || !secureURL(p.endpoint.TokenURL) || len(p.scopes) == 0 || !loopback(p.redirectHost) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	p, _ := resolve(upstream.OAuth{Provider: "Microsoft", ClientID: "x", Tenant: "provider-a.example"})
	if p.endpoint.TokenURL != "https://login.microsoftonline.com/provider-a.example/oauth2/v2.0/token" {
		t.Errorf("tenant: %s", p.endpoint.TokenURL)
	}
	p, _ = resolve(upstream.OAuth{Provider: "google", ClientID: "x", TokenURL: "https://t.example/", Scopes: []string{"s"}})
	if p.endpoint.TokenURL != "https://t.example/" || p.scopes[0] != "s" || p.params["access_type"] != "offline" {
		t.Errorf("own settings over the table: %+v", p)
	}
	if _, err := resolve(upstream.OAuth{Provider: "provider-a", ClientID: "x", AuthURL: "https://a.example/", TokenURL: "https://t.example/"}); err != nil {
		t.Errorf("a name of one's own with URLs: %v", err)
	}
}

func TestCheckClient(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		o    upstream.OAuth
		says string
	}{
		{"no client id", upstream.OAuth{Provider: "google"}, "oauth.client_id"},
		{"an unknown provider", upstream.OAuth{Provider: "nobody", ClientID: "x"}, "google, microsoft, yahoo"},
		{"nothing at all", upstream.OAuth{ClientID: "x"}, "token_url"},
		{"a token URL in clear", upstream.OAuth{ClientID: "x", TokenURL: "http://t.example/"}, "https://"},
		{"another scheme", upstream.OAuth{ClientID: "x", TokenURL: "https://t.example/", AuthURL: "file:///etc/passwd"}, "https://"},
		{"a password in a URL", upstream.OAuth{ClientID: "x", TokenURL: "https://u:p@t.example/"}, "https://"},
		{"a tenant that leaves the path", upstream.OAuth{Provider: "microsoft", ClientID: "x", Tenant: "../evil"}, "tenant"},
	}
	for _, tt := range tests {
		err := CheckClient(tt.o)
		if e := upstream.AsError(err, ""); !errors.Is(err, ErrNoClient) || e.Kind() != upstream.KindPerson || !strings.Contains(e.Sentence, tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, u := range []string{"http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost:1/", "https://t.example/"} {
		if err := CheckClient(upstream.OAuth{ClientID: "x", TokenURL: u}); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	o := newTestOAuth(t, OAuthOptions{Store: &memoryStore{}})
	a := upstream.Account{OAuth: upstream.OAuth{ClientID: "x", TokenURL: "https://t.example/"}}
	if _, err := o.Begin(t.Context(), a, "en"); !errors.Is(err, ErrNoClient) {
		t.Errorf("Begin without auth_url: %v", err)
	}
	if _, err := o.BeginDevice(t.Context(), a); !errors.Is(err, ErrNoClient) {
		t.Errorf("BeginDevice without device_url: %v", err)
	}
}
