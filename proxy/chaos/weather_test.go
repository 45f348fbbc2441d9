//go:build unix

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"melon/upstream"
	"melon/upstream/lab"
)

// smtpFaults are what a provider's SMTP server does wrong, by phase.
var smtpFaults = map[upstream.Phase][]lab.Fault{
	upstream.PhaseConnect:  {{Kind: lab.Drop}, {Kind: lab.Reset}, {Kind: lab.Stall}, {Kind: lab.WrongReply, Text: "421 4.3.2 not now"}, {Kind: lab.Garbage}, {Kind: lab.EndlessLine}, {Kind: lab.SlowBytes}},
	upstream.PhaseEHLO:     {{Kind: lab.Drop}, {Kind: lab.Stall}, {Kind: lab.EndlessReply}, {Kind: lab.HalfReply}, {Kind: lab.Early421}, {Kind: lab.SplitReply}, {Kind: lab.DropAfter}},
	upstream.PhaseStartTLS: {{Kind: lab.Drop}, {Kind: lab.WrongReply, Text: "454 4.7.0 TLS not available"}, {Kind: lab.Stall}, {Kind: lab.Garbage}},
	lab.PhaseTLS:           {{Kind: lab.Drop}, {Kind: lab.PlainTLS}, {Kind: lab.Stall}, {Kind: lab.Reset}},
	upstream.PhaseAuth:     {{Kind: lab.Drop}, {Kind: lab.WrongReply, Text: "454 4.7.0 Temporary authentication failure"}, {Kind: lab.LostReply}, {Kind: lab.Early421}},
	upstream.PhaseMail:     {{Kind: lab.Drop}, {Kind: lab.WrongReply, Text: "451 4.3.0 later"}, {Kind: lab.WrongReply, Text: "550 5.1.0 no such sender today"}, {Kind: lab.Early421}, {Kind: lab.Stall}, {Kind: lab.HalfReply}},
	upstream.PhaseRcpt:     {{Kind: lab.Drop}, {Kind: lab.WrongReply, Text: "450 4.2.1 busy"}, {Kind: lab.WrongReply, Text: "550 5.1.1 User unknown"}, {Kind: lab.Early421}, {Kind: lab.LostReply}, {Kind: lab.SlowBytes}},
	upstream.PhaseData:     {{Kind: lab.Drop}, {Kind: lab.Drop, After: 700}, {Kind: lab.Stall, After: 500}, {Kind: lab.WrongReply, Text: "451 4.3.0 later"}, {Kind: lab.WrongReply, Text: "554 5.7.1 not this"}, {Kind: lab.Reset}},
	upstream.PhaseDataEnd: {{Kind: lab.LostReply}, {Kind: lab.LostReply}, {Kind: lab.HalfReply}, {Kind: lab.Drop}, {Kind: lab.Reset}, {Kind: lab.Stall}, {Kind: lab.SlowBytes}, {Kind: lab.SplitReply}, {Kind: lab.DropAfter},
		{Kind: lab.WrongReply, Text: "451 4.3.0 later"}, {Kind: lab.WrongReply, Text: "554 5.6.0 not this"}, {Kind: lab.Early421}, {Kind: lab.Garbage}, {Kind: lab.EndlessReply}},
	lab.PhaseRset: {{Kind: lab.Drop}, {Kind: lab.Early421}, {Kind: lab.Stall}},
	lab.PhaseQuit: {{Kind: lab.Drop}, {Kind: lab.Stall}},
}

// popFaults are the same for POP3.
var popFaults = map[upstream.Phase][]lab.Fault{
	upstream.PhasePOPGreeting: {{Kind: lab.Drop}, {Kind: lab.WrongReply, Text: "-ERR [SYS/TEMP] not now"}, {Kind: lab.Stall}, {Kind: lab.EndlessLine}},
	lab.PhasePOPCapa:          {{Kind: lab.Drop}, {Kind: lab.EndlessReply}, {Kind: lab.Garbage}},
	upstream.PhasePOPUser:     {{Kind: lab.Drop}, {Kind: lab.SlowBytes}},
	upstream.PhasePOPPass:     {{Kind: lab.Drop}, {Kind: lab.WrongReply, Text: "-ERR [IN-USE] locked"}, {Kind: lab.WrongReply, Text: "-ERR [SYS/TEMP] disk"}, {Kind: lab.LostReply}},
}

// event is one thing that the weather does, and how often among the others.
type event struct {
	name   string
	weight int
	do     func(w *world, ctx context.Context)
}

// provoke is the chaos run's weather.
var provoke = []event{
	{"fault rounds", 60, (*world).faults},
	{"connections cut", 9, func(w *world, _ context.Context) { w.wire().cut(1 + w.rng.IntN(2)) }},
	{"outages", 4, (*world).outage},
	{"hold-ups", 4, (*world).holdUp},
	{"reloads", 5, (*world).reload},
	{"bad reloads", 2, (*world).badReload},
	{"sends asked for", 5, func(w *world, ctx context.Context) { w.send(ctx) }},
	{"disks full", 2, (*world).fullDisk},
	{"slow networks", 2, func(w *world, _ context.Context) { w.wire().latency(time.Duration(w.rng.IntN(60)) * time.Millisecond) }},
	{"refused logins", 1, (*world).refusedLogin},
	{"kills", 3, func(w *world, _ context.Context) { w.killed() }},
	{"stops", 1, (*world).stopped},
}

// weather makes things happen until ctx ends.
func (w *world) weather(ctx context.Context, events []event) {
	total := 0
	for _, e := range events {
		total += e.weight
	}
	for ctx.Err() == nil {
		pick, i := w.rng.IntN(total), 0
		for pick -= events[0].weight; pick >= 0; pick -= events[i].weight {
			i++
		}
		if events[i].name != "kills" { // counted where it is done
			w.count[events[i].name]++
		}
		events[i].do(w, ctx)
		pause(ctx, time.Duration(w.rng.IntN(80))*time.Millisecond)
		if !w.relay.alive() {
			w.t.Errorf("the program ended by itself:\n%s", w.relay.log())
			return
		}
	}
}

func (w *world) provider() *provider { return w.providers[w.rng.IntN(len(w.providers))] }

func (w *world) wire() *wire {
	p := w.provider()
	return p.wires[w.rng.IntN(len(p.wires))]
}

// faults scripts up to three faults, each to strike once, and lets go on what
// earlier ones hold up.
func (w *world) faults(context.Context) {
	p := w.provider()
	var list []lab.Fault
	for range 1 + w.rng.IntN(3) {
		script := smtpFaults
		if p.name == "inn" && w.rng.IntN(4) == 0 {
			script = popFaults
		}
		phases := make([]upstream.Phase, 0, len(script))
		for phase := range script {
			phases = append(phases, phase)
		}
		sort.Slice(phases, func(i, j int) bool { return phases[i] < phases[j] })
		phase := phases[w.rng.IntN(len(phases))]
		f := script[phase][w.rng.IntN(len(script[phase]))]
		f.Phase, f.Attempt = phase, 1+w.rng.IntN(4)
		list = append(list, f)
	}
	p.SetFaults(list...)
	p.Release()
}

// outage takes one wire down for a while.
func (w *world) outage(ctx context.Context) {
	x := w.wire()
	x.down()
	w.storm(ctx, 1500*time.Millisecond)
	x.up()
	w.send(ctx)
}

// holdUp stops all data on one wire for a while.
func (w *world) holdUp(ctx context.Context) {
	release := w.wire().hold()
	w.storm(ctx, 1500*time.Millisecond)
	release()
}

// fullDisk fills the disk for a while.
func (w *world) fullDisk(ctx context.Context) {
	f := span{from: time.Now()}
	w.diskFull(ctx)
	f.to = time.Now()
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	w.ledger.full = append(w.ledger.full, f)
}

// storm waits for up to d; now and then the process is killed within.
func (w *world) storm(ctx context.Context, d time.Duration) {
	pause(ctx, time.Duration(w.rng.Int64N(int64(d))))
	if w.rng.IntN(8) == 0 {
		w.killed()
	}
}

// reload changes the configuration and asks for it to be read.
func (w *world) reload(context.Context) {
	w.delivery = []string{"live", "live", "queue"}[w.rng.IntN(3)]
	w.configure()
	w.relay.signal(syscall.SIGHUP)
}

// badReload is one that must be refused.
func (w *world) badReload(ctx context.Context) {
	w.site.write(w.t, "config.yaml", "accounts: {office: [}\n")
	w.relay.signal(syscall.SIGHUP)
	pause(ctx, 30*time.Millisecond)
	w.configure() // a restart finds a good one
	w.relay.signal(syscall.SIGHUP)
}

// refusedLogin makes the provider refuse one login, which stops the account
// until the person acts.
func (w *world) refusedLogin(ctx context.Context) {
	p := w.providers[0]
	p.SetFaults(lab.Fault{Phase: upstream.PhaseAuth, Kind: lab.WrongReply, Text: "535 5.7.8 Authentication credentials invalid", Attempt: 1})
	p.smtp.cut(100)
	pause(ctx, 300*time.Millisecond)
	p.SetFaults()
	w.send(ctx)
}

// stopped is an orderly end and the restart.
func (w *world) stopped(context.Context) {
	w.t.Helper()
	for _, p := range w.providers {
		p.Release()
	}
	w.end(func(r *relayd) {
		if err := r.stop(); err != nil {
			w.t.Error(err)
		}
	})
	w.start()
}

// send asks Melon to send everything now. It may be busy dying.
func (w *world) send(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if _, errs, err := w.site.run(ctx, "outbox", "send"); err != nil && !strings.Contains(errs, "paused") {
		w.count["sends not answered"]++
	}
}

// clear ends all bad weather, has everything sent that can be, and stops Melon.
func (w *world) clear(ctx context.Context) {
	w.t.Helper()
	for _, p := range w.providers {
		p.SetFaults()
		p.Release()
		for _, x := range p.wires {
			x.latency(0)
		}
	}
	w.delivery = "queue"
	w.configure()
	w.relay.signal(syscall.SIGHUP)
	w.drain(ctx)
	w.end(func(r *relayd) {
		if err := r.stop(); err != nil {
			w.t.Error(err)
		}
	})
	if left, _ := filepath.Glob(filepath.Join(w.site.state, "outbox", "*.tmp")); len(left) > 0 {
		w.t.Errorf("left in the outbox: %v", left)
	}
}

// standstill is how long nothing more of what waits may be sent in fine weather
// until the rest counts as stuck. How long all of it takes is the machine's affair.
const standstill = time.Minute

// drain asks for what waits to be sent until nothing waits any more.
func (w *world) drain(ctx context.Context) {
	w.t.Helper()
	least, since := math.MaxInt, time.Now()
	for {
		w.send(ctx)
		limit, cancel := context.WithTimeout(ctx, standstill)
		waiting, err := w.waiting(limit)
		cancel()
		if err == nil && waiting < least {
			least, since = waiting, time.Now()
		}
		switch {
		case least == 0:
			return
		case time.Since(since) > standstill:
			w.t.Errorf("%d messages still wait in fine weather (%v):\n%s", waiting, err, w.relay.log())
			return
		}
		// To ask for many costs the relay's time, too.
		pause(ctx, 300*time.Millisecond+time.Duration(waiting)*time.Millisecond)
	}
}

// waiting counts the messages that could still be sent.
func (w *world) waiting(ctx context.Context) (n int, err error) {
	out, errs, err := w.site.run(ctx, "outbox", "list", "--json")
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, errs)
	}
	var list []struct{ State string }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return 0, err
	}
	for _, e := range list {
		if e.State != "attention" {
			n++
		}
	}
	return n, nil
}

// settle balances the ledger and prints it.
func (w *world) settle() *balance {
	w.t.Helper()
	b := w.ledger.balance(w.arrivals(), w.ledger.ends[len(w.ledger.ends)-1].left)
	var s strings.Builder
	b.print(&s)
	var names []string
	for n := range w.count {
		names = append(names, n)
	}
	sort.Strings(names)
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %d", n, w.count[n])
	}
	struck := 0
	for _, p := range w.providers {
		struck += p.Stats().Faults
	}
	fmt.Fprintf(os.Stdout, "\nseed %d: %s, faults that struck %d\n%s\n", w.seed, strings.Join(names, ", "), struck, s.String())
	if n := w.count["bounces"]; n > struck {
		w.t.Errorf("%d bounces for %d faults: something is taken for a refusal that is none", n, struck)
	}
	if !b.ok() {
		w.t.Errorf("the ledger does not balance (seed %d)", w.seed)
	}
	if w.t.Failed() {
		w.keepEvidence()
	}
	return b
}

// keepEvidence puts the last of the log where it can be looked at.
func (w *world) keepEvidence() {
	f, err := os.CreateTemp("", "melon-chaos-*.log")
	if err != nil {
		w.t.Error(err)
		return
	}
	defer f.Close()
	fmt.Fprintln(f, strings.Join(w.logs, "\n\n--- restarted\n"))
	w.t.Logf("the last of the program's log is in %s", f.Name())
}
