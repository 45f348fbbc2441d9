//go:build linux

package autostart

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMethodOfThisSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "systemd"), 0o755); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"HOME": "/home/taro", "XDG_RUNTIME_DIR": dir}
	get := func(name string) string { return env[name] }
	if m, err := System(get); err != nil || m.Method != MethodXDG || m.Config != "/home/taro/.config" {
		t.Errorf("%+v, %v", m, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "systemd", "private"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env["XDG_CONFIG_HOME"] = "/c"
	if m, err := System(get); err != nil || m.Method != MethodSystemd || m.Config != "/c" {
		t.Errorf("%+v, %v", m, err)
	}
	env = map[string]string{}
	if m, err := System(get); err == nil {
		t.Errorf("without a home: %+v", m)
	}
}
