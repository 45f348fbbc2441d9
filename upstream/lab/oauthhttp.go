package lab

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// page writes an HTML page. text is HTML.
func page(w http.ResponseWriter, status int, title, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html><title>%[1]s</title><h1>%[1]s</h1>\n%s\n", html.EscapeString(title), text)
}

// consentForm is a page's form with the two buttons, ids "allow" and "deny",
// and hidden fields.
func consentForm(action string, fields url.Values) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<form method=post action=%q>", action)
	for k := range fields {
		fmt.Fprintf(&b, "<input type=hidden name=\"%s\" value=\"%s\">", html.EscapeString(k), html.EscapeString(fields.Get(k)))
	}
	b.WriteString(`<button id=allow name=decision value=allow>Allow</button> <button id=deny name=decision value=deny>Deny</button></form>`)
	return b.String()
}

// currentFault returns the fault as it is now.
func (s *OAuthServer) currentFault() OAuthFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// faulty wraps an endpoint in the faults.
func (s *OAuthServer) faulty(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch s.currentFault() {
		case OAuthDown:
			panic(http.ErrAbortHandler)
		case OAuthStall:
			select {
			case <-s.p.released():
				next(w, r)
			case <-r.Context().Done():
			case <-s.p.ctx.Done():
			}
		case OAuthLostAnswer:
			next(nowhere{http.Header{}}, r)
			panic(http.ErrAbortHandler)
		case OAuthError500:
			page(w, 500, "Internal Server Error", "")
		case OAuthHTML:
			page(w, 200, "Welcome", "This is no JSON.")
		case OAuthPortal:
			http.Redirect(w, r, "/portal", http.StatusFound)
		case OAuthBusy:
			answer(w, 503, map[string]any{"error": "temporarily_unavailable"})
		case OAuthInvalidGrant:
			s.refuse(w, "invalid_grant", "Token has been expired or revoked.")
		case OAuthEmpty:
			answer(w, 200, map[string]any{})
		case OAuthHuge:
			answer(w, 200, map[string]any{"access_token": strings.Repeat("x", 1<<20), "token_type": "Bearer"})
		default:
			next(w, r)
		}
	}
}

// nowhere takes an answer that nobody gets.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header       { return n.header }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// refuse answers with an error of RFC 6749 section 5.2.
func (s *OAuthServer) refuse(w http.ResponseWriter, code, description string) {
	if code != "authorization_pending" && code != "slow_down" {
		s.mu.Lock()
		s.stats.Refused++
		s.mu.Unlock()
	}
	status := http.StatusBadRequest
	if code == "invalid_client" {
		status = http.StatusUnauthorized
	}
	answer(w, status, map[string]any{"error": code, "error_description": description})
}

// knows reports whether the client may ask at all, and refuses it otherwise.
func (s *OAuthServer) knows(w http.ResponseWriter, r *http.Request, secret bool) bool {
	id, sent, inHeader := r.BasicAuth()
	if !inHeader {
		id, sent = r.FormValue("client_id"), r.FormValue("client_secret")
	}
	if id == "" || s.o.ClientID != "" && id != s.o.ClientID || secret && s.o.ClientSecret != "" && sent != s.o.ClientSecret {
		s.refuse(w, "invalid_client", "The OAuth client was not found.")
		return false
	}
	return true
}

// authorize shows the page with the consent button (RFC 6749 section 4.1.1).
func (s *OAuthServer) authorize(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.stats.Authorize++
	s.mu.Unlock()
	q := r.URL.Query()
	switch {
	case q.Get("response_type") != "code", !loopbackRedirect(q.Get("redirect_uri")):
		page(w, 400, "Bad request", "response_type or redirect_uri")
	case s.o.ClientID != "" && q.Get("client_id") != s.o.ClientID:
		page(w, 400, "Unknown client", "")
	default:
		page(w, 200, "Sign in to provider A", "<p>Let this app send mail as "+html.EscapeString(s.o.User)+"?</p>"+consentForm("/authorize", q))
	}
}

// consent is the person's press on a button: it sends the browser back to the
// app.
func (s *OAuthServer) consent(w http.ResponseWriter, r *http.Request) {
	back, err := url.Parse(r.FormValue("redirect_uri"))
	if err != nil || !loopbackRedirect(r.FormValue("redirect_uri")) {
		page(w, 400, "Bad request", "redirect_uri")
		return
	}
	q := back.Query()
	q.Set("state", r.FormValue("state"))
	if r.FormValue("decision") == "allow" {
		q.Set("code", s.newCode(r))
	} else {
		q.Set("error", "access_denied")
	}
	back.RawQuery = q.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

// newCode makes an authorization code.
func (s *OAuthServer) newCode(r *http.Request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Consents++
	if len(s.codes) >= maxOAuth {
		clear(s.codes)
	}
	challenge := r.FormValue("code_challenge")
	if r.FormValue("code_challenge_method") != "S256" {
		challenge = ""
	}
	code := "code-" + rand.Text()
	s.codes[code] = &oauthCode{
		redirect: r.FormValue("redirect_uri"), challenge: challenge,
		client: r.FormValue("client_id"), expiry: s.p.opts.Now().Add(time.Minute),
	}
	return code
}

// token is the token endpoint (RFC 6749 sections 4.1.3 and 6, RFC 8628 section
// 3.4).
func (s *OAuthServer) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.stats.Requests++
	s.mu.Unlock()
	if !s.knows(w, r, true) {
		return
	}
	var g *oauthGrant
	fail, count := "invalid_grant", &s.stats.Codes
	s.mu.Lock()
	switch r.FormValue("grant_type") {
	case "authorization_code":
		if s.redeemLocked(r) {
			g = s.grantLocked()
		}
	case "refresh_token":
		g, count = s.refreshLocked(r.FormValue("refresh_token")), &s.stats.Refreshes
	case "urn:ietf:params:oauth:grant-type:device_code":
		if fail = s.pollLocked(r.FormValue("device_code")); fail == "" {
			g = s.grantLocked()
		}
	default:
		fail = "unsupported_grant_type"
	}
	if g == nil {
		s.mu.Unlock()
		s.refuse(w, fail, "Token has been expired or revoked.")
		return
	}
	*count++
	v := map[string]any{
		"access_token": s.issueLocked(g), "token_type": "Bearer", "expires_in": int(s.o.Lifetime.Seconds()),
		"scope": "https://provider-a.example/mail",
	}
	if !s.o.KeepRefresh || r.FormValue("grant_type") != "refresh_token" {
		v["refresh_token"] = g.refresh
	}
	s.mu.Unlock()
	answer(w, 200, v)
}

// redeemLocked checks a code, once, with its redirect URI and PKCE verifier
// (RFC 7636 section 4.6).
func (s *OAuthServer) redeemLocked(r *http.Request) bool {
	c := s.codes[r.FormValue("code")]
	delete(s.codes, r.FormValue("code"))
	if c == nil || !s.p.opts.Now().Before(c.expiry) || c.redirect != r.FormValue("redirect_uri") {
		return false
	}
	if c.challenge == "" {
		s.stats.NoPKCE++
		return false
	}
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if base64.RawURLEncoding.EncodeToString(sum[:]) != c.challenge {
		s.stats.WrongVerifier++
		return false
	}
	return true
}

// pollLocked returns the error of a device flow's poll, "" when the user has
// allowed it.
func (s *OAuthServer) pollLocked(code string) (fail string) {
	s.stats.Polls++
	d, now := s.devices[code], s.p.opts.Now()
	if d == nil {
		return "invalid_grant"
	}
	early := !d.polled.IsZero() && now.Sub(d.polled) < d.interval
	d.polled = now
	switch {
	case !now.Before(d.expiry):
		fail = "expired_token"
	case d.decided && !d.allowed:
		fail = "access_denied"
	case !d.decided && early:
		d.interval += 5 * time.Second // RFC 8628 section 3.5
		return "slow_down"
	case !d.decided:
		return "authorization_pending"
	}
	delete(s.devices, code)
	return fail
}

// device begins a device flow (RFC 8628 section 3.2).
func (s *OAuthServer) device(w http.ResponseWriter, r *http.Request) {
	if !s.knows(w, r, false) {
		return
	}
	user := rand.Text()[:8]
	user = user[:4] + "-" + user[4:]
	code := "device-" + rand.Text()
	s.mu.Lock()
	s.stats.Device++
	if len(s.devices) >= maxOAuth {
		clear(s.devices)
	}
	s.devices[code] = &oauthDevice{userCode: user, expiry: s.p.opts.Now().Add(10 * time.Minute), interval: s.o.Interval}
	s.mu.Unlock()
	answer(w, 200, map[string]any{
		"device_code": code, "user_code": user, "expires_in": 600, "interval": int((s.o.Interval + time.Second - 1) / time.Second),
		"verification_uri": s.base + "/activate", "verification_uri_complete": s.base + "/activate?user_code=" + user,
	})
}

// activate shows the page where the person types the device's code.
func (s *OAuthServer) activate(w http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("user_code")
	if code == "" {
		page(w, 200, "Connect a device", `<form method=get action="/activate"><input id=user_code name=user_code autofocus><button id=next>Next</button></form>`)
		return
	}
	page(w, 200, "Connect a device", "<p>Code "+html.EscapeString(code)+"</p>"+consentForm("/activate", url.Values{"user_code": {code}}))
}

// activated is the person's decision there.
func (s *OAuthServer) activated(w http.ResponseWriter, r *http.Request) {
	if err := s.Decide(strings.ToUpper(r.FormValue("user_code")), r.FormValue("decision") == "allow"); err != nil {
		page(w, 400, "No such code", "")
		return
	}
	page(w, 200, "Done", "<p id=done>You can close this page.</p>")
}

// revoke ends the grant that a token belongs to (RFC 7009).
func (s *OAuthServer) revoke(w http.ResponseWriter, r *http.Request) {
	token := r.FormValue("token")
	s.mu.Lock()
	defer s.mu.Unlock()
	for g := range s.grants {
		if _, access := g.access[token]; access || token != "" && token == g.refresh {
			delete(s.grants, g)
			s.stats.Revoked++
		}
	}
	w.WriteHeader(200)
}
