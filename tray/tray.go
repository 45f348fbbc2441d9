package tray

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"melon/proxy/control/client"
)

// Notifier shows notices.
type Notifier interface {
	Show(ctx context.Context, n Notice) error
	Close()
}

// Options is what Run needs.
type Options struct {
	Relay  *client.Client
	Melon  Melon
	State  string // the relay's state directory: run.log is written there
	Driver Driver
	// Notify makes the Notifier; click is called with a page to open.
	Notify func(lang string, click func(page string)) Notifier
	Lang   string    // "en" or "ja"
	Log    io.Writer // one line an event that the person should find
	// HostPatience is how long a panel may take to appear before the person is
	// told that there is none; 0 means 20 seconds.
	HostPatience time.Duration
}

// queue is how many clicks and notices may wait.
const queue = 32

// frameTime is how long a picture of the moving icon stays.
const frameTime = 250 * time.Millisecond

// Run shows the tray until ctx ends, the person quits it or the desktop goes
// away; only the latter is an error. Mail does not depend on it: a relay that it
// started outlives it, and it waits for that to stand even when there is no
// desktop. Run must be called from the goroutine of main.
func Run(ctx context.Context, o Options) error {
	if o.HostPatience == 0 {
		o.HostPatience = 20 * time.Second
	}
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	b := &brain{
		o: o, quit: quit, known: Known{Lang: o.Lang},
		updates: make(chan update), clicks: make(chan ID, queue), results: make(chan result, queue),
		views: make(chan View, 1), work: make(chan Action, queue), tell: make(chan Notice, queue), settled: make(chan struct{}),
	}
	b.notices = NewNotices(o.Lang)
	b.notifier = o.Notify(o.Lang, func(page string) { b.enqueue(Action{Kind: ActPage, Page: page, Command: []string{"status"}}) })
	f := &follower{relay: o.Relay, out: b.updates, start: func(ctx context.Context) error { return o.Melon.Start(ctx, o.State) }}
	var all sync.WaitGroup
	all.Go(func() { f.run(ctx) })
	all.Go(func() { b.run(ctx) })
	all.Go(func() { b.act(ctx) })
	all.Go(func() { b.show(ctx) })
	all.Go(func() { b.lookForHost(ctx) })
	err := o.Driver.Run(ctx, Build(b.first()), b.views, b.clicks)
	if err != nil && ctx.Err() == nil {
		select { // the relay comes first
		case <-b.settled:
		case <-time.After(15 * time.Second):
		case <-ctx.Done():
		}
	}
	quit()
	all.Wait()
	b.notifier.Close()
	return err
}

// result is what an action came to.
type result struct {
	err       error
	autostart *bool // nil: not asked
}

// brain is the one goroutine that knows everything; the others bring it news and
// take work from it.
type brain struct {
	o        Options
	quit     context.CancelFunc
	notices  *Notices
	notifier Notifier

	updates chan update
	clicks  chan ID
	results chan result
	views   chan View // the newest, if it was not taken yet
	work    chan Action
	tell    chan Notice
	settled chan struct{} // closed when it is known whether the relay runs

	known Known // of run alone
	shown View
}

// first is what is known at the start.
func (b *brain) first() Known { return Known{Lang: b.o.Lang, Now: time.Now()} }

// run turns news into views, work and notices.
func (b *brain) run(ctx context.Context) {
	b.enqueue(Action{Kind: ActAutostart})
	var frame <-chan time.Time
	for {
		b.publish()
		if b.shown.Icon != IconSending {
			frame = nil
		} else if frame == nil {
			frame = time.After(frameTime)
		}
		select {
		case <-ctx.Done():
			return
		case u := <-b.updates:
			b.update(u)
		case r := <-b.results:
			b.known.Problem = ""
			if r.err != nil {
				b.known.Problem = r.err.Error()
				b.say("%v", r.err)
			}
			if r.autostart != nil {
				b.known.Autostart = r.autostart
			}
		case id := <-b.clicks:
			if it, ok := b.shown.Accepts(id); ok {
				b.enqueue(it.Action)
			}
		case <-frame:
			frame = nil
			b.known.Frame++
		}
	}
}

// update takes what the follower learned.
func (b *brain) update(u update) {
	if u.link != LinkStarting {
		select {
		case <-b.settled:
		default:
			close(b.settled)
		}
	}
	if u.link == LinkDown && (b.known.Link != LinkDown || b.known.Problem != u.problem) {
		b.say("Melon is not running: %s", u.problem)
	}
	if u.link != b.known.Link {
		b.known.Problem = ""
	}
	b.known.Link, b.known.Status = u.link, u.status
	if u.link == LinkDown {
		b.known.Problem = u.problem
	}
	if u.link != LinkUp {
		return
	}
	for _, n := range b.notices.Next(u.status, u.events) {
		select {
		case b.tell <- n:
		default: // the desktop does not take them
		}
	}
}

// publish hands the driver the newest view, in place of one that it has not
// taken.
func (b *brain) publish() {
	b.known.Now = time.Now()
	v := Build(b.known)
	if b.shown.Items != nil && v.Icon == b.shown.Icon && v.Frame == b.shown.Frame && v.Tooltip == b.shown.Tooltip && len(Diff(b.shown, v)) == 0 {
		b.shown = v // its actions may differ
		return
	}
	b.shown = v
	select {
	case <-b.views:
	default:
	}
	b.views <- v
}

func (b *brain) enqueue(a Action) {
	if a.Kind == ActQuitIcon {
		b.quit()
		return
	}
	select {
	case b.work <- a:
	default: // 32 clicks are waiting already
	}
}

func (b *brain) say(format string, args ...any) {
	fmt.Fprintf(b.o.Log, "melon-tray: "+format+"\n", args...)
}

// act carries out one action after the other.
func (b *brain) act(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-b.work:
			r := b.do(ctx, a)
			select {
			case b.results <- r:
			case <-ctx.Done():
				return
			}
		}
	}
}

// do carries out an action.
func (b *brain) do(ctx context.Context, a Action) (r result) {
	limited, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	relay, m := b.o.Relay, b.o.Melon
	switch a.Kind {
	case ActPage:
		if _, r.err = m.output(limited, "open", a.Page); r.err != nil {
			if err := m.Terminal(a.Command...); err == nil {
				r.err = nil
			}
		}
	case ActCommand:
		r.err = m.Terminal(a.Command...)
	case ActRun:
		_, r.err = m.output(limited, a.Command...)
	case ActAutostart:
		return b.autostart(limited, a.Command)
	case ActSendNow:
		_, r.err = relay.Do(limited, "send", nil)
	case ActPause:
		r.err = relay.Pause(limited)
	case ActResume:
		r.err = relay.Resume(limited)
	case ActRetry:
		r.err = relay.ClearAccount(limited, a.Account)
	case ActQuit:
		if r.err = relay.Stop(limited); r.err == nil {
			b.quit()
		}
	}
	return r
}

// autostart changes, unless command is empty, and asks how it is then.
func (b *brain) autostart(ctx context.Context, command []string) (r result) {
	if len(command) > 0 {
		_, r.err = b.o.Melon.output(ctx, command...)
	}
	out, err := b.o.Melon.output(ctx, "autostart", "status", "--json")
	var s struct {
		Enabled bool `json:"enabled"`
	}
	if err == nil {
		err = json.Unmarshal(out, &s)
	}
	if err == nil {
		r.autostart = &s.Enabled
	} else if len(command) > 0 {
		r.err = errors.Join(r.err, err)
	}
	return r
}

// show shows one notice after the other.
func (b *brain) show(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case n := <-b.tell:
			limited, cancel := context.WithTimeout(ctx, commandTime)
			if err := b.notifier.Show(limited, n); err != nil && ctx.Err() == nil && n.Cause != causeNoTray {
				b.say("%s: %s (a notification could not be shown: %v)", n.Title, strings.ReplaceAll(n.Body, "\n", " "), err)
			}
			cancel()
		}
	}
}

// causeNoTray is the cause of a notice that is said on standard error as well.
const causeNoTray = "no tray"

// lookForHost says once when no panel shows icons. It goes on to wait for one:
// the library registers with it when it comes.
func (b *brain) lookForHost(ctx context.Context) {
	if !pause(ctx, b.o.HostPatience) || hasTrayHost() || ctx.Err() != nil {
		return
	}
	b.say("this desktop shows no tray icons so far; Melon runs all the same. Its page: melon open. Its state: melon status")
	w := wordsFor(b.o.Lang)
	select {
	case b.tell <- Notice{Cause: causeNoTray, Title: w.noTrayTitle, Body: w.noTrayBody}:
	case <-ctx.Done():
	}
}
