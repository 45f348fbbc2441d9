//go:build unix

package tray

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/proxy/control/client"
)

// fakeRelay is a relay behind a real control socket.
type fakeRelay struct {
	t       *testing.T
	socket  string
	server  *control.Server
	journal *control.Journal

	mu     sync.Mutex
	status api.Status
	did    []string
}

func (r *fakeRelay) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did = append(r.did, what)
}

func (r *fakeRelay) Status() api.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	s.Event = r.journal.Last()
	return s
}
func (r *fakeRelay) ClearAccount(name string) error { r.note("clear " + name); return nil }
func (r *fakeRelay) SetPaused(p bool) error {
	r.note(fmt.Sprint("paused ", p))
	r.set(func(s *api.Status) {
		s.Paused, s.State = p, map[bool]api.State{true: api.StatePaused, false: api.StateIdle}[p]
	}, api.Event{Kind: "outbox"})
	return nil
}
func (r *fakeRelay) Reload() error                         { return nil }
func (r *fakeRelay) Entries() ([]api.Entry, error)         { return nil, nil }
func (r *fakeRelay) Entry(string) (api.Entry, error)       { return api.Entry{}, control.ErrNotFound }
func (r *fakeRelay) Message(string) (io.ReadCloser, error) { return nil, control.ErrNotFound }
func (r *fakeRelay) Do(verb string, ids []string) ([]string, error) {
	r.note(fmt.Sprint(verb, ids))
	return ids, nil
}
func (r *fakeRelay) History() ([]api.Event, error) { return nil, nil }

// set changes the status and tells it by an event.
func (r *fakeRelay) set(f func(*api.Status), e api.Event) {
	r.mu.Lock()
	f(&r.status)
	r.mu.Unlock()
	r.journal.Add(e)
}

// start serves on the socket.
func (r *fakeRelay) start() {
	r.t.Helper()
	l, err := net.Listen("unix", r.socket)
	if err != nil {
		r.t.Fatal(err)
	}
	r.journal = control.NewJournal(time.Now)
	r.server = control.Serve(l, control.Options{Daemon: r, Outbox: r, Journal: r.journal, Stop: func() { r.note("stop") }})
}

func (r *fakeRelay) stop() {
	if r.server != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.server.Close(ctx)
	}
	r.server = nil
}

func (r *fakeRelay) done() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.did...)
}

// rig is a tray with a driver, a relay and a melon program that are the test's.
type rig struct {
	t      *testing.T
	relay  *fakeRelay
	dir    string
	views  chan View
	clicks chan<- ID
	fail   chan error
	shown  chan Notice
	click  func(page string)
	log    *bytes.Buffer
	err    chan error
	last   View
}

// Run is the Driver.
func (g *rig) Run(ctx context.Context, now View, views <-chan View, clicks chan<- ID) error {
	g.clicks = clicks
	g.views <- now
	for {
		select {
		case v := <-views:
			g.views <- v
		case err := <-g.fail:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// Show and Close are the Notifier.
func (g *rig) Show(_ context.Context, n Notice) error { g.shown <- n; return nil }
func (g *rig) Close()                                 {}

// script is a melon program that notes how it is called.
const script = `#!/bin/sh
printf '%s\n' "$*" >> "$(dirname "$0")/calls"
case "$*" in
*"autostart on") : > "$(dirname "$0")/auto" ;;
*"autostart off") rm -f "$(dirname "$0")/auto" ;;
*"autostart status --json") if [ -e "$(dirname "$0")/auto" ]; then echo '{"enabled":true}'; else echo '{"enabled":false}'; fi ;;
*default*) echo "melon: no such account" >&2; exit 1 ;;
*run) echo "starting" >&2; echo "config.yaml:1:1: this is wrong" >&2; exit 2 ;;
esac
`

func newRig(t *testing.T, start bool) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "tray") // short: a socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &rig{t: t, dir: dir, views: make(chan View, 1000), fail: make(chan error, 1), shown: make(chan Notice, 100), log: &bytes.Buffer{}, err: make(chan error, 1)}
	g.relay = &fakeRelay{t: t, socket: filepath.Join(dir, "s"), status: api.Status{State: api.StateIdle, Accounts: []api.Account{account("home", api.AccountReady)}}}
	if start {
		g.relay.start()
	}
	if err := os.WriteFile(filepath.Join(dir, "melon"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		cl := client.New(g.relay.socket)
		defer cl.Close()
		g.err <- Run(ctx, Options{
			Relay: cl, Melon: Melon{Path: filepath.Join(dir, "melon"), Flags: []string{"--state", dir}}, State: dir, Driver: g,
			Notify: func(_ string, click func(string)) Notifier { g.click = click; return g }, Lang: "en", Log: g.log, HostPatience: time.Hour,
		})
	}()
	t.Cleanup(func() { cancel(); <-done; g.relay.stop() })
	return g
}

// until waits for a View.
func (g *rig) until(what string, ok func(View) bool) View {
	g.t.Helper()
	end := time.After(20 * time.Second)
	for {
		if g.last.Items != nil && ok(g.last) {
			return g.last
		}
		select {
		case g.last = <-g.views:
		case <-end:
			g.t.Fatalf("never %s; the last was\n%s", what, text(g.last))
		}
	}
}

func (g *rig) ready() {
	g.until("ready", func(v View) bool { return v.Icon == IconIdle && autostartKnown(v) })
}

// autostartKnown reports whether the state of autostart is known.
func autostartKnown(v View) bool { it, _ := v.Find("autostart"); return !it.Disabled }

// called waits for a call of melon that ends so.
func (g *rig) called(suffix string) {
	g.t.Helper()
	end := time.Now().Add(20 * time.Second)
	for {
		b, _ := os.ReadFile(filepath.Join(g.dir, "calls"))
		for line := range strings.Lines(string(b)) {
			if strings.HasSuffix(strings.TrimSpace(line), suffix) {
				return
			}
		}
		if time.Now().After(end) {
			g.t.Fatalf("melon was not called with %q but with\n%s", suffix, b)
		}
		pause(g.t.Context(), 5*time.Millisecond)
	}
}

func TestTheTrayFollowsTheRelay(t *testing.T) {
	t.Parallel()
	g := newRig(t, true)
	g.ready()
	for _, s := range []api.State{api.StateWaiting, api.StateAttention, api.StateOffline, api.StatePaused, api.StateIdle} {
		g.relay.set(func(st *api.Status) { st.State = s }, api.Event{Kind: "relay"})
		g.until(string(s), func(v View) bool { return v.Icon == Icon(s) })
	}
	// Sending moves, and its end is found without an event.
	g.relay.set(func(st *api.Status) { st.State = api.StateSending }, api.Event{Kind: "account"})
	g.until("moving", func(v View) bool { return v.Icon == IconSending && v.Frame == 2 })
	g.relay.mu.Lock()
	g.relay.status.State = api.StateIdle
	g.relay.mu.Unlock()
	g.until("idle again", func(v View) bool { return v.Icon == IconIdle })
}

// TestClicksReachTheRelay: each entry, and what it comes to.
func TestClicksReachTheRelay(t *testing.T) {
	t.Parallel()
	g := newRig(t, true)
	g.relay.set(func(s *api.Status) { s.Outbox.Waiting = 1; s.Accounts[0].State = api.AccountAttention }, api.Event{Kind: "relay"})
	g.until("ready", func(v View) bool {
		it, _ := v.Find("account/0/retry")
		return v.Icon == IconIdle && autostartKnown(v) && !it.Hidden
	})
	g.clicks <- "pause"
	g.until("paused", func(v View) bool { return v.Icon == IconPaused })
	g.clicks <- "pause"
	g.until("going on", func(v View) bool { return v.Icon == IconIdle })
	g.clicks <- "send"
	g.clicks <- "send" // twice, quickly
	g.clicks <- "account/0/retry"
	g.clicks <- "account/0/state" // grey: nothing
	for id, call := range map[ID]string{
		"state": "open", "add/gmail": "open add?provider=gmail", "add/other": "open add", "outbox": "open outbox", "doctor": "open why",
		"activity": "open activity", "settings": "open settings", "account/0/test": "open account/home", "account/0/edit": "open account/home/edit",
		"account/0/default": "account default home",
	} {
		g.clicks <- id
		g.called("--state " + g.dir + " " + call)
	}
	g.until("a problem", func(v View) bool {
		it, _ := v.Find("problem")
		return !it.Hidden && strings.Contains(it.Label, "no such account")
	})
	g.clicks <- "autostart"
	g.until("on", func(v View) bool { it, _ := v.Find("autostart"); return it.Checked })
	g.clicks <- "autostart"
	g.until("off", func(v View) bool { it, _ := v.Find("autostart"); return !it.Checked })
	if want := []string{"paused true", "paused false", "send[]", "send[]", "clear home"}; !reflect.DeepEqual(g.relay.done(), want) {
		t.Errorf("%q, want %q", g.relay.done(), want)
	}
	g.clicks <- "quit"
	if err := <-g.err; err != nil {
		t.Error(err)
	}
	if did := g.relay.done(); did[len(did)-1] != "stop" {
		t.Errorf("%q", did)
	}
}

func TestQuitTheIconLeavesTheRelay(t *testing.T) {
	t.Parallel()
	g := newRig(t, true)
	g.ready()
	g.clicks <- "quit-icon"
	if err := <-g.err; err != nil || len(g.relay.done()) != 0 {
		t.Error(err, g.relay.done())
	}
}

// TestTheRelayIsStarted: by `melon run`, and what keeps it from running is said.
func TestTheRelayIsStarted(t *testing.T) {
	t.Parallel()
	g := newRig(t, false)
	g.until("why it does not run", func(v View) bool {
		return v.Icon == IconOffline && strings.Contains(v.Tooltip, "config.yaml:1:1: this is wrong")
	})
	g.called("run")
	g.relay.start() // by somebody else
	g.until("up", func(v View) bool { return v.Icon == IconIdle })
}

// TestTheRelayComesBack: after a restart, without one being started at once.
func TestTheRelayComesBack(t *testing.T) {
	t.Parallel()
	g := newRig(t, true)
	g.ready()
	g.relay.stop()
	g.until("gone", func(v View) bool { return v.Icon == IconOffline })
	g.relay.start()
	g.until("back", func(v View) bool { return v.Icon == IconIdle })
	b, err := os.ReadFile(filepath.Join(g.dir, "calls"))
	if err != nil || strings.Contains(string(b), "run\n") {
		t.Errorf("%s, %v", b, err)
	}
}

// TestWithoutADesktopTheRelayStands: the driver fails at once, Run only when it
// is known how the relay is.
func TestWithoutADesktopTheRelayStands(t *testing.T) {
	t.Parallel()
	g := newRig(t, false)
	want := errors.New("no display")
	g.fail <- want
	if err := <-g.err; !errors.Is(err, want) {
		t.Error(err)
	}
	g.called("run")
}

func TestNotificationsAndTheirClicks(t *testing.T) {
	t.Parallel()
	g := newRig(t, true)
	g.ready()
	g.relay.set(func(s *api.Status) { s.Outbox.Waiting, s.State = 1, api.StateWaiting }, kept("a"))
	if n := <-g.shown; n.Cause != "kept" {
		t.Errorf("%+v", n)
	}
	g.click("outbox")
	g.called("open outbox")
	g.relay.set(func(s *api.Status) { s.Outbox.Waiting, s.State = 0, api.StateIdle }, sent("a"))
	if n := <-g.shown; n.Cause != "sent" {
		t.Errorf("%+v", n)
	}
}

func TestTerminalCommand(t *testing.T) {
	t.Parallel()
	have := func(names ...string) func(string) (string, error) {
		return func(n string) (string, error) {
			for _, x := range names {
				if x == n {
					return "/bin/" + n, nil
				}
			}
			return "", os.ErrNotExist
		}
	}
	for _, c := range []struct {
		goos string
		argv []string
		look func(string) (string, error)
		want string
	}{
		{"linux", []string{"/m", "login", "a b"}, have("xterm", "konsole"), `["/bin/konsole" "-e" "sh" "-c" KEEP "sh" "/m" "login" "a b"]`},
		{"linux", []string{"/m"}, have("gnome-terminal"), `["/bin/gnome-terminal" "--" "sh" "-c" KEEP "sh" "/m"]`},
		{"linux", []string{"/m"}, have(), ""},
		{"windows", []string{`C:\m.exe`, "login", "a"}, nil, `["cmd.exe" "/k" "C:\\m.exe" "login" "a"]`},
		{"windows", []string{`C:\m.exe`, "login", "a&calc"}, nil, ""},
		{"darwin", []string{"/m", "it's"}, nil, `["osascript" "-e" "on run argv" "-e" "tell application \"Terminal\" to do script (item 1 of argv)" ` +
			`"-e" "tell application \"Terminal\" to activate" "-e" "end run" "--" "'/m' 'it'\\''s'"]`},
	} {
		line, err := terminalCommand(c.goos, c.argv, c.look)
		got := strings.ReplaceAll(fmt.Sprintf("%q", line), fmt.Sprintf("%q", keepOpen), "KEEP")
		if err != nil {
			got = ""
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.goos, got, c.want)
		}
	}
}
