//go:build desktop && linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"melon/packaging/icons"
	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/proxy/control/client"
)

// programs holds what TestMain built: melon, and melon-tray with each driver.
var programs string

func TestMain(m *testing.M) { os.Exit(build(m)) }

// build builds the programs, runs the tests and takes the programs away.
func build(m *testing.M) int {
	var err error
	if programs, err = os.MkdirTemp("", "programs"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(programs)
	for _, b := range [][]string{
		{"melon", "0", "", "melon/cmd/melon"}, {"fyne", "0", "", "melon/cmd/melon-tray"}, {"gtk", "1", "gtk", "melon/cmd/melon-tray"},
	} {
		cmd := exec.Command("go", "build", "-tags", b[2], "-o", filepath.Join(programs, b[0]), b[3])
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+b[1])
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v\n%s(see .ci/packages.txt for what these tests need)\n", cmd.Args, err, out)
			return 1
		}
	}
	return m.Run()
}

// drivers runs a test with each driver.
func drivers(t *testing.T, f func(t *testing.T, driver string)) {
	for _, d := range []string{"fyne", "gtk"} {
		t.Run(d, func(t *testing.T) {
			t.Parallel()
			f(t, d)
		})
	}
}

// desk is a desktop with a home directory.
type desk struct {
	t     *testing.T
	bus   *bus
	x     *screen
	panel *panel
	home  string // HOME, state and runtime directory
	env   []string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := newBareDesk(t)
	d.panel = startPanel(t, d.bus)
	return d
}

// newBareDesk is a desktop without a panel.
func newBareDesk(t *testing.T) *desk {
	t.Helper()
	home, err := os.MkdirTemp("", "desk") // short: the control socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	d := &desk{t: t, bus: startBus(t), x: startX(t), home: home}
	d.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home, "TMPDIR=" + home, "LANG=C", "NO_AT_BRIDGE=1",
		"DISPLAY=" + d.x.display, "DBUS_SESSION_BUS_ADDRESS=" + d.bus.address}
	// melon as the tray calls it: the calls are noted.
	script := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' \"$*\" >> %s/calls\nexec %s \"$@\"\n", home, filepath.Join(programs, "melon"))
	if err := os.WriteFile(filepath.Join(home, "melon"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return d
}

// without is the environment less the variables of these names, plus others.
func (d *desk) without(names []string, more ...string) []string {
	var out []string
next:
	for _, v := range d.env {
		for _, n := range names {
			if strings.HasPrefix(v, n+"=") {
				continue next
			}
		}
		out = append(out, v)
	}
	return append(out, more...)
}

func (d *desk) state() string { return filepath.Join(d.home, "state") }

// tray starts melon-tray.
func (d *desk) tray(driver string, env []string, args ...string) *child {
	d.t.Helper()
	return spawn(d.t, env, append([]string{filepath.Join(programs, driver), "--state", d.state(), "--config", filepath.Join(d.home, "config.yaml"),
		"--melon", filepath.Join(d.home, "melon")}, args...)...)
}

func (d *desk) client() *client.Client {
	c := client.New(filepath.Join(d.state(), "control.sock"))
	d.t.Cleanup(c.Close)
	return c
}

// called waits for a call of melon that ends so.
func (d *desk) called(suffix string) {
	d.t.Helper()
	until(d.t, "melon "+suffix, func() bool {
		b, _ := os.ReadFile(filepath.Join(d.home, "calls"))
		for l := range strings.Lines(string(b)) {
			if strings.HasSuffix(strings.TrimSpace(l), suffix) {
				return true
			}
		}
		return false
	})
}

// stand is a relay whose every state the test decides, behind a real control
// socket.
type stand struct {
	mu      sync.Mutex
	status  api.Status
	did     []string
	journal *control.Journal
}

func (s *stand) note(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, what)
	return nil
}
func (s *stand) done() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.did...)
}
func (s *stand) Status() api.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.status
	st.Event = s.journal.Last()
	return st
}
func (s *stand) ClearAccount(name string) error               { return s.note("clear " + name) }
func (s *stand) SetPaused(p bool) error                       { return s.note(fmt.Sprint("paused ", p)) }
func (s *stand) Reload() error                                { return nil }
func (s *stand) Entries() ([]api.Entry, error)                { return nil, nil }
func (s *stand) Entry(string) (api.Entry, error)              { return api.Entry{}, control.ErrNotFound }
func (s *stand) Message(string) (io.ReadCloser, error)        { return nil, control.ErrNotFound }
func (s *stand) Do(verb string, _ []string) ([]string, error) { return nil, s.note(verb) }
func (s *stand) History() ([]api.Event, error)                { return nil, nil }
func (s *stand) set(st api.Status, e api.Event) {
	s.mu.Lock()
	s.status = st
	s.mu.Unlock()
	s.journal.Add(e)
}

// stand serves one on the desk's control socket.
func (d *desk) stand(st api.Status) *stand {
	d.t.Helper()
	if err := os.MkdirAll(d.state(), 0o700); err != nil {
		d.t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(d.state(), "control.sock"))
	if err != nil {
		d.t.Fatal(err)
	}
	s := &stand{status: st, journal: control.NewJournal(time.Now)}
	server := control.Serve(l, control.Options{Daemon: s, Outbox: s, Journal: s.journal, Stop: func() { s.note("stop") }})
	d.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		server.Close(ctx)
	})
	return s
}

func homeAccount(state api.AccountState) api.Account {
	return api.Account{Name: "home_1", Address: "taro@provider-a.example", State: state}
}

// TestDesktopEachStateShowsItsIcon, and its sentence.
func TestDesktopEachStateShowsItsIcon(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		d := newDesk(t)
		accounts := []api.Account{homeAccount(api.AccountReady)}
		s := d.stand(api.Status{State: api.StateIdle, Accounts: accounts})
		d.tray(driver, d.env)
		i := d.panel.icon()
		for state, sentence := range map[api.State]string{
			api.StateIdle: "Ready to send", api.StateSending: "Sending…", api.StateWaiting: "2 waiting for the network or a server",
			api.StateAttention: "3 in the outbox need you", api.StateOffline: "No network: 2 kept", api.StatePaused: "Paused: 2 kept",
		} {
			s.set(api.Status{State: state, Accounts: accounts, Paused: state == api.StatePaused, Outbox: api.Counts{Waiting: 2, Attention: 3}}, api.Event{Kind: "relay"})
			want := icons.Status(string(state))[0].Colour
			i.entry(sentence)
			until(t, string(state)+"'s icon", func() bool { c, ok := i.colour(); return ok && c == want })
		}
	})
}

// TestDesktopMenuAndClicks: the entries are there, and each click does what it
// says, twice when it is made twice; a grey one does nothing.
func TestDesktopMenuAndClicks(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		d := newDesk(t)
		bad := homeAccount(api.AccountAttention)
		bad.LastError = &api.Error{Class: "credentials-rejected", Text: "no"}
		s := d.stand(api.Status{State: api.StateAttention, Accounts: []api.Account{bad}, Outbox: api.Counts{Waiting: 1, Attention: 1}})
		tray := d.tray(driver, d.env)
		i := d.panel.icon()
		i.entry("home_1 (!)")
		for _, path := range [][]string{
			{"Account home_1 needs you"}, {"home_1 (!)", "Try again now"}, {"home_1 (!)", "Test now"}, {"home_1 (!)", "Edit…"}, {"home_1 (!)", "Default account"},
			{"Add account…", "Gmail"}, {"Add account…", "Another provider…"}, {"Outbox (2)"}, {"Send now"}, {"Pause sending"}, {"Why can't I send?"},
			{"Activity"}, {"Start at login"}, {"Settings"}, {"Quit the icon (mail goes on)"}, {"Quit Melon (what waits is kept)"},
		} {
			i.entry(path...)
		}
		state := i.entry("home_1 (!)", "taro@provider-a.example: needs you")
		if state.enabled {
			t.Error("the account's state looks as if a click did something")
		}
		i.clickID(state.id)
		for _, l := range i.entry("home_1 (!)").kids {
			if !l.enabled || !l.visible {
				i.clickID(l.id)
			}
		}
		i.click("Send now")
		i.click("Send now") // a double click
		i.click("Pause sending")
		i.click("home_1 (!)", "Try again now")
		until(t, "four calls", func() bool { return len(s.done()) == 4 })
		// Each click is done by itself, in whatever order the relay hears of them.
		if got, want := slices.Sorted(slices.Values(s.done())), []string{"clear home_1", "paused true", "send", "send"}; !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		for call, path := range map[string][]string{
			"open add?provider=gmail": {"Add account…", "Gmail"}, "open outbox": {"Outbox (2)"}, "open why": {"Why can't I send?"},
			"open activity": {"Activity"}, "open settings": {"Settings"}, "open account/home_1": {"home_1 (!)", "Test now"},
			"open account/home_1/edit": {"home_1 (!)", "Edit…"}, "account default home_1": {"home_1 (!)", "Default account"},
		} {
			i.click(path...)
			d.called(call)
		}
		i.click("Quit Melon (what waits is kept)")
		if status := tray.ended(t); status != 0 || s.done()[len(s.done())-1] != "stop" {
			t.Errorf("status %d, %q", status, s.done())
		}
	})
}

// TestDesktopTenQuickClicks: none is lost (H11).
func TestDesktopTenQuickClicks(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		d := newDesk(t)
		s := d.stand(api.Status{State: api.StateWaiting, Accounts: []api.Account{homeAccount(api.AccountReady)}, Outbox: api.Counts{Waiting: 1}})
		d.tray(driver, d.env)
		i := d.panel.icon()
		id := i.entry("Send now").id
		until(t, "a menu that can be used", func() bool { l, ok := find(i.lines(), "Send now"); return ok && l.enabled })
		for range 10 {
			i.clickID(id)
		}
		until(t, "ten sends", func() bool { return len(s.done()) == 10 })
	})
}

// TestDesktopAutostartCheckbox shows what is true (H12).
func TestDesktopAutostartCheckbox(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		d := newDesk(t)
		d.stand(api.Status{State: api.StateIdle})
		d.tray(driver, d.env)
		i := d.panel.icon()
		checked := func(want int32) func() bool {
			return func() bool {
				l, ok := find(i.lines(), "Start at login")
				v, _ := l.props["toggle-state"].Value().(int32)
				return ok && l.enabled && v == want
			}
		}
		until(t, "unchecked", checked(0))
		there := func() bool {
			_, err := os.Stat(filepath.Join(d.home, ".config", "autostart", "melon.desktop"))
			return err == nil
		}
		i.click("Start at login") // GTK shows the mark before anything was done
		until(t, "the entry", there)
		until(t, "checked", checked(1))
		i.click("Start at login")
		until(t, "no entry", func() bool { return !there() })
		until(t, "unchecked again", checked(0))
	})
}

// TestDesktopLatePanel: no panel is said once, with another way; one that comes
// later has the icon.
func TestDesktopLatePanel(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		d := newDesk(t)
		d.stand(api.Status{State: api.StateIdle})
		d.panel.stop()
		tray := d.tray(driver, d.env, "--patience", "100ms")
		until(t, "a word about it", func() bool {
			return strings.Contains(tray.said(), "no tray icons") && strings.Contains(tray.said(), "melon open")
		})
		d.panel = startPanel(t, d.bus)
		d.panel.icon()
		if strings.Count(tray.said(), "no tray icons") != 1 {
			t.Error(tray.said())
		}
	})
}

// TestDesktopSIGTERM ends it with 0, and nothing is left (H9).
func TestDesktopSIGTERM(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		d := newDesk(t)
		d.stand(api.Status{State: api.StateIdle})
		tray := d.tray(driver, d.env)
		d.panel.icon().entry("Quit the icon (mail goes on)")
		second := d.tray(driver, d.env)
		if status := second.ended(t); status != 0 || !strings.Contains(second.said(), "an icon already") {
			t.Errorf("a second one: status %d: %s", status, second.said())
		}
		tray.Process.Signal(syscall.SIGTERM)
		if status := tray.ended(t); status != 0 {
			t.Errorf("status %d: %s", status, tray.said())
		}
		if left, _ := filepath.Glob(filepath.Join(d.home, "*systray*")); len(left) != 0 {
			t.Error(left)
		}
		if _, err := os.Stat(filepath.Join(d.home, fmt.Sprintf("melon-tray-%d", os.Getuid()))); err == nil {
			t.Error("the directory for icon files is still there")
		}
	})
}
