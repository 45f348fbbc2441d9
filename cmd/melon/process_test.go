package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"melon/proxy/control/api"
	"melon/upstream"
	"melon/upstream/lab"
)

func TestRunStatusAndStop(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	p := h.start()
	p.mustSend(fmt.Sprintf(appMessage, "one"))
	if _, err := provider.Wait(wait(t), 1); err != nil {
		t.Fatal(err)
	}
	s := jsonOf[api.Status](h, "status")
	if s.State != api.StateIdle || s.Version == "" || len(s.Accounts) != 1 || s.Accounts[0].Name != "home" ||
		s.Accounts[0].State != api.AccountReady || s.Accounts[0].Auth != "plain" || s.Accounts[0].LastError != nil ||
		len(s.Listeners) != 1 || s.Listeners[0].Address != p.addr || s.Outbox != (api.Counts{}) || !s.SameUser {
		t.Errorf("status: %+v", s)
	}
	out, _, status := h.run("log")
	if status != 0 || !strings.Contains(out, "taro@provider-a.example") || !strings.Contains(out, "hanako@elsewhere.example") {
		t.Errorf("log: %d, %s", status, out)
	}
	if status := p.stop(syscall.SIGTERM); status != 0 {
		t.Errorf("SIGTERM: status %d", status)
	}
	if _, errs, status := h.run("status"); status != exitNotRunning || !strings.Contains(errs, "melon run") {
		t.Errorf("status of nothing: %d, %s", status, errs)
	}
	left, err := filepath.Glob(filepath.Join(h.state, "outbox", "*.eml"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFirstStartSaysWhatToDo(t *testing.T) {
	t.Parallel()
	h := newHome(t, `listen: {smtp: ["127.0.0.1:0"]}`)
	p := h.start()
	for _, want := range []string{"melon account add", h.config, "melon demo"} {
		if !strings.Contains(p.output(), want) {
			t.Errorf("the first start does not say %q:\n%s", want, p.output())
		}
	}
	p.mustSend(fmt.Sprintf(appMessage, "kept")) // accepted and kept
	list := jsonOf[[]api.Entry](h, "outbox", "list")
	if len(list) != 1 || list[0].Account != "" || list[0].From != "taro@provider-a.example" {
		t.Fatalf("outbox: %+v", list)
	}
	p.getsAnAccount()
}

// getsAnAccount adds one to a relay without: the message that waits goes out with
// it.
func (p *process) getsAnAccount() {
	p.h.t.Helper()
	provider := lab.Run(p.h.t, lab.Options{})
	p.h.write(accountYAML(p.h, provider, "default: home\n"))
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.h.t.Fatal(err)
	}
	if _, err := provider.Wait(wait(p.h.t), 1); err != nil {
		p.h.t.Fatalf("%v\n%s", err, p.output())
	}
}

func TestMissingAndBadConfiguration(t *testing.T) {
	t.Parallel()
	h := newHome(t, "lisen: {}\n")
	for _, args := range [][]string{{"run"}, {"config", "check"}} {
		_, errs, status := h.run(args...)
		if status != exitUsage || !strings.HasPrefix(errs, h.config+":1:1: ") || !strings.Contains(errs, "listen") {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
	if err := os.Remove(h.config); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"run"}, {"config", "check"}} {
		if _, errs, status := h.run(args...); status != exitUsage || !strings.Contains(errs, h.config) {
			t.Errorf("%v without the file: status %d, %s", args, status, errs)
		}
	}
}

func TestReloadKeepsTheOldConfiguration(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	good := accountYAML(h, provider, "default: home\n")
	h.write(good)
	p := h.start()
	h.write("accounts: nonsense\n")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.waitFor("the old one is in force")
	if s := jsonOf[api.Status](h, "status"); len(s.Accounts) != 1 || len(s.Problems) != 1 || s.State != api.StateAttention {
		t.Errorf("status after a bad reload: %+v", s)
	}
	p.mustSend(fmt.Sprintf(appMessage, "still works"))
	h.write(good)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.waitFor("the configuration was read")
	if s := jsonOf[api.Status](h, "status"); len(s.Problems) != 0 {
		t.Errorf("problems after a good reload: %v", s.Problems)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	h := newHome(t, `listen: {smtp: ["127.0.0.1:0"]}`)
	p := h.start()
	_, errs, status := h.run("run")
	if status != exitFailed || !strings.Contains(errs, fmt.Sprint(p.cmd.Process.Pid)) {
		t.Errorf("status %d, %s; want the first one's process number %d", status, errs, p.cmd.Process.Pid)
	}
	p.mustSend(fmt.Sprintf(appMessage, "the first one still works"))
}

func TestBusyPortIsExplained(t *testing.T) {
	t.Parallel()
	first := newHome(t, `listen: {smtp: ["127.0.0.1:0"]}`).start()
	second := newHome(t, fmt.Sprintf("listen: {smtp: [%q]}", first.addr))
	_, errs, status := second.run("run")
	if status == 0 || !strings.Contains(errs, first.addr) || !strings.Contains(errs, "listen") {
		t.Errorf("status %d, %s", status, errs)
	}
}

// TestOfflineThenOnline is the airport: 50 messages while nothing answers, then
// all of them in order, over one connection with one login.
func TestOfflineThenOnline(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{
		Rules: lab.Rules{PBS: lab.PBS{Window: 10 * time.Minute}}, SMTP: lab.SMTP{Without: []string{"AUTH"}},
		Faults: []lab.Fault{{Phase: upstream.PhaseConnect, Kind: lab.Drop}, {Phase: upstream.PhasePOPGreeting, Kind: lab.Drop}},
	})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "    auth: pop-before-smtp\n    allow_plaintext: true\ndefault: home\n"))
	p := h.start()
	const n = 50
	for i := range n {
		p.mustSend(fmt.Sprintf(appMessage, fmt.Sprint("message ", i)))
	}
	if s := jsonOf[api.Status](h, "status"); s.Outbox.Waiting != n || s.State != api.StateWaiting {
		t.Errorf("while nothing answers: %+v", s)
	}
	provider.SetFaults()
	before := provider.Stats()
	if _, errs, status := h.run("outbox", "send"); status != 0 {
		t.Fatal(errs)
	}
	got, err := provider.Wait(wait(t), n)
	if err != nil {
		t.Fatalf("%v\n%s", err, p.output())
	}
	for i, m := range got {
		if want := fmt.Sprintf("Subject: message %d\r\n", i); !bytes.Contains(m.Data, []byte(want)) {
			t.Fatalf("message %d is out of order: %s", i, m.Data)
		}
	}
	after := provider.Stats()
	if c := after.SMTPConns - before.SMTPConns; c != 1 {
		t.Errorf("%d SMTP connections, want 1", c)
	}
	if l := after.POPLogins - before.POPLogins; l != 1 {
		t.Errorf("%d POP logins, want 1", l)
	}
}

// TestWrongPasswordIsTriedOnce: ten messages wait, the provider locks after
// three refused logins, and stays unlocked.
func TestWrongPasswordIsTriedOnce(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{Rules: lab.Rules{Auth: true, Limits: lab.Limits{AuthFailures: 3}}})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\ndelivery: queue\n"))
	p := h.start()
	if _, errs, status := h.run("pause"); status != 0 {
		t.Fatal(errs)
	}
	for i := range 10 {
		p.mustSend(fmt.Sprintf(appMessage, fmt.Sprint(i)))
	}
	h.secret("password", "wrong")
	if _, errs, status := h.run("resume"); status != 0 {
		t.Fatal(errs)
	}
	p.waitFor("outbox attention")
	s := jsonOf[api.Status](h, "status")
	if s.Outbox.Attention != 10 || s.Accounts[0].State != api.AccountAttention || s.Accounts[0].LastError == nil ||
		s.Accounts[0].LastError.Class != string(upstream.ClassCredentialsRejected) || s.State != api.StateAttention {
		t.Errorf("status: %+v", s)
	}
	if f := provider.Stats().AuthFailures; f != 1 {
		t.Errorf("%d refused logins, want 1", f)
	}
	h.secret("password", lab.DefaultUser.Password)
	if _, errs, status := h.run("outbox", "send"); status != 0 {
		t.Fatal(errs)
	}
	if _, err := provider.Wait(wait(t), 10); err != nil {
		t.Fatalf("%v\n%s", err, p.output())
	}
	if m := provider.Messages(); len(m) != 10 {
		t.Errorf("%d messages, want 10 and no bounce", len(m))
	}
}

func TestPauseSurvivesARestart(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	p := h.start()
	if _, errs, status := h.run("pause"); status != 0 {
		t.Fatal(errs)
	}
	p.stop(syscall.SIGTERM)
	p = h.start()
	p.mustSend(fmt.Sprintf(appMessage, "held back"))
	if s := jsonOf[api.Status](h, "status"); s.State != api.StatePaused || s.Outbox.Waiting != 1 || provider.Stats().SMTPConns != 0 {
		t.Errorf("while paused: %+v, %d connections", s, provider.Stats().SMTPConns)
	}
	if _, errs, status := h.run("resume"); status != 0 {
		t.Fatal(errs)
	}
	if _, err := provider.Wait(wait(t), 1); err != nil {
		t.Fatal(err)
	}
}

func TestOutboxCommands(t *testing.T) {
	t.Parallel()
	h := newHome(t, `listen: {smtp: ["127.0.0.1:0"]}`)
	p := h.start()
	if _, errs, status := h.run("pause"); status != 0 { // nothing is being sent while it is held
		t.Fatal(errs)
	}
	for i := range 3 {
		p.mustSend(fmt.Sprintf(appMessage, fmt.Sprint("number ", i)))
	}
	list := jsonOf[[]api.Entry](h, "outbox", "list")
	if len(list) != 3 {
		t.Fatalf("%+v", list)
	}
	id := list[1].ID
	if _, errs, status := h.run("outbox", "hold", id); status != 0 {
		t.Fatal(errs)
	}
	if e := jsonOf[api.Entry](h, "outbox", "show", id); e.State != api.EntryHeld || e.ID != id || e.Size == 0 {
		t.Errorf("held: %+v", e)
	}
	out, _, _ := h.run("outbox", "export", id)
	if _, rest, _ := strings.Cut(out, "\r\n"); rest != fmt.Sprintf(appMessage, "number 1") {
		t.Errorf("exported: %q", out)
	}
	if out, errs, status := h.run("outbox", "release", id); status != 0 && !strings.Contains(errs, "paused") {
		t.Fatal(out, errs)
	}
	if _, errs, status := h.run("outbox", "remove", id); status != 0 {
		t.Fatal(errs)
	}
	for _, args := range [][]string{{"outbox", "show", id}, {"outbox", "send", "zzzz"}, {"outbox", "remove", "nonsense"}} {
		if _, errs, status := h.run(args...); status != exitFailed || !strings.Contains(errs, "no such message") {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
	if left := jsonOf[[]api.Entry](h, "outbox", "list"); len(left) != 2 {
		t.Errorf("%d left, want 2", len(left))
	}
}

// TestTraceShowsNoSecret plants a password that is easy to find and looks for
// it, plain and in base64, in everything that the program says.
func TestTraceShowsNoSecret(t *testing.T) {
	t.Parallel()
	const canary = "canary-Pa55-word"
	user := lab.DefaultUser
	user.Password = canary
	provider := lab.Run(t, lab.Options{Users: []lab.User{user}, Rules: lab.Rules{PBS: lab.PBS{Window: time.Minute}, Auth: true, All: true}})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	h.secret("password", canary)
	p := h.start("--log-level", "trace")
	p.mustSend(fmt.Sprintf(appMessage, "one"))
	status, _, _ := h.run("status", "--json")
	log, _, _ := h.run("log")
	p.stop(syscall.SIGTERM)
	all := p.output() + status + log
	for _, secret := range []string{canary, "Y2FuYXJ5", "AHRhcm8A"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is in:\n%s", secret, all)
		}
	}
	for _, want := range []string{"C: AUTH PLAIN ***", "C: EHLO", "octets>"} {
		if !strings.Contains(all, want) {
			t.Errorf("the trace does not show %q:\n%s", want, all)
		}
	}
}

func TestExplainCommand(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	x := jsonOf[explained](h, "explain", "--phase", "pop-pass", "-ERR [IN-USE] mailbox locked")
	if x.Class != upstream.ClassPOPMailboxInUse || x.Summary == "" || len(x.Advice) == 0 || x.Retry != "later" {
		t.Errorf("%+v", x)
	}
	ja, _, _ := h.run("--lang", "ja", "explain", "550 5.7.1 Relaying denied")
	en, _, _ := h.run("explain", "550 5.7.1 Relaying denied", "--lang", "en")
	if ja == en || !strings.Contains(ja, "。") {
		t.Errorf("Japanese: %s", ja)
	}
	cmd := h.command("explain", "--json")
	cmd.Stdin = strings.NewReader("rcpt\t550 5.1.1 User unknown\npop-pass\t-ERR invalid password\n")
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != 2 || !strings.Contains(lines[0], "recipient-unknown") || !strings.Contains(lines[1], "pop-credentials-rejected") {
		t.Errorf("%v: %s", err, out)
	}
	if _, _, status := h.run("explain", "--phase", "nonsense", "550 x"); status != exitUsage {
		t.Errorf("a phase that does not exist: status %d", status)
	}
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	for _, args := range [][]string{{"nonsense"}, {"run", "--nonsense"}, {"outbox", "show"}, {"status", "extra"}, {"--lang", "fr", "version"}, {"run", "--log-level", "loud"}} {
		if _, errs, status := h.run(args...); status != exitUsage || errs == "" {
			t.Errorf("%v: status %d, %q", args, status, errs)
		}
	}
	if out, _, status := h.run("version", "--json"); status != 0 || !strings.Contains(out, `"version"`) {
		t.Errorf("version: %d, %s", status, out)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out, _, status := h.run("completion", shell); status != 0 || len(out) < 500 {
			t.Errorf("completion %s: %d", shell, status)
		}
	}
}

func TestDemoLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	tmp := t.TempDir()
	cmd := h.command("demo")
	cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"550 5.7.1", "PASS ****", "now relays for this address", "250 2.0.0 Ok: queued as 1", "Arrived", "POP logins: 1"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo does not show %q:\n%s", want, out)
		}
	}
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
	if _, err := os.Stat(h.state); err == nil {
		t.Error("the demo made a state directory")
	}
}
