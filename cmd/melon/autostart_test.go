package main

import (
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"melon/packaging/autostart"
)

// TestAutostartCommands: on, off and status, twice each, on a desktop without a
// user manager.
func TestAutostartCommands(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return // the files of other systems: package autostart
	}
	h := newHome(t, "")
	entry := filepath.Join(h.dir, ".config", "autostart", "melon.desktop")
	state := func() autostart.State { t.Helper(); return jsonOf[autostart.State](h, "autostart", "status") }
	if s := state(); s.Enabled || s.Method != autostart.MethodXDG {
		t.Errorf("%+v", s)
	}
	for _, want := range []string{"Melon starts at the next login.\n", "It was so already. Melon starts at the next login.\n"} {
		if out, errs, status := h.run("autostart", "on"); status != 0 || out != want {
			t.Errorf("on: status %d: %s%s", status, out, errs)
		}
	}
	b, err := os.ReadFile(entry)
	if err != nil || !strings.Contains(string(b), "--config "+h.config+" --state "+h.state+" run\n") {
		t.Errorf("%s, %v", b, err)
	}
	if s := state(); !s.Enabled || s.Melon == "" || s.Tray != "" || len(s.Files) != 1 || s.Files[0] != entry {
		t.Errorf("%+v", s)
	}
	for range 2 {
		if out, errs, status := h.run("autostart", "off"); status != 0 || out != "Melon does not start at login.\n" {
			t.Errorf("off: status %d: %s%s", status, out, errs)
		}
	}
	if s := state(); s.Enabled {
		t.Errorf("%+v", s)
	}
	for _, args := range [][]string{{"--tray"}, {"--socket-activation"}} {
		if _, errs, status := h.run(append([]string{"autostart", "on"}, args...)...); status != 1 || errs == "" {
			t.Errorf("%v: status %d: %s", args, status, errs)
		}
	}
}

// TestRunMendsTheAutostartEntry: of a program that is gone.
func TestRunMendsTheAutostartEntry(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return
	}
	h := newHome(t, `listen: {smtp: ["127.0.0.1:0"]}
control: {web: "off"}
`)
	if _, errs, status := h.run("autostart", "on"); status != 0 {
		t.Fatal(errs)
	}
	entry := filepath.Join(h.dir, ".config", "autostart", "melon.desktop")
	before, err := os.ReadFile(entry)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(entry, []byte(strings.ReplaceAll(string(before), self, "/gone/melon")), 0o644); err != nil {
		t.Fatal(err)
	}
	if s := jsonOf[autostart.State](h, "autostart", "status"); s.Problem == "" {
		t.Errorf("%+v", s)
	}
	h.start()
	if after, err := os.ReadFile(entry); err != nil || string(after) != string(before) {
		t.Errorf("%s, %v", after, err)
	}
}

func TestActivationAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   []string
		def  bool
		want []string
		bad  bool
	}{
		{[]string{"127.0.0.1:2600", "localhost:2601", "[::1]:2602"}, false, []string{"127.0.0.1:2600", "127.0.0.1:2601", "[::1]:2602"}, false},
		{[]string{"127.0.0.1:0"}, false, nil, true},
		{[]string{"nonsense"}, false, nil, true},
	} {
		got, err := activationAddresses(c.in, c.def)
		if !reflect.DeepEqual(got, c.want) || (err != nil) != c.bad {
			t.Errorf("%v: %v, %v", c.in, got, err)
		}
	}
	if got, err := activationAddresses(nil, true); err != nil || len(got) == 0 || got[0] != "127.0.0.1:2525" {
		t.Errorf("the default: %v, %v", got, err)
	}
}

// TestActivatedIsForThisProcess: descriptors of another one's are left alone.
func TestActivatedIsForThisProcess(t *testing.T) {
	t.Parallel()
	env := func(pid, fds string) func(string) string {
		return func(name string) string { return map[string]string{"LISTEN_PID": pid, "LISTEN_FDS": fds}[name] }
	}
	me := strconv.Itoa(os.Getpid())
	for name, c := range map[string]struct {
		pid, fds string
		bad      bool
	}{
		"none":           {"", "", false},
		"another's":      {"1", "1", false},
		"zero":           {me, "0", false},
		"not a number":   {me, "x", true},
		"less than none": {me, "-1", true},
	} {
		got, err := activated(env(c.pid, c.fds), os.Getpid())
		if len(got) != 0 || (err != nil) != c.bad {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		for _, l := range got {
			_ = net.Listener(l).Close()
		}
	}
}
