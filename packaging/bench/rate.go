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
func (b *bench) rate(ctx context.Context) error {
	for _, conns := range connections {
		if b.quick && conns != 1 && conns != 8 {
			continue
		}
		n := b.pick(500, 100) + b.pick(50, 20)*conns
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
		for _, p := range b.present() {
			if p.hand != nil || b.quick && p.name != "Postfix" {
				continue // a process a message, or too slow for a quick run
			}
			// OpenSMTPD takes a hundred messages a connection.
			if err := b.ratePeer(ctx, p, conns, min(n/4, 90*conns)); err != nil {
				say("  %s with %d connections: %v", p.name, conns, err)
				b.report.remark("%s with %d connections failed: %v", p.name, conns, err)
			}
		}
	}
	return b.acceptRates(ctx)
}

func (b *bench) rateDirect(ctx context.Context, conns, n int) error {
	l, err := newLab(open, 0)
	if err != nil {
		return err
	}
	defer l.Close()
	took, err := l.door().many(ctx, conns, n)
	b.report.rate("plain mail app", conns, perSecond(n, took), perSecond(n, took))
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
	b.report.processor(name, conns, (processor(m.pid())-before)/time.Duration(n))
	b.report.rate(name, conns, accepted, whole)
	return err
}

func (b *bench) ratePeer(ctx context.Context, p *peer, conns, n int) error {
	l, err := newLab(open, 0)
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := b.launch(ctx, p, l.hop(), false)
	if err != nil {
		return err
	}
	defer s.stop()
	accepted, whole, err := flood(ctx, l, s.door, conns, n)
	if err == nil {
		b.report.rate(p.name, conns, accepted, whole)
	}
	return err
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
