package web

import (
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template/parse"
	"time"

	"melon/proxy/control/api"
	"melon/upstream"
	"melon/upstream/reply"
)

// refused is an entry with everything that an entry can have.
func refusedEntry(id string) api.Entry {
	next := time.Now().Add(time.Minute)
	return api.Entry{ID: id, Account: "home", From: "taro@provider-a.example", To: []string{"a@b.example", "c@d.example", "e@f.example", "g@h.example"},
		Size: 123456, QueuedAt: time.Now(), State: api.EntryAttention, Attempts: 3, NextAttempt: &next,
		LastError: &api.Error{Class: "credentials-rejected", Code: 535, Enhanced: "5.7.8", Text: "<script>alert(1)</script> & bad", Phase: "auth"}}
}

// everyPage lists the addresses of all pages of a furnished site.
func everyPage(x *site) []string {
	x.world.entries = []api.Entry{refusedEntry("aaaaaaaaaa")}
	x.world.history = []api.Event{{Kind: "message", Outcome: api.OutcomeSent, ID: "old", Account: "home", From: "t@x.example", To: []string{"u@y.example"}, Time: time.Now(), Text: "250 ok"}}
	x.parts.Traces.Add("c1", "home smtp.provider-a.example:465", "home", Line{Client: true, Text: "MAIL FROM:<t@x.example>"})
	x.world.found = Found{Account: upstream.Account{SMTP: upstream.Server{Host: "smtp.new.example"}}, Source: "the provider's own word", Notes: []string{"a note"}}
	add := x.post("/add", "address", "hanako@new.example", "password", "pw")
	x.finishAt(add.path)
	run := x.post("/why", "account", "home")
	x.finishAt(run.path)
	test := x.post("/account/home/test")
	x.finishAt(test.path)
	return []string{"/", "/account", "/add", add.path, "/account/home", "/account/home/remove", test.path, "/outbox", "/outbox?state=attention", "/outbox/aaaaaaaaaa",
		"/outbox/old", "/why", run.path, "/activity", "/activity/trace/c1", "/settings"}
}

// finishAt waits for the job of a page.
func (x *site) finishAt(path string) {
	x.t.Helper()
	id := path[strings.LastIndexByte(path, '/')+1:]
	if d := x.drafts.get(id); d != nil {
		id = d.state().Job.id
	}
	x.finish(id)
}

func TestEveryPageInBothLanguages(t *testing.T) {
	t.Parallel()
	x := serve(t, newWorld()).enter()
	for _, path := range everyPage(x) {
		for _, lang := range languages() {
			a := x.ask("GET", path, nil, map[string]string{"Accept-Language": lang})
			if a.status != 200 {
				t.Errorf("%s in %s: %d\n%s", path, lang, a.status, a.body)
			}
			holds(t, a.body, `<html lang="`+lang+`">`, `<h1`, `href="#main"`)
			for _, bad := range []string{"<no value>", "%!", "ZgotmplZ", "<script>alert", " style=", "onclick="} {
				if strings.Contains(a.body, bad) {
					t.Errorf("%s in %s holds %q:\n%s", path, lang, bad, a.body)
				}
			}
			if m := regexp.MustCompile(`(?:src|href|action)="(?:https?:)?//[^"]*"`).FindString(a.body); m != "" {
				t.Errorf("%s leads outside: %s", path, m)
			}
			if ids := regexp.MustCompile(` id="([^"]+)"`).FindAllString(a.body, -1); len(ids) != len(slices.Compact(slices.Sorted(slices.Values(ids)))) {
				t.Errorf("%s uses an id twice: %q", path, ids)
			}
		}
	}
}

// TestCatalogueIsWhole: every cell is filled, every key that is used is there,
// none is there for nothing, and both columns take the same arguments.
func TestCatalogueIsWhole(t *testing.T) {
	t.Parallel()
	c, err := loadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	args := regexp.MustCompile(`%\[\d\][a-z]`)
	for key, row := range c {
		for _, lang := range languages() {
			if strings.TrimSpace(row[lang]) == "" {
				t.Errorf("%s has no text in %s", key, lang)
			}
		}
		en, ja := args.FindAllString(row["en"], -1), args.FindAllString(row["ja"], -1)
		slices.Sort(en)
		slices.Sort(ja)
		if !slices.Equal(en, ja) {
			t.Errorf("%s takes %v in English and %v in Japanese", key, en, ja)
		}
	}
	used, prefixes := usedKeys(t)
	for key := range used {
		if c[key] == nil {
			t.Errorf("%s is used and not there", key)
		}
	}
	for key := range c {
		if !used[key] && !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) }) {
			t.Errorf("%s is there and not used", key)
		}
	}
	for prefix, values := range dynamicKeys() {
		for _, v := range values {
			if c[prefix+v] == nil {
				t.Errorf("%s%s is not there", prefix, v)
			}
		}
	}
}

// dynamicKeys lists what keys are put together of.
func dynamicKeys() map[string][]string {
	strs := func(in ...any) (out []string) {
		for _, v := range in {
			out = append(out, fmt.Sprint(v))
		}
		return out
	}
	all := map[string][]string{
		"state.":   strs(api.AccountReady, api.AccountSending, api.AccountAttention, api.AccountUnknown, api.EntryWaiting, api.EntrySending, api.EntryUnconfirmed, api.EntryHeld),
		"home.":    strs(api.StateIdle, api.StateSending, api.StateWaiting, api.StateAttention, api.StateOffline, api.StatePaused),
		"outcome.": strs(api.OutcomeSent, api.OutcomeKept, api.OutcomeRefused, api.OutcomeBounced, api.OutcomeRemoved),
		"retry.":   {reply.RetryNever, reply.RetryAfterPOP, reply.RetryAfterAuth, reply.RetryLater, reply.RetryOtherAccount, reply.RetryOtherPort},
		"step.":    strs(StepOK, StepWarn, StepFail, StepSkip), "delivery.": {"live", "queue", "pass"},
		"store.": {"keyring", "command", "file", "environment", "none"}, "account.store.": {"keyring", "command", "file", "environment", "none"},
	}
	for _, s := range outboxStates() {
		all["outbox.state."] = append(all["outbox.state."], string(s))
		if s != "" {
			all["statelong."] = append(all["statelong."], string(s))
			all["verb."] = append(all["verb."], verbsFor(s)...)
		}
	}
	for _, p := range upstream.Phases() {
		all["phase."] = append(all["phase."], string(p))
	}
	for _, s := range securities() {
		all["security."] = append(all["security."], string(s))
	}
	return all
}

// usedKeys finds the keys in templates and code, and the beginnings of those
// that are put together.
func usedKeys(t *testing.T) (used map[string]bool, prefixes []string) {
	t.Helper()
	used, prefixes = map[string]bool{}, []string{"nav.", "auth.", "event.", "done.", "apps."}
	for prefix := range dynamicKeys() {
		prefixes = append(prefixes, prefix)
	}
	names, _ := fs.Glob(files, "templates/*.html")
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.T "([^"]+)"`).FindAllStringSubmatch(string(data), -1) {
			used[m[1]] = true
		}
	}
	sources, _ := fs.Glob(os.DirFS("."), "*.go")
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"([a-z]+(?:\.[a-z]+)+)"`).FindAllStringSubmatch(string(data), -1) {
			if m[1] != "catalogue.tsv" && m[1] != "web.key" {
				used[m[1]] = true
			}
		}
	}
	used["language.en"], used["language.ja"] = true, true
	return used, prefixes
}

// TestEveryPartIsUsed keeps an unused part from going unnoticed.
func TestEveryPartIsUsed(t *testing.T) {
	t.Parallel()
	all, err := loadPages()
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{"base": true, "": true}
	var walk func(n parse.Node)
	walk = func(n parse.Node) {
		switch n := n.(type) {
		case *parse.ListNode:
			if n != nil {
				for _, c := range n.Nodes {
					walk(c)
				}
			}
		case *parse.IfNode:
			walk(n.List)
			walk(n.ElseList)
		case *parse.RangeNode:
			walk(n.List)
			walk(n.ElseList)
		case *parse.WithNode:
			walk(n.List)
			walk(n.ElseList)
		case *parse.TemplateNode:
			called[n.Name] = true
		}
	}
	var defined []*template.Template
	for _, page := range all {
		for _, tm := range page.Templates() {
			if tm.Tree != nil {
				walk(tm.Tree.Root)
				defined = append(defined, tm)
			}
		}
	}
	for _, tm := range defined {
		if !called[tm.Name()] && !strings.HasSuffix(tm.Name(), ".html") {
			t.Errorf("nothing uses the part %q", tm.Name())
		}
	}
}

func TestLanguageFollowsBrowserConfigurationAndSwitch(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{"": "en", "ja": "ja", "ja-JP,en;q=0.5": "ja", "en;q=0.5, ja;q=0.4": "en",
		"fr,ja;q=0.3": "ja", "en-US,en;q=0.9,ja;q=0.8": "en", "ja;q=x": "en", "de": "en", ";;,,": "en"} {
		if got := acceptLanguage(header); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
	w := newWorld()
	x := serve(t, w).enter()
	ja := map[string]string{"Accept-Language": "ja"}
	holds(t, x.ask("GET", "/outbox", nil, ja).body, "送信待ち")
	if a := x.ask("POST", "/language", nil, ja); a.status != http.StatusForbidden {
		t.Errorf("a switch without a form: %d", a.status)
	}
	a := x.post("/language", "lang", "en", "back", "/outbox?state=held&done=hold")
	if a.path != "/outbox?state=held" {
		t.Errorf("the switch led to %s", a.path)
	}
	holds(t, x.ask("GET", "/outbox", nil, ja).body, "Outbox")
	if a := x.post("/language", "lang", "xx"); a.status != http.StatusBadRequest {
		t.Errorf("an unknown language: %d", a.status)
	}
	if a := x.post("/language", "lang", "ja", "back", "//evil.example/x"); a.path != "/x" {
		t.Errorf("the switch led to %s", a.path)
	}
	y := serve(t, newWorld()).enter()
	y.world.config.Language = "ja"
	holds(t, y.get("/"), `<html lang="ja">`)
}

func TestHomeSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := serve(t, w).enter()
	holds(t, x.get("/"), "Everything is sent", "home", "ready")
	w.status.State = api.StateAttention
	w.status.Accounts[0].State = api.AccountAttention
	w.status.Accounts[0].LastError = &api.Error{Class: string(upstream.ClassCredentialsRejected), Code: 535, Enhanced: "5.7.8", Text: "no & no"}
	w.status.Problems = []string{"the disk is full"}
	e := reply.Explain(upstream.ClassCredentialsRejected, "en")
	holds(t, x.get("/"), "Something needs you", template.HTMLEscapeString(e.Summary), template.HTMLEscapeString(e.Advice[0]), "535 5.7.8 no &amp; no", "the disk is full", "/account/home/test")
	w.config.Accounts[0].Auth = upstream.AuthXOAUTH2
	w.status.Accounts[0].LastError.Class = string(upstream.ClassAppPasswordOrOAuthRequired)
	holds(t, x.get("/"), "/account/home/signin")
	w.status = api.Status{State: api.StateIdle}
	holds(t, x.get("/"), "no account yet", `href="/add"`)
	w.status = api.Status{State: api.StatePaused, Paused: true}
	holds(t, x.get("/"), "paused", `value="resume"`)
}
