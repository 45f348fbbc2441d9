package tray

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Driver shows Views. The systray libraries can run once in the life of a
// process, and so can a Driver.
type Driver interface {
	// Run shows the icon with the View now, then each one that comes, until ctx
	// ends or the desktop goes away; only the latter is an error. A click that
	// the View on show accepts is sent to clicks. Run must be called from the
	// goroutine of main: macOS wants the main thread.
	Run(ctx context.Context, now View, views <-chan View, clicks chan<- ID) error
}

// library is what the two systray libraries have in common. All calls but run
// and the clicks come from one goroutine: the libraries are not safe with
// several, whatever they say.
type library struct {
	// prepare makes ready what the library would otherwise end the process for
	// or panic over: a display, a session bus, a directory for icon files. The
	// channel is closed when the desktop is gone.
	prepare func(ctx context.Context) (gone <-chan error, err error)
	// run blocks until quit; it calls ready from a goroutine of its own.
	run  func(ready, exit func())
	quit func()
	// setIcon keeps the slice: it must never change.
	setIcon    func(picture)
	setTooltip func(string)
	add        func(parent nativeItem, it Item) nativeItem
	separator  func()
	// release frees what prepare took.
	release func()
}

// nativeItem is a *systray.MenuItem of either library.
type nativeItem interface {
	SetTitle(string)
	Enable()
	Disable()
	Check()
	Uncheck()
	Hide()
	Show()
}

// clickQueue is how many clicks on one item may wait. The libraries drop a
// click that nobody is waiting for; a person's double click must not be lost.
const clickQueue = 16

// errDesktopGone is why a Driver ends by itself.
var errDesktopGone = errors.New("the desktop went away")

// systrayDriver is the Driver over a library.
type systrayDriver struct {
	lib     library
	clicked func(nativeItem) chan struct{} // makes the buffered channel and puts it in
	icons   map[Icon][]picture             // by frame; never changed once made
	items   map[ID]nativeItem
	shown   View
	clicks  sync.WaitGroup // the goroutines of forward
}

// newDriver makes a Driver. clicked gives an item a buffered channel in place of
// its own.
func newDriver(lib library, icons map[Icon][]picture, clicked func(nativeItem) chan struct{}) *systrayDriver {
	return &systrayDriver{lib: lib, clicked: clicked, icons: icons, items: map[ID]nativeItem{}}
}

func (d *systrayDriver) Run(ctx context.Context, now View, views <-chan View, clicks chan<- ID) error {
	if err := now.Validate(); err != nil {
		return fmt.Errorf("this menu cannot be shown: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer d.clicks.Wait()
	defer cancel()
	gone, err := d.lib.prepare(ctx)
	if err != nil {
		return err
	}
	defer d.lib.release()
	built := make(chan struct{})
	done := make(chan error, 1)
	raw := make(chan ID, clickQueue)
	var buildErr error
	go func() {
		<-built
		if buildErr != nil {
			d.end()
			done <- buildErr
			return
		}
		done <- d.loop(ctx, loopEnds{gone, views, raw, clicks})
	}()
	// The menu is built inside ready, which must return: a panel that asks for
	// the menu is made to wait for it.
	d.lib.run(func() {
		defer close(built)
		defer panicAsGone(&buildErr)
		d.build(ctx, now, raw)
	}, func() {})
	cancel()
	return <-done
}

// panicAsGone turns a panic of a library, whose bus may be gone in any call,
// into an error.
func panicAsGone(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", errDesktopGone, r)
	}
}

// loopEnds are the channels of the loop.
type loopEnds struct {
	gone   <-chan error
	views  <-chan View
	raw    <-chan ID // as they come from the library
	clicks chan<- ID // those that count
}

// loop makes every call to the library but those of build, until the end.
func (d *systrayDriver) loop(ctx context.Context, e loopEnds) (err error) {
	defer d.end()
	defer panicAsGone(&err)
	for {
		select {
		case <-ctx.Done():
			return nil
		case why := <-e.gone:
			return why
		case v := <-e.views:
			d.show(v)
		case id := <-e.raw:
			it, ok := d.shown.Accepts(id)
			if native := d.items[id]; native != nil {
				if shown, found := d.shown.Find(id); found && shown.Checkable {
					d.setChecked(native, shown) // a panel may have flipped it by itself
				}
			}
			if !ok {
				continue
			}
			select {
			case e.clicks <- it.ID:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// end makes the library's run return. Its quit may panic as well.
func (d *systrayDriver) end() {
	defer func() { _ = recover() }()
	d.lib.quit()
}

// build makes every item, once.
func (d *systrayDriver) build(ctx context.Context, v View, raw chan<- ID) {
	var walk func(parent nativeItem, items []Item)
	walk = func(parent nativeItem, items []Item) {
		for _, it := range items {
			if it.Separator {
				d.lib.separator()
				continue
			}
			native := d.lib.add(parent, it)
			d.items[it.ID] = native
			ch := d.clicked(native)
			d.update(native, it) // one update after the channel was put in makes it seen
			d.clicks.Go(func() { forward(ctx, it.ID, ch, raw) })
			walk(native, it.Items)
		}
	}
	d.setIcon(v)
	d.lib.setTooltip(v.Tooltip)
	walk(nil, v.Items)
	// Adding to a submenu shows its parent again.
	v.All(func(it Item) {
		if it.Hidden && !it.Separator {
			d.items[it.ID].Hide()
		}
	})
	d.shown = v
}

// forward hands the clicks on one item on, until ctx ends.
func forward(ctx context.Context, id ID, from <-chan struct{}, to chan<- ID) {
	for {
		select {
		case _, ok := <-from:
			if !ok {
				return
			}
			select {
			case to <- id:
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// show makes the tray look like v. A View that cannot be shown is left out.
func (d *systrayDriver) show(v View) {
	if v.Validate() != nil || v.Shape() != d.shown.Shape() {
		return
	}
	if v.Icon != d.shown.Icon || v.Frame != d.shown.Frame {
		d.setIcon(v)
	}
	if v.Tooltip != d.shown.Tooltip {
		d.lib.setTooltip(v.Tooltip)
	}
	for _, it := range Diff(d.shown, v) {
		if native := d.items[it.ID]; native != nil {
			d.update(native, it)
		}
	}
	d.shown = v
}

// update makes one item look like it. Visibility comes last: any other update
// shows a hidden item again.
func (d *systrayDriver) update(native nativeItem, it Item) {
	native.SetTitle(it.Label)
	if it.Disabled {
		native.Disable()
	} else {
		native.Enable()
	}
	if it.Checkable {
		d.setChecked(native, it)
	}
	if it.Hidden {
		native.Hide()
	} else {
		native.Show()
	}
}

func (d *systrayDriver) setChecked(native nativeItem, it Item) {
	if it.Checked {
		native.Check()
	} else {
		native.Uncheck()
	}
	if it.Hidden {
		native.Hide()
	}
}

// setIcon shows a picture. There always is one: an empty one ends the process in
// one library and shows a hole in the other.
func (d *systrayDriver) setIcon(v View) {
	frames := d.icons[v.Icon]
	if len(frames) == 0 {
		frames = d.icons[IconAttention]
	}
	d.lib.setIcon(frames[v.Frame%len(frames)])
}
