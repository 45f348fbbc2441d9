package tray

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/godbus/dbus/v5"
)

// errNoBus is why there is no tray without a session bus.
var errNoBus = errors.New("there is no D-Bus session bus (DBUS_SESSION_BUS_ADDRESS is not set), so no panel can show an icon")

// sessionBus connects to the session bus that is there, and starts none: a bus
// that is started for lack of an address outlives the program and has nobody on
// it. The caller closes it.
func sessionBus() (*dbus.Conn, error) {
	if os.Getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
		path := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus")
		if fi, err := os.Stat(path); err != nil || fi.Mode()&os.ModeSocket == 0 {
			return nil, errNoBus
		}
		// The libraries look at the environment, too.
		if err := os.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+path); err != nil {
			return nil, err
		}
	}
	conn, err := dbus.ConnectSessionBus()
	if err != nil {
		return nil, fmt.Errorf("the session bus cannot be reached, so no panel can show an icon: %w", err)
	}
	return conn, nil
}

// prepareDesktop makes sure of a session bus and of what the toolkit needs, as
// the libraries end the process or panic without. The channel tells when the bus
// or the display is gone.
func prepareDesktop(ctx context.Context) (<-chan error, error) {
	conn, err := sessionBus()
	if err != nil {
		return nil, err
	}
	if err := prepareToolkit(); err != nil {
		conn.Close()
		return nil, err
	}
	gone := make(chan error, 1)
	go func() { // ends with ctx, which Driver.Run ends
		select {
		case <-conn.Context().Done():
			gone <- fmt.Errorf("%w: the session bus ended", errDesktopGone)
		case <-ctx.Done():
			conn.Close()
		}
	}()
	return gone, nil
}

// hasTrayHost reports whether a panel shows icons.
func hasTrayHost() bool {
	conn, err := sessionBus()
	if err != nil {
		return false
	}
	defer conn.Close()
	var owned bool
	err = conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, "org.kde.StatusNotifierWatcher").Store(&owned)
	if err == nil && owned {
		v, err := conn.Object("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher").GetProperty("org.kde.StatusNotifierWatcher.IsStatusNotifierHostRegistered")
		if host, ok := v.Value().(bool); err == nil && ok && host {
			return true
		}
	}
	return toolkitHost()
}
