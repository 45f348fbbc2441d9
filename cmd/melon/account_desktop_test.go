//go:build desktop && !windows

// These tests drive a real Chromium, headless. They need the package chromium:
//
//	go test -tags desktop -run Desktop ./cmd/melon/

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"melon/upstream/lab"
)

// browser starts a Chromium with a profile of its own, which goes with the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	return browserFor(t, time.Minute)
}

// browserFor is browser for a test that takes longer.
func browserFor(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	profile, err := os.MkdirTemp("", "melon-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.UserDataDir(profile))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	tab, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		closeTab()
		cancel()
		for range 100 { // its children write on for a moment
			if os.RemoveAll(profile) == nil {
				return
			}
		}
		t.Errorf("the browser's profile %s could not be removed", profile)
	})
	limited, stop := context.WithTimeout(tab, limit)
	t.Cleanup(stop)
	return limited
}

// TestDesktopSignIn goes from nothing to a sent message with a person's browser:
// Chromium opens the page that Melon shows, Allow is clicked, and the browser
// ends on Melon's own page.
func TestDesktopSignIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, button, ends string }{
		{"allowed", "allow", "Signed in"}, {"declined", "deny", "Not signed in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			provider := lab.Run(t, lab.Options{SMTP: lab.SMTP{Mechanisms: []string{"OAUTHBEARER"}}})
			server, err := provider.StartOAuth(lab.OAuth{})
			if err != nil {
				t.Fatal(err)
			}
			tab := browser(t)
			h := newHome(t, emptyRelay)
			o := server.Settings()
			p := h.typing("account", "add", "taro@provider-a.example", "--username", "taro", "--ca", h.caFile(provider),
				"--smtp", provider.SMTPAddr(), "--store", "file", "--no-browser", "--client-id", o.ClientID,
				"--auth-url", o.AuthURL, "--token-url", o.TokenURL, "--scope", strings.Join(o.Scopes, ","))
			p.see("browser on this computer:")
			link := strings.TrimSpace(p.see("Waiting"))
			if err := chromedp.Do(tab, chromedp.Navigate(link), chromedp.Click(chromedp.ID(c.button), chromedp.NodeVisible)); err != nil {
				t.Fatalf("%v\n%s", err, p.all())
			}
			title := ""
			for !strings.HasPrefix(title, "Melon: ") && tab.Err() == nil {
				// While the browser moves on, the question itself may fail.
				title, err = chromedp.Run(tab, chromedp.Title())
			}
			if title != "Melon: "+c.ends {
				t.Fatalf("the browser ends on %q, %v\n%s", title, err, p.all())
			}
			if c.button == "deny" {
				p.see("declined")
				p.ends(exitFailed)
				if left, _ := filepath.Glob(filepath.Join(h.state, "oauth-*.json")); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
				return
			}
			p.types("Send a message to yourself now? [Y/n]", "")
			p.see("Saved the account")
			p.ends(exitDone)
			if s := server.Stats(); s.Consents != 1 || s.Codes != 1 || s.NoPKCE != 0 || s.WrongVerifier != 0 || len(provider.Messages()) != 1 {
				t.Errorf("%+v, %d messages", s, len(provider.Messages()))
			}
		})
	}
}
