package outbox

import "sync"

// dirSync shares directory syncs. Changes that arrive while one sync runs wait
// for the next, together; so any number of concurrent arrivals costs few syncs,
// and the sync that makes the names of one group durable commits the group
// before it.
type dirSync struct {
	sync func() error

	mu      sync.Mutex
	waiting []*pending
	started int           // syncs so far
	good    int           // number of the last one that succeeded; the goroutine's alone
	wake    chan struct{} // capacity 1
	stop    chan struct{}
	stopped chan struct{}
}

// change is a change of names in the directory that is to be made durable.
type change struct {
	before ticket       // act needs a directory sync that began after this; 0: none
	act    func() error // renames; called by one goroutine
	after  func()       // called once it is durable; may be nil
}

// ticket is a moment in the order of directory syncs.
type ticket int

// pending is a change on its way.
type pending struct {
	change
	done chan error // nil: nobody waits
}

// newDirSync starts the goroutine that calls sync. Close it.
func newDirSync(sync func() error) *dirSync {
	d := &dirSync{
		sync: sync,
		wake: make(chan struct{}, 1),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go d.run()
	return d
}

// now returns a ticket for the names that exist now.
func (d *dirSync) now() ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	return ticket(d.started + 1)
}

// begin counts a sync and returns its number.
func (d *dirSync) begin() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started++
	return d.started
}

// do makes the change and returns when it is durable. An error of a sync says
// nothing about whether act was undone: it was not.
func (d *dirSync) do(c change) error { return <-d.start(c) }

// start is do that does not wait; the channel tells when the change is durable.
func (d *dirSync) start(c change) <-chan error {
	p := &pending{change: c, done: make(chan error, 1)}
	d.enqueue(p)
	return p.done
}

// later makes the change and returns at once.
func (d *dirSync) later(c change) { d.enqueue(&pending{change: c}) }

// enqueue adds a change to the next cycle and wakes the goroutine.
func (d *dirSync) enqueue(p *pending) {
	d.mu.Lock()
	d.waiting = append(d.waiting, p)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// close finishes what waits and ends the goroutine. Nothing is enqueued after it.
func (d *dirSync) close() {
	close(d.stop)
	<-d.stopped
}

// run does one cycle after the other while there is something to do.
func (d *dirSync) run() {
	defer close(d.stopped)
	var acted []*pending // wait for their last sync
	for {
		d.mu.Lock()
		arrived := d.waiting
		d.waiting = nil
		d.mu.Unlock()
		if len(arrived) == 0 && len(acted) == 0 {
			select {
			case <-d.wake:
				continue
			case <-d.stop:
				return
			}
		}
		acted = d.cycle(arrived, acted)
	}
}

// cycle does one directory sync: it commits what was acted before and makes the
// names durable that the next changes build on. It returns the changes that were made after it
// and so need another one.
func (d *dirSync) cycle(arrived, acted []*pending) (next []*pending) {
	var fresh []*pending
	for _, p := range arrived {
		if int(p.before) > d.good {
			fresh = append(fresh, p)
		} else if err := p.act(); err != nil {
			p.finish(err)
		} else {
			acted = append(acted, p)
		}
	}
	number := d.begin()
	err := storeError("sync directory", d.sync())
	if err == nil {
		d.good = number
	}
	for _, p := range acted {
		p.finish(err)
	}
	for _, p := range fresh {
		if err != nil {
			p.finish(err)
		} else if err := p.act(); err != nil {
			p.finish(err)
		} else {
			next = append(next, p)
		}
	}
	return next
}

// finish tells the outcome of a change.
func (p *pending) finish(err error) {
	if p.after != nil && err == nil {
		p.after()
	}
	if p.done != nil {
		p.done <- err
	}
}

// syncAll syncs files side by side and returns the first error.
func syncAll(files ...File) error {
	errs := make(chan error, len(files))
	for _, f := range files[1:] {
		go func() { errs <- f.Sync() }()
	}
	err := files[0].Sync()
	for range files[1:] {
		err = firstError(err, <-errs)
	}
	return storeError("sync", err)
}
