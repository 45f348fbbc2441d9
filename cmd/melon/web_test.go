//go:build !windows

package main

import (
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"melon/proxy/control/api"
	"melon/upstream/lab"
)

// webRelay is a relay whose page has a free port.
const webRelay = "listen: {smtp: [\"127.0.0.1:0\"]}\ncontrol: {web: \"127.0.0.1:0\"}\n"

// opened is a browser that has been let in.
type opened struct {
	t    *testing.T
	http *http.Client
	base string
}

// openPage opens the page by the command's link.
func (h *home) openPage() *opened {
	h.t.Helper()
	out, errs, status := h.run("open", "--print")
	if status != exitDone {
		h.t.Fatalf("melon open: %d %s", status, errs)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	tr := &http.Transport{}
	h.t.Cleanup(tr.CloseIdleConnections)
	link := strings.TrimSpace(out)
	o := &opened{h.t, &http.Client{Jar: jar, Transport: tr}, link[:strings.Index(link, "/open")]}
	o.get(strings.TrimPrefix(link, o.base))
	return o
}

func (o *opened) read(r *http.Response, err error) (status int, page, path string) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return r.StatusCode, string(data), r.Request.URL.RequestURI()
}

func (o *opened) get(path string) string {
	o.t.Helper()
	status, page, _ := o.read(o.http.Get(o.base + path))
	if status != http.StatusOK {
		o.t.Fatalf("GET %s: %d\n%s", path, status, page)
	}
	return page
}

// post sends a form of the page at from.
func (o *opened) post(from, to string, fields ...string) (status int, page, path string) {
	o.t.Helper()
	token := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(o.get(from))
	form := url.Values{"csrf": {token[1]}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return o.read(o.http.PostForm(o.base+to, form))
}

// ended reads a job's page until the job has ended: its events end with it.
func (o *opened) ended(path string) string {
	o.t.Helper()
	for {
		page := o.get(path)
		m := regexp.MustCompile(`data-job="([^"]+)"`).FindStringSubmatch(page)
		if m == nil {
			return page
		}
		o.read(o.http.Get(o.base + "/jobs/" + m[1] + "/events"))
	}
}

func TestOpenPrintsALinkThatWorksOnce(t *testing.T) {
	t.Parallel()
	h := newHome(t, webRelay)
	if _, errs, status := h.run("open", "--print"); status != exitNotRunning {
		t.Errorf("with nothing running: %d %s", status, errs)
	}
	p := h.start()
	o := h.openPage()
	if page := o.get("/"); !strings.Contains(page, "no account yet") {
		t.Errorf("the first page:\n%s", page)
	}
	st := jsonOf[api.Status](h, "status")
	if n := len(st.Listeners); n != 2 || st.Listeners[1].Kind != "web" || "http://"+st.Listeners[1].Address != o.base {
		t.Errorf("the status lists %v, the page is at %s", st.Listeners, o.base)
	}
	if !strings.Contains(p.output(), "listening web "+st.Listeners[1].Address+"\n") {
		t.Errorf("run does not print where the page is:\n%s", p.output())
	}
	out, _, _ := h.run("open", "outbox", "--print")
	if _, page, _ := o.read(o.http.Get(strings.TrimSpace(out))); !strings.Contains(page, `url=/outbox"`) {
		t.Errorf("the link to the outbox leads elsewhere:\n%s", page)
	}
	p.stop(syscall.SIGKILL)
	h.start()
	if fi, err := os.Stat(filepath.Join(h.state, "web.key")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the page's secret: %v, %v", fi.Mode(), err)
	}
}

func TestABusyPortNeverStopsTheRelay(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := newHome(t, "listen: {smtp: [\"127.0.0.1:0\"]}\ncontrol: {web: \""+l.Addr().String()+"\"}\n")
	p := h.start()
	if strings.Contains(p.output(), "listening web") {
		t.Errorf("it says that it listens:\n%s", p.output())
	}
	st := jsonOf[api.Status](h, "status")
	if len(st.Problems) != 1 || !strings.Contains(st.Problems[0], "the web page is not there") || st.State != api.StateIdle {
		t.Errorf("the status says %s, %q", st.State, st.Problems)
	}
	if _, errs, status := h.run("open", "--print"); status != exitFailed || !strings.Contains(errs, "control.web") {
		t.Errorf("open: %d %s", status, errs)
	}
}

func TestTheWebPageCanBeOff(t *testing.T) {
	t.Parallel()
	h := newHome(t, "listen: {smtp: [\"127.0.0.1:0\"]}\ncontrol: {web: \"off\"}\n")
	p := h.start()
	if st := jsonOf[api.Status](h, "status"); len(st.Problems) != 0 || len(st.Listeners) != 1 || strings.Contains(p.output(), "web") && strings.Contains(p.output(), "listening web") {
		t.Errorf("%+v\n%s", st, p.output())
	}
	if _, errs, status := h.run("open", "--print"); status != exitFailed || !strings.Contains(errs, "switched off") {
		t.Errorf("open: %d %s", status, errs)
	}
}

// TestAnAccountIsKeptByThePage adds, changes and removes an account on the page,
// and looks at what that leaves in the files.
func TestAnAccountIsKeptByThePage(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{
		Hosts: []string{"127.0.0.1"}, Rules: lab.Rules{PBS: lab.PBS{Window: 1 << 40}},
		SMTP: lab.SMTP{Without: []string{"STARTTLS", "AUTH"}}, POP: lab.POP{Without: []string{"STLS"}},
	})
	a := provider.Account("x")
	h := newHome(t, "# mine\n"+webRelay)
	h.env = []string{noKeyring}
	h.start()
	o := h.openPage()
	_, _, setup := o.post("/add", "/add", "address", "taro@provider-a.example", "password", lab.DefaultUser.Password)
	o.ended(setup)
	fields := []string{"name", "a", "address", "taro@provider-a.example", "username", "taro", "smtp_host", "127.0.0.1",
		"smtp_port", strconv.Itoa(a.SMTP.Port), "smtp_security", "none", "auth", "auto", "pop_host", "127.0.0.1",
		"pop_port", strconv.Itoa(a.POP.Port), "pop_security", "none", "window", "7", "allow_plaintext", "yes", "verb", "test"}
	o.post(setup, setup, fields...)
	if page := o.ended(setup); !strings.Contains(page, "a is set up and works") {
		t.Fatalf("not saved:\n%s", page)
	}
	now, err := os.ReadFile(h.config)
	if err != nil || !strings.HasPrefix(string(now), "# mine\n") || strings.Contains(string(now), lab.DefaultUser.Password) || !strings.Contains(string(now), "7m") || !strings.Contains(string(now), "default: a") {
		t.Errorf("the configuration (%v):\n%s", err, now)
	}
	secret := filepath.Join(h.state, "secrets", "password-a")
	if data, err := os.ReadFile(secret); err == nil && strings.TrimSpace(string(data)) != lab.DefaultUser.Password {
		t.Errorf("the secret is %q", data)
	}
	h.changeByPage(o, fields, secret)
	if _, page, path := o.post("/account/a", "/account/a/remove"); path != "/account?done=removed" || !strings.Contains(page, "No account is set up yet") {
		t.Errorf("removing led to %s\n%s", path, page)
	}
	if _, err := os.Stat(secret); err == nil {
		t.Error("the secret of a removed account is left")
	}
}

// changeByPage gives the account a another password and no POP server: the one is
// stored in its old place, the other taken out.
func (h *home) changeByPage(o *opened, fields []string, secret string) {
	h.t.Helper()
	_, _, edit := o.read(o.http.Get(o.base + "/account/a/edit"))
	fields[len(fields)-1] = "save"
	for i, f := range fields {
		switch f {
		case "pop_host":
			fields[i+1] = ""
		case "smtp_security":
			fields[i+1] = "none" // refused: the account has a password
		}
	}
	if _, page, _ := o.post(edit, edit, append(fields, "password", "another", "allow_plaintext", "")...); !strings.Contains(page, "allow_plaintext: true") {
		h.t.Errorf("it was not refused:\n%s", page)
	}
	if data, err := os.ReadFile(secret); err == nil && strings.TrimSpace(string(data)) != lab.DefaultUser.Password {
		h.t.Error("a refused change changed the secret")
	}
	for i, f := range fields {
		if f == "smtp_security" {
			fields[i+1] = "auto"
		}
	}
	if status, page, _ := o.post(edit, edit, append(fields, "password", "another", "allow_plaintext", "")...); status != http.StatusOK || !strings.Contains(page, "is saved") {
		h.t.Fatalf("%d\n%s", status, page)
	}
	now, err := os.ReadFile(h.config)
	if err != nil || strings.Contains(string(now), "pop") || strings.Contains(string(now), "allow_plaintext") || !strings.HasPrefix(string(now), "# mine\n") {
		h.t.Errorf("the configuration (%v):\n%s", err, now)
	}
	if data, err := os.ReadFile(secret); err == nil && strings.TrimSpace(string(data)) != "another" {
		h.t.Errorf("the secret is still %q", data)
	}
}

// TestProgressCountsTheReaderOfTheMoment: a message that is read again is counted
// anew, and one that is done is forgotten.
func TestProgressCountsTheReaderOfTheMoment(t *testing.T) {
	t.Parallel()
	var p progress
	body, done := p.track("one", wholeBody(strings.Repeat("x", 1000)))
	if p.of("one") != nil {
		t.Error("there is progress before anything was read")
	}
	for range 2 {
		r, err := body.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, r, 600); err != nil {
			t.Fatal(err)
		}
		if got := p.of("one"); got == nil || got.Sent != 600 {
			t.Errorf("%+v, want 600 octets", got)
		}
		r.Close()
	}
	done()
	if p.of("one") != nil {
		t.Error("what is done is remembered")
	}
}
