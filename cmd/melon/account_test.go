//go:build !windows

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"melon/upstream/lab"
)

// noKeyring keeps tests away from the keyring of whoever runs them.
const noKeyring = "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent/melon"

// typist is a person at a terminal: it reads the screen and types.
type typist struct {
	t      *testing.T
	tty    *os.File
	exited chan struct{}
	status int

	mu     sync.Mutex
	screen bytes.Buffer
	read   int // of screen, by see
	more   chan struct{}
}

// typing starts a melon command in a terminal of its own.
func (h *home) typing(args ...string) *typist { return h.typingWith(nil, args...) }

func (h *home) typingWith(env []string, args ...string) *typist {
	h.t.Helper()
	cmd := h.command(args...)
	cmd.Env = append(append(cmd.Env, noKeyring), env...)
	tty, err := pty.Start(cmd)
	if err != nil {
		h.t.Fatal(err)
	}
	return newTypist(h.t, tty, func() int {
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode()
	})
}

// newTypist reads tty until wait, which returns the exit status, is over.
func newTypist(t *testing.T, tty *os.File, wait func() int) *typist {
	p := &typist{t: t, tty: tty, exited: make(chan struct{}), more: make(chan struct{})}
	reader := make(chan struct{})
	go func() {
		defer close(reader)
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			p.mu.Lock()
			p.screen.Write(buf[:n])
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
			if err != nil { // EIO: the other side is gone
				return
			}
		}
	}()
	go func() {
		p.status = wait()
		<-reader
		close(p.exited)
	}()
	t.Cleanup(func() {
		tty.Close()
		<-p.exited
	})
	return p
}

// see waits until text appears behind what was seen before, and returns what is
// between.
func (p *typist) see(text string) string {
	p.t.Helper()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for {
		p.mu.Lock()
		unseen, more := p.screen.String()[p.read:], p.more
		i := strings.Index(unseen, text)
		if i >= 0 {
			p.read += i + len(text)
		}
		p.mu.Unlock()
		if i >= 0 {
			return unseen[:i]
		}
		select {
		case <-more:
		case <-p.exited:
			if p.mu.Lock(); strings.Contains(p.screen.String()[p.read:], text) {
				p.mu.Unlock()
				continue
			}
			p.mu.Unlock()
			p.t.Fatalf("it ended with %d without showing %q:\n%s", p.status, text, p.all())
		case <-limit.C:
			p.t.Fatalf("%q does not show:\n%s", text, p.all())
		}
	}
}

// types types a line, once prompt shows.
func (p *typist) types(prompt, line string) {
	p.t.Helper()
	p.see(prompt)
	if _, err := io.WriteString(p.tty, line+"\r"); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the end and checks the exit status.
func (p *typist) ends(status int) {
	p.t.Helper()
	<-p.exited
	if p.status != status {
		p.t.Fatalf("status %d, want %d:\n%s", p.status, status, p.all())
	}
}

func (p *typist) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

// caFile writes the provider's CA.
func (h *home) caFile(p *lab.Provider) string {
	h.t.Helper()
	path := filepath.Join(h.dir, "ca.pem")
	if err := os.WriteFile(path, p.CAPEM(), 0o644); err != nil {
		h.t.Fatal(err)
	}
	return path
}

const emptyRelay = "listen: {smtp: [\"127.0.0.1:0\"]}\ncontrol: {web: \"off\"}\n"

// TestAddTyped goes from nothing to a sent message, as a person would type it,
// and on to a message from the mail app through the relay that runs beside.
func TestAddTyped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		options lab.Options
		flags   func(p *lab.Provider) []string
		auth    string
		prompts [][2]string
	}{
		{"password", lab.Options{}, func(p *lab.Provider) []string { return []string{"--smtp", p.SMTPAddr()} }, "plain", nil},
		{"password, implicit TLS", lab.Options{}, func(p *lab.Provider) []string {
			return []string{"--smtp", p.SMTPSAddr(), "--security", "tls", "--auth", "login"}
		}, "login", nil},
		{"POP before SMTP", lab.Options{Rules: lab.Rules{PBS: lab.PBS{Window: time.Minute}}, SMTP: lab.SMTP{Without: []string{"AUTH"}}},
			func(p *lab.Provider) []string { return []string{"--smtp", p.SMTPAddr(), "--pop", p.POPAddr()} }, "pop-before-smtp", nil},
		{"POP before SMTP in clear", lab.Options{
			Rules: lab.Rules{PBS: lab.PBS{Window: time.Minute}}, SMTP: lab.SMTP{Without: []string{"AUTH", "STARTTLS"}}, POP: lab.POP{Without: []string{"STLS"}}},
			func(p *lab.Provider) []string {
				return []string{"--smtp", p.SMTPAddr(), "--pop", p.POPAddr(), "--auth", "pop-before-smtp"}
			}, "pop-before-smtp", [][2]string{{"over an unencrypted connection, where others can read it? [y/N]", "y"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			provider := lab.Run(t, c.options)
			h := newHome(t, "# my settings\n"+emptyRelay)
			relay := h.start("--log-level", "trace")
			args := append([]string{"account", "add", "taro@provider-a.example", "--username", "taro", "--ca", h.caFile(provider)}, c.flags(provider)...)
			p := h.typing(args...)
			p.types("Keep the secret in the file", "")
			p.types("Password for taro (not shown):", lab.DefaultUser.Password)
			for _, q := range c.prompts {
				p.types(q[0], q[1])
			}
			p.types("Send a message to yourself now? [Y/n]", "")
			p.see("Saved the account provider-a")
			p.see("localhost")
			p.ends(exitDone)
			if strings.Contains(p.all(), lab.DefaultUser.Password) {
				t.Errorf("the password was shown:\n%s", p.all())
			}
			got := provider.Messages()
			if len(got) != 1 || got[0].Envelope.Recipients[0].Address != "taro@provider-a.example" || !bytes.Contains(got[0].Data, []byte("Subject: Melon works")) {
				t.Fatalf("%d messages: %+v", len(got), got)
			}
			provider.ForgetRelay()
			relay.mustSend(fmt.Sprintf(appMessage, "from the app"))
			if got, err := provider.Wait(wait(t), 2); err != nil || got[1].Envelope.Recipients[0].Address != "hanako@elsewhere.example" {
				t.Fatalf("%v\n%s", err, relay.output())
			}
			live := jsonOf[shownAccount](h, "account", "show", "provider-a")
			if !live.Default || live.Live == nil || live.Live.Auth != c.auth || live.Secret != "file" || live.Username != "taro" {
				t.Errorf("%+v, %+v", live, live.Live)
			}
			conf, err := os.ReadFile(h.config)
			if err != nil || !strings.HasPrefix(string(conf), "# my settings\n") {
				t.Errorf("%v\n%s", err, conf)
			}
			h.findNot(relay.output()+p.all(), lab.DefaultUser.Password)
		})
	}
}

// findNot looks for secrets where none may be: in the given text, in the
// configuration, in what the commands report.
func (h *home) findNot(text string, secrets ...string) {
	h.t.Helper()
	conf, err := os.ReadFile(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	all := text + string(conf)
	for _, args := range [][]string{{"status", "--json"}, {"account", "list", "--json"}, {"account", "show", "provider-a", "--json"}, {"account", "show", "provider-a"}, {"log"}, {"outbox", "list", "--json"}} {
		out, errs, _ := h.run(args...)
		all += out + errs
	}
	cmdlines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range cmdlines {
		if line, err := os.ReadFile(f); err == nil { // a process may just have ended
			all += string(line)
		}
	}
	for _, s := range secrets {
		if strings.Contains(all, s) {
			h.t.Errorf("the secret %s is in:\n%s", s, all)
		}
	}
}

// TestAddByDevice signs in with a code, sends, and sends again through the relay
// after the access token has expired.
func TestAddByDevice(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{SMTP: lab.SMTP{Mechanisms: []string{"XOAUTH2", "OAUTHBEARER"}}})
	server, err := provider.StartOAuth(lab.OAuth{Interval: time.Second, ClientSecret: "canary-client", ClientID: "melon-of-taro"})
	if err != nil {
		t.Fatal(err)
	}
	h := newHome(t, emptyRelay)
	relay := h.start("--log-level", "trace")
	o := server.Settings()
	p := h.typing("account", "add", "taro@provider-a.example", "--username", "taro", "--ca", h.caFile(provider), "--smtp", provider.SMTPAddr(), "--store", "file",
		"--client-id", o.ClientID, "--client-secret-file", h.secret("client", "canary-client"),
		"--auth-url", o.AuthURL, "--token-url", o.TokenURL, "--device-url", o.DeviceURL, "--scope", strings.Join(o.Scopes, ","), "--device")
	p.see("code: ")
	code := strings.TrimSpace(p.see("\n"))
	if err := server.Decide(code, true); err != nil {
		t.Fatalf("%v: %q\n%s", err, code, p.all())
	}
	p.types("Send a message to yourself now? [Y/n]", "")
	p.see("Saved the account")
	p.ends(exitDone)
	server.Expire()
	relay.mustSend(fmt.Sprintf(appMessage, "with a refreshed token"))
	if _, err := provider.Wait(wait(t), 2); err != nil {
		t.Fatalf("%v\n%s", err, relay.output())
	}
	if s := server.Stats(); s.Refreshes != 1 || s.Reused != 0 || s.Device != 1 {
		t.Errorf("%+v", s)
	}
	shown := jsonOf[shownAccount](h, "account", "show", "provider-a")
	if shown.OAuth == nil || shown.OAuth.SignedIn == nil || !*shown.OAuth.SignedIn || shown.OAuth.Store != "file" {
		t.Errorf("%+v", shown.OAuth)
	}
	h.findNot(relay.output()+p.all(), "canary-client")
	if token := regexp.MustCompile(`(access|refresh)-[A-Z2-7]{20,}`).FindString(relay.output() + p.all()); token != "" {
		t.Errorf("a token was shown: %s", token)
	}

	// The grant is withdrawn: the account asks for attention, and a new sign-in
	// ends that.
	server.Revoke()
	provider.Drop(lab.SMTPProto) // a connection that is logged in lives on otherwise
	if err := relay.send("taro@provider-a.example", []string{"hanako@elsewhere.example"}, fmt.Sprintf(appMessage, "refused")); err == nil {
		t.Error("mail was taken without a grant")
	}
	in := h.typing("login", "provider-a", "--device")
	in.see("code: ")
	if err := server.Decide(strings.TrimSpace(in.see("\n")), true); err != nil {
		t.Fatal(err)
	}
	in.ends(exitDone)
	relay.mustSend(fmt.Sprintf(appMessage, "signed in again"))
	if _, err := provider.Wait(wait(t), 3); err != nil {
		t.Fatalf("%v\n%s", err, relay.output())
	}
	stored := filepath.Join(h.state, "oauth-*.json")
	if files, _ := filepath.Glob(stored); len(files) != 1 {
		t.Errorf("stored: %v", files)
	}
	if _, errs, status := h.run("account", "remove", "provider-a", "--yes"); status != exitDone {
		t.Error(errs)
	}
	if files, _ := filepath.Glob(stored); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
}

// piped runs a command with a password on standard input and no terminal.
func (h *home) piped(stdin string, args ...string) (out, errs string, status int) {
	h.t.Helper()
	var o, e bytes.Buffer
	cmd := h.command(args...)
	cmd.Env = append(cmd.Env, noKeyring)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		h.t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func TestAddUnattended(t *testing.T) {
	t.Parallel()
	const canary = "canary-Pa55"
	user := lab.DefaultUser
	user.Password = canary
	provider := lab.Run(t, lab.Options{Users: []lab.User{user}})
	h := newHome(t, emptyRelay)
	base := []string{"account", "add", "taro@provider-a.example", "--username", "taro", "--ca", h.caFile(provider), "--smtp", provider.SMTPAddr(), "--password-stdin"}
	with := func(more ...string) []string { return append(append([]string{}, base...), more...) }
	empty, _ := os.ReadFile(h.config)

	_, errs, status := h.piped("canary-wrong\n", base...)
	if status != exitFailed || !strings.Contains(errs, "credentials-rejected") || !strings.Contains(errs, "→") || !strings.Contains(errs, "not saved") {
		t.Errorf("a wrong password: %d, %s", status, errs)
	}
	now, _ := os.ReadFile(h.config)
	left, _ := filepath.Glob(filepath.Join(h.state, "secrets", "*"))
	if !bytes.Equal(now, empty) || len(left) > 0 {
		t.Errorf("after a failed test: %s, %v", now, left)
	}
	h.findNot(errs, "canary-wrong")

	_, errs, status = h.piped(canary+"\n", with("--send-test", "--name", "home")...)
	if status != exitDone || !strings.Contains(errs, "0600") || len(provider.Messages()) != 1 {
		t.Fatalf("%d, %s", status, errs)
	}
	info, err := os.Stat(filepath.Join(h.state, "secrets", "password-home"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	out, errs2, status := h.piped("canary-wrong\n", with("--no-test", "--name", "work")...)
	if status != exitDone || !strings.Contains(out, "Thunderbird") || !strings.Contains(out, "mutt") || !strings.Contains(out, "port 2525") && !strings.Contains(out, "2525") {
		t.Errorf("%d, %s%s", status, out, errs2)
	}
	if list := jsonOf[[]shownAccount](h, "account", "list"); len(list) != 2 || list[0].Name != "home" || !list[0].Default || list[1].Default || list[0].Address != "taro@provider-a.example" {
		t.Errorf("%+v", list)
	}
	h.findNot(out+errs+errs2, canary, "canary-wrong")

	for name, c := range map[string]struct {
		args   []string
		stdin  string
		status int
		want   string
	}{
		"name taken":        {with("--name", "home"), canary, exitUsage, "already"},
		"no password":       {base, "", exitUsage, "--password-stdin"},
		"nobody to ask":     {base[:len(base)-1], "", exitUsage, "--password-stdin"},
		"no address":        {[]string{"account", "add", "taro", "--password-stdin"}, canary, exitUsage, "NAME@DOMAIN"},
		"bad auth":          {with("--auth", "magic"), canary, exitUsage, "magic"},
		"bad port":          {with("--pop", "h:99999"), canary, exitUsage, "port"},
		"bad store":         {with("--store", "cloud"), canary, exitUsage, "keyring or file"},
		"no keyring":        {with("--store", "keyring"), canary, exitFailed, "keyring"},
		"PBS without POP":   {with("--auth", "pop-before-smtp"), canary, exitUsage, "pop: {host"},
		"no client":         {[]string{"account", "add", "taro@hotmail.com"}, "", exitUsage, "App registrations"},
		"no SMTP there":     {[]string{"account", "add", "taro@tuta.com", "--password-stdin"}, canary, exitFailed, "no SMTP"},
		"clear, not asked":  {with("--security", "none"), canary, exitUsage, "allow_plaintext"},
		"foreign CA":        {with("--ca", h.secret("no.pem", "x"), "--name", "x"), canary, exitFailed, "not saved"},
		"nothing listening": {with("--smtp", "127.0.0.1:1", "--name", "y"), canary, exitFailed, "server-unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs, status := h.piped(c.stdin, c.args...)
			if status != c.status || !strings.Contains(errs, c.want) || strings.Contains(errs, canary) {
				t.Errorf("status %d, %s", status, errs)
			}
		})
	}
}

// TestAddRetyped types a wrong password first, and gives up elsewhere.
func TestAddRetyped(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, emptyRelay)
	args := []string{"account", "add", "taro@provider-a.example", "--username", "taro", "--ca", h.caFile(provider), "--smtp", provider.SMTPAddr(), "--store", "file"}
	p := h.typing(args...)
	p.types("Password", "wrong")
	p.types("Try another password? [Y/n]", "y")
	p.types("Password", lab.DefaultUser.Password)
	p.types("Send a message to yourself now? [Y/n]", "n")
	p.ends(exitDone)
	if f := provider.Stats().AuthFailures; f != 1 || len(provider.Messages()) != 0 {
		t.Errorf("%d refused logins", f)
	}
	p = h.typing(append(args, "--name", "second")...)
	p.types("Password", "wrong")
	p.types("Try another password? [Y/n]", "n")
	p.types("Save the account anyway? [y/N]", "")
	p.ends(exitFailed)
	p = h.typing(append(args, "--name", "third")...)
	p.see("Password")
	if _, err := p.tty.WriteString("half of it\x03"); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	p.ends(exitFailed)
	if list := jsonOf[[]shownAccount](h, "account", "list"); len(list) != 1 {
		t.Errorf("%+v", list)
	}
	if strings.Contains(p.all(), "half of it") {
		t.Errorf("shown: %s", p.all())
	}
}

// inProcess types at a command inside of this process, whose discovery meets a
// test's world.
func (h *home) inProcess(c *cli, args ...string) *typist {
	h.t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		h.t.Fatal(err)
	}
	c.stdin, c.stdout, c.stderr = slave, slave, slave
	c.getenv = func(k string) string { return map[string]string{"HOME": h.dir, "LANG": "C"}[k] }
	return newTypist(h.t, master, func() int {
		defer slave.Close()
		return c.execute(context.Background(), append([]string{"--config", h.config, "--state", h.state}, args...))
	})
}

func TestEditor(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	relay := h.start()
	script := func(name, text string) string {
		path := filepath.Join(h.dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	edit := func(editor string) (string, int) {
		cmd := h.command("account", "edit", "home")
		cmd.Env = append(cmd.Env, "VISUAL=", "EDITOR="+editor)
		out, err := cmd.CombinedOutput()
		if _, ok := err.(*exec.ExitError); err != nil && !ok {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, status := edit(script("good", `echo "language: en" >> "$1"`)); status != exitDone {
		t.Errorf("%d, %s", status, out)
	}
	relay.waitFor("the configuration was read")
	if out, status := edit(script("bad", `echo "langage: en" >> "$1"`)); status != exitUsage || !strings.Contains(out, "language") {
		t.Errorf("%d, %s", status, out)
	}
	if out, status := edit("/nonexistent/editor"); status != exitFailed {
		t.Errorf("%d, %s", status, out)
	}
}
