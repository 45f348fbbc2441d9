package outbox

import (
	"slices"
	"time"
)

// guard lets one goroutine at a time at the index and the clock. Whoever changed
// something also starts what has become due: nobody is woken for that.
type guard struct {
	turn  chan struct{} // capacity 1: taken by whoever is at the index
	ended bool
	timer *time.Timer // of what is due next
	armed time.Time   // when it fires; zero: it does not
	stop  chan struct{}
	done  chan struct{} // the goroutine of the timer has ended
}

func newGuard() *guard {
	g := &guard{turn: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	g.timer = time.NewTimer(time.Hour)
	g.timer.Stop()
	return g
}

// arm lets the timer fire after wait, or not at all.
func (g *guard) arm(wait time.Duration, ok bool) {
	if !ok {
		if !g.armed.IsZero() {
			g.timer.Stop()
			g.armed = time.Time{}
		}
		return
	}
	at := time.Now().Add(wait)
	if off := at.Sub(g.armed); off.Abs() < time.Millisecond {
		return
	}
	g.timer.Reset(wait)
	g.armed = at
}

// loop starts what is due when nobody calls. It sleeps until the next entry is;
// while nothing is due it never wakes.
func (o *Outbox) loop() {
	defer close(o.guard.done)
	for {
		select {
		case <-o.guard.timer.C:
			o.do(func(*index) { o.guard.armed = time.Time{} })
		case <-o.guard.stop:
			return
		}
	}
}

// end ends the loop; after it do returns false.
func (o *Outbox) end() {
	close(o.guard.stop)
	<-o.guard.done
	o.guard.turn <- struct{}{}
	o.guard.ended = true
	o.guard.timer.Stop()
	<-o.guard.turn
}

// do runs fn on the index while nobody else does, and starts what is due then. fn
// must not block, and must not call do. After the end do returns false.
func (o *Outbox) do(fn func(x *index)) bool {
	g := o.guard
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	if g.ended {
		return false
	}
	o.lookAtClock() // before fn judges anything by it
	fn(o.index)
	g.arm(o.schedule())
	o.show()
	return true
}

// view is what everybody may see of the index without waiting for a turn: every
// message that is sent live looks at it. It is never older than the last call
// that returned.
type view struct {
	Snapshot
	troubled bool // an account is blocked, or waits after a failure
}

// show renews the view, in its turn.
func (o *Outbox) show() {
	v := view{o.index.snapshot(), o.index.troubled()}
	if old := o.view.Load(); old == nil || *old != v {
		o.view.Store(&v)
	}
}

// schedule starts runners for what is due and returns the time until something
// else will be.
func (o *Outbox) schedule() (wait time.Duration, ok bool) {
	x, now := o.index, o.now()
	if x.paused || x.closing {
		return 0, false
	}
	var next int64
	for _, l := range x.lanes {
		for l.promote(now); l.mayTry(now) && l.running < o.connections(l); {
			l.running++
			batch := l.pop(1)
			o.work.Go(func() { o.run(l, batch) })
		}
		if l.running == o.connections(l) {
			continue // a runner looks for itself
		}
		if t, will := l.nextAttempt(); will && (!ok || t < next) {
			next, ok = t, true
		}
	}
	return time.Duration(next - now.UnixNano()), ok
}

// jump is how far the wall clock may stray from the time that passed before it
// counts as a jump. Corrections by a time service are smaller.
const jump = time.Minute

// lookAtClock returns the time. When the wall clock was set, or went on while
// the machine slept, everything that waits is due: plans and failures from
// before mean nothing now.
func (o *Outbox) lookAtClock() time.Time {
	x, now, awake := o.index, o.now(), time.Now()
	strayed := now.Sub(x.last) - awake.Sub(x.awake)
	if now.Before(x.last.Add(-time.Second)) || strayed > jump {
		x.wake(now)
	}
	x.last, x.awake = now, awake
	return now
}

// promote moves what is due to the entries that go by age.
func (l *lane) promote(now time.Time) {
	for len(l.later.items) > 0 && l.later.first().next <= now.UnixNano() {
		l.ready.push(l.later.pop())
	}
}

// pop takes up to n of the due entries out of the lane, oldest first, for a
// runner that will record the attempts.
func (l *lane) pop(n int) []picked {
	batch := make([]picked, min(n, len(l.ready.items)))
	for i := range batch {
		it := l.ready.pop()
		it.busy = true
		batch[i] = picked{it, *it, l.failures}
	}
	return batch
}

// mayTry reports whether an attempt may begin in the lane.
func (l *lane) mayTry(now time.Time) bool {
	return !l.blocked && l.gate <= now.UnixNano() && len(l.ready.items) > 0
}

// connections is how many runners the lane may have: one until an attempt has
// reached the provider.
func (o *Outbox) connections(l *lane) int {
	if !l.healthy {
		return 1
	}
	return max(1, o.account(l.account).Connections)
}

// delay is the time until the attempt after the nth failure in a row; jitter is
// only ever added.
func (o *Outbox) delay(n int) time.Duration {
	d := o.plainDelay(n)
	return d + time.Duration(float64(d)*0.1*o.opts.Jitter())
}

// plainDelay is delay without jitter.
func (o *Outbox) plainDelay(n int) time.Duration {
	retry := o.settings.Load().Retry
	return retry[min(max(n, 1), len(retry))-1]
}

// soonest bounds how many entries of a lane that hardly moves may be due for
// another one to be taken for one that goes at once.
const soonest = 1000

// goes reports whether a new entry of the account would be sent soon, and
// whether it would be the next one.
func (x *index) goes(account string, now time.Time) (soon, next bool) {
	if x.paused || x.closing {
		return false, false
	}
	l := x.lanes[account]
	if l == nil {
		return true, true
	}
	soon = !l.blocked && l.gate <= now.UnixNano() && (len(l.ready.items) < soonest || l.pace.passes())
	return soon, soon && len(l.ready.items) == 0
}

// stay moves entries of the journal that have to wait to files: all of them, or
// those of lanes that stand still. Those that somebody is busy with end or move
// by themselves.
func (o *Outbox) stay(ids []string, all bool) {
	if !all {
		o.do(func(x *index) {
			now := o.now()
			ids = slices.DeleteFunc(ids, func(id string) bool {
				it := x.items[id]
				if it == nil {
					return true
				}
				goes, _ := x.goes(it.lane.account, now)
				return goes
			})
		})
	}
	if len(ids) > 0 {
		_ = o.change(ids, "", func(*Entry) {}) // what fails stays where it is, and is noted
	}
}
