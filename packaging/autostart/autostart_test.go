package autostart

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// odd has every character that some format gives a meaning.
const odd = "/opt/a b%c$d\"e'f\\g`h&<i>;é/melon"

func plan() Plan {
	return Plan{Melon: "/usr/bin/melon", Tray: "/usr/bin/melon-tray", Flags: []string{"--config", "/home/taro/c d.yaml"}}
}

// manager is one over a directory of the test's.
func manager(t *testing.T, method string) Manager {
	t.Helper()
	dir := t.TempDir()
	return Manager{Method: method, Home: dir, Config: filepath.Join(dir, ".config"), Values: values{}}
}

// values is a Run key in memory.
type values map[string]string

func (v values) Get(name string) (string, bool, error) { s, ok := v[name]; return s, ok, nil }
func (v values) Set(name, value string) error          { v[name] = value; return nil }
func (v values) Delete(name string) error              { delete(v, name); return nil }

// snapshot is every file below dir.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, p)
		if to, err := os.Readlink(p); err == nil {
			all[name] = "-> " + to
			return nil
		}
		b, err := os.ReadFile(p)
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func names(m map[string]string) []string {
	var out []string
	for _, n := range []string{
		".config/autostart/melon-tray.desktop", ".config/autostart/melon.desktop",
		".config/systemd/user/default.target.wants/melon.service", ".config/systemd/user/graphical-session.target.wants/melon-tray.service",
		".config/systemd/user/melon-tray.service", ".config/systemd/user/melon.service", ".config/systemd/user/melon.socket",
		".config/systemd/user/sockets.target.wants/melon.socket", "Library/LaunchAgents/melon.relay.plist", "Library/LaunchAgents/melon.tray.plist",
	} {
		if _, ok := m[n]; ok {
			out = append(out, n)
		}
	}
	if len(out) != len(m) {
		out = append(out, "and others")
	}
	return out
}

func TestOnWritesTheFilesOfEachMethod(t *testing.T) {
	t.Parallel()
	sockets := plan()
	sockets.Listen = []string{"127.0.0.1:2525", "[::1]:2525"}
	bare := Plan{Melon: "/usr/bin/melon"}
	for _, c := range []struct {
		name, method string
		plan         Plan
		want         string
	}{
		{"systemd", MethodSystemd, bare, ".config/systemd/user/default.target.wants/melon.service .config/systemd/user/melon.service"},
		{"systemd, icon", MethodSystemd, plan(), ".config/autostart/melon-tray.desktop .config/systemd/user/default.target.wants/melon.service " +
			".config/systemd/user/graphical-session.target.wants/melon-tray.service .config/systemd/user/melon-tray.service .config/systemd/user/melon.service"},
		{"systemd, sockets", MethodSystemd, sockets, ".config/autostart/melon-tray.desktop " +
			".config/systemd/user/graphical-session.target.wants/melon-tray.service .config/systemd/user/melon-tray.service .config/systemd/user/melon.service " +
			".config/systemd/user/melon.socket .config/systemd/user/sockets.target.wants/melon.socket"},
		{"xdg", MethodXDG, plan(), ".config/autostart/melon-tray.desktop .config/autostart/melon.desktop"},
		{"launchagent", MethodLaunchAgent, plan(), "Library/LaunchAgents/melon.relay.plist Library/LaunchAgents/melon.tray.plist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := manager(t, c.method)
			if changed, err := m.On(t.Context(), c.plan); err != nil || !changed {
				t.Fatal(changed, err)
			}
			if got := strings.Join(names(snapshot(t, m.Home)), " "); got != c.want {
				t.Errorf("files\n%s\nwant\n%s", got, c.want)
			}
			s, err := m.Status()
			if err != nil || !s.Enabled || s.Melon != c.plan.Melon || s.Tray != c.plan.Tray || s.SocketActivation != (len(c.plan.Listen) > 0) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestOnAndOffAreIdempotent(t *testing.T) {
	t.Parallel()
	for _, method := range []string{MethodSystemd, MethodXDG, MethodLaunchAgent, MethodRunKey} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			m := manager(t, method)
			reloads := 0
			m.Reload = func(context.Context) error { reloads++; return nil }
			step := func(what string, f func() (bool, error), want bool) {
				t.Helper()
				if changed, err := f(); err != nil || changed != want {
					t.Errorf("%s: changed %v, %v", what, changed, err)
				}
			}
			on := func() (bool, error) { return m.On(t.Context(), plan()) }
			off := func() (bool, error) { return m.Off(t.Context()) }
			step("off before on", off, false)
			step("on", on, true)
			before := snapshot(t, m.Home)
			step("on again", on, false)
			if after := snapshot(t, m.Home); !reflect.DeepEqual(before, after) {
				t.Errorf("%v\n%v", before, after)
			}
			step("off", off, true)
			step("off again", off, false)
			if left := snapshot(t, m.Home); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
			if s, err := m.Status(); err != nil || s.Enabled || s.Method != method {
				t.Errorf("%+v, %v", s, err)
			}
			if method != MethodRunKey && reloads != 2 {
				t.Errorf("%d reloads", reloads)
			}
		})
	}
}

// TestAnotherPlanLeavesNothingOfTheFirst: from sockets and an icon to neither.
func TestAnotherPlanLeavesNothingOfTheFirst(t *testing.T) {
	t.Parallel()
	m := manager(t, MethodSystemd)
	p := plan()
	p.Listen = []string{"127.0.0.1:2525"}
	for _, p := range []Plan{p, {Melon: "/usr/bin/melon"}} {
		if _, err := m.On(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(snapshot(t, m.Home)); len(got) != 2 || !strings.HasSuffix(got[1], "melon.service") {
		t.Errorf("%v", got)
	}
}

func TestAForeignFileIsLeftAlone(t *testing.T) {
	t.Parallel()
	m := manager(t, MethodXDG)
	path := filepath.Join(m.Config, "autostart", "melon.desktop")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("[Desktop Entry]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, m.Home)
	for what, f := range map[string]func() (bool, error){
		"on":  func() (bool, error) { return m.On(t.Context(), plan()) },
		"off": func() (bool, error) { return m.Off(t.Context()) },
	} {
		if _, err := f(); !errors.Is(err, ErrNotOurs) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !reflect.DeepEqual(before, snapshot(t, m.Home)) {
		t.Error("it was touched")
	}
	if s, err := m.Status(); err != nil || s.Enabled {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestTheEntryFollowsTheProgram: only when the old one is gone.
func TestTheEntryFollowsTheProgram(t *testing.T) {
	t.Parallel()
	for _, method := range []string{MethodSystemd, MethodXDG, MethodLaunchAgent, MethodRunKey} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			m := manager(t, method)
			program := func(version string) string {
				dir := filepath.Join(t.TempDir(), "melon "+version)
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				for _, n := range []string{"melon", "melon-tray"} {
					if err := os.WriteFile(filepath.Join(dir, n), nil, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				return filepath.Join(dir, "melon")
			}
			old, next := program("1.0"), program("1.1")
			if moved, err := m.Follow(t.Context(), next); err != nil || moved {
				t.Fatalf("without an entry: %v, %v", moved, err)
			}
			if _, err := m.On(t.Context(), Plan{Melon: old, Tray: old + "-tray", Flags: []string{"--state", "/s"}}); err != nil {
				t.Fatal(err)
			}
			if moved, err := m.Follow(t.Context(), next); err != nil || moved {
				t.Fatalf("with the old one still there: %v, %v", moved, err)
			}
			if err := os.RemoveAll(filepath.Dir(old)); err != nil {
				t.Fatal(err)
			}
			if s, err := m.Status(); err != nil || s.Problem == "" {
				t.Errorf("a program that is gone is no problem: %+v, %v", s, err)
			}
			if moved, err := m.Follow(t.Context(), next); err != nil || !moved {
				t.Fatalf("with the old one gone: %v, %v", moved, err)
			}
			s, err := m.Status()
			if err != nil || s.Problem != "" || s.Tray != next+"-tray" || method != MethodRunKey && s.Melon != next {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}

func TestOnRefuses(t *testing.T) {
	t.Parallel()
	sockets := plan()
	sockets.Listen = []string{"127.0.0.1:2525"}
	for name, c := range map[string]struct {
		method string
		plan   Plan
	}{
		"a relative path":     {MethodXDG, Plan{Melon: "melon"}},
		"no path":             {MethodSystemd, Plan{}},
		"a relative tray":     {MethodSystemd, Plan{Melon: "/m", Tray: "t"}},
		"sockets by launchd":  {MethodLaunchAgent, sockets},
		"sockets by XDG":      {MethodXDG, sockets},
		"sockets by Run key":  {MethodRunKey, sockets},
		"no melon":            {MethodRunKey, Plan{Tray: "/t"}},
		"a quote in the path": {MethodSystemd, Plan{Melon: "/a'b/melon"}},
		"a percent sign":      {MethodXDG, Plan{Melon: "/m", Tray: "/100%/melon-tray"}},
	} {
		m := manager(t, c.method)
		if _, err := m.On(t.Context(), c.plan); err == nil {
			t.Errorf("%s was taken", name)
		}
		if left := snapshot(t, m.Home); len(left) != 0 || len(m.Values.(values)) != 0 {
			t.Errorf("%s: something was written", name)
		}
	}
}

func TestThePlanIsReadBackFromEveryFile(t *testing.T) {
	t.Parallel()
	p := Plan{Melon: odd, Tray: odd + "-tray", Flags: []string{"--config", odd, "--", "-->", "x\ny"}, Listen: []string{"127.0.0.1:2525"}}
	for name, content := range map[string]string{
		"service": p.Service(), "socket": p.Socket(), "tray": p.TrayService(), "desktop": p.DesktopMelon(),
		"desktop tray": p.DesktopTray(true), "agent": p.AgentMelon(), "agent tray": p.AgentTray(),
	} {
		if got, ours := readPlan(content); !ours || !reflect.DeepEqual(got, p) {
			t.Errorf("%s: %v %+v", name, ours, got)
		}
	}
	if _, ours := readPlan("[Unit]\n"); ours {
		t.Error("a file of somebody else's is ours")
	}
}

// TestAgentIsAPropertyList reads the plists as XML and finds the arguments.
func TestAgentIsAPropertyList(t *testing.T) {
	t.Parallel()
	p := Plan{Melon: odd, Tray: odd, Flags: []string{"--config", "<&>"}}
	for content, want := range map[string][]string{
		p.AgentMelon(): {odd, "--config", "<&>", "run"}, p.AgentTray(): {odd, "--config", "<&>"},
	} {
		var doc struct {
			XMLName xml.Name `xml:"plist"`
			Keys    []string `xml:"dict>key"`
			Args    []string `xml:"dict>array>string"`
		}
		if err := xml.Unmarshal([]byte(content), &doc); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(doc.Args, want) || strings.Join(doc.Keys, " ") != "Label ProgramArguments RunAtLoad KeepAlive ThrottleInterval ProcessType" {
			t.Errorf("%q %q", doc.Args, doc.Keys)
		}
		d := xml.NewDecoder(strings.NewReader(content))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRunKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		plan Plan
		want string
	}{
		{Plan{Melon: `C:\Melon\melon.exe`}, `C:\Melon\melon.exe run`},
		{Plan{Melon: `C:\Melon\melon.exe`, Tray: `C:\Program Files\Melon\melon-tray.exe`}, `"C:\Program Files\Melon\melon-tray.exe"`},
		{Plan{Melon: `C:\M M\melon.exe`, Flags: []string{"--state", `D:\a b\`}}, `"C:\M M\melon.exe" --state "D:\a b\\" run`},
	} {
		got := c.plan.RunKey()
		if got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	for _, words := range [][]string{{`a\`, `b\\"c`, ``, ` \" `, `d\\`, `e f\\`}} {
		line := ""
		for _, w := range words {
			line += quoteWindows(w) + " "
		}
		if got := splitWindows(line); !reflect.DeepEqual(got, words) {
			t.Errorf("%q, want %q", got, words)
		}
	}
}

func TestStable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real, link, other := filepath.Join(dir, "melon-1.2", "melon"), filepath.Join(dir, "bin", "melon"), filepath.Join(dir, "other")
	for _, p := range []string{real, other} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, nil, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(real, link)); err != nil {
		t.Fatal(err)
	}
	look := func(found string, err error) func(string) (string, error) {
		return func(string) (string, error) { return found, err }
	}
	for name, c := range map[string]struct {
		look func(string) (string, error)
		want string
	}{
		"a link in PATH":       {look(link, nil), link},
		"another one in PATH":  {look(other, nil), real},
		"none in PATH":         {look("", os.ErrNotExist), real},
		"a relative one there": {look("./melon", nil), real},
	} {
		if got := Stable(real, c.look); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
