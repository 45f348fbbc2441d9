//go:build !windows

package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"melon/upstream/discover"
	"melon/upstream/lab"
)

// nowhere is a DNS without a record.
type nowhere struct{}

func (nowhere) LookupMX(context.Context, string) ([]*net.MX, error) {
	return nil, &net.DNSError{IsNotFound: true}
}

func (nowhere) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, &net.DNSError{IsNotFound: true}
}

// finding is a cli whose discovery meets the lab's autoconfig host and nothing
// else.
func finding(t *testing.T, p *lab.Provider, xml string) (*cli, *lab.Autoconfig) {
	t.Helper()
	web, err := p.StartAutoconfig(xml)
	if err != nil {
		t.Fatal(err)
	}
	return &cli{find: func(ctx context.Context, o discover.Options, address string) ([]discover.Candidate, error) {
		o.Resolver = nowhere{}
		o.Transport = &http.Transport{
			DialContext: web.DialContext, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{RootCAs: p.CertPool(), ServerName: "provider-a.example"},
		}
		return discover.Discover(ctx, o, address)
	}}, web
}

// TestAddFound needs nothing but address and password: the provider's own file
// says the rest, POP before SMTP included.
func TestAddFound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		options lab.Options
		source  string
		auth    string
	}{
		{"password", lab.Options{}, "password", "auto"},
		{"POP before SMTP", lab.Options{Rules: lab.Rules{PBS: lab.PBS{Window: time.Minute}}, SMTP: lab.SMTP{Without: []string{"AUTH"}}}, "POP login before sending", "pop-before-smtp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			provider := lab.Run(t, c.options)
			h := newHome(t, emptyRelay)
			melon, _ := finding(t, provider, "")
			p := h.inProcess(melon, "account", "add", "taro@provider-a.example", "--ca", h.caFile(provider), "--store", "file")
			found := p.see("Use these settings? [Y/n]")
			for _, want := range []string{"https://autoconfig.provider-a.example/mail/config-v1.1.xml", "Provider A", "127.0.0.1", c.source} {
				if !strings.Contains(found, want) {
					t.Errorf("it does not show %q:\n%s", want, found)
				}
			}
			p.types("", "y")
			p.types("Password for taro", lab.DefaultUser.Password)
			p.types("Send a message to yourself now? [Y/n]", "y")
			p.see("Sent.")
			p.see("Saved")
			p.ends(exitDone)
			if len(provider.Messages()) != 1 {
				t.Errorf("%d messages", len(provider.Messages()))
			}
			if s := jsonOf[shownAccount](h, "account", "show", "taro@provider-a.example"); s.Auth != c.auth {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestStrangersAreAskedAbout: settings that came in clear and lead elsewhere get
// no password unasked.
func TestStrangersAreAskedAbout(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, emptyRelay)
	melon, web := finding(t, provider, "")
	evil := provider.Account("home")
	evil.SMTP.Host = "smtp.evil.example"
	xml := provider.ConfigXML(evil)
	web.SetHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(xml))
	}))
	p := h.inProcess(melon, "account", "add", "taro@provider-a.example", "--store", "file")
	p.see("http://autoconfig.provider-a.example")
	p.types("Send your password there? [y/N]", "")
	p.see("nothing was saved")
	p.ends(exitFailed)
	for _, r := range web.Requests() {
		if strings.HasPrefix(r, "http://") && strings.Contains(r, "taro") {
			t.Errorf("the address went in clear: %s", r)
		}
	}
	var out strings.Builder
	melon.stdin, melon.stdout, melon.stderr = strings.NewReader("secret\n"), &out, &out
	if status := melon.execute(t.Context(), []string{"--config", h.config, "--state", h.state, "account", "add", "taro@provider-a.example", "--password-stdin"}); status != exitFailed || !strings.Contains(out.String(), "--yes") {
		t.Errorf("unattended: %d, %s", status, out.String())
	}
}

// consent is a person who presses Allow on the sign-in page and is sent back.
func consent(t *testing.T, page string) {
	t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	form := u.Query()
	form.Set("decision", "allow")
	u.RawQuery = ""
	resp, err := http.PostForm(u.String(), form)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the browser ends on %d", resp.StatusCode)
	}
}

// TestAddByBrowser signs in by authorization code, with a browser that a script
// stands in for: it gets the link as its one argument.
func TestAddByBrowser(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{SMTP: lab.SMTP{Mechanisms: []string{"XOAUTH2"}}})
	server, err := provider.StartOAuth(lab.OAuth{})
	if err != nil {
		t.Fatal(err)
	}
	h := newHome(t, emptyRelay)
	opened := filepath.Join(h.dir, "opened")
	if err := os.WriteFile(filepath.Join(h.dir, "xdg-open"), []byte("#!/bin/sh\n[ $# = 1 ] && printf %s \"$1\" > "+opened+".new && mv "+opened+".new "+opened+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	o := server.Settings()
	args := []string{"account", "add", "taro@provider-a.example", "--username", "taro", "--ca", h.caFile(provider), "--smtp", provider.SMTPAddr(), "--store", "file",
		"--client-id", o.ClientID, "--auth-url", o.AuthURL, "--token-url", o.TokenURL, "--scope", strings.Join(o.Scopes, ",")}
	p := h.typingWith([]string{"PATH=" + h.dir + ":" + os.Getenv("PATH")}, args...)
	p.see("browser on this computer:")
	link := strings.TrimSpace(p.see("Waiting"))
	consent(t, link)
	p.types("Send a message to yourself now? [Y/n]", "y")
	p.see("Saved")
	p.ends(exitDone)
	if s := server.Stats(); s.Codes != 1 || s.NoPKCE != 0 || s.WrongVerifier != 0 || len(provider.Messages()) != 1 {
		t.Errorf("%+v, %d messages", s, len(provider.Messages()))
	}
	if got, err := os.ReadFile(opened); err == nil && string(got) != link {
		t.Errorf("opened %s, showed %s", got, link)
	}

	// Declined: nothing is saved.
	d := h.typing(append(args, "--name", "second", "--no-browser")...)
	d.see("browser on this computer:")
	u, err := url.Parse(strings.TrimSpace(d.see("Waiting")))
	if err != nil {
		t.Fatal(err)
	}
	form := u.Query()
	form.Set("decision", "deny")
	u.RawQuery = ""
	if resp, err := http.PostForm(u.String(), form); err == nil {
		resp.Body.Close()
	}
	d.see("declined")
	d.ends(exitFailed)
	if list := jsonOf[[]shownAccount](h, "account", "list"); len(list) != 1 {
		t.Errorf("%+v", list)
	}
}
