package auth

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"melon/upstream"
)

// TestSignInNeeded is the only thing that a person has to mend.
func TestSignInNeeded(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	tests := []struct {
		name  string
		store *memoryStore
		fault http.HandlerFunc
	}{
		{"never signed in", &memoryStore{tokens: map[string]Token{}}, nil},
		{"an access token alone, run out", newStore(Token{Access: "a", Expiry: time.Unix(1, 0)}), nil},
		{"withdrawn", newStore(expired()), answer(400, `{"error":"invalid_grant"}`)},
		{"withdrawn, with 200", newStore(expired()), answer(200, `{"error":"invalid_grant"}`)},
		{"a second factor is wanted", newStore(expired()), answer(400, `{"error":"interaction_required","suberror":"x"}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newAuthServer(t)
			s.fault = tt.fault
			before := len(tt.store.tokens)
			_, err := newTestOAuth(t, OAuthOptions{Store: tt.store}).Token(t.Context(), s.account())
			e := upstream.AsError(err, "")
			if !errors.Is(err, ErrSignIn) || e.Kind() != upstream.KindPerson || e.Class != upstream.ClassAppPasswordOrOAuthRequired {
				t.Fatalf("Token = %v", err)
			}
			if !strings.Contains(e.Sentence, "melon login home") || len(tt.store.tokens) != before {
				t.Errorf("sentence %q, %d tokens stored", e.Sentence, len(tt.store.tokens))
			}
		})
	}
}

// TestTemporary: nothing else blames the person or changes what is stored, and
// no secret gets into an error.
func TestTemporary(t *testing.T) {
	t.Parallel()
	// Whatever a server answers, it quotes the request.
	answer := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Location", "https://portal.example/login")
			w.WriteHeader(status)
			fmt.Fprint(w, strings.ReplaceAll(body, "ECHO", r.PostForm.Encode()))
		}
	}
	tests := []struct {
		name  string
		fault http.HandlerFunc
		class upstream.Class
	}{
		{"500", answer(500, "application/json", `{"error":"invalid_grant","error_description":"ECHO"}`), upstream.ClassServerBroken},
		{"503 in HTML", answer(503, "text/html", "<h1>ECHO</h1>"), upstream.ClassServerBroken},
		{"HTML instead of JSON", answer(200, "text/html", "<h1>Welcome ECHO</h1>"), upstream.ClassServerBroken},
		{"text instead of JSON", answer(200, "text/plain", "ECHO"), upstream.ClassServerBroken},
		{"a form that makes no sense", answer(200, "text/plain", "%zz ECHO"), upstream.ClassServerBroken},
		{"a token that cannot be stored as it is", answer(200, "application/x-www-form-urlencoded", "access_token=a%ff&refresh_token=r"), upstream.ClassServerBroken},
		{"a token that cannot be sent as it is", answer(200, "application/json", `{"access_token":"a","refresh_token":"r\u0000"}`), upstream.ClassServerBroken},
		{"JSON without a token", answer(200, "application/json", `{"x":"ECHO"}`), upstream.ClassServerBroken},
		{"half an answer", answer(200, "application/json", `{"access_token":"ECHO`), upstream.ClassServerBroken},
		{"an endless answer", answer(200, "application/json", `{"x":"`+strings.Repeat("ECHO", maxAnswer)+`"}`), upstream.ClassServerBroken},
		{"a portal", answer(302, "text/html", "ECHO"), upstream.ClassCaptivePortal},
		{"a portal that speaks JSON", answer(307, "application/json", `{"error":"invalid_grant"}`), upstream.ClassCaptivePortal},
		{"too many", answer(429, "text/plain", "ECHO"), upstream.ClassRateLimited},
		{"400 without a word", answer(400, "text/html", "ECHO"), upstream.ClassServerBroken},
		{"another error", answer(400, "application/json", `{"error":"temporarily_unavailable","error_description":"ECHO"}`), upstream.ClassOther},
		{"an error of controls", answer(400, "application/json", `{"error":"\u001b[31mECHO"}`), upstream.ClassOther},
		{"client unknown", answer(401, "application/json", `{"error":"invalid_client"}`), upstream.ClassOther},
		{"cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, upstream.ClassServerBroken},
		{"slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, upstream.ClassServerUnreachable},
		{"slow after the head", func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("{"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, upstream.ClassServerUnreachable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newAuthServer(t)
			s.fault = tt.fault
			store := newStore(expired())
			timeout := 10 * time.Second
			if strings.HasPrefix(tt.name, "slow") {
				timeout = 50 * time.Millisecond
			}
			o := newTestOAuth(t, OAuthOptions{Store: store, Timeout: timeout})
			_, err := o.Token(t.Context(), s.account())
			checkTemporary(t, err, tt.class)
			if store.tokens["home"] != expired() || store.saves != 0 {
				t.Errorf("the stored token changed: %+v", store.tokens["home"])
			}
			s.setFault(nil)
			if token, err := o.Token(t.Context(), s.account()); token != "access-1-"+canary || err != nil {
				t.Errorf("when it is over: %q, %v", token, err)
			}
		})
	}
}

func checkTemporary(t *testing.T, err error, class upstream.Class) {
	t.Helper()
	var e *upstream.Error
	if !errors.As(err, &e) || !errors.Is(err, ErrTokenEndpoint) || e.Kind() != upstream.KindTemporary || e.Class != class {
		t.Errorf("error %v, want a temporary ErrTokenEndpoint of class %s", err, class)
		return
	}
	if text := e.Error() + e.Sentence; strings.Contains(text, canary) || strings.ContainsAny(text, "\x1b<") || strings.Contains(e.Sentence, "password") {
		t.Errorf("error %q, sentence %q", e, e.Sentence)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := newAuthServer(t)
	a := s.account()
	s.Close()
	_, err := newTestOAuth(t, OAuthOptions{Store: newStore(expired())}).Token(t.Context(), a)
	checkTemporary(t, err, upstream.ClassServerUnreachable)

	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	defer stranger.Close()
	a.OAuth.TokenURL = stranger.URL + "/token"
	_, err = newTestOAuth(t, OAuthOptions{Store: newStore(expired())}).Token(t.Context(), a)
	checkTemporary(t, err, upstream.ClassCertificateInvalid)
}
