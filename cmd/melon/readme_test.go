package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"melon/upstream/lab"
)

// readmeCommands are the command lines that the READMEs and CONTRIBUTING.md
// show, with what the test adds to each and the exit statuses that it may have.
// "" stands for a line that another part of the test runs.
var readmeCommands = map[string]struct {
	more     []string
	statuses []int
}{
	"melon demo":         {nil, []int{0}},
	"melon account add":  {nil, nil}, // below
	"melon run":          {nil, nil}, // below
	"melon autostart on": {nil, []int{0}},
	"melon doctor":       {[]string{"--probe", "off"}, []int{0, 1}},
	`melon explain "550 5.7.1 Relaying denied"`: {nil, []int{0}},
	"melon status":           {nil, []int{0}},
	"melon outbox list":      {nil, []int{0}},
	"melon outbox send":      {nil, []int{0}},
	"melon log":              {nil, []int{0}},
	"melon log --json":       {nil, []int{0}},
	"melon open":             {[]string{"--print"}, []int{0}},
	"melon help":             {nil, []int{0}},
	"melon config path":      {nil, []int{0}},
	"melon config check":     {nil, []int{0}},
	"melon sendmail -i":      {[]string{"hanako@elsewhere.example"}, []int{0}},
	"melon sendmail -oi":     {[]string{"hanako@elsewhere.example"}, []int{0}},
	"melon outbox export ID": {nil, nil}, // TestOutboxCommands
}

// readmes are the files whose command lines are run.
var readmes = []string{"README.md", "README.ja.md", "CONTRIBUTING.md", "packaging/RELEASE.md"}

// shownCommands returns the lines of code blocks and the spans of code that
// begin with a program of ours or with make, without comments.
func shownCommands(t *testing.T) (melon, makes []string) {
	t.Helper()
	span := regexp.MustCompile("`([^`\n]+)`")
	block := regexp.MustCompile("(?s)```(\\w*)\n(.*?)```")
	for _, name := range readmes {
		data, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		text := string(data)
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			if m[1] == "" {
				lines = append(lines, strings.Split(m[2], "\n")...)
			}
		}
		for _, m := range span.FindAllStringSubmatch(block.ReplaceAllString(text, ""), -1) {
			lines = append(lines, m[1])
			if i := strings.Index(m[1], `"melon `); i >= 0 { // inside another program's setting
				lines = append(lines, strings.Trim(m[1][i:], `"`))
			}
		}
		for _, l := range lines {
			l, _, _ = strings.Cut(l, " #")
			l = strings.TrimSpace(l)
			switch {
			case strings.HasPrefix(l, "melon ") && !strings.Contains(l, " → ") && !strings.Contains(l, " ← "):
				if strings.HasPrefix(l, "melon account add ") {
					l = "melon account add"
				}
				melon = append(melon, l)
			case strings.HasPrefix(l, "make "):
				makes = append(makes, strings.Fields(l)[1:]...)
			}
		}
	}
	slices.Sort(melon)
	return slices.Compact(melon), makes
}

func TestReadmeCommands(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "listen: {smtp: [\"127.0.0.1:0\"]}\ncontrol: {web: \"127.0.0.1:0\"}\n")
	ca := filepath.Join(h.dir, "ca.pem")
	if err := os.WriteFile(ca, provider.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	add := h.command("account", "add", "taro@provider-a.example", "--username", "taro", "--smtp", provider.SMTPAddr(), "--ca", ca,
		"--store", "file", "--password-stdin", "--name", "home")
	add.Stdin = strings.NewReader(lab.DefaultUser.Password + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("melon account add: %v: %s", err, out)
	}
	p := h.start()
	if _, port, err := net.SplitHostPort(p.addr); err != nil || port == "0" {
		t.Fatal(p.addr)
	}
	melon, makes := shownCommands(t)
	for _, line := range melon {
		c, ok := readmeCommands[line]
		if !ok {
			t.Errorf("no test runs %q: add it to readmeCommands", line)
		}
		if c.statuses == nil {
			continue
		}
		args := append(strings.Fields(line)[1:], c.more...)
		if before, quoted, ok := strings.Cut(line, ` "`); ok {
			args = append(strings.Fields(before)[1:], strings.Trim(quoted, `"`))
		}
		cmd := h.command(args...)
		cmd.Stdin = strings.NewReader("Subject: x\n\nx\n")
		out, err := cmd.CombinedOutput()
		if !slices.Contains(c.statuses, cmd.ProcessState.ExitCode()) {
			t.Errorf("%s: %v: %s", line, err, out)
		}
	}
	readmeDemo(t, h)
	for line := range readmeCommands {
		if !slices.Contains(melon, line) {
			t.Errorf("%q is in no README: take it out of readmeCommands", line)
		}
	}
	if n := len(provider.Messages()); n < 2 {
		t.Errorf("%d messages arrived", n)
	}
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range makes {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).Match(makefile) {
			t.Errorf("make %s: the Makefile has no such target", target)
		}
	}
}

// readmeDemo compares what the README says of the demo with what it shows.
func readmeDemo(t *testing.T, h *home) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(data), "```text\n")
	text, _, _ = strings.Cut(text, "```")
	if !ok {
		t.Fatal("the README shows no demo")
	}
	out, errs, status := h.run("demo")
	if status != 0 {
		t.Fatal(errs)
	}
	for line := range strings.Lines(text) {
		if !strings.Contains(out, line) {
			t.Errorf("the demo does not show %q", line)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(([^):#]+)\)`).FindAllStringSubmatch(string(data), -1) {
		if _, err := os.Stat(filepath.Join("..", "..", m[1])); err != nil {
			t.Errorf("the README links to %s: %v", m[1], err)
		}
	}
}
