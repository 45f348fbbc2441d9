package auth

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/oauth2"

	"melon/upstream"
)

// oneAnswer is an authorization server that gives every request one answer.
type oneAnswer struct {
	status int
	kind   string // Content-Type
	body   string
}

func (a oneAnswer) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: a.status, Status: "?", Header: http.Header{"Content-Type": {a.kind}},
		Body: io.NopCloser(strings.NewReader(a.body)), Request: r,
	}, nil
}

// fuzzStatus makes a status out of any number: mostly those that matter.
func fuzzStatus(n uint16) int {
	if usual := []int{200, 400, 401, 302, 429, 500}; int(n) < len(usual) {
		return usual[n]
	}
	return 200 + int(n)%400
}

// addAnswers are the seeds for what a token endpoint may say.
func addAnswers(f *testing.F) {
	for _, body := range []string{
		granted, pending, `{"error":"invalid_grant","error_description":"` + canary + `"}`, `{"error":"INVALID\u001b[31m"}`, "{}", "<html>",
		`{"access_token":"a b\u0000","refresh_token":"","expires_in":"3600"}`, `{"access_token":"a","expires_in":-1}`, `{"access_token":"a","expires_in":9e99}`,
	} {
		for status := range uint16(6) {
			f.Add(status, "application/json", body)
		}
	}
	f.Add(uint16(0), "application/x-www-form-urlencoded", "access_token=a&refresh_token=r&expires_in=99999999999")
	f.Add(uint16(0), "application/x-www-form-urlencoded", "access_token=0%ff0")
	f.Add(uint16(0), "application/x-www-form-urlencoded", "access_token=a&refresh_token=r%00")
	f.Add(uint16(1), "text/plain; charset=x", "error=login_required")
	f.Add(uint16(0), "\xff/;", "access_token=%00&error=%0a")
}

// checkFailure: what a sign-in ends with is typed, can be shown, and has no
// secret in it.
func checkFailure(t *testing.T, err error) {
	t.Helper()
	var e *upstream.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *upstream.Error", err)
	}
	if e.Kind() == upstream.KindMessage || e.Kind() == upstream.KindPerson && !errors.Is(err, ErrSignIn) {
		t.Errorf("kind %v of %v", e.Kind(), err)
	}
	if e.Sentence == "" || e.Sentence != upstream.CleanLine(e.Sentence) || len(err.Error()) > 1000 {
		t.Errorf("%q", err)
	}
	if strings.Contains(err.Error(), canary) || strings.ContainsFunc(err.Error(), unicode.IsControl) {
		t.Errorf("%q", err)
	}
}

// FuzzTokenAnswer: whatever a token endpoint says, a refresh ends in a typed
// error that quotes nothing of it and has changed nothing, or in the token that
// is stored and that reads back from the store; what is not known to be a word
// about the grant never blames the person.
func FuzzTokenAnswer(f *testing.F) {
	addAnswers(f)
	f.Fuzz(func(t *testing.T, status uint16, kind, body string) {
		secrets := &Secrets{Keyring: &fakeKeyring{}}
		store := secrets.TokenStore(func(string) upstream.SecretRef { return upstream.SecretRef{Keyring: "home"} })
		before := expired()
		if err := store.Save(t.Context(), "home", before); err != nil {
			t.Fatal(err)
		}
		o := NewOAuth(OAuthOptions{Store: store, Secrets: secrets, Transport: oneAnswer{fuzzStatus(status), kind, body}})
		defer o.Close()
		access, err := o.Token(t.Context(), deviceAccount())
		after, loadErr := store.Load(t.Context(), "home")
		if loadErr != nil {
			t.Fatal(loadErr)
		}
		if err != nil {
			checkFailure(t, err)
			if upstream.AsError(err, "").Class != upstream.ClassTemporaryLocalProblem && (after.Refresh != before.Refresh || after.Access != before.Access) {
				t.Errorf("%v: stored %q, %q", err, after.Access, after.Refresh)
			}
			return
		}
		if access == "" || after.Refresh == "" || len(access) > maxAnswer || fuzzStatus(status)/100 != 2 {
			t.Errorf("%q, %q by status %d", access, after.Refresh, fuzzStatus(status))
		}
		if after.Access != "" && after.Access != access {
			t.Errorf("stored %q, handed out %q", after.Access, access)
		}
		if _, err := NewExchange(XOAUTH2, Credentials{Username: user, Token: access}); err != nil && !errors.Is(err, ErrCredentials) {
			t.Error(err)
		}
	})
}

// FuzzDeviceAnswer: what a device endpoint says can be shown on a terminal,
// opened and waited for, or is refused.
func FuzzDeviceAnswer(f *testing.F) {
	addAnswers(f)
	f.Add(uint16(0), "application/json", deviceCode)
	f.Add(uint16(0), "application/json", strings.ReplaceAll(deviceCode, "https://p", `https:\/\/p\u202e`))
	f.Add(uint16(0), "application/json", `{"device_code":"d","user_code":"a\u001b[2J","verification_url":"https://p.example/","expires_in":99999999,"interval":-7}`)
	f.Fuzz(func(t *testing.T, status uint16, kind, body string) {
		o := NewOAuth(OAuthOptions{Store: &memoryStore{}, Secrets: &Secrets{}, Transport: oneAnswer{fuzzStatus(status), kind, body}})
		defer o.Close()
		d, err := o.BeginDevice(t.Context(), deviceAccount())
		if err != nil {
			checkFailure(t, err)
			return
		}
		for _, s := range []string{d.UserCode, d.VerificationURI, d.VerificationURIComplete} {
			if s != upstream.CleanLine(s) {
				t.Errorf("%q cannot be shown", s)
			}
		}
		if d.UserCode == "" || !secureURL(d.VerificationURI) || d.VerificationURIComplete != "" && !secureURL(d.VerificationURIComplete) {
			t.Errorf("%+v", d)
		}
		if life := time.Until(d.Expires); life > maxDeviceLife || d.answer.Interval < 1 || d.answer.Interval > maxDeviceInterval {
			t.Errorf("life %v, interval %d", life, d.answer.Interval)
		}
	})
}

// FuzzRedirect: of all requests to the loopback port only the one with the right
// state stores a token, once; nothing of a request is in the page, and nothing
// that could be shown amiss in the error.
func FuzzRedirect(f *testing.F) {
	const state, port = "ST4TE", "8025"
	for _, q := range []string{
		"code=c&state=ST4TE", "error=access_denied&state=ST4TE", "error=%1b%5b31m&state=ST4TE", "code=c&state=st4te", "code=c&state=ST4TE&state=x",
		"state=ST4TE&code=%00%0d%0a", "state=ST4TE;code=c", "%zz", "state[]=ST4TE", "state=ST4TE&code=c&error=x",
	} {
		f.Add("GET", "127.0.0.1:"+port, "/", q, false)
	}
	f.Add("GET", "localhost:"+port, "/", "code=c&state=ST4TE", true)
	f.Add("POST", "127.0.0.1:"+port, "/", "code=c&state=ST4TE", false)
	f.Add("GET", "evil.example:"+port, "/", "code=c&state=ST4TE", false)
	f.Add("GET", "[::1]:"+port, "//", "code=c&state=ST4TE", false)
	f.Fuzz(func(t *testing.T, method, host, path, query string, ja bool) {
		store := &memoryStore{tokens: map[string]Token{}}
		o := NewOAuth(OAuthOptions{Store: store, Secrets: &Secrets{}, Transport: oneAnswer{200, "application/json", granted}})
		defer o.Close()
		a := deviceAccount()
		client, err := o.client(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		s := &SignIn{o: o, account: a, client: client, state: state, verifier: oauth2.GenerateVerifier(), port: port, ctx: t.Context(), done: make(chan struct{})}
		if ja {
			s.lang = "ja"
		}
		var pages []string
		for range 2 {
			w := httptest.NewRecorder()
			s.serve(w, &http.Request{Method: method, Host: host, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}})
			pages = append(pages, w.Body.String())
			if h := w.Header(); h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("%v", h)
			}
		}
		if !slices.Contains(allPages(s.lang), pages[0]) || !slices.Contains(allPages(s.lang), pages[1]) {
			t.Errorf("pages %q", pages)
		}
		q, _ := url.ParseQuery(query)
		name, at, err := net.SplitHostPort(host)
		expected := err == nil && method == "GET" && path == "/" && loopback(name) && at == port && q.Get("state") == state
		select {
		case <-s.done:
			if s.err != nil {
				checkFailure(t, s.err)
			}
			if (s.err == nil) != (q.Get("code") != "") {
				t.Errorf("%v", s.err)
			}
		default:
			if expected {
				t.Error("the browser's return was not taken")
			}
		}
		if want := expected && q.Get("code") != ""; (store.saves == 1) != want || store.saves > 1 {
			t.Errorf("%d tokens stored by %s %s %s?%s", store.saves, method, host, path, query)
		}
	})
}

// allPages are the only pages that there are.
func allPages(lang string) (all []string) {
	for _, p := range []page{pageDone, pageFailed, pageStray} {
		w := httptest.NewRecorder()
		writePage(w, 200, lang, p)
		all = append(all, w.Body.String())
	}
	return all
}

// FuzzTokenRecord: what is stored under an account's name is read as a token
// that is stored and read again as the same, or is none; it is quoted nowhere.
func FuzzTokenRecord(f *testing.F) {
	for _, s := range []string{granted, canary, "null", "[]", `{"refresh_token":5}`, `{"access_token":"\u0000","issued":"2026-01-02T03:04:05+23:59","expiry":"0001-01-01T00:00:00Z"}`,
		`{"refresh_token":"r","expiry":"9999-12-31T23:59:59.999999999-23:59"}`, `{"Refresh_Token":"r"}{}`, `{"access_token":"a","access_token":""}` + "\n"} {
		f.Add(s, "home")
	}
	f.Fuzz(func(t *testing.T, text, account string) {
		k := &fakeKeyring{items: map[string]string{Service + "/" + account: text}}
		secrets := &Secrets{Keyring: k}
		store := secrets.TokenStore(func(a string) upstream.SecretRef { return upstream.SecretRef{Keyring: a} })
		if account == "" {
			return
		}
		o := NewOAuth(OAuthOptions{Store: store, Secrets: secrets})
		defer o.Close()
		signedIn, _ := o.SignedIn(t.Context(), account)
		got, err := store.Load(t.Context(), account)
		if err != nil {
			if !errors.Is(err, ErrMissing) && !errors.Is(err, ErrEmpty) || signedIn || len(text) > 20 && strings.Contains(err.Error(), text) {
				t.Errorf("signed in %v: %v", signedIn, err)
			}
			return
		}
		if got.Access == "" && got.Refresh == "" || got.Refresh != "" && !signedIn {
			t.Errorf("%q became %#v", text, got)
		}
		if s := got.String() + got.GoString(); len(got.Refresh) > 60 && strings.Contains(s, got.Refresh) {
			t.Errorf("printed as %q", s)
		}
		if err := store.Save(t.Context(), account, got); err != nil {
			return // too long, or a time that RFC 3339 cannot say
		}
		again, err := store.Load(t.Context(), account)
		if err != nil || again.Access != got.Access || again.Refresh != got.Refresh || !again.Issued.Equal(got.Issued) || !again.Expiry.Equal(got.Expiry) {
			t.Errorf("%q: %v became %v, %v", text, got, again, err)
		}
		if len(account) < 200 && (fileName(account) == "" || strings.ContainsAny(fileName(account), `/\.:`+"\x00")) {
			t.Errorf("file name %q", fileName(account))
		}
	})
}

// FuzzChoose: whatever mechanisms a server offers, those that are tried are among
// them and allowed, none without encryption, and a refusal can be shown.
func FuzzChoose(f *testing.F) {
	for _, s := range []string{"", "PLAIN LOGIN", "login\tXOAUTH2 CRAM-MD5", "SCRAM-SHA-256-PLUS EXTERNAL", "PL\x00AIN =PLAIN \x1b[31m", strings.Repeat("X ", 100) + "PLAIN", "oauthbearer", "ſCRAM-SHA-1"} {
		for i := range uint8(8) {
			f.Add(s, "auto", i)
		}
		f.Add(s, "scram-sha-1", uint8(1))
		f.Add(s, "none", uint8(1))
	}
	f.Fuzz(func(t *testing.T, offer, method string, settings uint8) {
		offered := strings.Split(offer, " ")
		c := Conditions{TLS: settings&1 != 0, AllowPlaintext: settings&2 != 0, HaveToken: settings&4 != 0, ClientCert: settings&8 != 0}
		if settings&16 != 0 {
			c.Avoid = []Mechanism{Plain}
		}
		list, err := Choose(upstream.AuthMethod(method), offered, c)
		if err != nil {
			e := upstream.AsError(err, "")
			if !slices.Contains([]upstream.Class{upstream.ClassTLSRequired, upstream.ClassMechanismUnsupported, upstream.ClassAppPasswordOrOAuthRequired}, e.Class) ||
				e.Sentence != upstream.CleanLine(e.Sentence) || len(e.Sentence) > upstream.MaxReplyLine || list != nil {
				t.Errorf("%v: %v", list, err)
			}
			return
		}
		if len(list) > 0 && !c.TLS && !c.AllowPlaintext {
			t.Errorf("%v in clear", list)
		}
		for _, m := range list {
			same := func(w string) bool { return strings.ToUpper(strings.TrimSpace(w)) == string(m) }
			if !slices.ContainsFunc(offered, same) || slices.Contains(c.Avoid, m) || m.OAuth() && !c.HaveToken || !m.Password() && !m.OAuth() && m != External {
				t.Errorf("%q: %v", offer, list)
			}
		}
	})
}
