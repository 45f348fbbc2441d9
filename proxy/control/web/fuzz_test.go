package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"melon/proxy/control/api"
	"melon/upstream"
)

// hostile is what a stranger's text may be: markup, a line end, an override.
const hostile = "\"'><script>alert(1)</script>\r\n\x1b[31m\u202e{{.}}"

// Bits of how FuzzRequests asks.
const (
	withSession = 1 << iota
	withToken
	asPost
	fromAbroad // another page's Origin
	asElsewhere
)

// FuzzRequests sends any form to any page. Without session, token or the right
// origin nothing happens; a page has no script, frame or link in it that is not
// Melon's own, whatever was typed; answers lead to pages of this server alone;
// and no account is tried or saved with what no setting may hold.
func FuzzRequests(f *testing.F) {
	for _, form := range []string{
		"address=taro%40provider-a.example&password=p", "verb=remove&id=a&id=" + url.QueryEscape(hostile) + "&back=//evil.example/", "verb=remove&sure=1&id=a&back=/%5c/evil.example",
		"address=" + url.QueryEscape(hostile+"@x"), "lang=ja&back=https://evil.example/", "reply=" + url.QueryEscape("550 5.7.1 "+hostile) + "&phase=RCPT", "verb=pause", "%zz=%", "account=home",
		"verb=save&name=new&address=a%40b.example&smtp_host=h&smtp_port=465&pop_host=p&window=10&username=" + url.QueryEscape("\u202e"),
		"verb=test&name=..&address=a%40b.example&smtp_host=h%1b&smtp_port=-1", "name=..&address=a%40b.example&smtp_host=h&password=p", "device=1", "verb=end-sessions", "verb=save&name=new&address=a%40b.example&smtp_host=h%E2%80%AE", "verb=autostart-on",
	} {
		for _, path := range []string{"/add", "/setup/ID", "/account/home/clear", "/account/home/signin", "/account/home/test", "/account/home/remove", "/outbox", "/why", "/why/explain", "/settings", "/language", "/v1/outbox/remove"} {
			f.Add(path, form, uint8(withSession|withToken|asPost))
		}
	}
	for _, path := range []string{"/", "/account", "/account/home", "/account/home/remove", "/settings", "/outbox/a", "/outbox/b", "/why", "/why/JOB", "/account/home/testing/JOB", "/account/%2e%2e/edit", "/outbox?state=x&page=-1&done=none", "/outbox/a/message", "/activity?q=" + url.QueryEscape(hostile), "/activity/message?at=2026-01-02T03:04:05Z",
		"/activity/trace/t", "/open?token=", "/assets/../catalogue.tsv", "//evil.example/", "/setup/ID", "/why/JOB/report.txt", "/v1/events?since=x", "/add?provider=new", "/%00", "/assets/%98", "/assets/"} {
		f.Add(path, "", uint8(withSession))
		f.Add(path, "verb=pause", uint8(asPost|withToken))
		f.Add(path, "verb=pause", uint8(withSession|withToken|asPost|fromAbroad))
	}
	w := newWorld()
	w.status.Accounts[0].LastError = &api.Error{Class: "other", Text: hostile}
	w.entries = []api.Entry{{ID: "a", State: api.EntryWaiting, From: hostile, To: []string{hostile}, LastError: &api.Error{Class: "x", Text: hostile}}}
	w.history = []api.Event{{ID: "b", Kind: "message", Text: hostile, From: hostile, Outcome: api.OutcomeSent, Account: hostile}}
	w.found = Found{Account: upstream.Account{Username: "u", SMTP: upstream.Server{Host: "h"}}, Notes: []string{hostile}}
	w.wait = make(chan error)
	close(w.wait) // nobody is waited for
	x := serve(f, w)
	x.parts.Traces.Add("t", hostile, "home", Line{Text: hostile})
	f.Fuzz(func(t *testing.T, path, form string, how uint8) {
		w.forget()
		cookie := x.sessions.newCookie()
		token := x.sessions.csrf(strings.Split(cookie.Value, ".")[0])
		x.drafts.add(&draft{isNew: true, account: upstream.Account{Address: "a@b.example"}, found: &Found{Notes: []string{hostile}}})
		for path != "" {
			r := fuzzRequest(x, path, form, how)
			if r == nil {
				return
			}
			if how&withSession != 0 {
				r.AddCookie(cookie)
			}
			if how&withToken != 0 {
				r.Header.Set("X-Melon-CSRF", token)
			}
			out := httptest.NewRecorder()
			x.http.Handler.ServeHTTP(out, r)
			x.jobs.wait()
			if did := w.heard(); did != "" && how&(withSession|withToken|asPost|fromAbroad|asElsewhere) != withSession|withToken|asPost {
				t.Errorf("%s by %b: %s", path, how, did)
			}
			checkAnswer(t, out)
			if what := w.heard(); strings.HasPrefix(what, "save") && what != upstream.CleanLine(what) {
				t.Errorf("%q was passed on", what)
			}
			if path = out.Header().Get("Location"); how&asPost == 0 {
				break
			}
			w.forget()
			form, how, cookie = "", withSession, x.sessions.newCookie()
		}
	})
}

// fuzzRequest makes the request, with the ID of what was begun last in its path;
// nil when no browser could send it.
func fuzzRequest(x *site, path, form string, how uint8) *http.Request {
	x.drafts.mu.Lock()
	if n := len(x.drafts.all); n > 0 {
		path = strings.ReplaceAll(path, "ID", x.drafts.all[n-1].id)
	}
	x.drafts.mu.Unlock()
	x.jobs.mu.Lock()
	if n := len(x.jobs.all); n > 0 {
		path = strings.ReplaceAll(path, "JOB", x.jobs.all[n-1].id)
	}
	x.jobs.mu.Unlock()
	u, err := url.ParseRequestURI(path)
	if err != nil || strings.HasPrefix(u.Path, "/jobs/") || strings.HasPrefix(u.Path, "/v1/events") {
		return nil // streams are another test's business
	}
	method := http.MethodGet
	if how&asPost != 0 {
		method = http.MethodPost
	}
	r := httptest.NewRequest(method, "/", strings.NewReader(form))
	r.URL, r.Host, r.RequestURI = u, x.addr, path
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if how&fromAbroad != 0 {
		r.Header.Set("Origin", "http://evil.example")
	}
	if how&asElsewhere != 0 {
		r.Host = "evil.example"
	}
	return r
}

// forget lets go of what was called and saved.
func (w *world) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = nil
	cfg := *w.config
	cfg.Accounts = cfg.Accounts[:1]
	w.config, w.status.Paused = &cfg, false
}

// checkAnswer: an answer is hardened, leads nowhere else, and what is in a page
// is Melon's own.
func checkAnswer(t *testing.T, out *httptest.ResponseRecorder) {
	t.Helper()
	h := out.Header()
	if h.Get("Content-Security-Policy") != policy || h.Get("X-Content-Type-Options") != "nosniff" || out.Code >= 500 && out.Code != 503 {
		t.Errorf("%d, %v", out.Code, h)
	}
	for name, values := range h {
		if strings.ContainsFunc(strings.Join(values, ""), unicode.IsControl) {
			t.Errorf("%s: %q", name, values)
		}
	}
	if where := h.Get("Location"); where != "" && !ownPath(where) {
		t.Errorf("leads to %q", where)
	}
	if !strings.HasPrefix(h.Get("Content-Type"), "text/html") {
		return
	}
	doc, err := html.Parse(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			checkElement(t, n)
		}
	}
}

func checkElement(t *testing.T, n *html.Node) {
	t.Helper()
	if slices.Contains([]string{"iframe", "object", "embed", "base", "template", "noscript"}, n.Data) || n.Data == "script" && n.FirstChild != nil {
		t.Errorf("<%s> in a page", n.Data)
	}
	for _, a := range n.Attr {
		switch {
		case strings.HasPrefix(a.Key, "on"), a.Key == "srcdoc", a.Key == "style":
			t.Errorf("%s=%q", a.Key, a.Val)
		case a.Key == "action", a.Key == "formaction", a.Key == "src", a.Key == "href" && n.Data == "link":
			if a.Val != "" && !ownPath(a.Val) {
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			}
		case a.Key == "href":
			if u, err := url.Parse(a.Val); err != nil || !slices.Contains([]string{"", "https", "http"}, u.Scheme) {
				t.Errorf("<%s href=%q>", n.Data, a.Val)
			}
		case a.Key == "content" && n.Data == "meta":
			if _, to, found := strings.Cut(a.Val, "url="); found && !ownPath(to) {
				t.Errorf("refresh to %q", a.Val)
			}
		}
	}
}

// ownPath reports whether a browser that is sent there stays on this server.
func ownPath(where string) bool {
	return strings.HasPrefix(where, "/") && !strings.HasPrefix(where, "//") && !strings.HasPrefix(where, `/\`) && !strings.ContainsAny(where, "\t\r\n")
}

// FuzzOpenLink: whatever page is asked for, the link leads to this server, once.
func FuzzOpenLink(f *testing.F) {
	for _, s := range []string{"", "outbox", "/outbox/a?x=y#z", "//evil.example", `\\evil.example`, "/;url=https://evil.example", "javascript:alert(1)", "/\x00\r\n", "?", "/%2f%2fevil.example", hostile, "/\t/evil.example"} {
		f.Add(s)
	}
	x := serve(f, newWorld())
	f.Fuzz(func(t *testing.T, page string) {
		link, err := x.OpenLink(page)
		if err != nil {
			return
		}
		for i := range 2 {
			r := httptest.NewRequest("GET", "/", nil)
			if r.URL, err = url.Parse(link); err != nil || r.URL.Host != x.addr || r.URL.Path != "/open" {
				t.Fatalf("%q: %v", link, err)
			}
			r.Host = x.addr
			out := httptest.NewRecorder()
			x.http.Handler.ServeHTTP(out, r)
			if opened := len(out.Result().Cookies()) == 1; opened != (i == 0) {
				t.Errorf("%q, time %d: opened %v", page, i, opened)
			}
			checkAnswer(t, out)
		}
	})
}
