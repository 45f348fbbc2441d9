package outbox

import "sync"

// events hands events to the listener, one after the other, without ever making
// the sender wait: the listener may call the outbox.
type events struct {
	listener func(Event)

	mu      sync.Mutex
	queue   []Event
	closed  bool
	wake    chan struct{} // capacity 1
	stopped chan struct{}
}

// newEvents starts the goroutine that calls the listener, if there is one.
func newEvents(listener func(Event)) *events {
	ev := &events{listener: listener, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	if listener == nil {
		ev.closed = true
		close(ev.stopped)
		return ev
	}
	go ev.run()
	return ev
}

// send queues an event. Events are in the order of their send calls.
func (ev *events) send(e Event) {
	ev.mu.Lock()
	if !ev.closed {
		ev.queue = append(ev.queue, e)
	}
	ev.mu.Unlock()
	select {
	case ev.wake <- struct{}{}:
	default:
	}
}

// run delivers what is queued, until close.
func (ev *events) run() {
	defer close(ev.stopped)
	for range ev.wake {
		ev.mu.Lock()
		queue, closed := ev.queue, ev.closed
		ev.queue = nil
		ev.mu.Unlock()
		for _, e := range queue {
			ev.listener(e)
		}
		if closed {
			return
		}
	}
}

// close delivers what is left and ends the goroutine.
func (ev *events) close() {
	ev.mu.Lock()
	ev.closed = true
	ev.mu.Unlock()
	select {
	case ev.wake <- struct{}{}:
	default:
	}
	<-ev.stopped
}
