package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a platform under a test's control.
type fake struct {
	mu              sync.Mutex
	state           State
	err             error
	reads           int
	uptime, running time.Duration // beside the bubble's clock
	report          func(signal)
	stopped         bool
}

func (f *fake) platform(reports bool) platform {
	began := time.Now()
	p := platform{
		read: func() (State, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.reads++
			return f.state, f.err
		},
		clocks: func() (uptime, running time.Duration) {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.uptime + time.Since(began), f.running + time.Since(began)
		},
	}
	if reports {
		p.start = func(report func(signal)) (func() error, error) {
			f.report = report
			return func() error { f.stopped = true; return nil }, nil
		}
	}
	return p
}

func (f *fake) set(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

var (
	home  = State{Online: true, Interface: "eth0", Local4: netip.MustParseAddr("192.0.2.23")}
	hotel = State{Online: true, Interface: "wlan0", Local4: netip.MustParseAddr("198.51.100.7")}
)

// pending takes the events that are there.
func pending(w *Watcher) []string {
	var out []string
	for {
		synctest.Wait()
		select {
		case e := <-w.Events():
			out = append(out, e.Kind.String()+" "+e.State.Interface)
		default:
			return out
		}
	}
}

func wantEvents(t *testing.T, w *Watcher, want ...string) {
	t.Helper()
	if got := pending(w); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

// TestReports: changes settle, are merged and arrive once.
func TestReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{state: home}
		w, err := newWatcher(Options{}, f.platform(true))
		if err != nil {
			t.Fatal(err)
		}
		if w.State() != home {
			t.Error(w.State())
		}
		wantEvents(t, w)

		f.set(func(f *fake) { f.state = State{} }) // on the way to the next network
		f.report(networkTouched)
		time.Sleep(settle / 2)
		f.set(func(f *fake) { f.state = hotel })
		f.report(networkTouched)
		wantEvents(t, w)
		time.Sleep(settle)
		wantEvents(t, w, "changed wlan0")
		if f.reads != 2 {
			t.Errorf("%d reads", f.reads)
		}

		f.report(networkTouched) // nothing that matters
		time.Sleep(settle)
		wantEvents(t, w)

		for _, s := range []State{home, {}, hotel, {}} { // nobody listens: the last one is told
			f.set(func(f *fake) { f.state = s })
			f.report(networkTouched)
			time.Sleep(settle)
			synctest.Wait()
		}
		wantEvents(t, w, "changed ")
		if w.State() != (State{}) {
			t.Error(w.State())
		}

		f.set(func(f *fake) { f.state, f.err = home, errors.New("no") }) // a look that fails changes nothing
		f.report(networkTouched)
		time.Sleep(settle)
		wantEvents(t, w)

		reads := f.reads
		w.Waiting(true)
		time.Sleep(24 * time.Hour)
		if f.reads != reads {
			t.Errorf("%d reads in an idle day", f.reads-reads)
		}
		w.Close()
		if !f.stopped {
			t.Error("the reports go on")
		}
		f.report(networkTouched) // too late, and does not block
		f.report(clockTouched)
	})
}

// TestClocks: what the clocks show after the system said that one has jumped.
func TestClocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{state: home}
		var shift time.Duration
		w, err := newWatcher(Options{Now: func() time.Time { return time.Now().Add(shift) }}, f.platform(true))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for _, tc := range []struct {
			wall, uptime time.Duration
			want         []string
		}{
			{0, 0, nil},
			{300 * time.Millisecond, 0, nil}, // NTP
			{time.Hour, 0, []string{"clock-forward eth0"}},
			{-time.Hour, 0, []string{"clock-back eth0"}},
			{8 * time.Hour, 8 * time.Hour, []string{"resumed eth0"}},
			{2 * time.Hour, 8 * time.Hour, []string{"resumed eth0", "clock-back eth0"}},
			{9 * time.Hour, 8 * time.Hour, []string{"resumed eth0", "clock-forward eth0"}},
		} {
			time.Sleep(time.Minute)
			f.set(func(f *fake) { f.uptime += tc.uptime; shift += tc.wall })
			f.report(clockTouched)
			if got := pending(w); fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("%+v: %q", tc, got)
			}
			time.Sleep(settle)
			wantEvents(t, w)
		}
		f.set(func(f *fake) { f.state, f.uptime = hotel, f.uptime+time.Hour; shift += time.Hour })
		f.report(clockTouched) // woke up elsewhere
		wantEvents(t, w, "resumed eth0")
		time.Sleep(settle)
		wantEvents(t, w, "changed wlan0")
	})
}

// TestLooking: where nothing is reported, the state is looked at when asked for,
// and every ten seconds while somebody waits.
func TestLooking(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		var shift time.Duration
		w, err := newWatcher(Options{Now: func() time.Time { return time.Now().Add(shift) }}, f.platform(false))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		f.set(func(f *fake) { f.state = home })
		if w.State().Online {
			t.Error("looked again at once")
		}
		time.Sleep(24 * time.Hour)
		if f.reads != 1 {
			t.Errorf("%d reads while idle", f.reads)
		}
		if w.State() != home {
			t.Error(w.State())
		}
		wantEvents(t, w, "changed eth0")

		w.Waiting(true)
		time.Sleep(5 * time.Second)
		w.Waiting(true)
		f.set(func(f *fake) { f.state = hotel })
		time.Sleep(pollEvery - 5*time.Second)
		wantEvents(t, w, "changed wlan0")
		f.set(func(f *fake) { f.state = home; shift = -time.Hour })
		time.Sleep(pollEvery)
		wantEvents(t, w, "clock-back wlan0", "changed eth0")
		w.Waiting(false)
		synctest.Wait()
		reads := f.reads
		time.Sleep(24 * time.Hour)
		if f.reads != reads {
			t.Errorf("%d reads while nobody waits", f.reads-reads)
		}
	})
}

func TestNewFails(t *testing.T) {
	t.Parallel()
	f := &fake{err: errors.New("no")}
	if _, err := newWatcher(Options{}, f.platform(true)); !errors.Is(err, f.err) || !f.stopped {
		t.Error(err, f.stopped)
	}
}

// TestNoReports: where the system's reports cannot be had, the Watcher looks.
func TestNoReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		p := f.platform(false)
		p.start = func(func(signal)) (func() error, error) { return nil, errors.New("not permitted") }
		w, err := newWatcher(Options{}, p)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		f.set(func(f *fake) { f.state = home })
		w.Waiting(true)
		time.Sleep(pollEvery)
		wantEvents(t, w, "changed eth0")
	})
}

// TestMain fails the run when a goroutine of this package outlives the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	buf := make([]byte, 1<<20)
	for i := 0; code == 0; i++ {
		stacks := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "network.(*Watcher)") && !strings.Contains(stacks, "network.read") {
			break
		}
		if i == 1000 {
			os.Stderr.WriteString("goroutines are left:\n" + stacks)
			code = 1
		}
		runtime.Gosched()
	}
	os.Exit(code)
}
