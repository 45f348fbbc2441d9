//go:build desktop && linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

// A desktop without a screen: a private session bus, Xvfb, and a tray host that
// speaks StatusNotifierWatcher and com.canonical.dbusmenu as panels do.

// limit is how long anything may take.
const limit = 30 * time.Second

// until polls; what a desktop does comes without a signal that a test could
// wait for.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); ; {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// child is a program that a test started.
type child struct {
	*exec.Cmd
	mu   sync.Mutex
	out  bytes.Buffer
	done chan struct{}
}

func (c *child) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(b)
}

func (c *child) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

// ended waits for the end and returns the status, -1 after a signal.
func (c *child) ended(t *testing.T) int {
	t.Helper()
	select {
	case <-c.done:
		return c.ProcessState.ExitCode()
	case <-time.After(limit):
		t.Fatalf("%s goes on: %s", c.Path, c.said())
		return 0
	}
}

// spawn starts a program with this environment alone; it is ended with the test.
func spawn(t *testing.T, env []string, args ...string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{})}
	c.Env, c.Stderr, c.Stdout = env, c, c
	if err := c.Start(); err != nil {
		t.Fatalf("%v (see .ci/packages.txt for what these tests need)", err)
	}
	go func() { defer close(c.done); _ = c.Wait() }()
	t.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.done:
		case <-time.After(limit):
			c.Process.Kill()
			<-c.done
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(args[0]), c.said())
		}
	})
	return c
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`

// bus is a private session bus that activates nothing.
type bus struct {
	*child
	address string
}

func startBus(t *testing.T) *bus {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, config := filepath.Join(dir, "s"), filepath.Join(dir, "config")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, socket), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &bus{address: "unix:path=" + socket}
	b.child = spawn(t, os.Environ(), "dbus-daemon", "--config-file="+config, "--nofork", "--nosyslog")
	until(t, "a bus", func() bool { _, err := os.Stat(socket); return err == nil })
	return b
}

func (b *bus) connect(t *testing.T) *dbus.Conn {
	t.Helper()
	var conn *dbus.Conn
	until(t, "a connection to the bus", func() (ok bool) {
		var err error
		conn, err = dbus.Connect(b.address)
		return err == nil
	})
	t.Cleanup(func() { conn.Close() })
	return conn
}

// screen is an X server without a screen.
type screen struct {
	*child
	display string
}

func startX(t *testing.T) *screen {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x := &screen{child: &child{Cmd: exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"), done: make(chan struct{})}}
	x.ExtraFiles, x.Stderr = []*os.File{w}, x.child
	if err := x.Start(); err != nil {
		t.Fatalf("%v (see .ci/packages.txt for what these tests need)", err)
	}
	w.Close()
	go func() { defer close(x.done); _ = x.Wait() }()
	t.Cleanup(x.kill)
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb: %v: %s", err, x.said())
	}
	x.display = ":" + strings.TrimSpace(number)
	return x
}

// kill ends the server in the way that takes its files away.
func (x *screen) kill() {
	x.Process.Signal(syscall.SIGTERM)
	<-x.done
}

// panel is a tray host.
type panel struct {
	t    *testing.T
	conn *dbus.Conn

	mu    sync.Mutex
	items []dbus.ObjectPath
	from  []string // the unique names of items
}

const (
	watcherName = "org.kde.StatusNotifierWatcher"
	itemFace    = "org.kde.StatusNotifierItem"
	menuFace    = "com.canonical.dbusmenu"
)

// startPanel shows icons until stop.
func startPanel(t *testing.T, b *bus) *panel {
	t.Helper()
	p := &panel{t: t, conn: b.connect(t)}
	if err := p.conn.Export(p, "/StatusNotifierWatcher", watcherName); err != nil {
		t.Fatal(err)
	}
	_, err := prop.Export(p.conn, "/StatusNotifierWatcher", prop.Map{watcherName: {
		"IsStatusNotifierHostRegistered": {Value: true, Emit: prop.EmitTrue},
		"ProtocolVersion":                {Value: int32(0), Emit: prop.EmitTrue},
		"RegisteredStatusNotifierItems":  {Value: []string{}, Emit: prop.EmitTrue},
	}})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the panel's name", func() bool { // the bus may not have noticed the end of the last one
		r, err := p.conn.RequestName(watcherName, dbus.NameFlagDoNotQueue)
		return err == nil && r == dbus.RequestNameReplyPrimaryOwner
	})
	return p
}

// RegisterStatusNotifierItem is called by an icon with its path, or its name.
func (p *panel) RegisterStatusNotifierItem(service string, from dbus.Sender) *dbus.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	path := dbus.ObjectPath(service)
	if !strings.HasPrefix(service, "/") {
		path = "/StatusNotifierItem"
	}
	p.items, p.from = append(p.items, path), append(p.from, string(from))
	return nil
}

// RegisterStatusNotifierHost is of no use here.
func (p *panel) RegisterStatusNotifierHost(string) *dbus.Error { return nil }

// stop ends the panel as a crash does.
func (p *panel) stop() { p.conn.Close() }

// icon is an item as the panel sees it.
type icon struct {
	p    *panel
	item dbus.BusObject
	menu dbus.BusObject
}

// icon waits for the one icon.
func (p *panel) icon() *icon {
	p.t.Helper()
	i := &icon{p: p}
	until(p.t, "an icon", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.items) == 0 {
			return false
		}
		last := len(p.items) - 1
		i.item = p.conn.Object(p.from[last], p.items[last])
		v, err := i.item.GetProperty(itemFace + ".Menu")
		path, ok := v.Value().(dbus.ObjectPath)
		i.menu = p.conn.Object(p.from[last], path)
		return err == nil && ok
	})
	return i
}

// line is an entry of the menu.
type line struct {
	id      int32
	label   string
	props   map[string]dbus.Variant
	kids    []line
	enabled bool
	visible bool
}

// lines reads the menu, whole.
func (i *icon) lines() []line {
	var revision uint32
	var root struct {
		ID    int32
		Props map[string]dbus.Variant
		Kids  []dbus.Variant
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := i.menu.CallWithContext(ctx, menuFace+".GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root); err != nil {
		return nil
	}
	return parseLines(root.Kids)
}

func parseLines(kids []dbus.Variant) (out []line) {
	for _, k := range kids {
		parts, ok := k.Value().([]any)
		if !ok || len(parts) != 3 {
			continue
		}
		l := line{enabled: true, visible: true}
		l.id, _ = parts[0].(int32)
		l.props, _ = parts[1].(map[string]dbus.Variant)
		l.label, _ = l.props["label"].Value().(string)
		l.label = strings.ReplaceAll(l.label, "__", "_") // one is an access key
		if v, ok := l.props["enabled"].Value().(bool); ok {
			l.enabled = v
		}
		if v, ok := l.props["visible"].Value().(bool); ok {
			l.visible = v
		}
		sub, _ := parts[2].([]dbus.Variant)
		l.kids = parseLines(sub)
		out = append(out, l)
	}
	return out
}

// find looks for an entry on show by the labels that lead to it.
func find(lines []line, path ...string) (line, bool) {
	for _, l := range lines {
		if l.label != path[0] || !l.visible {
			continue
		}
		if len(path) == 1 {
			return l, true
		}
		return find(l.kids, path[1:]...)
	}
	return line{}, false
}

// entry waits for an entry on show.
func (i *icon) entry(path ...string) (l line) {
	i.p.t.Helper()
	until(i.p.t, fmt.Sprintf("the entry %q", path), func() (ok bool) { l, ok = find(i.lines(), path...); return ok })
	return l
}

// click clicks on an entry, whatever it looks like.
func (i *icon) click(path ...string) {
	i.p.t.Helper()
	i.clickID(i.entry(path...).id)
}

func (i *icon) clickID(id int32) {
	i.p.t.Helper()
	err := i.menu.Call(menuFace+".Event", 0, id, "clicked", dbus.MakeVariant(int32(0)), uint32(0)).Err
	if err != nil && !strings.Contains(err.Error(), "NoReply") { // it is gone already, after a Quit
		i.p.t.Errorf("click: %v", err)
	}
}

// colour is the colour of the icon on show: of what is opaque of it.
func (i *icon) colour() (c color.NRGBA, ok bool) {
	if v, err := i.item.GetProperty(itemFace + ".IconPixmap"); err == nil {
		if list, isList := v.Value().([][]any); isList && len(list) > 0 {
			return ofPixmap(list[0])
		}
	}
	v, err := i.item.GetProperty(itemFace + ".IconName")
	name, isString := v.Value().(string)
	if err != nil || !isString || name == "" {
		return c, false
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return c, false
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return c, false
	}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if p := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA); p.A == 0xff {
				return p, true
			}
		}
	}
	return c, false
}

// ofPixmap finds the first opaque pixel of (width, height, ARGB bytes).
func ofPixmap(pixmap []any) (c color.NRGBA, ok bool) {
	b, isBytes := pixmap[2].([]byte)
	for ; isBytes && len(b) >= 4; b = b[4:] {
		if b[0] == 0xff {
			return color.NRGBA{b[1], b[2], b[3], b[0]}, true
		}
	}
	return c, false
}
