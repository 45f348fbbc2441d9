//go:build !windows

package main

import (
	"strings"
	"testing"

	"melon/upstream/lab"
)

// TestThePagesThatTheTrayOpens asks for each page that the tray's menu and
// notifications name, and for the form with a provider chosen in the menu.
func TestThePagesThatTheTrayOpens(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(strings.Replace(accountYAML(h, provider, "default: home\n"), `web: "off"`, `web: "127.0.0.1:0"`, 1))
	h.start()
	page := h.openPage()
	for _, path := range []string{"/", "/add", "/account/home", "/account/home/edit", "/outbox", "/why", "/activity", "/settings"} {
		page.get(path)
	}
	if add := page.get("/add?provider=gmail"); !strings.Contains(add, "Gmail") || !strings.Contains(add, `placeholder="you@gmail.com"`) {
		t.Errorf("the form does not know the provider:\n%s", add)
	}
	if add := page.get("/add?provider=<script>"); strings.Contains(add, "<script>") {
		t.Error("the provider's name is not escaped")
	}
}
