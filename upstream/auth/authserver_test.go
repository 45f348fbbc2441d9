package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"melon/upstream"
)

// authServer is an authorization server that rotates refresh tokens: each is
// good once.
type authServer struct {
	*httptest.Server
	asked atomic.Int32 // requests to the token endpoint

	mu      sync.Mutex
	n       int
	refresh string                // the one that is good now
	keep    bool                  // do not rotate
	expires any                   // expires_in; 3600 when nil
	codes   map[string]url.Values // authorization requests by code
	fault   http.HandlerFunc      // answers instead of the token endpoint
}

func newAuthServer(t *testing.T) *authServer {
	t.Helper()
	s := &authServer{refresh: "refresh-0-" + canary, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", s.token)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *authServer) token(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	r.ParseForm() // a server that has read all notices when its client leaves
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		s.fault(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if !s.grant(r.PostForm) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"invalid_grant","error_description":"no %s"}`, r.PostForm.Encode())
		return
	}
	s.n++
	answer := map[string]any{"access_token": fmt.Sprintf("access-%d-%s", s.n, canary), "token_type": "Bearer", "expires_in": 3600}
	if s.expires != nil {
		answer["expires_in"] = s.expires
	}
	if !s.keep {
		s.refresh = fmt.Sprintf("refresh-%d-%s", s.n, canary)
		answer["refresh_token"] = s.refresh
	}
	json.NewEncoder(w).Encode(answer)
}

// grant checks what a request for a token brings.
func (s *authServer) grant(form url.Values) bool {
	switch form.Get("grant_type") {
	case "refresh_token":
		return form.Get("refresh_token") == s.refresh && form.Get("client_id") == "melon-test"
	case "authorization_code":
		asked := s.codes[form.Get("code")]
		delete(s.codes, form.Get("code"))
		return asked != nil && form.Get("redirect_uri") == asked.Get("redirect_uri") &&
			challengeOf(form.Get("code_verifier")) == asked.Get("code_challenge")
	}
	return false
}

func (s *authServer) setFault(f http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// account is signed in to by s's URLs.
func (s *authServer) account() upstream.Account {
	return upstream.Account{Name: "home", Address: user, OAuth: upstream.OAuth{
		ClientID: "melon-test", AuthURL: s.URL + "/authorize", TokenURL: s.URL + "/token", DeviceURL: s.URL + "/device", Scopes: []string{"mail"},
	}}
}

// memoryStore keeps tokens in memory; fault fails what it is asked for.
type memoryStore struct {
	mu     sync.Mutex
	tokens map[string]Token
	saves  int
	fault  func(verb string) error
}

func newStore(t Token) *memoryStore { return &memoryStore{tokens: map[string]Token{"home": t}} }

func (m *memoryStore) try(verb string) error {
	if m.fault != nil {
		return m.fault(verb)
	}
	return nil
}

func (m *memoryStore) Load(_ context.Context, account string) (Token, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.try("load"); err != nil {
		return Token{}, err
	}
	t, ok := m.tokens[account]
	if !ok {
		return Token{}, ErrMissing
	}
	return t, nil
}

func (m *memoryStore) Save(_ context.Context, account string, t Token) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.try("save"); err != nil {
		return err
	}
	m.saves++
	m.tokens[account] = t
	return nil
}

func (m *memoryStore) Delete(_ context.Context, account string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tokens, account)
	return nil
}

func (m *memoryStore) setFault(f func(string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
}

func newTestOAuth(t *testing.T, o OAuthOptions) *OAuth {
	t.Helper()
	if o.Secrets == nil {
		o.Secrets = &Secrets{Keyring: &fakeKeyring{}}
	}
	oauth := NewOAuth(o)
	t.Cleanup(func() { oauth.Close() })
	return oauth
}

func expired() Token {
	return Token{Access: "old", Refresh: "refresh-0-" + canary, Expiry: time.Unix(1, 0)}
}
