//go:build desktop && linux

package main

import (
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"

	"melon/proxy/control/api"
)

// noticeServer is a notification server (Desktop Notifications Specification).
type noticeServer struct {
	conn *dbus.Conn

	mu    sync.Mutex
	shown []shownNotice
}

type shownNotice struct {
	replaces    uint32
	title, body string
	actions     []string
}

func startNotices(t *testing.T, b *bus) *noticeServer {
	t.Helper()
	s := &noticeServer{conn: b.connect(t)}
	if err := s.conn.Export(s, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.RequestName("org.freedesktop.Notifications", dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	return s
}

// GetCapabilities is part of the specification.
func (s *noticeServer) GetCapabilities() ([]string, *dbus.Error) {
	return []string{"body", "body-markup", "actions"}, nil
}

// Notify shows a notification; its ID is its number, or that of what it replaces.
func (s *noticeServer) Notify(app string, replaces uint32, icon, title, body string, actions []string, hints map[string]dbus.Variant, ms int32) (uint32, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = append(s.shown, shownNotice{replaces, title, body, actions})
	if replaces != 0 {
		return replaces, nil
	}
	return uint32(len(s.shown)), nil
}

// nth waits for the n-th notification, counted from 1.
func (s *noticeServer) nth(t *testing.T, n int) (x shownNotice) {
	t.Helper()
	until(t, "a notification", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.shown) < n {
			return false
		}
		x = s.shown[n-1]
		return true
	})
	return x
}

func (s *noticeServer) emit(t *testing.T, name string, args ...any) {
	t.Helper()
	if err := s.conn.Emit("/org/freedesktop/Notifications", "org.freedesktop.Notifications."+name, args...); err != nil {
		t.Error(err)
	}
}

// TestDesktopNotifications: kept, more of it in its place, a click, sent after
// all; what a server said cannot be markup.
func TestDesktopNotifications(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		d := newDesk(t)
		notices := startNotices(t, d.bus)
		s := d.stand(api.Status{State: api.StateIdle})
		d.tray(driver, d.env)
		d.panel.icon().entry("No account yet: mail is kept until you add one")
		kept := func(id, to string) {
			s.set(api.Status{State: api.StateWaiting, Outbox: api.Counts{Waiting: 1}}, api.Event{Kind: "message", Outcome: api.OutcomeKept, ID: id, To: []string{to}})
		}
		kept("a", "<b>&x@y.example")
		if n := notices.nth(t, 1); n.title != "Kept for later" || !strings.Contains(n.body, "&lt;b&gt;&amp;x@y.example") || len(n.actions) != 2 || n.actions[0] != "default" {
			t.Errorf("%+v", n)
		}
		kept("b", "z@y.example")
		if n := notices.nth(t, 2); n.replaces != 1 || !strings.HasPrefix(n.body, "2 messages") {
			t.Errorf("%+v", n)
		}
		notices.emit(t, "ActionInvoked", uint32(1), "default")
		d.called("open outbox")
		notices.emit(t, "NotificationClosed", uint32(1), uint32(2))
		s.set(api.Status{State: api.StateIdle}, api.Event{Kind: "outbox", Outcome: api.OutcomeSent, ID: "a"})
		if n := notices.nth(t, 3); n.title != "Sent after all" || n.replaces != 0 {
			t.Errorf("%+v", n)
		}
		bad := homeAccount(api.AccountAttention)
		bad.LastError = &api.Error{Class: "credentials-rejected"}
		s.set(api.Status{State: api.StateAttention, Accounts: []api.Account{bad}}, api.Event{Kind: "account"})
		if n := notices.nth(t, 4); n.title != "Account home_1 needs you" || !strings.Contains(n.body, "→") {
			t.Errorf("%+v", n)
		}
	})
}
