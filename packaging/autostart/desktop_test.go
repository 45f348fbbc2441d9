//go:build desktop && linux

package autostart

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Real consumers of what autostart writes, from Debian's packages: systemd,
// desktop-file-utils, libplist-utils. A missing one fails.

// programs are files that can be run, in a directory whose name needs quoting
// everywhere.
func programs(t *testing.T) Plan {
	t.Helper()
	dir := filepath.Join(t.TempDir(), `a b;é&(c)`)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := Plan{Melon: filepath.Join(dir, "melon"), Tray: filepath.Join(dir, "melon-tray"), Flags: []string{"--config", "/x/y z;é&.yaml"}}
	script := "#!/bin/sh\nfor a; do printf '%s\\n' \"$a\"; done > \"$MELON_TEST_OUT\"\n"
	for _, path := range []string{p.Melon, p.Tray} {
		if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// quiet runs a checker, which must succeed and print nothing.
func quiet(t *testing.T, env []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("%v: %v\n%s", args, err, out)
	}
}

func TestDesktopUnitsAreGoodForSystemd(t *testing.T) {
	t.Parallel()
	for name, listen := range map[string][]string{"at login": nil, "sockets": {"127.0.0.1:2525", "[::1]:2525"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := programs(t)
			p.Flags[1] = `/x/"q" \r$HOME%h;é.yaml` // the consumers of desktop entries do not get these right
			p.Listen = listen
			m := manager(t, MethodSystemd)
			if _, err := m.On(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			units, err := filepath.Glob(filepath.Join(m.Config, "systemd", "user", "melon*"))
			if err != nil || len(units) < 2 {
				t.Fatal(units, err)
			}
			quiet(t, []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "XDG_CONFIG_HOME=" + m.Config, "HOME=" + m.Home},
				append([]string{"systemd-analyze", "verify", "--user", "--man=no"}, units...)...)
		})
	}
}

func TestDesktopEntriesAreGood(t *testing.T) {
	t.Parallel()
	p := programs(t)
	m := manager(t, MethodXDG)
	if _, err := m.On(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	entries, err := filepath.Glob(filepath.Join(m.Config, "autostart", "*.desktop"))
	if err != nil || len(entries) != 2 {
		t.Fatal(entries, err)
	}
	quiet(t, nil, append([]string{"desktop-file-validate"}, entries...)...)
	// The generator makes units of them, which systemd then checks as well.
	out := t.TempDir()
	env := []string{"XDG_CONFIG_HOME=" + m.Config, "HOME=" + m.Home, "XDG_CONFIG_DIRS=" + t.TempDir(), "XDG_RUNTIME_DIR=" + t.TempDir()}
	quiet(t, env, "/usr/lib/systemd/user-generators/systemd-xdg-autostart-generator", out, out, out)
	units, err := filepath.Glob(filepath.Join(out, "app-melon*.service"))
	if err != nil || len(units) != 2 {
		t.Fatalf("units %v, %v", units, err)
	}
	quiet(t, env, append([]string{"systemd-analyze", "verify", "--user", "--man=no"}, units...)...)
}

// TestDesktopOneIconInAManagedSession: where there is a unit for the icon, the
// entry for other sessions makes none.
func TestDesktopOneIconInAManagedSession(t *testing.T) {
	t.Parallel()
	m := manager(t, MethodSystemd)
	if _, err := m.On(t.Context(), programs(t)); err != nil {
		t.Fatal(err)
	}
	entry := filepath.Join(m.Config, "autostart", "melon-tray.desktop")
	quiet(t, nil, "desktop-file-validate", entry)
	out := t.TempDir()
	env := []string{"XDG_CONFIG_HOME=" + m.Config, "HOME=" + m.Home, "XDG_CONFIG_DIRS=" + t.TempDir(), "XDG_RUNTIME_DIR=" + t.TempDir()}
	quiet(t, env, "/usr/lib/systemd/user-generators/systemd-xdg-autostart-generator", out, out, out)
	if units, _ := filepath.Glob(filepath.Join(out, "app-*.service")); len(units) != 0 {
		t.Errorf("%v", units)
	}
}

// TestDesktopEntryGivesTheArguments starts an entry as a desktop does.
func TestDesktopEntryGivesTheArguments(t *testing.T) {
	t.Parallel()
	p := programs(t)
	m := manager(t, MethodXDG)
	if _, err := m.On(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	args := filepath.Join(t.TempDir(), "args")
	quiet(t, []string{"MELON_TEST_OUT=" + args, "XDG_CONFIG_HOME=" + m.Config, "XDG_CONFIG_DIRS=" + t.TempDir(), "HOME=" + m.Home, "DISPLAY="},
		"dex", "--wait", filepath.Join(m.Config, "autostart", "melon.desktop"))
	got, err := os.ReadFile(args)
	if want := append(append([]string{}, p.Flags...), "run"); err != nil || !reflect.DeepEqual(strings.Split(strings.TrimSpace(string(got)), "\n"), want) {
		t.Errorf("%q, want %q, %v", got, want, err)
	}
}

func TestDesktopAgentsAreGoodForAPlistParser(t *testing.T) {
	t.Parallel()
	m := manager(t, MethodLaunchAgent)
	p := programs(t)
	if _, err := m.On(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	agents, err := filepath.Glob(filepath.Join(m.Home, "Library", "LaunchAgents", "*.plist"))
	if err != nil || len(agents) != 2 {
		t.Fatal(agents, err)
	}
	for _, a := range agents {
		out, err := exec.CommandContext(t.Context(), "plistutil", "-f", "bin", "-i", a).CombinedOutput()
		if err != nil || !bytes.HasPrefix(out, []byte("bplist00")) || !bytes.Contains(out, []byte("ProgramArguments")) {
			t.Errorf("%s: %v\n%s", a, err, out)
		}
	}
}
