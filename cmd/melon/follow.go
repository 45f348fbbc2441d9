package main

import (
	"melon/proxy/control/api"
	"melon/upstream/network"
)

// followNetwork tells everybody when the network or the clock changed. A change
// that leaves the network's identity alone, such as a temporary IPv6 address that
// rotates, shuts no window.
func (d *daemon) followNetwork() {
	key := d.watcher.State().Key()
	for e := range d.watcher.Events() {
		switch e.Kind {
		case network.Changed:
			if e.State.Key() == key {
				continue
			}
			key = e.State.Key()
			d.log.Info("the network changed", "online", e.State.Online, "interface", e.State.Interface)
			d.relay.NetworkChanged()
			if e.State.Online {
				d.outbox.NetworkChanged()
			}
		case network.Resumed:
			d.log.Info("the machine slept")
			d.relay.Resumed()
			d.outbox.Resumed()
		case network.ClockBack, network.ClockForward:
			d.log.Info("the clock was set")
			d.relay.Resumed()
			d.outbox.ClockChanged()
		}
		d.journal.Add(api.Event{Kind: "relay", Text: "network or clock changed"})
	}
}

// watchWhileWaiting lets the platforms that report no change of network look for
// one, as long as something waits for it.
func (d *daemon) watchWhileWaiting() {
	s := d.outbox.Snapshot()
	d.watcher.Waiting(s.Waiting+s.Unconfirmed+s.Bounces > 0)
}
