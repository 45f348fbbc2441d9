package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"melon/proxy/control/api"
	"melon/proxy/sendmail"
	"melon/upstream"
	"melon/upstream/lab"
)

// sendmail runs melon sendmail with an input.
func (h *home) sendmail(input string, args ...string) (stdout, stderr string, status int) {
	h.t.Helper()
	var out, errs strings.Builder
	cmd := h.command(append([]string{"sendmail"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		h.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestSendmailWithARunningRelay(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	h.start()
	for i, call := range sendmailCalls {
		out, errs, status := h.sendmail(call.input, call.args...)
		if status != 0 || out != "" || errs != "" {
			t.Fatalf("%s: status %d, %s%s", call.program, status, out, errs)
		}
		got := provider.Messages()
		if len(got) != i+1 {
			t.Fatalf("%s: %d messages arrived, want %d: sendmail waits for the verdict", call.program, len(got), i+1)
		}
		t.Run(call.program, func(t *testing.T) { call.check(t, got[i]) })
	}
}

func TestSendmailWithoutARelay(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	for _, call := range sendmailCalls {
		out, errs, status := h.sendmail(call.input, call.args...)
		if status != 0 || out != "" || !strings.Contains(errs, "melon run") {
			t.Fatalf("%s: status %d, %s%s", call.program, status, out, errs)
		}
	}
	out, _, status := h.sendmail("", "-bp")
	if n := strings.Count(out, "waits for melon run"); n != len(sendmailCalls) || status != sendmail.ExUnavailable {
		t.Errorf("-bp: status %d, %d messages:\n%s", status, n, out)
	}
	p := h.start()
	got, err := provider.Wait(wait(t), len(sendmailCalls))
	if err != nil {
		t.Fatalf("%v\n%s", err, p.output())
	}
	for i, call := range sendmailCalls {
		t.Run(call.program, func(t *testing.T) { call.check(t, got[i]) })
	}
	left, err := os.ReadDir(filepath.Join(h.state, sendmail.DropDir))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the drop directory: %v, %v", left, err)
	}
}

// TestSendmailPassesDSNOn looks at the parameters that reach the provider.
func TestSendmailPassesDSNOn(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	args := []string{"-i", "-N", "success,delay", "-Rfull", "-V", "a b", "hanako@elsewhere.example"}
	if _, errs, status := h.sendmail("Subject: x\n\nb\xc3\xa9\n", args...); status != 0 { // through the drop directory
		t.Fatal(status, errs)
	}
	h.start()
	if _, errs, status := h.sendmail("Subject: x\n\nb\xc3\xa9\n", args...); status != 0 {
		t.Fatal(status, errs)
	}
	got, err := provider.Wait(wait(t), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range got {
		e := m.Envelope
		if e.Return != "FULL" || e.EnvelopeID != "a b" || e.Body != upstream.Body8BitMIME || !reflect.DeepEqual(e.Recipients[0].Notify, []string{"SUCCESS", "DELAY"}) {
			t.Errorf("envelope %+v", e)
		}
	}
}

func TestSendmailSaysWhatTheProviderSays(t *testing.T) {
	t.Parallel()
	for text, status := range map[string]int{
		"550 5.1.1 User unknown":                           sendmail.ExNoUser,
		"550 5.1.2 Domain not found":                       sendmail.ExNoHost,
		"554 5.7.1 Relay access denied":                    sendmail.ExNoPerm,
		"552 5.2.2 Mailbox full":                           sendmail.ExUnavailable,
		"554 5.7.1 Message rejected as spam":               sendmail.ExUnavailable,
		"550 5.7.60 SMTP; Client does not have permission": sendmail.ExNoPerm,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			phase := upstream.PhaseRcpt
			if strings.Contains(text, "spam") {
				phase = upstream.PhaseDataEnd
			}
			provider := lab.Run(t, lab.Options{Faults: []lab.Fault{{Phase: phase, Kind: lab.WrongReply, Text: text}}})
			h := newHome(t, "")
			h.write(accountYAML(h, provider, "default: home\n"))
			h.start()
			_, errs, got := h.sendmail("Subject: x\n\nx\n", "hanako@elsewhere.example")
			if got != status || !strings.Contains(errs, text[10:]) {
				t.Errorf("status %d, want %d: %s", got, status, errs)
			}
			if list := jsonOf[[]api.Entry](h, "outbox", "list"); len(list) != 0 {
				t.Errorf("refused, and kept: %+v", list)
			}
		})
	}
}

// TestSendmailOneRefusedRecipientStopsAll: the program still has the message
// and knows which address it was.
func TestSendmailOneRefusedRecipientStopsAll(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseRcpt, Attempt: 2, Kind: lab.WrongReply, Text: "550 5.1.1 User unknown"}}})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	h.start()
	_, errs, status := h.sendmail("Subject: x\n\nx\n", "a@elsewhere.example", "b@elsewhere.example", "c@elsewhere.example")
	if status != sendmail.ExNoUser || !strings.Contains(errs, "b@elsewhere.example") || strings.Contains(errs, "a@elsewhere.example") {
		t.Errorf("status %d: %s", status, errs)
	}
	if n := len(provider.Messages()); n != 0 {
		t.Errorf("%d messages arrived", n)
	}
}

func TestSendmailTemporaryRefusals(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseMail, Kind: lab.WrongReply, Text: "451 4.3.0 Try later"}}})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	p := h.start()
	if out, errs, status := h.sendmail("Subject: x\n\nx\n", "-v", "hanako@elsewhere.example"); status != 0 || !strings.Contains(out, "kept as") {
		t.Errorf("live: status %d: %s%s", status, out, errs)
	}
	if out, _, status := h.sendmail("", "-bp"); status != 0 || !strings.Contains(out, "hanako@elsewhere.example") {
		t.Errorf("-bp: status %d: %s", status, out)
	}
	p.stop(syscall.SIGTERM)
	h.write(accountYAML(h, provider, "default: home\ndelivery: pass\n"))
	h.start()
	if _, errs, status := h.sendmail("Subject: x\n\nx\n", "hanako@elsewhere.example"); status != sendmail.ExTempFail || !strings.Contains(errs, "Try later") {
		t.Errorf("pass: status %d: %s", status, errs)
	}
	provider.SetFaults()
	if _, errs, status := h.sendmail("", "-q"); status != 0 {
		t.Errorf("-q: status %d: %s", status, errs)
	}
	if _, err := provider.Wait(wait(t), 1); err != nil {
		t.Error(err)
	}
}

func TestSendmailUsage(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	for name, c := range map[string]struct {
		args  []string
		input string
		want  int
		words string
	}{
		"nobody":                {nil, "", sendmail.ExUsage, "no recipients"},
		"nobody in the header":  {[]string{"-t"}, "Subject: x\n\nx\n", sendmail.ExUsage, "no recipient"},
		"an unknown option":     {[]string{"-Z", "a@b.example"}, "", sendmail.ExUsage, "-Z"},
		"no argument":           {[]string{"-f"}, "", sendmail.ExUsage, "-f"},
		"the daemon":            {[]string{"-bd"}, "", sendmail.ExUsage, "melon run"},
		"a wrong -N":            {[]string{"-N", "never,delay", "a@b.example"}, "", sendmail.ExUsage, "-N"},
		"a wrong -R":            {[]string{"-R", "some", "a@b.example"}, "", sendmail.ExUsage, "-R"},
		"a wrong sender":        {[]string{"-f", "a b@c", "a@b.example"}, "x\n", sendmail.ExUsage, "-f"},
		"a program to pipe to":  {[]string{"|rm -rf /"}, "x\n", sendmail.ExDataErr, "address"},
		"a line end":            {[]string{"a@b.example\r\nRCPT TO:c@d.example"}, "x\n", sendmail.ExDataErr, "address"},
		"a header cut short":    {[]string{"-t"}, "To: \"a <b@c.example>\n\nx\n", sendmail.ExDataErr, "header To"},
		"a header without end":  {[]string{"a@b.example"}, "X: " + strings.Repeat("x", sendmail.MaxHeader+1), sendmail.ExDataErr, "too long"},
		"a local name, no home": {[]string{"root"}, "x\n", sendmail.ExNoUser, "root"},
	} {
		_, errs, status := h.sendmail(c.input, c.args...)
		if status != c.want || !strings.Contains(errs, c.words) {
			t.Errorf("%s: status %d, want %d: %s", name, status, c.want, errs)
		}
	}
	if out, _, status := h.sendmail("", "--help"); status != 0 || !strings.Contains(out, "-oi") {
		t.Errorf("--help: %d, %s", status, out)
	}
	if _, _, status := h.sendmail("", "-bi"); status != 0 {
		t.Errorf("-bi: %d", status)
	}
}

// TestSendmailByName calls the program through a link, as the package installs
// it, with nothing but what cron leaves in the environment.
func TestSendmailByName(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.config = filepath.Join(h.dir, ".config", "melon", "config.yaml")
	h.state = filepath.Join(h.dir, ".local", "state", "melon")
	if err := os.MkdirAll(filepath.Dir(h.config), 0o700); err != nil {
		t.Fatal(err)
	}
	h.write(accountYAML(h, provider, "default: home\n"))
	h.start() // its socket is in the state directory
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/usr/sbin/sendmail", "/usr/lib/sendmail"} {
		cmd := exec.CommandContext(t.Context(), exe, "-i", "-FCronDaemon", "-oem", "root")
		cmd.Args[0] = name
		cmd.Env = []string{asMelon + "=1", "HOME=" + h.dir, "PATH=/usr/bin:/bin", "LOGNAME=taro", "SHELL=/bin/sh"}
		cmd.Stdin = strings.NewReader("From: root\nTo: root\nSubject: Cron\n\nx\n")
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
	}
	if n := len(provider.Messages()); n != 2 {
		t.Errorf("%d messages arrived, want 2", n)
	}
	for name, want := range map[string][]string{
		"mailq": {"sendmail", "-bp", "x"}, "/usr/bin/newaliases": {"sendmail", "-bi", "x"},
		"sendmail.exe": {"sendmail", "x"}, "/usr/bin/melon": {"x"},
	} {
		if got := asNamed([]string{name, "x"}); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestSendmailSMTP speaks SMTP on standard input, with and without a relay.
func TestSendmailSMTP(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	conversation := "EHLO app\r\nMAIL FROM:<taro@provider-a.example>\r\nRCPT TO:<hanako@elsewhere.example>\r\nDATA\r\nSubject: x\r\n\r\n..\r\n.\r\nQUIT\r\n"
	out, errs, status := h.sendmail(conversation, "-bs")
	if status != 0 || !strings.Contains(out, "354 ") || !strings.Contains(out, "250 2.0.0 kept") || !strings.Contains(errs, "melon run") {
		t.Errorf("without a relay: status %d: %s%s", status, out, errs)
	}
	h.start()
	if _, err := provider.Wait(wait(t), 1); err != nil {
		t.Fatal(err)
	}
	// Another message: the same one would join the first while its outcome is open.
	out, errs, status = h.sendmail(strings.Replace(conversation, "Subject: x", "Subject: y", 1), "-bs")
	if status != 0 || !strings.Contains(out, "250 2.0.0 Ok: queued") || errs != "" {
		t.Errorf("with a relay: status %d: %s%s", status, out, errs)
	}
	got := provider.Messages()
	if len(got) != 2 || !strings.HasSuffix(string(got[0].Data), "\r\n\r\n.\r\n") {
		t.Errorf("arrived: %+v", got)
	}
}

// TestCollectLeavesWhatItCannotTake: a file of a newer version, a torn one and
// one that is none stay, status says why, and the good ones go.
func TestCollectLeavesWhatItCannotTake(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	if _, errs, status := h.sendmail("Subject: good\n\nx\n", "hanako@elsewhere.example"); status != 0 {
		t.Fatal(errs)
	}
	dir := filepath.Join(h.state, sendmail.DropDir)
	bad := map[string]string{
		"0-newer.msg": `{"melon_drop": 2, "to": [{"address": "a@b.example"}], "size": 1}` + "\nx",
		"0-torn.msg":  `{"melon_drop": 1, "from": "taro@provider-a.example", "to": [{"address": "a@b.example"}], "size": 100}` + "\nSubject: torn\r\n\r\n",
		"0-none.msg":  "Subject: none\r\n\r\nx\r\n",
		"9-empty.msg": "",
	}
	for name, text := range bad {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h.start()
	if _, err := provider.Wait(wait(t), 1); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := h.sendmail("", "-q"); status != sendmail.ExTempFail || !strings.Contains(errs, "newer Melon") {
		t.Errorf("-q: status %d: %s", status, errs)
	}
	s := jsonOf[api.Status](h, "status")
	if len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "0-newer.msg") || s.State != api.StateAttention {
		t.Errorf("status: %+v", s)
	}
	for name := range bad {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, errs, status := h.sendmail("", "-q"); status != 0 {
		t.Errorf("-q after the repair: %d, %s", status, errs)
	}
	if s := jsonOf[api.Status](h, "status"); len(s.Problems) != 0 || len(provider.Messages()) != 1 {
		t.Errorf("after the repair: %+v, %d messages", s, len(provider.Messages()))
	}
}

// TestSendmailWithoutAnAccount: the message waits for one.
func TestSendmailWithoutAnAccount(t *testing.T) {
	t.Parallel()
	h := newHome(t, `listen: {smtp: ["127.0.0.1:0"]}`)
	if _, errs, status := h.sendmail("From: taro@provider-a.example\nSubject: x\n\nx\n", "hanako@elsewhere.example"); status != 0 {
		t.Fatal(errs)
	}
	p := h.start()
	p.waitFor("message kept")
	list := jsonOf[[]api.Entry](h, "outbox", "list")
	if len(list) != 1 || list[0].Account != "" || list[0].From != "taro@provider-a.example" {
		t.Fatalf("outbox: %+v", list)
	}
	p.getsAnAccount()
}

func TestProtectSendmail(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"sendmail -t -f x":               "sendmail -- -t -f x",
		"--config c --lang=en sendmail":  "--config c --lang=en sendmail --",
		"--state sendmail run":           "--state sendmail run",
		"explain sendmail":               "explain sendmail",
		"--state sendmail sendmail -oi":  "--state sendmail sendmail -- -oi",
		"-h sendmail":                    "-h sendmail",
		"--config x sendmail -t -- a":    "--config x sendmail -- -t -- a",
		"--config x outbox list --state": "--config x outbox list --state",
	} {
		if got := strings.Join(protectSendmail(strings.Fields(in)), " "); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
