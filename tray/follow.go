package tray

import (
	"context"
	"errors"
	"time"

	"melon/proxy/control/api"
	"melon/proxy/control/client"
)

// update is what the follower learned.
type update struct {
	link    Link
	problem string // with LinkDown
	status  api.Status
	events  []api.Event // since the update before, with LinkUp
}

// follower keeps the picture of the relay current: the status once, then events,
// each of which asks for the status again. While nothing happens it does nothing.
type follower struct {
	relay *client.Client
	// start starts a relay; it returns when one was started or could not be.
	start func(ctx context.Context) error
	out   chan<- update
}

const (
	firstBackoff = 200 * time.Millisecond
	lastBackoff  = 30 * time.Second
	// settle is how long events may gather before the status is asked for.
	settle = 50 * time.Millisecond
	// whileSending is how often the status is asked for while something is
	// being sent: the end of that need not be an event.
	whileSending = time.Second
	// restart is how long a relay that went away may take to come back by itself
	// (its supervisor restarts it) before another one is started.
	restart = 3 * time.Second
)

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	backoff := firstBackoff
	startAt := time.Now() // at once
	for ctx.Err() == nil {
		s, err := f.relay.Status(ctx)
		if err == nil {
			f.send(ctx, update{link: LinkUp, status: s})
			f.follow(ctx, s)
			if ctx.Err() != nil {
				return
			}
			f.send(ctx, update{link: LinkStarting})
			backoff, startAt = firstBackoff, time.Now().Add(restart)
			continue
		}
		if errors.Is(err, client.ErrNotRunning) && !time.Now().Before(startAt) {
			f.send(ctx, update{link: LinkStarting})
			err = f.start(ctx)
			startAt = time.Now().Add(lastBackoff)
		}
		if err != nil && !errors.Is(err, client.ErrNotRunning) && ctx.Err() == nil {
			f.send(ctx, update{link: LinkDown, problem: err.Error()})
		}
		if !pause(ctx, backoff) {
			return
		}
		backoff = min(2*backoff, lastBackoff)
	}
}

// follow reports changes until the line breaks.
func (f *follower) follow(ctx context.Context, s api.Status) {
	ctx, cancel := context.WithCancel(ctx)
	events := make(chan api.Event, 64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		// However it ends, the line is tried again.
		_ = f.relay.Events(ctx, s.Event, func(e api.Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	defer func() { cancel(); <-done }()
	for {
		var again <-chan time.Time
		if s.State == api.StateSending {
			again = time.After(whileSending)
		}
		var happened []api.Event
		select {
		case <-ctx.Done():
			return
		case <-done:
			return
		case <-again:
		case e := <-events:
			happened = gather(ctx, e, events)
		}
		next, err := f.relay.Status(ctx)
		if err != nil {
			return
		}
		s = next
		f.send(ctx, update{link: LinkUp, status: s, events: happened})
	}
}

// gather waits for what else happens in the same moment.
func gather(ctx context.Context, first api.Event, events <-chan api.Event) []api.Event {
	all := []api.Event{first}
	end := time.After(settle)
	for {
		select {
		case e := <-events:
			all = append(all, e)
		case <-end:
			return all
		case <-ctx.Done():
			return all
		}
	}
}

func (f *follower) send(ctx context.Context, u update) {
	select {
	case f.out <- u:
	case <-ctx.Done():
	}
}

// pause waits; it reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
