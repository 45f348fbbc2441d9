//go:build desktop && !windows

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// furnished is a visitor of a relay that has something to show on every page.
func furnished(t *testing.T, waiting int) *visitor {
	t.Helper()
	provider := popFirst(t)
	h := webHome(t, `networks:
  hotel: {subnet: ["10.20.0.0/16"], ssid: ["HKO*"]}
routes:
  - {from: "*@work.example", network: hotel, account: home}
`)
	h.write(h.read() + h.accountYAML(provider))
	p := h.start()
	v := visit(t, h)
	send(t, p.addr, "sent@elsewhere.example", "sent")
	v.see("sent@elsewhere.example")
	h.pause()
	for i := range waiting {
		send(t, p.addr, fmt.Sprintf("waits-%02d@a-rather-long-domain-name-for-a-narrow-window.elsewhere.example", i), "waits")
	}
	return v
}

// furnishedPages lists the pages of a furnished relay, tests and reports too.
func furnishedPages(v *visitor) []string {
	v.t.Helper()
	pages := []string{"/", "/outbox", "/outbox?state=held", "/account", "/account/home", "/account/home/remove", "/add", "/why", "/activity", "/settings", "/nowhere"}
	here := func() string {
		path, err := chromedp.Run(v.tab, chromedp.Evaluate[string](`location.pathname`))
		if err != nil {
			v.t.Fatal(err)
		}
		return path
	}
	v.do(chromedp.Navigate(v.base + "/outbox"))
	v.do(chromedp.Click(chromedp.CSS(".entry a")))
	v.see("Kept since")
	pages = append(pages, here())
	v.do(chromedp.Navigate(v.base + "/activity"))
	v.do(chromedp.Click(chromedp.CSS("#traces a")))
	v.until(`document.querySelector(".trace")`)
	pages = append(pages, here())
	v.do(chromedp.Navigate(v.base + "/why"))
	v.click("Find out")
	v.see("The way is free.")
	pages = append(pages, here())
	v.do(chromedp.Navigate(v.base + "/account/home/edit"))
	v.see("Test and save")
	pages = append(pages, here())
	return pages
}

// axeResult is what axe-core found, as far as it matters here.
type axeResult struct {
	Violations []struct {
		ID     string `json:"id"`
		Impact string `json:"impact"`
		Help   string `json:"help"`
		Nodes  []struct {
			HTML string `json:"html"`
			Why  string `json:"failureSummary"`
		} `json:"nodes"`
	} `json:"violations"`
}

// TestDesktopAccessibility: axe-core finds no serious fault on any page, in light
// and dark, in either language.
func TestDesktopAccessibility(t *testing.T) {
	t.Parallel()
	axe := axeSource(t)
	v := furnished(t, 5)
	pages := furnishedPages(v)
	for _, look := range []struct{ scheme, lang string }{{"light", "en"}, {"dark", "en"}, {"dark", "ja"}} {
		if _, err := chromedp.Call(v.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}}}); err != nil {
			t.Fatal(err)
		}
		v.do(chromedp.Navigate(v.base + "/settings"))
		if _, err := chromedp.RunResponse(v.tab, chromedp.Click(chromedp.CSS(`main button[name=lang][value=`+look.lang+`]`))); err != nil {
			t.Fatal(err)
		}
		v.until(`document.documentElement.lang === "` + look.lang + `"`)
		for i, path := range pages {
			if look.lang == "ja" && i%4 != 0 {
				continue // the pages are the same but for their words
			}
			v.do(chromedp.Navigate(v.base + path))
			v.shot(look.scheme + "-" + look.lang + strings.ReplaceAll(path, "/", "-"))
			v.examine(axe, path+" in "+look.scheme+" "+look.lang)
		}
	}
	v.do(chromedp.Navigate("http://" + strings.Replace(strings.TrimPrefix(v.base, "http://"), "127.0.0.1", "localhost", 1) + "/"))
	v.see("melon open")
	v.examine(axe, "the closed page")
}

// axeSource fetches axe-core, once for all runs on this machine.
func axeSource(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join("..", "..", ".ci", "axe"), filepath.Join(cache, "melon-tests"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf(".ci/axe: %v", err)
	}
	source, err := os.ReadFile(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

// examine runs axe-core on the page.
func (v *visitor) examine(axe, what string) {
	v.t.Helper()
	v.do(func(ctx context.Context, tab *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Evaluate[*runtime.RemoteObject](axe+"\n;0")(ctx, tab)
		return chromedp.Void{}, err
	})
	text, err := chromedp.Run(v.tab, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify({violations: r.violations}))`, chromedp.EvalAwaitPromise))
	if err != nil {
		v.t.Fatalf("%s: %v", what, err)
	}
	var found axeResult
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		v.t.Fatal(err)
	}
	for _, f := range found.Violations {
		report := v.t.Logf
		if f.Impact == "serious" || f.Impact == "critical" {
			report = v.t.Errorf
		}
		for _, n := range f.Nodes {
			report("%s: %s (%s): %s\n%s\n%s", what, f.ID, f.Impact, f.Help, n.HTML, n.Why)
		}
	}
}
