//go:build desktop && panel && linux

package main

import (
	"fmt"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"melon/packaging/icons"
	"melon/proxy/control/api"
)

// panelConfig is xfce4-panel's: along the top, the tray at its right end, whose
// menu a left click opens.
const panelConfig = `<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array"><value type="int" value="1"/>
    <property name="dark-mode" type="bool" value="%v"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="36"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/><value type="int" value="2"/></property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="separator"><property name="expand" type="bool" value="true"/><property name="style" type="uint" value="0"/></property>
    <property name="plugin-2" type="string" value="systray"><property name="menu-is-primary" type="bool" value="true"/><property name="square-icons" type="bool" value="true"/></property>
  </property>
</channel>
`

// realPanel is a desktop with xfce4-panel.
type realPanel struct {
	*desk
	xfce *child
}

func newRealPanel(t *testing.T, dark bool) *realPanel {
	t.Helper()
	d := newBareDesk(t)
	dir := filepath.Join(d.home, ".config", "xfce4", "xfconf", "xfce-perchannel-xml")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "xfce4-panel.xml"), fmt.Appendf(nil, panelConfig, dark), 0o644); err != nil {
		t.Fatal(err)
	}
	spawn(t, d.env, "/usr/lib/x86_64-linux-gnu/xfce4/xfconf/xfconfd")
	spawn(t, d.env, "xfwm4", "--compositor=off")
	p := &realPanel{desk: d}
	p.start()
	return p
}

func (p *realPanel) start() {
	p.xfce = spawn(p.t, p.env, "xfce4-panel", "--disable-wm-check")
}

// do runs a program of the desktop's.
func (p *realPanel) do(args ...string) string {
	p.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// find waits for a colour in the panel and returns the middle of it.
func (p *realPanel) find(c color.NRGBA) (x, y int) {
	p.t.Helper()
	shot := filepath.Join(p.home, "find.png")
	until(p.t, fmt.Sprintf("the colour %v in the panel", c), func() bool {
		p.do("import", "-window", "root", shot)
		out := p.do("convert", shot, "-crop", "800x40+0+0", "+repage", "-fuzz", "8%", "-fill", "black", "+opaque",
			fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B), "-trim", "-format", "%w %h %X %Y", "info:")
		f := strings.Fields(out)
		if len(f) != 4 {
			return false
		}
		var n [4]int
		for i := range f {
			n[i], _ = strconv.Atoi(strings.TrimPrefix(f[i], "+"))
		}
		x, y = n[2]+n[0]/2, n[3]+n[1]/2
		return n[0] > 8 && n[0] < 60
	})
	return x, y
}

// picture saves what is on the screen.
func (p *realPanel) picture(name, crop string) {
	p.t.Helper()
	dir := os.Getenv("MELON_PICTURES")
	if dir == "" {
		p.t.Fatal("MELON_PICTURES says where the pictures go; run: make panel")
	}
	shot := filepath.Join(p.home, "shot.png")
	p.do("import", "-window", "root", shot)
	p.do("convert", shot, "-crop", crop, "+repage", "-strip", "+dither", "-colors", "64", filepath.Join(dir, name+".png"))
}

// open opens the icon's menu.
func (p *realPanel) open(x, y int) {
	p.do("xdotool", "mousemove", fmt.Sprint(x), fmt.Sprint(y), "click", "1")
	<-time.After(time.Second) // the menu is drawn; there is nothing to wait for
}

func (p *realPanel) close() {
	p.do("xdotool", "key", "Escape", "mousemove", "300", "400")
	<-time.After(300 * time.Millisecond)
}

// TestPanelPictures makes pictures of icon and menu in each state, on a dark and
// on a light panel; then the panel is killed and comes back.
func TestPanelPictures(t *testing.T) {
	for driver, dark := range map[string]bool{"gtk": true, "fyne": false} {
		t.Run(driver, func(t *testing.T) {
			p := newRealPanel(t, dark)
			bad := homeAccount(api.AccountAttention)
			bad.LastError = &api.Error{Class: "credentials-rejected", Text: "535 5.7.8 Authentication failed"}
			states := map[api.State]api.Status{
				api.StateIdle:      {Accounts: []api.Account{homeAccount(api.AccountReady)}},
				api.StateSending:   {Accounts: []api.Account{homeAccount(api.AccountSending)}},
				api.StateWaiting:   {Accounts: []api.Account{homeAccount(api.AccountReady)}, Outbox: api.Counts{Waiting: 2}},
				api.StateOffline:   {Accounts: []api.Account{homeAccount(api.AccountReady)}, Outbox: api.Counts{Waiting: 1}},
				api.StatePaused:    {Accounts: []api.Account{homeAccount(api.AccountReady)}, Paused: true},
				api.StateAttention: {Accounts: []api.Account{bad}, Outbox: api.Counts{Attention: 1}},
			}
			for state, s := range states {
				s.State = state
				states[state] = s
			}
			s := p.stand(states[api.StateIdle])
			p.tray(driver, p.env)
			for state, st := range states {
				s.set(st, api.Event{Kind: "relay"})
				x, y := p.find(icons.Status(string(state))[0].Colour)
				p.open(x, y)
				if state == api.StateAttention { // into the account's submenu
					p.do("xdotool", "key", "Down", "Down", "Right")
					<-time.After(500 * time.Millisecond)
				}
				p.picture(driver+"-"+string(state), "800x500+0+0")
				p.close()
			}
			s.set(states[api.StatePaused], api.Event{Kind: "relay"})
			p.find(icons.Status("paused")[0].Colour)
			p.xfce.Process.Kill()
			p.xfce.ended(t)
			s.set(states[api.StateWaiting], api.Event{Kind: "relay"})
			p.start()
			x, y := p.find(icons.Status("waiting")[0].Colour)
			p.open(x, y)
			p.do("xdotool", "key", "Up", "Up", "Return") // Quit the icon
			p.close()
		})
	}
}
