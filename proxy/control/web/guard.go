package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// policy keeps everything out of the page that is not this server's.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxForm bounds what a form may hold, in octets.
const maxForm = 256 << 10

// sessionKey is the request context's key of the session.
type sessionKey struct{}

// guard lets a request through to next when every check holds. Checks are in the
// order in which they say least about what is behind them.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		harden(w.Header())
		switch {
		case !s.hostIsOurs(r.Host):
			s.refuse(w, r, http.StatusMisdirectedRequest, "refused.host")
			return
		case framed(r):
			s.refuse(w, r, http.StatusForbidden, "refused.frame")
			return
		case strings.HasPrefix(r.URL.Path, "/assets/") && safe(r.Method):
			next.ServeHTTP(w, r)
			return
		case r.URL.Path == "/open" && r.Method == http.MethodGet:
			s.open(w, r) // its token is what lets it in
			return
		case foreign(r):
			s.refuse(w, r, http.StatusForbidden, "refused.origin")
			return
		}
		ended := s.sessions.ended() // before the session is looked at
		session := s.sessions.session(r)
		if session == "" {
			s.refuse(w, r, http.StatusForbidden, "closed.text")
			return
		}
		if !safe(r.Method) {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if !s.sessions.validCSRF(session, csrfToken(r)) {
				s.refuse(w, r, http.StatusForbidden, "refused.form")
				return
			}
		}
		ctx := context.WithValue(r.Context(), sessionKey{}, session)
		if strings.HasSuffix(r.URL.Path, "/events") {
			var release func()
			ctx, release = until(ctx, ended)
			defer release()
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// until returns a context that ends when done is closed: a stream must not
// outlive its session. release ends it, and waits.
func until(ctx context.Context, done <-chan struct{}) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancel(ctx)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-gone }
}

// harden sets what every answer says to the browser.
func harden(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would hide Origin from forms
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// hostIsOurs reports whether a Host header names the address that is listened
// on, as a number or as localhost.
func (s *Server) hostIsOurs(host string) bool { return slices.Contains(s.hosts, strings.ToLower(host)) }

// framed reports a page that is to be shown inside another, or fetched as
// something other than a page or a call.
func framed(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "iframe", "frame", "embed", "object", "fencedframe":
		return true
	}
	return false
}

// foreign reports a request that another site's page made. "same-site" is such
// a one too: every port of this machine is of one site. A browser that sends
// neither header is held back by the cookie, which is SameSite=Strict, and the
// form's token.
func foreign(r *http.Request) bool {
	if o := r.Header.Get("Origin"); o != "" && o != "http://"+strings.ToLower(r.Host) {
		return true
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	return true
}

// safe reports whether a method changes nothing.
func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// csrfToken is the token of a call or a form.
func csrfToken(r *http.Request) string {
	if t := r.Header.Get("X-Melon-CSRF"); t != "" {
		return t
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return r.PostFormValue("csrf") // a body that is too large has none
	}
	return ""
}

// refuse says in the visitor's language why nothing is shown.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, key string) {
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write([]byte(`{"error":"not allowed; open the page with: melon open"}` + "\n"))
		return
	}
	v := s.newView(r, "closed.title")
	v.Closed = true
	s.render(w, status, "closed", struct {
		*view
		Key string
	}{v, key})
}

// open takes a one-time link. The page that it answers with leads on by itself:
// after a redirect the browser would still count the request as another site's,
// where the link was clicked, and keep the cookie to itself.
func (s *Server) open(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Sec-Fetch-Mode") != "" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
		s.refuse(w, r, http.StatusForbidden, "refused.origin")
		return
	}
	page, ok := s.sessions.use(r.URL.Query().Get("token"))
	if !ok {
		if s.sessions.session(r) != "" && !foreign(r) { // reloaded, or clicked twice
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
		s.refuse(w, r, http.StatusForbidden, "closed.used")
		return
	}
	http.SetCookie(w, s.sessions.newCookie())
	v := s.newView(r, "open.title")
	v.Closed, v.Refresh = true, "0;url="+page
	s.render(w, http.StatusOK, "opened", struct {
		*view
		Page string
	}{v, page})
}
