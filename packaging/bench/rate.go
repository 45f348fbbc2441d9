//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// connections are how many an app, or many apps, hold open at once.
var connections = []int{1, 2, 4, 8, 16}

// isKept reports whether Melon's reply says that the message is in the outbox.
func isKept(reply string) bool { return strings.Contains(reply, "kept as") }

// rate is messages a second against connections. The provider takes mail from
// anybody without TLS, so that nobody pays for handshakes that another spares.
// Those that ratios are made of take turns several times, as a machine is not the
// same from one second to the next; and they get enough for whoever only puts
// messages aside to fall behind.
func (b *bench) rate(ctx context.Context) error {
	for _, conns := range connections {
		if b.quick && conns != 1 && conns != 8 {
			continue
		}
		n := b.pick(2400, 150) + b.pick(100, 20)*conns
		for round := range b.pick(5, 3) {
			if err := b.rateRound(ctx, conns, n); err != nil {
				return err
			}
			for _, p := range b.present() {
				switch {
				case p.hand != nil || p.name != "Postfix" && (b.quick || round > 0):
					continue // a process a message, or too slow
				case p.name == "Postfix":
					b.ratePeer(ctx, p, conns, n/4)
				default: // OpenSMTPD takes a hundred messages a connection
					b.ratePeer(ctx, p, conns, min(60+15*conns, 90*conns))
				}
			}
		}
		b.report.sayRates(conns)
	}
	return b.acceptRates(ctx)
}

// rateRound is a turn of those that are compared on every machine.
func (b *bench) rateRound(ctx context.Context, conns, n int) error {
	if err := b.rateDirect(ctx, conns, n); err != nil {
		return err
	}
	for _, r := range []struct{ name, more string }{
		{"Melon, live", ""},
		{"Melon, queue", "delivery: queue\n"},
	} {
		if err := b.rateMelon(ctx, r.name, r.more, conns, n); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

func (b *bench) rateDirect(ctx context.Context, conns, n int) error {
	l, err := newLab(open, 0)
	if err != nil {
		return err
	}
	defer l.Close()
	took, err := l.door().many(ctx, conns, n)
	b.report.rate(rateResult{"plain mail app", conns, perSecond(n, took), perSecond(n, took), 0})
	return err
}

func (b *bench) rateMelon(ctx context.Context, name, more string, conns, n int) error {
	l, err := newLab(open, 0)
	if err != nil {
		return err
	}
	defer l.Close()
	m, err := b.melonAt(ctx, l.account(), l.Provider, more)
	if err != nil {
		return err
	}
	defer m.stop()
	before := processor(m.pid())
	accepted, whole, err := flood(ctx, l, m.door, conns, n)
	b.report.rate(rateResult{name, conns, accepted, whole, (processor(m.pid()) - before) / time.Duration(n)})
	return err
}

// ratePeer is a peer's turn. One that fails is left out of the table.
func (b *bench) ratePeer(ctx context.Context, p *peer, conns, n int) {
	accepted, whole, err := b.floodPeer(ctx, p, conns, n)
	if err != nil {
		say("  %s with %d connections: %v", p.name, conns, err)
		b.report.remark("%s with %d connections failed: %v", p.name, conns, err)
		return
	}
	b.report.rate(rateResult{p.name, conns, accepted, whole, 0})
}

func (b *bench) floodPeer(ctx context.Context, p *peer, conns, n int) (accepted, whole float64, err error) {
	l, err := newLab(open, 0)
	if err != nil {
		return 0, 0, err
	}
	defer l.Close()
	s, err := b.launch(ctx, p, l.hop(), false)
	if err != nil {
		return 0, 0, err
	}
	defer s.stop()
	return flood(ctx, l, s.door, conns, n)
}

// flood hands in n messages as fast as they are taken, after one that wakes
// everybody, and returns the rates of acceptance and, from the first octet to
// the last arrival, of the whole.
func flood(ctx context.Context, l *labs, d door, conns, n int) (accepted, whole float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := d.once(ctx, letter); err != nil {
		return 0, 0, err
	}
	if err := l.arrived(ctx, 1); err != nil {
		return 0, 0, err
	}
	start := time.Now()
	took, err := d.many(ctx, conns, n)
	if err != nil {
		return 0, 0, err
	}
	if err := l.arrived(ctx, n+1); err != nil {
		return 0, 0, fmt.Errorf("%d of %d arrived in time: %w", l.Stats().Messages-1, n, err)
	}
	return perSecond(n, took), perSecond(n, time.Since(start)), nil
}

// acceptRates is how fast mail is made durable, by those who keep it, while none
// is sent.
func (b *bench) acceptRates(ctx context.Context) error {
	l, err := newLab(open, 0)
	if err != nil {
		return err
	}
	defer l.Close()
	for _, conns := range []int{1, 16} {
		n := b.pick(500, 100) + b.pick(50, 10)*conns
		m, err := b.melonAt(ctx, l.account(), l.Provider, "delivery: queue\n")
		if err != nil {
			return err
		}
		err = b.command(ctx, m, "pause")
		if err == nil {
			var took time.Duration
			took, err = m.door.many(ctx, conns, n)
			b.report.accept("Melon", conns, perSecond(n, took))
		}
		m.stop()
		if err != nil {
			return err
		}
		for _, p := range b.present() {
			if p.hand != nil || p.name == "OpenSMTPD" || b.quick && p.name != "Postfix" { // OpenSMTPD cannot be told to wait
				continue
			}
			s, err := b.launch(ctx, p, l.hop(), true)
			if err != nil {
				return err
			}
			took, err := s.door.many(ctx, conns, n/2)
			s.stop()
			if err != nil {
				b.report.remark("%s, accepting on %d connections, failed: %v", p.name, conns, err)
				continue
			}
			b.report.accept(p.name, conns, perSecond(n/2, took))
		}
	}
	return nil
}

func perSecond(n int, took time.Duration) float64 { return float64(n) / took.Seconds() }
