package web

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNothingIsShownWithoutASession(t *testing.T) {
	t.Parallel()
	x := serve(t, newWorld())
	for _, path := range []string{"/", "/outbox", "/account", "/settings", "/activity", "/why", "/nowhere", "/jobs/x/events", "/v1/status", "/v1/events"} {
		a := x.ask("GET", path, nil, nil)
		if a.status != http.StatusForbidden || strings.Contains(a.body, "taro@") {
			t.Errorf("GET %s: %d\n%s", path, a.status, a.body)
		}
		if !strings.Contains(a.body, "melon open") {
			t.Errorf("GET %s does not say how to open the page", path)
		}
	}
	for name, value := range map[string]string{"empty": "", "short": "x", "forged": strings.Repeat("A", 32) + "." + strings.Repeat("A", 43)} {
		a := x.ask("GET", "/", nil, map[string]string{"Cookie": x.sessions.cookieName() + "=" + value})
		if a.status != http.StatusForbidden {
			t.Errorf("a cookie that is %s: %d", name, a.status)
		}
	}
	if a := x.ask("GET", "/assets/style.css", nil, nil); a.status != 200 {
		t.Errorf("the style sheet: %d", a.status)
	}
}

func TestALinkOpensOnceAndSoon(t *testing.T) {
	t.Parallel()
	now := time.Now()
	dir := t.TempDir()
	s, err := openSessions(dir, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	token := s.newLink("/outbox")
	if len(token) < 22 {
		t.Errorf("the token %q has less than 128 bits", token)
	}
	if _, ok := s.use("x" + token); ok {
		t.Error("a wrong token opened")
	}
	if page, ok := s.use(token); !ok || page != "/outbox" {
		t.Errorf("the link led to %q, %v", page, ok)
	}
	if _, ok := s.use(token); ok {
		t.Error("the link opened twice")
	}
	token = s.newLink("/")
	now = now.Add(linkLife + time.Second)
	if _, ok := s.use(token); ok {
		t.Error("the link opened after its time")
	}
	first := s.newLink("/")
	for range maxLinks {
		s.newLink("/")
	}
	if _, ok := s.use(first); ok || len(s.links) > maxLinks {
		t.Errorf("links pile up: %d", len(s.links))
	}
}

func TestALinkLeadsToItsPageAndNowhereElse(t *testing.T) {
	t.Parallel()
	x := serve(t, newWorld())
	for page, want := range map[string]string{
		"": "/", "outbox": "/outbox", "/outbox?state=held": "/outbox?state=held",
		"//evil.example/": "/evil.example/", `/\evil.example`: "/evil.example", "https://evil.example": "/https://evil.example",
	} {
		link, err := x.OpenLink(page)
		if err != nil {
			t.Fatal(err)
		}
		a := x.ask("GET", strings.TrimPrefix(link, "http://"+x.addr), nil, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
		if a.status != 200 || !strings.Contains(a.body, `content="0;url=`+want+`"`) {
			t.Errorf("%q: %d, want it to lead to %s:\n%s", page, a.status, want, a.body)
		}
		if c := a.header.Get("Set-Cookie"); !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Strict") || !strings.Contains(c, "Path=/") {
			t.Errorf("the cookie is %q", c)
		}
	}
	if a := x.ask("GET", "/open?token=nonsense", nil, map[string]string{"Cookie": ""}); a.path != "/" {
		t.Errorf("a used link in an open browser leads to %s", a.path)
	}
	y := serve(t, newWorld())
	if a := y.ask("GET", "/open?token=nonsense", nil, nil); a.status != http.StatusForbidden || a.header.Get("Set-Cookie") != "" {
		t.Errorf("a wrong token: %d, cookie %q", a.status, a.header.Get("Set-Cookie"))
	}
	link, _ := y.OpenLink("")
	if a := y.ask("GET", strings.TrimPrefix(link, "http://"+y.addr), nil, map[string]string{"Sec-Fetch-Mode": "cors"}); a.status != http.StatusForbidden {
		t.Errorf("a script that fetches the link: %d", a.status)
	}
}

func TestForeignRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := serve(t, w).enter()
	self := "http://" + x.addr
	for _, c := range []struct {
		name   string
		header map[string]string
		status int
	}{
		{"another name that leads here", map[string]string{"Host": "evil.example"}, 421},
		{"DNS rebinding with our port", map[string]string{"Host": "rebound.evil.example:" + strings.Split(x.addr, ":")[1]}, 421},
		{"another port", map[string]string{"Host": "127.0.0.1:1"}, 421},
		{"no port", map[string]string{"Host": "127.0.0.1"}, 421},
		{"another site's script", map[string]string{"Origin": "https://evil.example"}, 403},
		{"a hidden origin", map[string]string{"Origin": "null"}, 403},
		{"another port of this machine", map[string]string{"Origin": "http://127.0.0.1:1"}, 403},
		{"the same by TLS", map[string]string{"Origin": "https://" + x.addr}, 403},
		{"another site's link", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a page on another port", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"in a frame", map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "iframe"}, 403},
		{"as an object", map[string]string{"Sec-Fetch-Dest": "object"}, 403},
		{"our own", map[string]string{"Origin": self, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "document"}, 200},
		{"typed by the person", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		{"an old browser", nil, 200},
	} {
		for _, path := range []string{"/settings", "/v1/status"} {
			if a := x.ask("GET", path, nil, c.header); a.status != c.status {
				t.Errorf("%s, %s: %d, want %d", c.name, path, a.status, c.status)
			}
		}
		post := x.ask("POST", "/settings", url.Values{"verb": {"pause"}}, c.header)
		if ok := post.status == 200; ok != (c.status == 200) {
			t.Errorf("%s, posting: %d", c.name, post.status)
		}
	}
	if got := strings.Count(w.heard(), "paused true"); got != 3 {
		t.Errorf("paused %d times, want by our own three alone", got)
	}
}

// localhost is a name of this address as well; its cookies are its own.
func TestLocalhostIsOurs(t *testing.T) {
	t.Parallel()
	x := serve(t, newWorld())
	_, port, err := net.SplitHostPort(x.addr)
	if err != nil {
		t.Fatal(err)
	}
	if a := x.ask("GET", "/", nil, map[string]string{"Host": "LocalHost:" + port}); a.status != http.StatusForbidden {
		t.Errorf("localhost: %d, want the page that says how to open it", a.status)
	}
}

func TestAFormNeedsItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := serve(t, w).enter()
	other := serve(t, newWorld()).enter()
	for name, token := range map[string]string{"wrong": "x", "of another session": other.token(), "empty": " "} {
		for _, path := range []string{"/settings", "/outbox", "/account/home/clear", "/v1/pause", "/language"} {
			if a := x.ask("POST", path, url.Values{"csrf": {token}, "verb": {"pause"}}, nil); a.status != http.StatusForbidden {
				t.Errorf("POST %s with a token that is %s: %d", path, name, a.status)
			}
		}
	}
	a := x.ask("POST", "/settings", url.Values{"verb": {"pause"}, "padding": {strings.Repeat("x", maxForm)}}, nil)
	if a.status != http.StatusForbidden {
		t.Errorf("a form beyond the limit: %d", a.status)
	}
	if a := x.ask("POST", "/v1/pause", nil, map[string]string{"X-Melon-CSRF": "x"}); a.status != http.StatusForbidden {
		t.Errorf("a call with a wrong token: %d", a.status)
	}
	if w.heard() != "" {
		t.Errorf("the relay heard %q", w.heard())
	}
	if a := x.ask("POST", "/v1/pause", nil, map[string]string{"X-Melon-CSRF": x.token()}); a.status != 200 || w.heard() != "paused true" {
		t.Errorf("a call with the token: %d, the relay heard %q", a.status, w.heard())
	}
	if a := x.ask("POST", "/v1/open", nil, map[string]string{"X-Melon-CSRF": x.token()}); a.status != 404 {
		t.Errorf("the page itself can make links: %d", a.status)
	}
}

func TestEveryAnswerIsHardened(t *testing.T) {
	t.Parallel()
	x := serve(t, newWorld()).enter()
	for _, path := range []string{"/", "/assets/melon.js", "/v1/status", "/nowhere", "/open?token=x"} {
		a := x.ask("GET", path, nil, nil)
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Cache-Control": "no-store", "Referrer-Policy": "same-origin", "Access-Control-Allow-Origin": "",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
	if a := x.ask("OPTIONS", "/v1/status", nil, map[string]string{"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}); a.status == 200 || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a preflight got %d", a.status)
	}
}

func TestSessionsOutliveARestartAndEnd(t *testing.T) {
	t.Parallel()
	now := time.Now()
	clock := func() time.Time { return now }
	dir := t.TempDir()
	s, err := openSessions(dir, clock)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, keyName)
	if fi, err := os.Stat(file); err != nil || !privateMode(fi.Mode()) {
		t.Fatalf("the secret: %v, %v", fi.Mode(), err)
	}
	r, _ := http.NewRequest("GET", "/", nil)
	r.AddCookie(s.newCookie())
	again, err := openSessions(dir, clock)
	if err != nil || again.session(r) == "" {
		t.Fatalf("after a restart the session is gone (%v)", err)
	}
	now = now.Add(sessionLife + time.Minute)
	if again.session(r) != "" {
		t.Error("a session lasts longer than a week")
	}
	now = now.Add(-sessionLife)
	if err := again.renew(); err != nil || again.session(r) != "" {
		t.Errorf("a session outlived its end (%v)", err)
	}
	for what, spoil := range map[string]func() error{
		"readable by others": func() error { return os.Chmod(file, 0o644) },
		"cut":                func() error { return os.WriteFile(file, []byte("short"), 0o600) },
	} {
		before, err := os.ReadFile(file)
		if err == nil {
			err = spoil()
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := openSessions(dir, clock); err != nil {
			t.Fatal(err)
		}
		after, _ := os.ReadFile(file)
		fi, err := os.Stat(file)
		if err != nil || string(before) == string(after) || !privateMode(fi.Mode()) {
			t.Errorf("a secret that was %s is used on (mode %v)", what, fi.Mode())
		}
	}
}

func TestEndingSessionsKeepsOnesOwn(t *testing.T) {
	t.Parallel()
	x := serve(t, newWorld()).enter()
	u, _ := url.Parse("http://" + x.addr)
	old := x.browser.Jar.Cookies(u)
	if a := x.post("/settings", "verb", "end-sessions"); a.status != 200 {
		t.Fatalf("%d", a.status)
	}
	var names []string
	for _, c := range old {
		names = append(names, c.String())
	}
	x.browser.Jar = nil
	if a := x.ask("GET", "/", nil, map[string]string{"Cookie": strings.Join(names, "; ")}); a.status != http.StatusForbidden {
		t.Errorf("an ended session got %d", a.status)
	}
}

func TestOnlyLoopbackIsListenedOn(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.org:80"} {
		if l, err := Listen(addr); err == nil {
			l.Close()
			t.Errorf("%s was listened on", addr)
		}
	}
}

func TestOtherUsersAreTurnedAway(t *testing.T) {
	t.Parallel()
	l, err := Listen("localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	p := serve(t, w).parts
	asked := make(chan string, 1)
	s, err := Serve(l, p, Options{StateDir: t.TempDir(), SameUser: func(c net.Conn) bool {
		asked <- c.RemoteAddr().String()
		return false
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", s.Addr())
	if line, err := bufio.NewReader(c).ReadString('\n'); err == nil {
		t.Errorf("another user got %q", line)
	}
	if got := <-asked; got != c.LocalAddr().String() {
		t.Errorf("asked about %s, not about %s", got, c.LocalAddr())
	}
}
