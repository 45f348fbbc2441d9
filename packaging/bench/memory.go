//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// sizes of messages, in octets.
var sizes = []int{1 << 20, 5 << 20, 10 << 20, 25 << 20, 50 << 20}

// settle is how long a program is left alone before its memory is read: longer
// than Melon needs to give back what its start took.
const settle = 7 * time.Second

// memory is resident memory at rest, while messages pass, and after.
func (b *bench) memory(ctx context.Context) error {
	l, err := newLab(secure, 0)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := b.memoryMelon(ctx, l, "Melon, live", ""); err != nil {
		return err
	}
	if !b.quick {
		if err := b.memoryMelon(ctx, l, "Melon, queue", "delivery: queue\n"); err != nil {
			return err
		}
	}
	for _, p := range b.present() {
		if p.hand != nil || b.quick {
			continue
		}
		if err := b.memoryPeer(ctx, l, p); err != nil {
			b.report.remark("memory of %s: %v", p.name, err)
		}
	}
	return b.memoryCrowd(ctx, l)
}

func (b *bench) memoryMelon(ctx context.Context, l *labs, name, more string) error {
	m, err := b.melonAt(ctx, l.account(), l.Provider, more)
	if err != nil {
		return err
	}
	defer m.stop()
	if err := wait(ctx, settle); err != nil {
		return err
	}
	idle, _, err := resident(m.pid())
	if err != nil {
		return err
	}
	own, err := statusField(fmt.Sprintf("/proc/%d/status", m.pid()), "RssAnon")
	if err != nil {
		return err
	}
	b.report.memoryIdle(name, idle)
	b.report.own = own << 10
	for _, size := range b.sizes() {
		if err := resetPeak(m.pid()); err != nil {
			return err
		}
		before, _, err := resident(m.pid())
		if err != nil {
			return err
		}
		n := l.Stats().Messages
		if _, err := m.door.once(ctx, message(size)); err != nil {
			return err
		}
		if err := l.arrived(ctx, n+1); err != nil {
			return err
		}
		_, peak, err := resident(m.pid())
		if err != nil {
			return err
		}
		say("  %s: %d MB: %.1f MB more than at rest, %.1f more than before", name, size>>20, mb(peak-idle), mb(peak-before))
		b.report.memory(name, size, max(0, peak-idle))
	}
	return nil
}

// memoryPeer is the same of all processes of a peer together.
func (b *bench) memoryPeer(ctx context.Context, l *labs, p *peer) error {
	s, err := b.launch(ctx, p, l.hop(), false)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := wait(ctx, settle); err != nil {
		return err
	}
	idle := share(s.cmd.Process.Pid)
	b.report.memoryIdle(p.name, idle)
	for _, size := range b.sizes() {
		n := l.Stats().Messages
		stop := peakShare(s.cmd.Process.Pid)
		_, err := s.door.once(ctx, message(size))
		if err == nil {
			limited, cancel := context.WithTimeout(ctx, time.Minute)
			err = l.arrived(limited, n+1)
			cancel()
		}
		peak := stop()
		if err != nil {
			return fmt.Errorf("%d MB: %w", size>>20, err)
		}
		b.report.memory(p.name, size, max(0, peak-idle))
	}
	return nil
}

// memoryCrowd is twenty messages of 10 MB at once, and what is given back after.
func (b *bench) memoryCrowd(ctx context.Context, l *labs) error {
	m, err := b.melonAt(ctx, l.account(), l.Provider, "")
	if err != nil {
		return err
	}
	defer m.stop()
	body := message(10 << 20)
	var wg sync.WaitGroup
	results := make(chan error, 20)
	for range cap(results) {
		wg.Go(func() { _, err := m.door.once(ctx, body); results <- err })
	}
	wg.Wait()
	for range cap(results) {
		if err := <-results; err != nil {
			return err
		}
	}
	_, peak, err := resident(m.pid())
	if err != nil {
		return err
	}
	c := crowdResult{peak: peak}
	if err := wait(ctx, time.Duration(b.pick(15, 8))*time.Second); err != nil {
		return err
	}
	c.after, _, err = resident(m.pid())
	b.report.crowd(c)
	return err
}

// wait waits, unless ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func mb(n int64) float64 { return float64(n) / (1 << 20) }

// sizes of the messages of this run.
func (b *bench) sizes() []int {
	if b.quick {
		return []int{sizes[0], sizes[len(sizes)-1]}
	}
	return sizes
}
