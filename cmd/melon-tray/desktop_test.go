//go:build desktop && linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"melon/packaging/icons"
	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/proxy/control/client"
	"melon/upstream"
	"melon/upstream/lab"
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
		if want := []string{"send", "send", "paused true", "clear home_1"}; !reflect.DeepEqual(s.done(), want) {
			t.Errorf("%q, want %q", s.done(), want)
		}
		for call, path := range map[string][]string{
			"open account/add?provider=gmail": {"Add account…", "Gmail"}, "open outbox": {"Outbox (2)"}, "open why": {"Why can't I send?"},
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
		i.click("Start at login")
		until(t, "checked", checked(1))
		if _, err := os.Stat(filepath.Join(d.home, ".config", "autostart", "melon.desktop")); err != nil {
			t.Error(err)
		}
		i.click("Start at login")
		until(t, "unchecked again", checked(0))
	})
}

// relay is `melon run` with an account of the lab's.
type relay struct {
	d    *desk
	p    *lab.Provider
	addr string
	sent int
}

// config writes the desk's configuration with an account of a new lab.
func (d *desk) config(o lab.Options) *relay {
	d.t.Helper()
	o.Dir = d.home
	p, err := lab.Start(o)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { p.Close() })
	l, err := net.Listen("tcp4", "127.0.0.1:0") // a port for the relay, which restarts keep
	if err != nil {
		d.t.Fatal(err)
	}
	l.Close()
	r := &relay{d: d, p: p, addr: l.Addr().String()}
	host, port, _ := net.SplitHostPort(p.SMTPAddr())
	secret := filepath.Join(d.home, "password")
	yaml := fmt.Sprintf(`listen: {smtp: ["%s"]}
control: {web: "off"}
accounts:
  home:
    address: taro@provider-a.example
    username: taro
    password: {file: %s}
    smtp: {host: %s, port: %s, security: none}
    allow_plaintext: true
default: home
outbox: {retry: [1h]}
`, r.addr, secret, host, port)
	for name, content := range map[string]string{secret: lab.DefaultUser.Password + "\n", filepath.Join(d.home, "config.yaml"): yaml} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	return r
}

// run starts `melon run`, not as the tray does.
func (r *relay) run() *child {
	r.d.t.Helper()
	c := spawn(r.d.t, r.d.env, filepath.Join(programs, "melon"), "--state", r.d.state(), "--config", filepath.Join(r.d.home, "config.yaml"), "run")
	until(r.d.t, "ready", func() bool { return strings.Contains(c.said(), "\nready\n") })
	return c
}

// submit hands a message in and returns the error that the app got.
func (r *relay) submit() error {
	r.sent++
	msg := fmt.Sprintf("From: taro@provider-a.example\r\nTo: hanako@other.example\r\nSubject: %d\r\n\r\nhello\r\n", r.sent)
	return smtp.SendMail(r.addr, nil, "taro@provider-a.example", []string{"hanako@other.example"}, []byte(msg))
}

// mailFlows sends a message, which must arrive.
func (r *relay) mailFlows(when string) {
	r.d.t.Helper()
	before := len(r.p.Messages())
	if err := r.submit(); err != nil {
		r.d.t.Errorf("%s: %v", when, err)
		return
	}
	until(r.d.t, "a message at the provider, "+when, func() bool { return len(r.p.Messages()) > before })
}

// TestDesktopWithALab: the tray starts the relay; states and clicks are real.
func TestDesktopWithALab(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		d := newDesk(t)
		r := d.config(lab.Options{Rules: lab.Rules{Open: true}})
		cl := d.client()
		t.Cleanup(func() { // the relay that the tray starts, if the test does not come to its end
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			defer cancel()
			_ = cl.Stop(ctx)
		})
		tray := d.tray(driver, d.env)
		i := d.panel.icon()
		i.entry("Ready to send")
		r.mailFlows("with a relay that the tray started")
		i.click("Pause sending")
		i.entry("Paused: mail is kept")
		if err := r.submit(); err != nil {
			t.Errorf("while paused: %v", err)
		}
		i.entry("Paused: 1 kept")
		i.click("Resume sending")
		i.entry("Outbox")
		until(t, "what was kept at the provider", func() bool { return len(r.p.Messages()) == 2 })
		// A provider that is out of order: mail waits, and Send now sends it.
		r.p.SetFaults(lab.Fault{Phase: upstream.PhaseMail, Kind: lab.WrongReply, Text: "451 4.3.0 out of order"})
		if err := r.submit(); err != nil {
			t.Errorf("while the provider is out of order: %v", err)
		}
		i.entry("1 waiting for the network or a server")
		r.p.SetFaults()
		i.click("Send now")
		until(t, "what waited at the provider", func() bool { return len(r.p.Messages()) == 3 })
		i.entry("Ready to send")
		// Killed, the tray takes nothing with it.
		tray.Process.Kill()
		tray.ended(t)
		r.mailFlows("after the tray was killed")
		d.panel.stop()
		d.panel = startPanel(t, d.bus)
		tray = d.tray(driver, d.env)
		i = d.panel.icon()
		i.entry("Ready to send")
		i.click("Quit Melon (what waits is kept)")
		if status := tray.ended(t); status != 0 {
			t.Errorf("status %d", status)
		}
		until(t, "the relay's end", func() bool { _, err := cl.Status(t.Context()); return err != nil })
	})
}

// TestDesktopFaults: whatever happens to the desktop, a line and a status say
// so or the icon comes back, and mail goes on.
func TestDesktopFaults(t *testing.T) {
	t.Parallel()
	type fault struct {
		name string
		only string // a driver; "" both
		env  func(d *desk) []string
		act  func(d *desk) // with an icon on show; nil: there is none to be
		line string        // said; "" means that the icon is there again
	}
	for _, f := range []fault{
		{"no bus (H4, H5)", "", func(d *desk) []string { return d.without([]string{"DBUS_SESSION_BUS_ADDRESS"}) }, nil, "no D-Bus session bus"},
		{"a bus that does not answer (H4)", "", func(d *desk) []string {
			return d.without([]string{"DBUS_SESSION_BUS_ADDRESS"}, "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere")
		}, nil, "session bus cannot be reached"},
		{"no display (H1)", "gtk", func(d *desk) []string { return d.without([]string{"DISPLAY"}) }, nil, "there is no display"},
		{"a display that does not answer (H1)", "gtk", func(d *desk) []string { return d.without([]string{"DISPLAY"}, "DISPLAY=:9999") }, nil, "there is no display"},
		{"no directory for icons (H9)", "gtk", func(d *desk) []string {
			return d.without([]string{"XDG_RUNTIME_DIR"}, "XDG_RUNTIME_DIR=/dev/null")
		}, nil, "the directory for icon files"},
		{"X killed (H2)", "gtk", nil, func(d *desk) { d.x.kill() }, "the display ended"},
		{"X killed", "fyne", nil, func(d *desk) { d.x.kill() }, ""},
		{"bus killed (H3)", "", nil, func(d *desk) { d.bus.Process.Kill() }, "the session bus ended"},
		{"panel restarted (H18)", "", nil, func(d *desk) { d.panel.stop(); d.panel = startPanel(d.t, d.bus) }, ""},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			drivers(t, func(t *testing.T, driver string) {
				if f.only != "" && f.only != driver {
					return
				}
				d := newDesk(t)
				r := d.config(lab.Options{Rules: lab.Rules{Open: true}})
				r.run()
				env := d.env
				if f.env != nil {
					env = f.env(d)
				}
				tray := d.tray(driver, env)
				if f.act != nil {
					d.panel.icon().entry("Ready to send")
					r.mailFlows("before")
					f.act(d)
				}
				if f.line == "" {
					d.panel.icon().entry("Ready to send")
				} else if status := tray.ended(t); status != 1 || strings.Count(tray.said(), f.line) != 1 {
					t.Errorf("status %d; it said\n%s", status, tray.said())
				}
				r.mailFlows("after")
				if left, _ := filepath.Glob(filepath.Join(d.home, "melon-tray-*", "*")); f.line != "" && len(left) != 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		})
	}
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
