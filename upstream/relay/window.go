package relay

import (
	"context"
	"sync"
	"time"

	"melon/upstream"
	"melon/upstream/pop"
)

const (
	// defaultWindow is how long a POP login opens the relay where nothing else
	// is configured or was learned.
	defaultWindow = 5 * time.Minute
	// noHelpLast is how long it is remembered that a login does not open the
	// relay here.
	noHelpLast = 10 * time.Minute
	// loginTime bounds one login from dialling to the end of `finish`.
	loginTime = 2 * time.Minute
	// rationed is how long a login that was refused as coming too soon is not
	// tried again.
	rationed = 30 * time.Second
	// shortest is the shortest window that is learned.
	shortest = 10 * time.Second
)

// window is the POP window of one account on one network: shut, logging in, open
// until a time. Messages that find it shut share one login. All times are wall
// clock: the monotonic clock stands still while the machine sleeps. Leaving the
// zero value of loginAt means shut.
type window struct {
	a   *account
	key string

	mu      sync.Mutex
	loginAt time.Time // wall clock of the server's +OK
	since   time.Time // the same moment with the monotonic clock, for short pauses
	until   time.Time // loginAt and the window, less a margin
	seen    time.Time // the latest wall clock that was looked at
	tick    int64     // when the last login was over, in the relay's count
	flight  *flight   // the login under way
	noHelp  time.Time // until then a refusal stands as it is
	wait    time.Time // until then no login is tried: waitErr
	waitErr *upstream.Error

	session *pop.Session // kept open while holders > 0, where the account has `hold`
	holders int
}

// flight is one login under way.
type flight struct {
	done chan struct{}
	here context.Context // ends when it has become pointless
	err  *upstream.Error
}

// open reports whether the relay is open by the window's own reckoning.
func (w *window) open() bool {
	_, ok := w.openUntil()
	return ok
}

func (w *window) openUntil() (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.until, w.openLocked()
}

// openLocked is open. A wall clock that ran back voids the window: nobody knows
// any more how old the login is.
func (w *window) openLocked() bool {
	now := w.a.r.o.Now().Round(0)
	if now.Before(w.seen.Add(-time.Second)) || now.Before(w.loginAt.Add(-time.Second)) {
		w.loginAt = time.Time{}
	}
	w.seen = now
	if w.loginAt.IsZero() || w.a.settings.PopBeforeSMTP.Hold && w.session == nil {
		return false
	}
	return now.Before(w.until)
}

// lastLogin returns the number and the age of the last login that still counts,
// 0 when there is none.
func (w *window) lastLogin() (tick int64, age time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loginAt.IsZero() {
		return 0, 0
	}
	return w.tick, w.a.r.o.Now().Sub(w.since)
}

// void shuts the window.
func (w *window) void() {
	w.mu.Lock()
	w.loginAt, w.noHelp = time.Time{}, time.Time{}
	s := w.session
	w.session = nil
	w.mu.Unlock()
	if s != nil {
		s.Close()
	}
}

// refused shuts the window after a refusal, unless somebody has logged in since
// the given login.
func (w *window) refused(tick int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tick == tick {
		w.loginAt = time.Time{}
	}
}

// setHopeless notes that a login does not open the relay here.
func (w *window) setHopeless() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noHelp = w.a.r.o.Now().Round(0).Add(noHelpLast)
}

func (w *window) hopeless() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.a.r.o.Now().Round(0)
	return now.Before(w.noHelp) && !now.Before(w.noHelp.Add(-noHelpLast-time.Second))
}

// helps forgets what setHopeless noted.
func (w *window) helps() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noHelp = time.Time{}
}

// ensure returns when the window is open by a login later than the given one
// (0: any). It joins the login under way or starts one; that goes on when ctx
// ends, for the others.
func (w *window) ensure(ctx context.Context, later int64) *upstream.Error {
	w.mu.Lock()
	if w.openLocked() && w.tick > later {
		w.mu.Unlock()
		return nil
	}
	if w.a.r.o.Now().Before(w.wait) && w.flight == nil {
		e := *w.waitErr
		w.mu.Unlock()
		return &e
	}
	f := w.flight
	if f == nil || f.here.Err() != nil {
		f = &flight{done: make(chan struct{}), here: w.a.r.hereContext()}
		if !w.a.r.goIfOpen(func() { w.login(f) }) {
			w.mu.Unlock()
			return cancelled(w.a.settings.Name, upstream.PhasePOPGreeting, ctx)
		}
		w.flight = f
	}
	w.mu.Unlock()
	select {
	case <-f.done:
		if f.err != nil {
			e := *f.err
			return &e
		}
		return nil
	case <-ctx.Done():
		return cancelled(w.a.settings.Name, upstream.PhasePOPGreeting, ctx)
	}
}

// login is the one login of a flight. What it leaves open is ended by whoever
// holds it, or right away in the background.
func (w *window) login(f *flight) {
	a := w.a
	ctx, cancel := context.WithTimeout(a.r.hereContext(), loginTime)
	defer cancel()
	known := a.r.store.get(a.print, w.key)
	session, err := w.openSession(ctx, known)
	var e *upstream.Error
	if err != nil {
		e = upstream.AsError(err, upstream.PhasePOPGreeting)
		a.r.o.Log.Info("pop login failed", "account", a.settings.Name, "class", e.Class, "error", e)
		if e.Class.StopsAttempts() && e.Kind() == upstream.KindPerson {
			a.shut(e)
		}
	} else {
		a.r.o.Log.Info("pop login", "account", a.settings.Name, "host", session.Addr())
		caps := session.Capabilities()
		a.r.store.update(a.print, w.key, func(f *facts) { f.POP = &caps })
		if !a.settings.PopBeforeSMTP.Hold && a.settings.PopBeforeSMTP.Finish != "quit" {
			w.farewell(ctx, session, known.Sequence)
		}
	}
	w.land(f, session, e, known)
}

// openSession fetches the password and logs in.
func (w *window) openSession(ctx context.Context, known facts) (*pop.Session, error) {
	a := w.a
	password, err := a.r.o.Secrets.Get(ctx, a.settings.POP.Password)
	if err != nil {
		e := *upstream.AsError(err, upstream.PhasePOPPass)
		e.Phase, e.Account = upstream.PhasePOPPass, a.settings.Name
		return nil, &e
	}
	a.mu.Lock()
	pin := a.pin
	a.mu.Unlock()
	return pop.Open(ctx, pop.Options{
		Dialer: a.r.o.Dialer, Account: a.settings, Password: password,
		Pin: pin, Known: known.POP, Now: a.r.o.Now,
	})
}

// farewell says QUIT: at once where the relay turned out to open only when the
// session is over, else without anybody waiting for it.
func (w *window) farewell(ctx context.Context, s *pop.Session, wait bool) {
	if wait {
		s.Quit(ctx)
		return
	}
	r := w.a.r
	if !r.goIfOpen(func() {
		ctx, cancel := context.WithTimeout(r.awakeContext(), quitTime)
		defer cancel()
		s.Quit(ctx)
	}) {
		s.Close()
	}
}

// land ends the flight: the window is open, or the error is told.
func (w *window) land(f *flight, s *pop.Session, e *upstream.Error, known facts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.flight == f {
		w.flight = nil
	}
	f.err = e
	now := w.a.r.o.Now()
	switch {
	case e == nil:
		w.since = s.LoggedInAt()
		w.loginAt = w.since.Round(0)
		w.endsLocked(known.Window)
		w.tick = w.a.r.tick.Add(1)
		w.wait = time.Time{}
		if w.a.settings.PopBeforeSMTP.Hold {
			w.session = s
			if w.holders == 0 { // nobody is left who waited for it
				w.session, w.loginAt = nil, time.Time{}
				defer w.farewell(w.a.r.ctx, s, false)
			}
		}
	case e.Class == upstream.ClassPOPLoginDelay:
		w.wait, w.waitErr = now.Add(rationed), e
	}
	close(f.done)
}

// endsLocked sets the end of the window that loginAt began, less a margin.
func (w *window) endsLocked(learned time.Duration) {
	length := windowLength(w.a.settings.PopBeforeSMTP.Window, learned)
	w.until = w.loginAt.Add(length - min(length/10, 30*time.Second))
}

// shorten applies a length that was learned to the window of the moment.
func (w *window) shorten(learned time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.endsLocked(learned)
}

// windowLength is the window to reckon with: the configured one, or a shorter
// one that was learned.
func windowLength(configured, learned time.Duration) time.Duration {
	if configured <= 0 {
		configured = defaultWindow
	}
	if learned > 0 {
		configured = min(configured, learned)
	}
	return configured
}

// hold keeps the POP session open until release, where the account asks for it.
func (w *window) hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holders++
}

func (w *window) release() {
	w.mu.Lock()
	w.holders--
	var s *pop.Session
	if w.holders == 0 && w.session != nil {
		s, w.session = w.session, nil
		w.loginAt = time.Time{}
	}
	w.mu.Unlock()
	if s != nil {
		w.farewell(w.a.r.ctx, s, false)
	}
}
