package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"melon/proxy/control/api"
	"melon/upstream"
	"melon/upstream/doctor"
	"melon/upstream/lab"
)

func TestAccountTest(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{Rules: lab.Rules{Auth: true}})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	relay := h.start()
	h.secret("password", "wrong")
	if err := relay.send("taro@provider-a.example", []string{"hanako@elsewhere.example"}, appMessage); err == nil {
		t.Fatal("a wrong password was taken")
	}
	out, _, status := h.run("account", "test", "home", "--json")
	if status != exitFailed || !strings.Contains(out, `"verdict": "credentials-rejected"`) {
		t.Errorf("%d, %s", status, out)
	}
	if s := jsonOf[api.Status](h, "status"); s.Accounts[0].State != api.AccountAttention {
		t.Errorf("%+v", s.Accounts)
	}
	h.secret("password", lab.DefaultUser.Password)
	r := jsonOf[doctor.Report](h, "account", "test", "home")
	if r.Verdict != upstream.ClassOK || r.Account != "home" || len(r.Checks) == 0 {
		t.Errorf("%+v", r)
	}
	if s := jsonOf[api.Status](h, "status"); s.Accounts[0].State == api.AccountAttention {
		t.Errorf("the relay still waits: %+v", s.Accounts)
	}
	if n := len(provider.Messages()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
	if _, errs, status := h.run("account", "test", "nobody"); status != exitFailed || !strings.Contains(errs, "home") {
		t.Errorf("%d, %s", status, errs)
	}
}

func TestAccountEditAndRemove(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	remarks := "# first\n"
	h.write(remarks + accountYAML(h, provider, "# last\ndefault: home\n"))
	relay := h.start()
	must := func(args ...string) {
		t.Helper()
		if _, errs, status := h.run(args...); status != exitDone {
			t.Fatalf("%v: %d, %s", args, status, errs)
		}
	}
	must("account", "edit", "home", "auth=login", `senders=["*@work.example"]`, "pop_before_smtp.window=10m", "--unset", "pop.port")
	s := jsonOf[shownAccount](h, "account", "show", "home")
	if s.Auth != "login" || len(s.Senders) != 1 || s.POP.Port != 0 || s.Live == nil {
		t.Errorf("%+v", s)
	}
	must("account", "edit", "home", "smtp.port="+strings.Split(provider.SMTPAddr(), ":")[1], "allow_plaintext=false")
	relay.waitFor("the configuration was read")
	conf, _ := os.ReadFile(h.config)
	if !strings.HasPrefix(string(conf), remarks) || !strings.Contains(string(conf), "# last\n") {
		t.Errorf("%s", conf)
	}
	for _, args := range [][]string{{"auth=magic"}, {"pasword=x"}, {"password=canary-secret"}, {"smtp.port=a"}, {"nonsense"}, {"=x"}} {
		_, errs, status := h.run(append([]string{"account", "edit", "home"}, args...)...)
		if status != exitUsage || strings.Contains(errs, "canary-secret") {
			t.Errorf("%v: %d, %s", args, status, errs)
		}
	}
	if now, _ := os.ReadFile(h.config); string(now) != string(conf) {
		t.Errorf("a refused edit changed the file:\n%s", now)
	}
	cmd := h.command("account", "edit", "home", "--password-stdin")
	cmd.Stdin = strings.NewReader("new-password\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if got, _ := os.ReadFile(filepath.Join(h.dir, "password")); strings.TrimSpace(string(got)) != "new-password" {
		t.Errorf("%q", got)
	}

	must("account", "default", "--none")
	if out, _, _ := h.run("account", "default"); strings.TrimSpace(out) != "" {
		t.Errorf("%q", out)
	}
	must("account", "default", "HOME")
	if out, _, _ := h.run("account", "default"); strings.TrimSpace(out) != "home" {
		t.Errorf("%q", out)
	}
	if _, errs, status := h.run("account", "remove", "home"); status != exitUsage || !strings.Contains(errs, "--yes") {
		t.Errorf("%d, %s", status, errs)
	}
	must("account", "remove", "home", "--yes")
	if list := jsonOf[[]shownAccount](h, "account", "list"); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "password")); err != nil {
		t.Errorf("the person's own file is gone: %v", err)
	}
}

// TestRemoveTakesTheSecretAlong: what Melon stored goes, unless another account
// uses it.
func TestRemoveTakesTheSecretAlong(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	dir := filepath.Join(h.state, "secrets")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "password-a")
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	one := "{address: a@a.example, smtp: {host: h}, password: {file: " + file + "}}"
	h.write("accounts:\n  a: " + one + "\n  b: " + one + "\n")
	for _, c := range []struct {
		name string
		left bool
	}{{"a", true}, {"b", false}} {
		if _, errs, status := h.run("account", "remove", c.name, "--yes"); status != exitDone {
			t.Fatal(errs)
		}
		if _, err := os.Stat(file); (err == nil) != c.left {
			t.Errorf("after %s: %v", c.name, err)
		}
	}
}

func TestProviderCommands(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	all := jsonOf[[]shownProvider](h, "provider", "list")
	if len(all) < 50 {
		t.Errorf("%d providers", len(all))
	}
	p := jsonOf[shownProvider](h, "provider", "show", "taro@ocn.ne.jp")
	if p.ID != "ocn" || p.SMTP.Host != "smtp.ocn.ne.jp" || p.SMTP.Security != "tls" || p.POP.Port != 995 || p.Login[0] != "password" {
		t.Errorf("%+v", p)
	}
	if out, _, status := h.run("provider", "show", "gmail"); status != 0 || !strings.Contains(out, "app password") {
		t.Errorf("%d, %s", status, out)
	}
	if _, errs, status := h.run("provider", "show", "nobody.example"); status != exitFailed || !strings.Contains(errs, "account add") {
		t.Errorf("%d, %s", status, errs)
	}
	if _, errs, status := h.run("login", "nobody"); status != exitFailed || !strings.Contains(errs, "account add") {
		t.Errorf("%d, %s", status, errs)
	}
}

func TestBrowserCommand(t *testing.T) {
	t.Parallel()
	for goos, want := range map[string]string{"linux": "xdg-open", "freebsd": "xdg-open", "darwin": "open", "windows": "rundll32 url.dll,FileProtocolHandler"} {
		if got := strings.Join(browserCommand(goos), " "); got != want {
			t.Errorf("%s: %s", goos, got)
		}
	}
}
