package tray

import (
	"context"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"
)

const notifications = "org.freedesktop.Notifications"

// desktopNotifier shows notifications over the session bus (the Desktop
// Notifications Specification). Close ends it.
type desktopNotifier struct {
	lang  string
	click func(page string) // from a goroutine of the notifier's

	mu    sync.Mutex
	conn  *dbus.Conn        // nil: none yet, or it broke
	ids   map[string]uint32 // by cause, of what is shown
	pages map[uint32]string // what a click opens
	done  sync.WaitGroup
}

// NewNotifier returns the platform's notifications. click is called with the
// page of one that was clicked.
func NewNotifier(lang string, click func(page string)) Notifier {
	return &desktopNotifier{lang: lang, click: click, ids: map[string]uint32{}, pages: map[uint32]string{}}
}

// Show shows a notice, in the place of an older one of the same cause.
func (d *desktopNotifier) Show(ctx context.Context, n Notice) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, shown := d.ids[n.Cause]
	if n.Update && !shown {
		return nil // it was dismissed: nobody asked for more of it
	}
	if err := d.connectLocked(); err != nil {
		return err
	}
	o := d.conn.Object(notifications, "/org/freedesktop/Notifications")
	var caps []string
	if err := o.CallWithContext(ctx, notifications+".GetCapabilities", 0).Store(&caps); err != nil {
		return err
	}
	body := n.Body
	var actions []string
	for _, c := range caps {
		switch c {
		case "body-markup":
			body = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(body)
		case "actions":
			actions = []string{"default", wordsFor(d.lang).open}
		}
	}
	hints := map[string]dbus.Variant{"desktop-entry": dbus.MakeVariant("melon-tray"), "category": dbus.MakeVariant("email")}
	var fresh uint32
	err := o.CallWithContext(ctx, notifications+".Notify", 0,
		"Melon", id, "melon", n.Title, body, actions, hints, int32(-1)).Store(&fresh)
	if err != nil {
		return err
	}
	delete(d.pages, id)
	d.ids[n.Cause], d.pages[fresh] = fresh, n.Page
	return nil
}

// connectLocked makes sure of a connection that hears what becomes of notices.
func (d *desktopNotifier) connectLocked() error {
	if d.conn != nil && d.conn.Connected() {
		return nil
	}
	conn, err := sessionBus()
	if err != nil {
		return err
	}
	if err := conn.AddMatchSignal(dbus.WithMatchInterface(notifications)); err != nil {
		conn.Close()
		return err
	}
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals) // closed with the connection
	d.conn = conn
	clear(d.ids)
	clear(d.pages)
	d.done.Go(func() {
		for s := range signals {
			d.heard(s)
		}
	})
	return nil
}

// heard takes a click or the end of a notification.
func (d *desktopNotifier) heard(s *dbus.Signal) {
	if len(s.Body) < 2 {
		return
	}
	id, ok := s.Body[0].(uint32)
	if !ok {
		return
	}
	d.mu.Lock()
	page, ours := d.pages[id]
	if ours && s.Name == notifications+".NotificationClosed" {
		delete(d.pages, id)
		for cause, shown := range d.ids {
			if shown == id {
				delete(d.ids, cause)
			}
		}
	}
	d.mu.Unlock()
	if ours && s.Name == notifications+".ActionInvoked" {
		d.click(page)
	}
}

// Close ends the notifier and waits for its goroutine.
func (d *desktopNotifier) Close() {
	d.mu.Lock()
	if d.conn != nil {
		d.conn.Close()
	}
	d.mu.Unlock()
	d.done.Wait()
}
