package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"melon/packaging/man"
	"melon/proxy/config"
)

// contract lists the commands and flags that scripts rely on: each is in the
// page of its command.
var contract = map[string][]string{
	"melon.1": {"run", "demo", "account", "login", "doctor", "explain", "outbox", "status", "log", "open", "pause", "resume", "autostart",
		"sendmail", "config", "provider", "version", "completion", "--config FILE", "--state DIR", "--lang en|ja", "melon-tray(1)", "sysexits.h"},
	"ja/melon.1":         {"run", "demo", "doctor", "送信", "終了コード", "中継を前面で動かします"},
	"melon-stop.1":       {"SIGTERM"},
	"melon-run.1":        {"--log-level LEVEL", "SIGHUP", "SIGTERM", "ready"},
	"melon-account.1":    {"account add ADDRESS", "account list", "account show", "account edit", "account remove", "account test", "account default", "--password-stdin", "--name", "--smtp HOST[:PORT]", "--pop HOST[:PORT]", "--auth", "--username", "--store keyring|file", "--no-test", "--yes"},
	"melon-login.1":      {"login ACCOUNT", "--device"},
	"melon-doctor.1":     {"doctor [ACCOUNT]", "--json"},
	"melon-explain.1":    {"--phase", "--json", "PHASE<TAB>REPLY"},
	"melon-outbox.1":     {"outbox list", "outbox show", "outbox send", "outbox hold", "outbox release", "outbox remove", "outbox export", "--json"},
	"melon-status.1":     {"--json"},
	"melon-log.1":        {"-f, --follow"},
	"melon-autostart.1":  {"autostart on", "autostart off", "autostart status"},
	"melon-sendmail.1":   {"-t", "-i, -oi", "-f, -r ADDR", "-F NAME", "-bs", "-bp", "-q", "-N WHEN", "-R full|hdrs", "-V  ID", "-O, -o"},
	"melon-config.1":     {"config check", "config path"},
	"melon-provider.1":   {"provider list", "provider show"},
	"melon-version.1":    {"--json"},
	"melon-completion.1": {"bash", "zsh", "fish", "powershell"},
	"melon-tray.1":       {"--melon FILE"},
	"melon-open.1":       {"--print"},
	"melon-pause.1":      {"outbox"},
	"melon-resume.1":     {"pause"},
	"melon-demo.1":       {"POP"},
}

// plainManual takes the roff out of a page.
func plainManual(data []byte) string {
	s := strings.NewReplacer(`\-`, "-", `\fB`, "", `\fR`, "", `\&`, "", `\(aq`, "'", `\(dq`, `"`, `\(ti`, "~", `\(ha`, "^", `\(ga`, "`", `\e`, `\`).Replace(string(data))
	return s
}

func TestManualPagesHoldTheContract(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	dir := filepath.Join(t.TempDir(), "pages")
	if _, errs, status := h.run("manual", dir); status != 0 {
		t.Fatal(errs)
	}
	for name, words := range contract {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		text := plainManual(data)
		for _, w := range words {
			if !strings.Contains(text, w) && !strings.Contains(text, strings.ReplaceAll(w, "  ", " ")) {
				t.Errorf("%s does not say %q", name, w)
			}
		}
		for i, line := range strings.Split(string(data), "\n") {
			if strings.HasPrefix(line, "'") || strings.HasPrefix(line, ".") && !regexp.MustCompile(`^\.(TH|SH|TP|PP|nf|fi|br|nh|ad l|\\")( |$)`).MatchString(line) {
				t.Errorf("%s:%d: text that roff takes for a request: %q", name, i+1, line)
			}
		}
	}
	settings, err := os.ReadFile(filepath.Join(dir, "melon.yaml.5"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range man.Settings() {
		if !strings.Contains(plainManual(settings), "\n"+s.Path+"\n") {
			t.Errorf("melon.yaml.5 does not describe %s", s.Path)
		}
	}
}

// TestEverySettingIsDocumented asks the decoder for the keys of each section, by
// a key that there cannot be, and compares them with the page.
func TestEverySettingIsDocumented(t *testing.T) {
	t.Parallel()
	known := regexp.MustCompile(`unknown key "qqqqqq"[^:]*: known are ([a-z_, ]+)`)
	var found []string
	var walk func(path, before, after string)
	walk = func(path, before, after string) {
		_, err := config.Parse("config.yaml", []byte(before+"{qqqqqq: 1}"+after))
		if err == nil {
			return
		}
		m := known.FindStringSubmatch(err.Error())
		if m == nil {
			return
		}
		keys := strings.Split(m[1], ", ")
		if slices.Contains(keys, "keyring") {
			return // a secret, described on top
		}
		for _, key := range keys {
			p := strings.TrimPrefix(path+"."+key, ".")
			found = append(found, p)
			in := before + "{" + key + ": "
			switch p {
			case "accounts", "networks":
				found = append(found, p+".NAME")
				walk(p+".NAME", in+"{home: ", "}}"+after)
			case "routes":
				walk(p+"[]", in+"[", "]}"+after)
			default:
				walk(p, in, "}"+after)
			}
		}
	}
	walk("", "", "")
	var documented []string
	for _, s := range man.Settings() {
		documented = append(documented, s.Path)
	}
	slices.Sort(found)
	slices.Sort(documented)
	if len(found) < 60 {
		t.Fatalf("the walk found %d settings only: %v", len(found), found)
	}
	for _, p := range found {
		if !slices.Contains(documented, p) {
			t.Errorf("melon.yaml.5 lacks %s: add it to packaging/man/settings.go", p)
		}
	}
	for _, p := range documented {
		if !slices.Contains(found, p) {
			t.Errorf("melon.yaml.5 describes %s, which there is not", p)
		}
	}
	if _, err := config.Parse("config.yaml", []byte(man.Example)); err != nil {
		t.Errorf("the page's example: %v", err)
	}
}

// TestManualDefaults compares the page's defaults with those in force.
func TestManualDefaults(t *testing.T) {
	t.Parallel()
	defaults := map[string]string{}
	for _, s := range man.Settings() {
		defaults[s.Path] = s.Default
	}
	yaml := ""
	for _, key := range []string{"listen.smtp", "listen.smtps", "listen.starttls", "listen.login", "listen.allow", "listen.max_message",
		"control.web", "delivery", "outbox.retry", "outbox.expire", "outbox.history", "log.level", "language"} {
		section, leaf, nested := strings.Cut(key, ".")
		switch {
		case !nested:
			yaml += section + ": " + defaults[key] + "\n"
		case !strings.Contains(yaml, "\n"+section+":\n") && !strings.HasPrefix(yaml, section+":\n"):
			yaml += section + ":\n"
			fallthrough
		default:
			yaml += "  " + leaf + ": " + defaults[key] + "\n"
		}
	}
	got, err := config.Parse("config.yaml", []byte(yaml))
	if err != nil {
		t.Fatalf("%v\n%s", err, yaml)
	}
	want := config.Defaults()
	got.File, got.Listen.SMTPDefault = want.File, want.Listen.SMTPDefault
	if g, w := strings.ReplaceAll(fmt.Sprintf("%+v", got), "config.yaml", ""), fmt.Sprintf("%+v", want); g != w {
		t.Errorf("the page's defaults are\n%s\nand in force are\n%s", g, w)
	}
}
