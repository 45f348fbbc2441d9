package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"melon/proxy/control/api"
	"melon/upstream"
)

// typed is a whole form of a new account.
func typed(more ...string) url.Values {
	f := url.Values{"name": {"new"}, "address": {"hanako@new.example"}, "username": {"hanako"}, "smtp_host": {"smtp.new.example"},
		"smtp_port": {"587"}, "smtp_security": {"starttls"}, "auth": {"auto"}, "verb": {"test"}}
	for i := 0; i+1 < len(more); i += 2 {
		f.Set(more[i], more[i+1])
	}
	return f
}

func TestAccountFromAddressToSaved(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.gate = make(chan struct{})
	w.found = Found{Source: "the provider's own word", Notes: []string{"An app password is needed."},
		Account: upstream.Account{Username: "hanako", SMTP: upstream.Server{Host: "smtp.new.example", Port: 587, Security: upstream.SecurityStartTLS}, Auth: upstream.AuthAuto}}
	x := serve(t, w).enter()
	a := x.post("/add", "address", "nonsense", "password", "secret-1")
	if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "does not look like") {
		t.Errorf("a bad address: %d\n%s", a.status, a.body)
	}
	a = x.post("/add", "address", "hanako@new.example", "password", "secret-1")
	setup := a.path
	holds(t, a.body, "Looking for the servers of hanako@new.example", "data-job=", `content="2"`)
	w.gate <- struct{}{}
	x.finishAt(setup)
	page := x.get(setup)
	holds(t, page, "Found:", "the provider&#39;s own word", "An app password is needed.", `value="smtp.new.example"`, `value="587"`, `value="new"`, "Test and save", "looked there")
	a = x.ask("POST", setup, typed(), nil)
	holds(t, a.body, "Testing the account", "data-job=")
	if again := x.ask("POST", setup, typed(), nil); again.status != 200 {
		t.Errorf("clicked twice: %d", again.status)
	}
	w.gate <- struct{}{}
	x.finishAt(setup)
	page = x.get(setup)
	holds(t, page, "new is set up and works", "a file that only you can read", "localhost", "2525")
	if !strings.Contains(w.heard(), "test new; save new smtp.new.example:587") || strings.Count(w.heard(), "test") != 1 || w.password != "secret-1" {
		t.Errorf("heard %q, password %q", w.heard(), w.password)
	}
	for _, p := range []string{setup, "/", "/account/new", "/settings", "/activity"} {
		if strings.Contains(x.get(p), "secret-1") {
			t.Errorf("%s shows the password", p)
		}
	}
	if d := x.drafts.get(strings.TrimPrefix(setup, "/setup/")); d.password != "" {
		t.Error("the password is kept in memory after it was saved")
	}
}

func TestAFailedTestSavesNothingAndExplains(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.testErr = &upstream.Error{Class: upstream.ClassCredentialsRejected, Phase: upstream.PhaseAuth,
		Reply: upstream.Reply{Code: 535, Enhanced: upstream.EnhancedCode{5, 7, 8}, Lines: []string{"bad credentials"}}}
	x := serve(t, w).enter()
	setup := x.post("/add", "address", "hanako@new.example", "password", "secret-1").path
	x.finishAt(setup)
	holds(t, x.get(setup), "No settings were found")
	x.ask("POST", setup, typed("allow_plaintext", "yes", "pop_host", "pop.new.example", "window", "12"), nil)
	x.finishAt(setup)
	holds(t, x.get(setup), "It did not work", "535 5.7.8 bad credentials", `value="pop.new.example"`, `value="12"`, " checked", "A password was typed")
	if strings.Contains(w.heard(), "save") {
		t.Errorf("it was saved: %s", w.heard())
	}
	a := x.ask("POST", setup, typed("verb", "save"), nil)
	holds(t, a.body, "new is saved. It was not tested.")
	if w.password != "secret-1" {
		t.Errorf("the password that was typed first is lost: %q", w.password)
	}
}

func TestBadFieldsAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := serve(t, w).enter()
	setup := x.post("/add", "address", "hanako@new.example").path
	x.finishAt(setup)
	for _, c := range []struct{ field, value, want string }{
		{"name", "", "Give the account a name"}, {"name", "a b", "Give the account a name"}, {"name", "../x", "Give the account a name"},
		{"name", "home", "already"}, {"name", "HOME", "already"},
		{"address", "x", "does not look like"}, {"smtp_host", "", "is missing"}, {"smtp_port", "66000", "0 to 65535"}, {"pop_port", "x", "0 to 65535"},
		{"window", "0", "1 to 1440"}, {"username", "a\nb", "no setting can be"}, {"smtp_host", strings.Repeat("x", 600), "no setting can be"},
		{"smtp_host", "h\u202e", "no setting can be"}, {"username", "\xff", "no setting can be"},
	} {
		a := x.ask("POST", setup, typed(c.field, c.value), nil)
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, c.want) {
			t.Errorf("%s=%q: %d, want %q\n%s", c.field, c.value, a.status, c.want, a.body)
		}
	}
	if strings.Contains(w.heard(), "test") || strings.Contains(w.heard(), "save") {
		t.Errorf("heard %s", w.heard())
	}
}

func TestAnAccountIsChangedRemovedAndMadeDefault(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := serve(t, w).enter()
	a := x.ask("GET", "/account/home/edit", nil, nil)
	holds(t, a.body, "Leave this empty to keep the present one", `value="smtp.provider-a.example"`)
	if strings.Contains(a.body, `name="name"`) {
		t.Error("an account can be renamed by mistake")
	}
	x.ask("POST", a.path, typed("address", "taro@provider-a.example"), nil)
	x.finishAt(a.path)
	if !strings.Contains(w.heard(), "test home; save home smtp.new.example:587") || w.password != "" {
		t.Errorf("heard %q, password %q", w.heard(), w.password)
	}
	x.post("/account/home/default")
	x.post("/account/home/clear")
	holds(t, x.get("/account/home/remove"), "Remove home (taro@provider-a.example)?")
	x.post("/account/home/remove")
	for _, want := range []string{"default home", "clear home", "remove account home"} {
		if !strings.Contains(w.heard(), want) {
			t.Errorf("heard %q, want %q", w.heard(), want)
		}
	}
	if a := x.post("/account/nobody/test"); a.status != http.StatusNotFound {
		t.Errorf("an unknown account: %d", a.status)
	}
	if a := x.post("/account/home/explode"); a.status != http.StatusNotFound {
		t.Errorf("an unknown verb: %d", a.status)
	}
}

func TestOAuthSignInByBrowserAndByCode(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.wait = make(chan error)
	w.found = Found{Source: "known provider", Account: upstream.Account{Auth: upstream.AuthXOAUTH2, SMTP: upstream.Server{Host: "smtp.new.example"},
		OAuth: upstream.OAuth{Provider: "google", ClientID: "x"}}}
	x := serve(t, w).enter()
	setup := x.post("/add", "address", "hanako@new.example").path
	x.finishAt(setup)
	page := x.get(setup)
	holds(t, page, "Save and sign in", "signs in by your browser")
	a := x.ask("POST", setup, typed("auth", "xoauth2", "oauth_provider", "google", "oauth_client", "x"), nil)
	id := a.path[strings.LastIndexByte(a.path, '/')+1:]
	x.until(id, func(st jobState) bool { return st.Result != nil })
	holds(t, x.get(a.path), `href="https://login.provider-a.example/auth?x=1&amp;y=2"`, `rel="noopener noreferrer"`, "Waiting for you")
	w.wait <- nil
	x.finish(id)
	holds(t, x.get(a.path), "It works", "localhost")
	if want := "save new smtp.new.example:587; sign in new false; clear new; test new"; !strings.Contains(w.heard(), want) {
		t.Errorf("heard %q, want %q", w.heard(), want)
	}
	a = x.post("/account/new/signin", "device", "yes")
	id = a.path[strings.LastIndexByte(a.path, '/')+1:]
	x.until(id, func(st jobState) bool { return st.Result != nil })
	holds(t, x.get(a.path), "ABCD-EFGH")
	w.wait <- errors.New("declined")
	x.finish(id)
	holds(t, x.get(a.path), "declined", "Sign in again")
}

// until waits until a job is in a state.
func (x *site) until(id string, ok func(jobState) bool) {
	x.t.Helper()
	for {
		st, more := x.jobs.get(id).watch()
		if ok(st) {
			return
		}
		<-more
	}
}

func TestDoctorRunsShowsAndReports(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.gate = make(chan struct{})
	w.verdict = Diagnosis{Account: "home", Verdict: upstream.ClassPortBlocked, Summary: "The ports are blocked.", Advice: []string{"Use another network."},
		Checks: []Step{{StepOK, "network", "wlan0", 1}, {StepFail, "smtp-587", "timed out <b>", 5000}}}
	x := serve(t, w).enter()
	a := x.post("/why", "account", "home")
	x.until(a.path[len("/why/"):], func(st jobState) bool { return len(st.Steps) > 0 })
	holds(t, x.get(a.path), "wlan0", "Working", "data-job=")
	if r := x.ask("GET", a.path+"/report.txt", nil, nil); r.status != http.StatusNotFound {
		t.Errorf("a report before its end: %d", r.status)
	}
	w.gate <- struct{}{}
	x.finishAt(a.path)
	page := x.get(a.path)
	holds(t, page, "The ports are blocked.", "Use another network.", "timed out &lt;b&gt;", "It ends between the network and the provider.", `class="link broken"`, "data-print")
	if strings.Count(page, `class="link passed"`) != 2 || strings.Count(page, `class="link broken"`) != 1 {
		t.Errorf("the picture is wrong:\n%s", page)
	}
	r := x.ask("GET", a.path+"/report.txt", nil, nil)
	holds(t, r.body, "port-blocked", "The ports are blocked.", "- Use another network.", "smtp-587", "5000 ms")
	if r.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("the report is %s", r.header.Get("Content-Type"))
	}
	if a := x.post("/why", "account", "nobody"); a.status != http.StatusNotFound {
		t.Errorf("an unknown account: %d", a.status)
	}
}

// TestThePictureMarksOneFault: every verdict but ok is marked in exactly one place.
func TestThePictureMarksOneFault(t *testing.T) {
	t.Parallel()
	for _, c := range append(upstream.ReplyClasses(), upstream.NetworkClasses()...) {
		w := way{Stops: stops(c), Broken: brokenAt(c), OK: c == upstream.ClassOK}
		broken := 0
		for n := range 4 {
			if w.Broke(n) {
				broken++
			}
		}
		if want := 1; broken != want && c != upstream.ClassOK || c == upstream.ClassOK && broken != 0 {
			t.Errorf("%s: %d faults", c, broken)
		}
	}
}

func TestAPastedReplyIsExplained(t *testing.T) {
	t.Parallel()
	x := serve(t, newWorld()).enter()
	a := x.post("/why/explain", "reply", "550 5.7.1 <x@y.example>: Relay access denied; please check POP before SMTP", "phase", "rcpt")
	holds(t, a.body, "pop-before-smtp-required", "POP login")
	a = x.post("/why/explain", "reply", strings.Repeat("é<script>", 20000), "phase", "nonsense")
	if a.status != 200 && a.status != http.StatusForbidden {
		t.Errorf("a huge reply: %d", a.status)
	}
	if strings.Contains(a.body, "<script>é") {
		t.Error("what was pasted is not escaped")
	}
}

func TestOutboxCommands(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.entries = []api.Entry{refusedEntry("aaaaaaaaaa"), refusedEntry("bbbbbbbbbb")}
	w.entries[1].State = api.EntrySending
	w.entries[1].Progress = &api.Progress{Sent: 61728, Since: time.Now().Add(-10 * time.Second)}
	x := serve(t, w).enter()
	holds(t, x.get("/outbox"), "61.7 kB of 123.5 kB", "s left", `value="50"`, "and 1 more", "&lt;script&gt;alert(1)")
	one := x.get("/outbox/aaaaaaaaaa")
	holds(t, one, "535 5.7.8", "credentials-rejected", "at the login", `value="release"`, `value="hold"`, "Download (.eml)")
	if two := x.get("/outbox/bbbbbbbbbb"); strings.Contains(two, `value="remove"`) {
		t.Error("a message that is being sent can be removed")
	}
	for _, verb := range []string{"send", "hold", "release"} {
		if a := x.post("/outbox", "verb", verb, "id", "aaaaaaaaaa", "back", "/outbox/aaaaaaaaaa"); a.status != 200 || a.path != "/outbox/aaaaaaaaaa?done="+verb {
			t.Errorf("%s: %d %s", verb, a.status, a.path)
		}
	}
	a := x.post("/outbox", "verb", "remove", "id", "aaaaaaaaaa", "id", "bbbbbbbbbb", "id", "gone")
	holds(t, a.body, "Remove for good", "Messages: 2", `name="sure"`)
	if strings.Contains(w.heard(), "remove") {
		t.Fatal("it was removed without being asked")
	}
	x.post("/outbox", "verb", "remove", "sure", "yes", "id", "aaaaaaaaaa")
	if want := "send [aaaaaaaaaa]; hold [aaaaaaaaaa]; release [aaaaaaaaaa]; remove [aaaaaaaaaa]"; w.heard() != want {
		t.Errorf("heard %q, want %q", w.heard(), want)
	}
	if a := x.post("/outbox", "verb", "hold"); !strings.Contains(a.path, "done=none") {
		t.Errorf("nothing chosen led to %s", a.path)
	}
	if a := x.post("/outbox", "verb", "explode", "id", "a"); a.status != http.StatusBadRequest {
		t.Errorf("an unknown verb: %d", a.status)
	}
	m := x.ask("GET", "/outbox/aaaaaaaaaa/message", nil, nil)
	if m.body != w.body || m.header.Get("Content-Type") != "message/rfc822" || m.header.Get("Content-Disposition") != `attachment; filename="aaaaaaaaaa.eml"` {
		t.Errorf("the message: %q %v", m.body, m.header)
	}
	if a := x.ask("GET", "/outbox/zzz", nil, nil); a.status != http.StatusNotFound {
		t.Errorf("an unknown message: %d", a.status)
	}
}

func TestEstimates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sent, size int64
		spent      time.Duration
		want       int
	}{{0, 100, time.Minute, 0}, {50, 100, time.Second, 0}, {50, 100, 10 * time.Second, 11}, {100, 100, time.Minute, 0}, {1, 1e12, 10 * time.Second, 86401}} {
		if got := estimate(c.sent, c.size, c.spent); got != c.want {
			t.Errorf("%d of %d in %v: %d s left, want %d", c.sent, c.size, c.spent, got, c.want)
		}
	}
}

// TestALargeOutboxIsPaged: a page is as large whether 100 or 10,000 messages wait.
func TestALargeOutboxIsPaged(t *testing.T) {
	t.Parallel()
	pages := map[int]int{}
	for _, n := range []int{100, 10_000} {
		w := newWorld()
		for i := range n {
			w.entries = append(w.entries, refusedEntry(fmt.Sprintf("%010d", i)))
		}
		x := serve(t, w).enter()
		page := x.get("/outbox?page=2")
		pages[n] = len(page)
		holds(t, page, "0000000050", "0000000099", fmt.Sprintf("Page 2 of %d", n/pageSize), "Previous")
		if strings.Contains(page, "0000000100") {
			t.Error("more than a page is shown")
		}
		holds(t, x.get("/"), fmt.Sprintf("The whole outbox (%d)", n))
		if a := x.ask("GET", "/outbox?page=999999", nil, nil); a.path != fmt.Sprintf("/outbox?page=%d&state=", n/pageSize) {
			t.Errorf("beyond the end: %s", a.path)
		}
	}
	if pages[10_000] > pages[100]+2000 {
		t.Errorf("a page of 10,000 messages has %d octets, of 100 %d", pages[10_000], pages[100])
	}
}

// TestManyEventsLeaveMemoryWhereItWas: what 36,000 events and as many traced lines
// leave behind is bounded, and so is the page about them.
func TestManyEventsLeaveMemoryWhereItWas(t *testing.T) {
	w := newWorld()
	x := serve(t, w).enter()
	add := func(n int) {
		for i := range n {
			x.journal.Add(api.Event{Kind: "message", Outcome: api.OutcomeSent, ID: fmt.Sprint(i), Account: "home", From: "taro@provider-a.example", To: []string{fmt.Sprintf("%d@x.example", i)}})
			x.parts.Traces.Add(fmt.Sprint(i/7), "home", "home", Line{Text: strings.Repeat("x", i%512)})
		}
	}
	add(5000)
	x.get("/activity")
	before := heap()
	add(36_000)
	page := x.get("/activity")
	if after := heap(); after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d octets", before, after)
	}
	if n := strings.Count(page, "<time "); n > shownEvents+maxTraces {
		t.Errorf("the page shows %d lines", n)
	}
	if tr := x.parts.Traces; len(tr.all) > maxTraces || tr.bytes > maxTraceBytes+maxTraceLines*512 {
		t.Errorf("%d conversations, %d octets are remembered", len(tr.all), tr.bytes)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestActivityFiltersAndFindsConversations(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.history = []api.Event{{Kind: "message", Outcome: api.OutcomeSent, Account: "home", From: "old@x.example", To: []string{"u@y.example"}, Time: time.Now().Add(-time.Hour), Text: "250 ok"}}
	x := serve(t, w).enter()
	at := time.Now()
	tr := x.parts.Traces
	tr.Add("one", "home a:465", "home", Line{Time: at.Add(-3 * time.Second), Client: true, Text: "MAIL FROM:<Taro@provider-a.example> SIZE=10"})
	tr.Add("two", "home a:465", "home", Line{Time: at.Add(-2 * time.Second), Client: true, Text: "MAIL FROM:<hanako@provider-a.example>"})
	tr.Add("app", "app 1", "", Line{Time: at.Add(-time.Second), Client: true, Text: "MAIL FROM:<taro@provider-a.example>"})
	x.journal.Add(api.Event{Kind: "message", Outcome: api.OutcomeRefused, Account: "home", From: "taro@provider-a.example", To: []string{"z@q.example"}, Error: &api.Error{Class: "mailbox-full", Code: 552, Text: "full"}})
	x.journal.Add(api.Event{Kind: "relay", Text: "configuration read"})
	page := x.get("/activity")
	holds(t, page, "old@x.example", "552 full", "configuration read", "/activity/trace/two")
	if only := x.get("/activity?q=MAILBOX-full"); strings.Contains(only, "old@x.example") || !strings.Contains(only, "z@q.example") {
		t.Error("the filter does not filter")
	}
	if none := x.get("/activity?account=other"); strings.Contains(none, "z@q.example") {
		t.Error("the choice of an account does not filter")
	}
	for from, want := range map[string]string{"taro@provider-a.example": "/activity/trace/one", "hanako@provider-a.example": "/activity/trace/two", "never@said.example": "/activity/trace/two"} {
		if id, _ := tr.Of("home", from, at); "/activity/trace/"+id != want {
			t.Errorf("%s: %s, want %s", from, id, want)
		}
	}
	if _, ok := tr.Of("home", "taro@provider-a.example", at.Add(-time.Hour)); ok {
		t.Error("a conversation of later is shown for a message")
	}
	if a := x.ask("GET", "/activity/trace/none", nil, nil); a.status != http.StatusNotFound || !strings.Contains(a.body, "no longer remembered") {
		t.Errorf("%d", a.status)
	}
}

func TestLongConversationsKeepHeadAndTail(t *testing.T) {
	t.Parallel()
	tr := NewTraces(time.Now)
	for i := range 1000 {
		tr.Add("one", "p", "a", Line{Text: fmt.Sprint(i)})
	}
	c, _ := tr.Get("one")
	if len(c.Lines) != maxTraceLines || c.Dropped != 700 || c.Lines[0].Text != "0" || c.Lines[traceHead-1].Text != "39" || c.Lines[maxTraceLines-1].Text != "999" {
		t.Errorf("%d lines, %d dropped, %v … %v", len(c.Lines), c.Dropped, c.Lines[0], c.Lines[len(c.Lines)-1])
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := serve(t, w).enter()
	holds(t, x.get("/settings"), "Melon does not start by itself", "127.0.0.1:2525", "/c/config.yaml", "Every program on this computer")
	x.post("/settings", "verb", "autostart-on")
	holds(t, x.get("/settings"), "Melon starts when you log in")
	x.post("/settings", "verb", "pause")
	holds(t, x.get("/settings"), "Resume sending")
	x.post("/settings", "verb", "resume")
	if w.heard() != "paused true; paused false" {
		t.Errorf("heard %q", w.heard())
	}
}

// TestAPageWithoutParts: what this Melon lacks is left out, not broken.
func TestAPageWithoutParts(t *testing.T) {
	t.Parallel()
	x := serve(t, newWorld()).enter()
	x.parts.Finder, x.parts.Tester, x.parts.Keeper, x.parts.SignIns, x.parts.Doctor, x.parts.Autostart = nil, nil, nil, nil, nil, nil
	for _, path := range []string{"/", "/account", "/account/home", "/why", "/settings"} {
		if page := x.get(path); strings.Contains(page, `href="/add"`) || strings.Contains(page, `action="/why"`) {
			t.Errorf("%s offers what is not there", path)
		}
	}
	for _, path := range []string{"/add", "/why", "/account/home/test", "/account/home/signin", "/account/home/default", "/account/home/remove"} {
		if a := x.post(path); a.status != http.StatusNotFound {
			t.Errorf("POST %s: %d", path, a.status)
		}
	}
}

func TestJobsAreBoundedAndEnd(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.gate = make(chan struct{})
	x := serve(t, w).enter()
	var first string
	for i := range maxJobs {
		a := x.post("/why", "account", "home")
		if a.status != 200 {
			t.Fatalf("job %d: %d", i, a.status)
		}
		if first == "" {
			first = a.path
		}
	}
	if a := x.post("/why", "account", "home"); a.status != http.StatusConflict {
		t.Errorf("one too many: %d", a.status)
	}
	x.close() // ends those that wait, and waits for them
	if st := x.jobs.get(first[len("/why/"):]).state(); !st.Done {
		t.Error("a job outlived the page")
	}
}

func TestDraftsAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ds := newDrafts(func() time.Time { return now })
	d := ds.add(&draft{password: "x"})
	now = now.Add(draftLife + time.Second)
	if ds.get(d.id) != nil {
		t.Error("a draft is remembered for too long")
	}
	for range maxDrafts + 5 {
		ds.add(&draft{})
	}
	if len(ds.all) != maxDrafts {
		t.Errorf("%d drafts", len(ds.all))
	}
}
