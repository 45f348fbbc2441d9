//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// rtts are the round-trip times at which a message's way is timed.
var rtts = []time.Duration{0, 50 * time.Millisecond, 300 * time.Millisecond}

// way is one way for a message to go.
type way struct {
	name    string
	verdict bool // what the app hears is the provider's own verdict
	warm    bool // after the first message: what is timed is the second
	send    func(ctx context.Context, l *labs, n int) ([]timing, error)
}

// timing is how long one message took.
type timing struct{ hears, arrives time.Duration }

// timed times one message from the moment the app has it until it hears that it
// was taken, and until the provider has it, whichever comes first.
func timed(ctx context.Context, l *labs, hand func() error) (t timing, err error) {
	n := l.Stats().Messages
	start := time.Now()
	arrived := make(chan error, 1)
	go func() {
		err := l.arrived(ctx, n+1)
		t.arrives = time.Since(start)
		arrived <- err
	}()
	err = hand()
	t.hears = time.Since(start)
	if err != nil {
		return t, err
	}
	return t, <-arrived
}

// latency is time against round trip. What is far away is timed side by side, as
// everybody but waits.
func (b *bench) latency(ctx context.Context) error {
	for _, kind := range []provider{secure, pbs} {
		ways := b.ways(kind)
		for _, rtt := range rtts {
			var wg sync.WaitGroup
			errs := make([]error, len(ways))
			results := make([]timing, len(ways))
			for i, w := range ways {
				measure := func() { results[i], errs[i] = b.timeWay(ctx, kind, w, rtt) }
				if rtt == 0 || rtt < 100*time.Millisecond && !b.quick {
					measure()
				} else {
					wg.Go(measure)
				}
			}
			wg.Wait()
			for i, w := range ways {
				if errs[i] != nil {
					say("  %s at %v: %v", w.name, rtt, errs[i])
					b.report.remark("%s at %v failed: %v", w.name, rtt, errs[i])
					continue
				}
				t := results[i]
				say("  %-24s %6v: hears after %8.1f ms, arrives after %8.1f ms", w.name, rtt, t.hears.Seconds()*1000, t.arrives.Seconds()*1000)
				b.report.time(kind, w, rtt, t)
			}
		}
		first, warm := kind.limit()
		for _, rtt := range rtts {
			b.report.time(kind, way{name: "the limit, first message", verdict: true}, rtt, timing{hears: time.Duration(first) * rtt, arrives: time.Duration(2*first-1) * rtt / 2})
			b.report.time(kind, way{name: "the limit, warm", verdict: true, warm: true}, rtt, timing{hears: time.Duration(warm) * rtt, arrives: time.Duration(2*warm-1) * rtt / 2})
		}
	}
	return nil
}

// timeWay returns the medians of some messages.
func (b *bench) timeWay(ctx context.Context, kind provider, w way, rtt time.Duration) (timing, error) {
	l, err := newLab(kind, rtt)
	if err != nil {
		return timing{}, err
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	n := b.pick(5, 1)
	if rtt == 0 {
		n = b.pick(15, 5)
	}
	ts, err := w.send(ctx, l, n)
	return medians(ts), err
}

// ways lists who is timed against a provider.
func (b *bench) ways(kind provider) []way {
	ways := []way{
		{"plain mail app", true, false, b.plainWay},
		{"Melon, first message", true, false, b.melonFirst},
		{"Melon, warm", true, true, b.melonWarm},
	}
	if kind == pbs { // no peer logs in by POP first
		return ways
	}
	for _, p := range b.present() {
		ways = append(ways, way{p.name, p.verdict, false, func(ctx context.Context, l *labs, n int) ([]timing, error) {
			return b.peerWay(ctx, p, l, n)
		}})
	}
	return ways
}

// letterSize is that of most mail without attachments, in octets.
const letterSize = 2000

var letter = message(letterSize)

func (b *bench) plainWay(ctx context.Context, l *labs, n int) (ts []timing, err error) {
	for range n {
		t, err := timed(ctx, l, func() error { _, err := l.door().once(ctx, letter); return err })
		if err != nil {
			return nil, err
		}
		ts = append(ts, t)
	}
	return ts, nil
}

// melonFirst times the first message of a Melon that has just been started, and
// has sent from this network before, as it has after the first day.
func (b *bench) melonFirst(ctx context.Context, l *labs, n int) (ts []timing, err error) {
	home, err := b.config(l.account(), l.Provider, "")
	if err != nil {
		return nil, err
	}
	for i := range n + 1 {
		t, err := b.melonSends(ctx, l, home, 1)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			ts = append(ts, t...)
		}
	}
	return ts, nil
}

func (b *bench) melonWarm(ctx context.Context, l *labs, n int) ([]timing, error) {
	home, err := b.config(l.account(), l.Provider, "")
	if err != nil {
		return nil, err
	}
	ts, err := b.melonSends(ctx, l, home, n+1)
	if err != nil {
		return nil, err
	}
	return ts[1:], nil
}

// melonSends starts Melon and times n messages, each on a new connection of the
// app's.
func (b *bench) melonSends(ctx context.Context, l *labs, home string, n int) (ts []timing, err error) {
	m, err := b.startMelon(ctx, home)
	if err != nil {
		return nil, err
	}
	defer m.stop()
	for range n {
		t, err := timed(ctx, l, func() error { return m.sendLive(ctx) })
		if err != nil {
			return nil, err
		}
		ts = append(ts, t)
	}
	return ts, nil
}

// sendLive hands a message to Melon, and takes nothing for an answer but the
// provider's.
func (m *melon) sendLive(ctx context.Context) error {
	reply, err := m.door.once(ctx, letter)
	if err == nil && isKept(reply) {
		err = fmt.Errorf("the message was kept: %s", reply)
	}
	return err
}

// peerWay times messages that are handed to a peer some time apart.
func (b *bench) peerWay(ctx context.Context, p *peer, l *labs, n int) (ts []timing, err error) {
	s, err := b.launch(ctx, p, l.hop(), false)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	for i := range n + 1 {
		t, err := timed(ctx, l, func() error { return s.submit(ctx, letter) })
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, s.log())
		}
		if i > 0 { // the first one starts its processes
			ts = append(ts, t)
		}
	}
	return ts, nil
}

// row is a hundred messages in a row over 100 ms.
func (b *bench) row(ctx context.Context) error {
	const rtt = 100 * time.Millisecond
	n := b.pick(100, 20)
	for _, without := range []string{"", "CHUNKING"} {
		l, err := newLab(secure, rtt)
		if err != nil {
			return err
		}
		defer l.Close()
		if without != "" {
			l.without(without)
		}
		m, err := b.melonAt(ctx, l.account(), l.Provider, "")
		if err != nil {
			return err
		}
		defer m.stop()
		if err := m.sendLive(ctx); err != nil {
			return err
		}
		took, err := m.door.many(ctx, 1, n)
		if err != nil {
			return err
		}
		s := l.Stats()
		b.report.row(rowResult{messages: n, chunking: without == "", trips: float64(took) / float64(n) / float64(rtt), connections: s.SMTPConns, logins: s.Auths})
	}
	return nil
}

// overhead is what Melon adds to a message on a warm connection, without any
// distance: one message on each way in turn, so that both see the same machine.
func (b *bench) overhead(ctx context.Context) error {
	for _, kind := range []provider{secure, open} {
		l, err := newLab(kind, 0)
		if err != nil {
			return err
		}
		defer l.Close()
		m, err := b.melonAt(ctx, l.account(), l.Provider, "")
		if err != nil {
			return err
		}
		defer m.stop()
		const warmUp = 20
		o, err := errand{Doors: []door{l.door(), m.door}, Conns: 1, Messages: b.pick(1000, 200) + warmUp, Size: letterSize, InTurn: true}.send(ctx)
		if err != nil {
			return err
		}
		b.report.overhead(kind, o.Each[0][warmUp:], o.Each[1][warmUp:])
	}
	return nil
}

// without takes a keyword from what the provider offers.
func (l *labs) without(word string) {
	s := l.smtp
	s.Without = append(s.Without, word)
	l.SetSMTP(s)
}
