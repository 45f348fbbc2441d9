package network

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// settle is how long a change may take to be complete: an address, a route
	// and another address come one after the other.
	settle = 500 * time.Millisecond
	// pollEvery is the time between looks where nothing reports changes, while
	// somebody waits.
	pollEvery = 10 * time.Second
	// stale is how old a State may be there when it is asked for.
	stale = 2 * time.Second
	// slack is by how much clocks may disagree for other reasons than having
	// been set or stopped.
	slack = time.Second
)

// Kind is what an Event tells.
type Kind int

// The kinds of events.
const (
	Changed      Kind = iota + 1 // the State is another one
	Resumed                      // the machine slept
	ClockBack                    // the wall clock was set back
	ClockForward                 // the wall clock was set forward (or, beyond Linux, the machine slept)
)

// String names the kind for logs.
func (k Kind) String() string {
	switch k {
	case Changed:
		return "changed"
	case Resumed:
		return "resumed"
	case ClockBack:
		return "clock-back"
	case ClockForward:
		return "clock-forward"
	}
	return "unknown"
}

// Event is something that happened to the machine's connection or clock.
type Event struct {
	Kind  Kind
	State State // at the time of the event
}

// Options are the settings of a Watcher; the zero value works.
type Options struct {
	Now func() time.Time // the wall clock; nil: time.Now
}

// Watcher watches the network and the clock until Close. Its methods are safe
// for concurrent use.
type Watcher struct {
	p       platform
	now     func() time.Time
	events  chan Event
	poke    chan struct{}
	signals chan signal
	stop    chan struct{}
	done    sync.WaitGroup
	close   func() error
	state   atomic.Pointer[State] // replaced with mu held

	mu      sync.Mutex
	readAt  time.Time // with the monotonic clock
	clocks  clocks
	waiting bool
	queue   []Event // at most one of each kind
}

// platform is what a system can do for a Watcher.
type platform struct {
	read func() (State, error)
	// start begins to report signals; the function it returns ends that and
	// waits for its goroutines. nil: the system reports nothing, and the state
	// has to be looked at.
	start func(report func(signal)) (stop func() error, err error)
	// clocks reads the clocks beside the wall clock.
	clocks func() (uptime, running time.Duration)
}

// signal is what a platform reports.
type signal int

const (
	networkTouched signal = iota // an address or route came or went
	clockTouched                 // the clock was set, or the machine resumed
)

// clocks is one look at all clocks.
type clocks struct {
	wall    time.Time
	uptime  time.Duration // goes on while the machine sleeps
	running time.Duration // stands still while it sleeps
}

// New starts a Watcher. It fails when the system cannot be asked at all; where it
// only does not report changes, the Watcher looks.
func New(o Options) (*Watcher, error) { return newWatcher(o, thisPlatform()) }

func newWatcher(o Options, p platform) (*Watcher, error) {
	w := &Watcher{
		p: p, now: o.Now,
		events: make(chan Event), poke: make(chan struct{}, 1),
		signals: make(chan signal, 16), stop: make(chan struct{}),
	}
	if w.now == nil {
		w.now = time.Now
	}
	// Reports begin before the first look, so that no change falls in between.
	stopReports := func() error { return nil }
	if p.start != nil {
		stop, err := p.start(w.report)
		if err != nil { // a sandbox, perhaps: look instead
			w.p.start = nil
		} else {
			stopReports = stop
		}
	}
	state, err := p.read()
	if err != nil {
		close(w.stop)
		stopReports()
		return nil, err
	}
	w.state.Store(&state)
	w.readAt, w.clocks = time.Now(), w.look()
	w.done.Go(w.loop)
	w.close = sync.OnceValue(func() error {
		close(w.stop)
		err := stopReports()
		w.done.Wait()
		close(w.events)
		return err
	})
	return w, nil
}

// report takes a signal from the platform.
func (w *Watcher) report(s signal) {
	select {
	case w.signals <- s:
	case <-w.stop:
	}
}

// State returns the current state. Where the system reports changes that takes
// neither lock nor clock: every message asks.
func (w *Watcher) State() State {
	if w.p.start == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		if time.Since(w.readAt) > stale {
			w.refreshLocked()
		}
	}
	return *w.state.Load()
}

// Events returns the one channel of events; Close closes it. It has one
// consumer. Events that pile up unread are merged by kind, never lost.
func (w *Watcher) Events() <-chan Event { return w.events }

// Waiting tells whether somebody waits for the network to come back. Linux
// ignores it; where nothing reports changes, the state is looked at every ten
// seconds while it is true, and never otherwise.
func (w *Watcher) Waiting(yes bool) {
	w.mu.Lock()
	w.waiting = yes
	w.mu.Unlock()
	w.wake()
}

// Close stops the Watcher and waits for its goroutines.
func (w *Watcher) Close() error { return w.close() }

// wake makes the loop look at the queue and at waiting.
func (w *Watcher) wake() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// loop delivers events, lets changes settle and, where it must, looks now and
// then. Its timers run only while there is something to wait for.
func (w *Watcher) loop() {
	settled, poll := newTimer(), newTimer()
	defer settled.Stop()
	defer poll.Stop()
	settling, polling := false, false
	for {
		next, out := w.next()
		if want := w.mustPoll(); want != polling {
			if polling = want; polling {
				poll.Reset(pollEvery)
			} else {
				poll.Stop()
			}
		}
		select {
		case <-w.stop:
			return
		case out <- next:
			w.sent(next)
		case <-w.poke:
		case s := <-w.signals:
			if s == clockTouched {
				w.checkClocks()
			}
			if !settling { // from the first touch on, so that a storm has an end
				settling = true
				settled.Reset(settle)
			}
		case <-settled.C:
			settling = false
			w.refresh()
		case <-poll.C:
			polling = false
			w.refresh()
		}
	}
}

// newTimer returns a timer that does not run.
func newTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// mustPoll reports whether only looking helps, and somebody waits.
func (w *Watcher) mustPoll() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.p.start == nil && w.waiting
}

// next returns the oldest event, and the channel for it or nil.
func (w *Watcher) next() (Event, chan Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return Event{}, nil
	}
	return w.queue[0], w.events
}

// sent removes a delivered event, unless it was merged with a newer one meanwhile.
func (w *Watcher) sent(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) > 0 && w.queue[0] == e {
		w.queue = w.queue[1:]
	}
}

// addLocked queues an event, or renews the one of its kind.
func (w *Watcher) addLocked(k Kind) {
	for i := range w.queue {
		if w.queue[i].Kind == k {
			w.queue[i].State = *w.state.Load()
			return
		}
	}
	w.queue = append(w.queue, Event{k, *w.state.Load()})
}

// refresh looks at state and clocks.
func (w *Watcher) refresh() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refreshLocked()
}

// refreshLocked is refresh with mu held. A state that cannot be read stays what
// it was.
func (w *Watcher) refreshLocked() {
	if w.p.start == nil {
		w.checkClocksLocked()
	}
	w.readAt = time.Now()
	state, err := w.p.read()
	if err != nil || state == *w.state.Load() {
		return
	}
	w.state.Store(&state)
	w.addLocked(Changed)
	w.wake()
}

func (w *Watcher) checkClocks() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkClocksLocked()
}

// checkClocksLocked compares the clocks with those of the last look.
func (w *Watcher) checkClocksLocked() {
	now := w.look()
	for _, k := range judge(w.clocks, now) {
		w.addLocked(k)
		w.wake()
	}
	w.clocks = now
}

// look reads all clocks.
func (w *Watcher) look() clocks {
	uptime, running := w.p.clocks()
	return clocks{wall: w.now().Round(0), uptime: uptime, running: running}
}

// judge says what happened to the clocks between two looks.
func judge(before, after clocks) []Kind {
	var out []Kind
	uptime := after.uptime - before.uptime
	if uptime-(after.running-before.running) > slack {
		out = append(out, Resumed)
	}
	switch jump := after.wall.Sub(before.wall) - uptime; {
	case jump < -slack:
		out = append(out, ClockBack)
	case jump > slack:
		out = append(out, ClockForward)
	}
	return out
}
