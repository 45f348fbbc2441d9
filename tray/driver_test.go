package tray

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"melon/proxy/control/api"
)

// fakeItem is a menu item of a library in memory, with the ways of the real ones:
// an update of any kind shows a hidden item again.
type fakeItem struct {
	lib      *fakeLibrary
	label    string
	disabled bool
	checked  bool
	hidden   bool
	kids     int
	ch       chan struct{}
}

func (i *fakeItem) update(f func()) { i.lib.call(func() { f(); i.hidden = false }) }
func (i *fakeItem) SetTitle(s string) {
	i.update(func() { i.label = s })
}
func (i *fakeItem) Enable()  { i.update(func() { i.disabled = false }) }
func (i *fakeItem) Disable() { i.update(func() { i.disabled = true }) }
func (i *fakeItem) Check()   { i.update(func() { i.checked = true }) }
func (i *fakeItem) Uncheck() { i.update(func() { i.checked = false }) }
func (i *fakeItem) Hide()    { i.lib.call(func() { i.hidden = true }) }
func (i *fakeItem) Show()    { i.lib.call(func() { i.hidden = false }) }

// click is what the libraries do: it is lost when the channel takes no more.
func (i *fakeItem) click() {
	select {
	case i.ch <- struct{}{}:
	default:
	}
}

// fakeLibrary is a library that notes what is done to it.
type fakeLibrary struct {
	t       *testing.T
	prepErr error
	gone    chan error
	calls   atomic.Int64
	now     atomic.Int32 // calls going on

	mu       sync.Mutex
	items    map[ID]*fakeItem
	seps     int
	icons    []picture
	readied  chan struct{} // ready returned
	quitting chan struct{}
	quits    int
	released int
	broken   bool // every call panics, as after a lost bus
}

func newFake(t *testing.T) *fakeLibrary {
	return &fakeLibrary{t: t, gone: make(chan error, 1), items: map[ID]*fakeItem{}, readied: make(chan struct{}), quitting: make(chan struct{})}
}

// call notes calls that overlap: the libraries are not safe with those.
func (l *fakeLibrary) call(f func()) {
	if l.now.Add(1) != 1 {
		l.t.Error("two goroutines call the library at once")
	}
	defer l.now.Add(-1)
	l.calls.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		panic("dbus: connection closed by user")
	}
	f()
}

func (l *fakeLibrary) driver() *systrayDriver {
	lib := library{
		prepare: func(context.Context) (<-chan error, error) { return l.gone, l.prepErr },
		run: func(ready, exit func()) {
			go func() { ready(); close(l.readied) }()
			<-l.quitting
			exit()
		},
		quit: func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.quits++; l.quits == 1 {
				close(l.quitting)
			}
			if l.broken {
				panic("nil connection")
			}
		},
		setIcon:    func(p picture) { l.call(func() { l.icons = append(l.icons, p) }) },
		setTooltip: func(string) { l.call(func() {}) },
		add: func(parent nativeItem, it Item) nativeItem {
			n := &fakeItem{lib: l, label: it.Label, ch: make(chan struct{})}
			l.call(func() {
				if parent != nil {
					parent.(*fakeItem).kids++
					parent.(*fakeItem).hidden = false
				}
				l.items[it.ID] = n
			})
			return n
		},
		separator: func() { l.call(func() { l.seps++ }) },
		release:   func() { l.released++ },
	}
	return newDriver(lib, fakePictures(), func(n nativeItem) chan struct{} {
		n.(*fakeItem).ch = make(chan struct{}, clickQueue)
		return n.(*fakeItem).ch
	})
}

// fakePictures are as many as the real ones, and quick to make.
func fakePictures() map[Icon][]picture {
	all := map[Icon][]picture{}
	for i, icon := range Icons() {
		for f := range Frames {
			all[icon] = append(all[icon], picture{regular: []byte{byte(i), byte(f)}})
		}
	}
	return all
}

// shown is a driver that runs.
type shown struct {
	*fakeLibrary
	d      *systrayDriver
	views  chan View
	clicks chan ID
	end    context.CancelFunc
	err    chan error
}

// display runs a driver over the library until the test ends.
func (l *fakeLibrary) display(v View) *shown {
	s := &shown{fakeLibrary: l, d: l.driver(), views: make(chan View), clicks: make(chan ID, 64), err: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.err <- s.d.Run(ctx, v, s.views, s.clicks)
	}()
	l.t.Cleanup(func() { cancel(); <-done })
	<-l.readied
	return s
}

// item reads an item.
func (s *shown) item(id ID) fakeItem {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.items[id]
	return fakeItem{label: i.label, disabled: i.disabled, checked: i.checked, hidden: i.hidden, kids: i.kids}
}

// sync returns when the driver has dealt with all before it.
func (s *shown) sync(v View) { s.views <- v; s.views <- v }

func idle() View { return up("en", api.Status{State: api.StateIdle}) }

func withAccounts(names ...string) View {
	s := api.Status{State: api.StateIdle}
	for _, n := range names {
		s.Accounts = append(s.Accounts, account(n, api.AccountReady))
	}
	return up("en", s)
}

// TestH1NoDisplay: the library is not run where it would end the process.
func TestH1NoDisplay(t *testing.T) {
	t.Parallel()
	l := newFake(t)
	l.prepErr = errors.New("no display")
	if err := l.driver().Run(t.Context(), idle(), nil, nil); !errors.Is(err, l.prepErr) {
		t.Error(err)
	}
	if l.calls.Load() != 0 || l.quits != 0 {
		t.Error("the library was called")
	}
}

// TestH2AndH3TheDesktopGoesAway: Run ends with the reason, and frees what it took.
func TestH2AndH3TheDesktopGoesAway(t *testing.T) {
	t.Parallel()
	l := newFake(t)
	s := l.display(idle())
	why := errors.New("the bus ended")
	l.gone <- why
	if err := <-s.err; !errors.Is(err, why) {
		t.Error(err)
	}
	if l.released != 1 {
		t.Errorf("released %d times", l.released)
	}
}

// TestH4PanicsAfterTheBusIsGone: in a call, in quit, and while the menu is built.
func TestH4PanicsAfterTheBusIsGone(t *testing.T) {
	t.Parallel()
	l := newFake(t)
	s := l.display(idle())
	l.mu.Lock()
	l.broken = true
	l.mu.Unlock()
	s.views <- up("en", api.Status{State: api.StatePaused, Paused: true})
	if err := <-s.err; !errors.Is(err, errDesktopGone) {
		t.Error(err)
	}
	l = newFake(t)
	l.broken = true
	if err := l.driver().Run(t.Context(), idle(), nil, nil); !errors.Is(err, errDesktopGone) {
		t.Error(err)
	}
}

// TestH6AndH7OneGoroutine: updates and clicks together never meet in the
// library; fakeLibrary.call fails when they do.
func TestH6AndH7OneGoroutine(t *testing.T) {
	t.Parallel()
	s := newFake(t).display(withAccounts("a"))
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 50 {
				if i%2 == 0 {
					s.views <- withAccounts(fmt.Sprint("a", i, j))
				} else {
					s.mu.Lock()
					it := s.items["autostart"]
					s.mu.Unlock()
					it.click()
				}
			}
		})
	}
	go func() {
		for range s.clicks {
		}
	}()
	all.Wait()
	s.end()
	<-s.err
}

// TestH8IconsNeverChange: the slice that is given is the same each time, and
// what it holds stays.
func TestH8IconsNeverChange(t *testing.T) {
	t.Parallel()
	s := newFake(t).display(idle())
	before := fmt.Sprintf("%x", s.d.icons)
	paused := up("en", api.Status{State: api.StatePaused, Paused: true})
	for range 3 {
		s.views <- paused
		s.sync(idle())
		runtime.GC()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.icons) != 7 || &s.icons[0].regular[0] != &s.icons[6].regular[0] {
		t.Errorf("%d icons were set, or another slice for the same one", len(s.icons))
	}
	if fmt.Sprintf("%x", s.d.icons) != before {
		t.Error("they changed")
	}
}

// TestH10ThereIsAlwaysAnIcon: of every state, for every platform, in a format
// that its library reads; and for a state that there is none of.
func TestH10ThereIsAlwaysAnIcon(t *testing.T) {
	t.Parallel()
	for _, goos := range []string{"linux", "darwin", "windows"} {
		all := picturesFor(goos)
		for _, i := range Icons() {
			if n := len(all[i]); n == 0 || i == IconSending && n != Frames {
				t.Errorf("%s, %s: %d pictures", goos, i, n)
			}
			for _, p := range all[i] {
				if _, err := png.Decode(bytes.NewReader(p.template)); err != nil {
					t.Errorf("%s, %s: template: %v", goos, i, err)
				}
				if _, err := png.Decode(bytes.NewReader(p.regular)); (err == nil) != (goos != "windows") {
					t.Errorf("%s, %s: %v", goos, i, err)
				}
				if ico := bytes.HasPrefix(p.regular, []byte{0, 0, 1, 0}); ico != (goos == "windows") {
					t.Errorf("%s, %s: ico %v", goos, i, ico)
				}
			}
		}
	}
	odd := idle()
	odd.Icon, odd.Frame = "dancing", 77
	s := newFake(t).display(odd)
	if len(s.icons) != 1 || len(s.icons[0].regular) == 0 {
		t.Error("no icon")
	}
}

// TestH11QuickClicksAreKept: ten while nobody looks.
func TestH11QuickClicksAreKept(t *testing.T) {
	t.Parallel()
	s := newFake(t).display(idle())
	for range 10 {
		s.items["pause"].click()
	}
	for range 10 {
		if id := <-s.clicks; id != "pause" {
			t.Errorf("%s", id)
		}
	}
}

// TestH12ACheckboxShowsWhatIsTrue: a panel flips it by itself upon a click.
func TestH12ACheckboxShowsWhatIsTrue(t *testing.T) {
	t.Parallel()
	s := newFake(t).display(idle())
	if !s.item("autostart").checked {
		t.Fatal("it was not checked to begin with")
	}
	s.mu.Lock()
	s.items["autostart"].checked = false
	s.mu.Unlock()
	s.items["autostart"].click()
	<-s.clicks
	s.sync(idle())
	if !s.item("autostart").checked {
		t.Error("the panel's flip stayed")
	}
}

// TestH13AHiddenItemStaysHidden: also after an update, a click and a child's.
func TestH13AHiddenItemStaysHidden(t *testing.T) {
	t.Parallel()
	s := newFake(t).display(withAccounts("a"))
	check := func(when string, v View) {
		t.Helper()
		v.All(func(it Item) {
			if !it.Separator && s.item(it.ID).hidden != it.Hidden {
				t.Errorf("%s: %s is hidden: %v", when, it.ID, s.item(it.ID).hidden)
			}
		})
	}
	check("at first", withAccounts("a"))
	s.items["account/3/default"].click() // of a hidden slot
	for _, v := range []View{withAccounts("a", "b", "c"), withAccounts("c"), withAccounts()} {
		s.sync(v)
		check("later", v)
	}
}

// TestH14OnlyAcceptedClicksCount: of what is hidden, disabled, below such a one,
// or a submenu, none.
func TestH14OnlyAcceptedClicksCount(t *testing.T) {
	t.Parallel()
	v := withAccounts("a")
	for id, want := range map[ID]bool{
		"account/0": false, "account/0/edit": true, "account/0/state": false, "account/1/edit": false, "account/1": false,
		"add": false, "add/gmail": true, "send": false, "problem": false, "-1": false, "nothing": false, "pause": true, "quit": true,
	} {
		if it, got := v.Accepts(id); got != want || got && it.ID != id {
			t.Errorf("%s: %v", id, got)
		}
	}
	s := newFake(t).display(v)
	for _, id := range []ID{"account/0", "account/1/edit", "send", "add", "pause"} {
		s.items[id].click()
	}
	if id := <-s.clicks; id != "pause" {
		t.Errorf("%s came through", id)
	}
}

// TestH15TheShapeNeverChanges: neither order nor kind of the items, and a View
// of another shape is not shown.
func TestH15TheShapeNeverChanges(t *testing.T) {
	t.Parallel()
	shape := idle().Shape()
	for _, v := range []View{
		Build(Known{}), Build(Known{Link: LinkDown, Problem: "x", Lang: "ja"}), withAccounts("a", "b"),
		withAccounts(strings.Split("0123456789", "")...), up("en", api.Status{State: api.StateSending}),
	} {
		if v.Shape() != shape {
			t.Errorf("%s\nis not\n%s", v.Shape(), shape)
		}
	}
	s := newFake(t).display(idle())
	if s.seps != 4 {
		t.Errorf("%d separators", s.seps)
	}
	other := idle()
	other.Icon, other.Items = IconPaused, other.Items[1:]
	s.sync(other)
	if len(s.icons) != 1 {
		t.Error("it was shown")
	}
	for name, items := range map[string][]Item{
		"no ID": {{Label: "x"}}, "an ID twice": {{ID: "a", Label: "x"}, {ID: "a", Label: "x"}}, "no label": {{ID: "a"}},
		"a separator in a submenu": {{ID: "a", Label: "x", Items: []Item{{ID: "b", Separator: true}}}},
		"a hidden separator":       {{ID: "a", Separator: true, Hidden: true}},
		"a checkbox that opens":    {{ID: "a", Label: "x", Checkable: true, Items: []Item{{ID: "b", Label: "x"}}}},
	} {
		if err := (View{Items: items}).Validate(); err == nil {
			t.Errorf("%s was taken", name)
		}
		if err := newFake(t).driver().Run(t.Context(), View{Items: items}, nil, nil); err == nil {
			t.Errorf("%s was shown", name)
		}
	}
}

// TestH16ReadyReturns: with the menu whole by then. display waits for it.
func TestH16ReadyReturns(t *testing.T) {
	t.Parallel()
	s := newFake(t).display(idle())
	n := 0
	idle().All(func(it Item) {
		if !it.Separator {
			n++
		}
	})
	if len(s.items) != n {
		t.Errorf("%d items of %d", len(s.items), n)
	}
}

// TestH17EndsOnce: by a context that ended before, and by one that ends later.
func TestH17EndsOnce(t *testing.T) {
	t.Parallel()
	l := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.driver().Run(ctx, idle(), nil, nil); err != nil || l.quits != 1 {
		t.Errorf("%v, %d quits", err, l.quits)
	}
	s := newFake(t).display(idle())
	s.end()
	if err := <-s.err; err != nil || s.quits != 1 || s.released != 1 {
		t.Errorf("%v, %d quits", err, s.quits)
	}
}

// TestDiff finds what looks otherwise, in submenus too, and nothing else.
func TestDiff(t *testing.T) {
	t.Parallel()
	a, b := withAccounts("a"), withAccounts("b")
	var ids []string
	for _, it := range Diff(a, b) {
		ids = append(ids, string(it.ID))
	}
	if got := strings.Join(ids, " "); got != "account/0 account/0/state" {
		t.Errorf("%s", got)
	}
	if d := Diff(a, a); len(d) != 0 {
		t.Errorf("%v", d)
	}
}
