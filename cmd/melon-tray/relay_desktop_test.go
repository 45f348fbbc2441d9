//go:build desktop && linux

package main

import (
	"context"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"melon/upstream"
	"melon/upstream/lab"
)

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
