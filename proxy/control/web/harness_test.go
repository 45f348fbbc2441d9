package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/proxy/config"
	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/upstream"
)

// world is everything behind the page, made up.
type world struct {
	mu      sync.Mutex
	calls   []string
	status  api.Status
	entries []api.Entry
	history []api.Event
	config  *config.Config
	body    string // of each message

	found    Found
	testErr  error
	saveErr  error
	password string        // as Save got it
	gate     chan struct{} // when set, jobs wait for it
	verdict  Diagnosis
	wait     chan error // ends a sign-in
	on       bool       // autostart
}

func newWorld() *world {
	w := &world{config: config.Defaults(), body: "Subject: x\r\n\r\nbody\r\n"}
	w.config.Accounts = []upstream.Account{{Name: "home", Address: "taro@provider-a.example", Username: "taro",
		SMTP: upstream.Server{Host: "smtp.provider-a.example", Security: upstream.SecurityAuto}, Auth: upstream.AuthAuto}}
	w.config.Default = "home"
	w.status = api.Status{State: api.StateIdle, Version: "test", Config: "/c/config.yaml",
		Accounts:  []api.Account{{Name: "home", Address: "taro@provider-a.example", State: api.AccountReady, Default: true}},
		Listeners: []api.Listener{{Kind: "smtp", Address: "127.0.0.1:2525"}}}
	return w
}

func (w *world) called(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, fmt.Sprintf(format, a...))
}

func (w *world) heard() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.calls, "; ")
}

func (w *world) Status() api.Status { return w.status }
func (w *world) ClearAccount(name string) error {
	w.called("clear %s", name)
	return nil
}
func (w *world) SetPaused(p bool) error {
	w.called("paused %v", p)
	w.status.Paused = p
	return nil
}
func (w *world) Entries() ([]api.Entry, error) {
	return nil, errors.New("the page must not read every entry")
}
func (w *world) History() ([]api.Event, error) { return append([]api.Event(nil), w.history...), nil }
func (w *world) Message(string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(w.body)), nil
}
func (w *world) Entry(id string) (api.Entry, error) {
	for _, e := range w.entries {
		if e.ID == id {
			return e, nil
		}
	}
	return api.Entry{}, fmt.Errorf("%w: %s", control.ErrNotFound, id)
}
func (w *world) Do(verb string, ids []string) ([]string, error) {
	w.called("%s %v", verb, ids)
	return ids, nil
}
func (w *world) Page(state api.EntryState, offset, limit int) (out []api.Entry, total int, err error) {
	for _, e := range w.entries {
		if state == "" || e.State == state {
			if total >= offset && len(out) < limit {
				out = append(out, e)
			}
			total++
		}
	}
	return out, total, nil
}

// hold waits for the gate, if there is one.
func (w *world) hold(ctx context.Context) {
	if w.gate == nil {
		return
	}
	select {
	case <-w.gate:
	case <-ctx.Done():
	}
}

func (w *world) Discover(ctx context.Context, address, lang string, step func(Step)) (Found, error) {
	w.called("discover %s %s", address, lang)
	step(Step{Status: StepOK, Name: "autoconfig", Text: "looked there"})
	w.hold(ctx)
	return w.found, nil
}
func (w *world) Test(ctx context.Context, a upstream.Account, password, _ string, step func(Step)) error {
	w.called("test %s", a.Name)
	step(Step{Status: StepOK, Name: "smtp-587", Text: "connected"})
	w.hold(ctx)
	return w.testErr
}
func (w *world) Save(_ context.Context, a upstream.Account, password string) (string, error) {
	w.called("save %s %s:%d", a.Name, a.SMTP.Host, a.SMTP.Port)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.password = password
	if w.saveErr == nil {
		cfg := *w.config
		cfg.Accounts = append(cfg.Accounts[:len(cfg.Accounts):len(cfg.Accounts)], a)
		w.config = &cfg
	}
	return "file", w.saveErr
}
func (w *world) Remove(_ context.Context, name string) error {
	w.called("remove account %s", name)
	return nil
}
func (w *world) SetDefault(_ context.Context, name string) error {
	w.called("default %s", name)
	return nil
}
func (w *world) Diagnose(ctx context.Context, account, lang string, step func(Step)) (Diagnosis, error) {
	w.called("diagnose %s %s", account, lang)
	step(Step{Status: StepOK, Name: "network", Text: "wlan0"})
	w.hold(ctx)
	return w.verdict, nil
}
func (w *world) Enabled() (bool, error) { return w.on, nil }
func (w *world) Set(on bool) error {
	w.on = on
	return nil
}
func (w *world) Begin(_ context.Context, account string, device bool, _ string) (SignIn, error) {
	w.called("sign in %s %v", account, device)
	return fakeSignIn{w, device}, nil
}

type fakeSignIn struct {
	w      *world
	device bool
}

func (f fakeSignIn) Where() (string, string) {
	if f.device {
		return "https://login.provider-a.example/device", "ABCD-EFGH"
	}
	return "https://login.provider-a.example/auth?x=1&y=2", ""
}
func (f fakeSignIn) Wait(ctx context.Context) error {
	select {
	case err := <-f.w.wait:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
func (f fakeSignIn) Close() error { return nil }

// site is a page that is being served, and a browser in front of it.
type site struct {
	*Server
	t       testing.TB
	world   *world
	journal *control.Journal
	dir     string
	browser *http.Client
}

// serve starts the page; the browser has no session yet.
func serve(t testing.TB, w *world) *site {
	t.Helper()
	return serveIn(t, w, t.TempDir(), "127.0.0.1:0")
}

func serveIn(t testing.TB, w *world, dir, addr string) *site {
	t.Helper()
	l, err := Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	j := control.NewJournal(time.Now)
	p := Parts{Daemon: w, Outbox: w, Journal: j, Config: func() *config.Config {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.config
	}, Finder: w, Tester: w, Keeper: w, SignIns: w, Doctor: w, Autostart: w, Hint: w.hint}
	s, err := Serve(l, p, Options{API: control.Handler(control.Options{Daemon: daemonOf{w}, Outbox: w, Journal: j}), StateDir: dir, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	x := &site{Server: s, t: t, world: w, journal: j, dir: dir, browser: &http.Client{Jar: jar, Transport: tr}}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		x.close()
	})
	return x
}

// daemonOf is world as the API wants it.
type daemonOf struct{ *world }

func (daemonOf) Reload() error { return nil }

func (x *site) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := x.Server.Close(ctx); err != nil {
		x.t.Error(err)
	}
}

// enter opens the page by a link.
func (x *site) enter() *site {
	x.t.Helper()
	link, err := x.OpenLink("")
	if err != nil {
		x.t.Fatal(err)
	}
	if a := x.ask("GET", strings.TrimPrefix(link, "http://"+x.addr), nil, nil); a.status != 200 {
		x.t.Fatalf("the link answered %d: %s", a.status, a.body)
	}
	return x
}

// reply is what a page answered.
type answer struct {
	status int
	header http.Header
	body   string
	path   string // where redirects led
}

// ask makes one request. A form is posted with the session's token unless it
// names one itself.
func (x *site) ask(method, path string, form url.Values, header map[string]string) answer {
	x.t.Helper()
	var body io.Reader
	if form != nil {
		if form.Get("csrf") == "" {
			form.Set("csrf", x.token())
		}
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(x.t.Context(), method, "http://"+x.addr+path, body)
	if err != nil {
		x.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range header {
		if k == "Host" {
			req.Host = v
		} else {
			req.Header.Set(k, v)
		}
	}
	resp, err := x.browser.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(data), resp.Request.URL.RequestURI()}
}

func (x *site) get(path string) string {
	x.t.Helper()
	a := x.ask("GET", path, nil, nil)
	if a.status != 200 {
		x.t.Fatalf("GET %s: %d\n%s", path, a.status, a.body)
	}
	return a.body
}

func (x *site) post(path string, fields ...string) answer {
	x.t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return x.ask("POST", path, form, nil)
}

// token is the form token of the browser's session.
func (x *site) token() string {
	u := &url.URL{Scheme: "http", Host: x.addr, Path: "/"}
	for _, c := range x.browser.Jar.Cookies(u) {
		if c.Name == x.sessions.cookieName() {
			return x.sessions.csrf(strings.Split(c.Value, ".")[0])
		}
	}
	return ""
}

// finish waits until the job whose page this is has ended.
func (x *site) finish(id string) {
	x.t.Helper()
	j := x.jobs.get(id)
	if j == nil {
		x.t.Fatalf("there is no job %s", id)
	}
	for {
		st, more := j.watch()
		if st.Done {
			return
		}
		select {
		case <-more:
		case <-x.t.Context().Done():
			x.t.Fatal("the job did not end")
		}
	}
}

// hint implements Parts.Hint.
func (w *world) hint(id string) (string, string) {
	if id != "new" {
		return "", ""
	}
	return "New Mail", "you@new.example"
}

// holds fails the test unless every text is in the page.
func holds(t *testing.T, page string, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if !strings.Contains(page, s) {
			t.Errorf("the page lacks %q:\n%s", s, page)
		}
	}
}
