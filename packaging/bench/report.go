//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"
)

// report gathers the figures.
type report struct {
	machine string
	quick   bool
	took    time.Duration
	peers   []*peer
	remarks []string

	times     []timeResult
	rows      []rowResult
	overheads []overheadResult
	rates     []rateResult // of every round
	accepts   []rateResult
	idles     map[string]int64
	own       int64 // of Melon's memory at rest, what is not the program's file
	memories  []memoryResult
	crowds    []crowdResult
	wakes     []idleResult
	starts    []startResult
}

type timeResult struct {
	kind provider
	way  way
	rtt  time.Duration
	t    timing
}

type rowResult struct {
	messages, connections, logins int
	chunking                      bool
	trips                         float64 // a message
}

type overheadResult struct {
	kind         provider
	straight, by time.Duration // medians
	p90          time.Duration // of by, less straight's
}

type rateResult struct {
	name            string
	conns           int
	accepted, whole float64       // messages a second
	processor       time.Duration // of Melon's process, a message
}

type memoryResult struct {
	name string
	size int
	more int64 // than idle
}

type crowdResult struct{ peak, after int64 }

type idleResult struct {
	span                 time.Duration
	nothing, fresh, used int64 // voluntary context switches
}

type startResult struct {
	entries int
	took    time.Duration
	memory  int64
	each    float64 // octets of memory an entry
}

func newReport(dir string, quick bool) *report {
	return &report{machine: machine(dir), quick: quick, idles: map[string]int64{}}
}

func (r *report) remark(format string, args ...any) {
	r.remarks = append(r.remarks, fmt.Sprintf(format, args...))
}
func (r *report) time(kind provider, w way, rtt time.Duration, t timing) {
	r.times = append(r.times, timeResult{kind, w, rtt, t})
}
func (r *report) row(x rowResult) { r.rows = append(r.rows, x) }
func (r *report) overhead(kind provider, straight, by []time.Duration) {
	r.overheads = append(r.overheads, overheadResult{kind, quantile(straight, 0.5), quantile(by, 0.5), quantile(by, 0.9) - quantile(straight, 0.9)})
}
func (r *report) rate(x rateResult) { r.rates = append(r.rates, x) }
func (r *report) sayRates(conns int) {
	for _, name := range r.rateNames() {
		if x, ok := r.rateOf(name, conns); ok {
			say("  %-16s %2d connections: %6.0f/s accepted, %6.0f/s arrived", name, conns, x.accepted, x.whole)
		}
	}
}
func (r *report) accept(name string, conns int, rate float64) {
	say("  %-16s %2d connections: %6.0f/s kept", name, conns, rate)
	r.accepts = append(r.accepts, rateResult{name: name, conns: conns, accepted: rate})
}
func (r *report) memoryIdle(name string, n int64) { r.idles[name] = n }
func (r *report) memory(name string, size int, more int64) {
	r.memories = append(r.memories, memoryResult{name, size, more})
}
func (r *report) crowd(c crowdResult) { r.crowds = append(r.crowds, c) }
func (r *report) idle(x idleResult)   { r.wakes = append(r.wakes, x) }
func (r *report) start(x startResult) { r.starts = append(r.starts, x) }

// quantile returns the q-th quantile, 0 of nothing.
func quantile(ds []time.Duration, q float64) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	ds = slices.Clone(ds)
	slices.Sort(ds)
	return ds[int(q*float64(len(ds)-1)+0.5)]
}

func medians(ts []timing) timing {
	var hears, arrives []time.Duration
	for _, t := range ts {
		hears, arrives = append(hears, t.hears), append(arrives, t.arrives)
	}
	return timing{quantile(hears, 0.5), quantile(arrives, 0.5)}
}

// table writes a table in Markdown; the first row is the head.
func table(b *strings.Builder, rows [][]string) {
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("| --- ", len(row)) + "|\n")
		}
	}
	b.WriteString("\n")
}

// markdown is results.md.
func (r *report) markdown() string {
	var b strings.Builder
	b.WriteString("# What Melon costs, beside what it replaces\n\n")
	command := "go run ./packaging/bench"
	if r.quick {
		command += " -quick"
	}
	fmt.Fprintf(&b, "Made by `%s` (`make bench`) in %v on %s. One run on one machine: the ratios count, the figures do not.\n\n", command, r.took.Round(time.Second), r.machine)
	if len(r.peers) > 0 {
		var names []string
		for _, p := range r.peers {
			names = append(names, p.describe())
		}
		fmt.Fprintf(&b, "Peers, from Debian's packages, with the settings in peerlist.go: %s.\n\n", strings.Join(names, ", "))
	}
	r.writeTimes(&b)
	r.writeRows(&b)
	r.writeRates(&b)
	r.writeMemory(&b)
	r.writeStart(&b)
	if len(r.remarks) > 0 {
		b.WriteString("## Remarks\n\n")
		for _, m := range r.remarks {
			b.WriteString("- " + strings.ReplaceAll(m, "\n", " ") + "\n")
		}
	}
	return b.String()
}

func (r *report) writeTimes(b *strings.Builder) {
	for _, kind := range []provider{secure, pbs} {
		byWay := map[string]map[time.Duration]timing{}
		var ways []way
		for _, t := range r.times {
			if t.kind != kind {
				continue
			}
			if byWay[t.way.name] == nil {
				byWay[t.way.name] = map[time.Duration]timing{}
				ways = append(ways, t.way)
			}
			byWay[t.way.name][t.rtt] = t.t
		}
		if len(ways) == 0 {
			continue
		}
		if kind == secure {
			b.WriteString("## Time against round trip: TLS and AUTH PLAIN\n\n![time against round trip](latency.svg)\n\n" +
				"Until the app hears that its message was taken / until the provider has it. Round trips: (time at 300 ms less time at 50 ms) / 250 ms, without what a program waits for by itself. " +
				"Only where the verdict is marked does the app hear the provider's own; elsewhere it hears that the message was queued.\n\n")
		} else {
			b.WriteString("## Time against round trip: POP before SMTP, in clear\n\n")
		}
		rows := [][]string{{"", "verdict", "0 ms", "50 ms", "300 ms", "round trips until it hears", "until it arrives"}}
		for _, w := range ways {
			row := []string{w.name, map[bool]string{true: "✓"}[w.verdict]}
			for _, rtt := range rtts {
				t, ok := byWay[w.name][rtt]
				row = append(row, map[bool]string{true: short(t.hears) + " / " + short(t.arrives), false: "–"}[ok])
			}
			near, far := byWay[w.name][rtts[1]], byWay[w.name][rtts[2]]
			trips := func(a, b time.Duration) string {
				return fmt.Sprintf("%.1f", max(0, float64(b-a)/float64(rtts[2]-rtts[1])))
			}
			rows = append(rows, append(row, trips(near.hears, far.hears), trips(near.arrives, far.arrives)))
		}
		table(b, rows)
	}
}

// short writes a duration with three digits.
func short(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func (r *report) writeRows(b *strings.Builder) {
	if len(r.rows) > 0 {
		b.WriteString("## Messages in a row over 100 ms\n\n")
		rows := [][]string{{"", "messages", "round trips each", "connections", "logins"}}
		for _, x := range r.rows {
			name := map[bool]string{true: "CHUNKING", false: "DATA"}[x.chunking]
			rows = append(rows, []string{name, fmt.Sprint(x.messages), fmt.Sprintf("%.2f", x.trips), fmt.Sprint(x.connections), fmt.Sprint(x.logins)})
		}
		table(b, rows)
	}
	if len(r.overheads) > 0 {
		b.WriteString("## Added on loopback\n\nOne message at a time, on connections that stay open, directly and through Melon in turn; medians.\n\n")
		rows := [][]string{{"", "direct", "through Melon", "added", "at the 90th percentile"}}
		for _, x := range r.overheads {
			name := map[provider]string{secure: "TLS", open: "in clear"}[x.kind]
			rows = append(rows, []string{name, fine(x.straight), fine(x.by), fine(x.by - x.straight), fine(x.p90)})
		}
		table(b, rows)
	}
}

func fine(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }

func (r *report) writeRates(b *strings.Builder) {
	if len(r.rates) > 0 {
		b.WriteString("## Messages a second against connections\n\n![throughput against connections](rate.svg)\n\n" +
			"Messages of 2 kB to a provider without distance and without TLS; each connection stays open. Accepted / arrived at the provider, from the first octet to the last arrival; medians of several rounds, in which everybody takes turns. " +
			"Whoever queues makes each message durable first; *Melon, live* and the plain app have the provider's verdict.\n\n")
		rows := [][]string{{""}}
		for _, c := range connections {
			rows[0] = append(rows[0], fmt.Sprint(c))
		}
		for _, name := range r.rateNames() {
			row := []string{name}
			for _, c := range connections {
				cell := "–"
				if x, ok := r.rateOf(name, c); ok {
					cell = fmt.Sprintf("%.0f / %.0f", x.accepted, x.whole)
				}
				row = append(row, cell)
			}
			rows = append(rows, row)
		}
		table(b, rows)
		r.writeRatios(b)
		r.writeProcessor(b)
	}
	if len(r.accepts) > 0 {
		b.WriteString("Made durable a second while nothing is sent:\n\n")
		rows := [][]string{{"", "connections", "messages a second"}}
		for _, x := range r.accepts {
			rows = append(rows, []string{x.name, fmt.Sprint(x.conns), fmt.Sprintf("%.0f", x.accepted)})
		}
		table(b, rows)
	}
}

// writeRatios says what the goals are about: the median of the rounds' ratios, and
// the least and the greatest of them.
func (r *report) writeRatios(b *strings.Builder) {
	rows := [][]string{{"ratio"}}
	for _, c := range connections {
		rows[0] = append(rows[0], fmt.Sprint(c))
	}
	for _, p := range []struct{ title, name, beside string }{
		{"Melon, live : plain mail app", "Melon, live", "plain mail app"},
		{"Melon, queue : Postfix (arrived)", "Melon, queue", "Postfix"},
	} {
		row := []string{p.title}
		for _, c := range connections {
			row = append(row, r.ratios(p.name, p.beside, c))
		}
		rows = append(rows, row)
	}
	table(b, rows)
}

// ratios compares two in each round.
func (r *report) ratios(name, beside string, conns int) string {
	var all []float64
	others := r.rounds(beside, conns)
	for i, x := range r.rounds(name, conns) {
		if i < len(others) {
			all = append(all, x.whole/others[i].whole)
		}
	}
	if len(all) == 0 {
		return "–"
	}
	slices.Sort(all)
	return fmt.Sprintf("%.2f (%.2f–%.2f)", all[len(all)/2], all[0], all[len(all)-1])
}

// writeProcessor says what processor time a message took of Melon's process.
func (r *report) writeProcessor(b *strings.Builder) {
	var all []string
	for _, name := range r.rateNames() {
		for _, c := range connections {
			if x, ok := r.rateOf(name, c); ok && x.processor > 0 {
				all = append(all, fmt.Sprintf("%s on %d: %v", name, c, x.processor.Round(10*time.Microsecond)))
			}
		}
	}
	fmt.Fprintf(b, "Processor time of Melon's process for a message, by connections: %s.\n\n", strings.Join(all, "; "))
}

func (r *report) rateNames() (names []string) {
	for _, x := range r.rates {
		if !slices.Contains(names, x.name) {
			names = append(names, x.name)
		}
	}
	return names
}

// rounds returns the rounds of one with so many connections, in order.
func (r *report) rounds(name string, conns int) (xs []rateResult) {
	for _, x := range r.rates {
		if x.name == name && x.conns == conns {
			xs = append(xs, x)
		}
	}
	return xs
}

// rateOf returns the medians of the rounds.
func (r *report) rateOf(name string, conns int) (rateResult, bool) {
	xs := r.rounds(name, conns)
	if len(xs) == 0 {
		return rateResult{}, false
	}
	return rateResult{
		name: name, conns: conns,
		accepted:  median(xs, func(x rateResult) float64 { return x.accepted }),
		whole:     median(xs, func(x rateResult) float64 { return x.whole }),
		processor: time.Duration(median(xs, func(x rateResult) float64 { return float64(x.processor) })),
	}, true
}

func median(xs []rateResult, of func(rateResult) float64) float64 {
	all := make([]float64, len(xs))
	for i, x := range xs {
		all[i] = of(x)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func (r *report) writeMemory(b *strings.Builder) {
	if len(r.memories) > 0 {
		b.WriteString("## Memory\n\n![memory against message size](memory.svg)\n\n" +
			"Resident memory at rest, and the most more while one message of that size passes. Melon's is the kernel's high-water mark; a peer's is that of all its processes together, " +
			"shared pages counted once, sampled every 20 ms.\n\n")
		rows := [][]string{{"", "at rest"}}
		var measured []int
		for _, x := range r.memories {
			if !slices.Contains(measured, x.size) {
				measured = append(measured, x.size)
				rows[0] = append(rows[0], fmt.Sprintf("+ at %d MB", x.size>>20))
			}
		}
		var names []string
		for name := range r.idles {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			row := []string{name, fmt.Sprintf("%.1f MB", mb(r.idles[name]))}
			for _, x := range r.memories {
				if x.name == name {
					row = append(row, fmt.Sprintf("%.1f MB", mb(x.more)))
				}
			}
			for len(row) < len(rows[0]) {
				row = append(row, "–")
			}
			rows = append(rows, row)
		}
		table(b, rows)
		fmt.Fprintf(b, "Of Melon's memory at rest %.1f MB are its own; the rest is the program's file as the kernel has mapped it.\n\n", mb(r.own))
	}
	for _, c := range r.crowds {
		fmt.Fprintf(b, "Twenty messages of 10 MB at once: %.1f MB at most in all, %.1f MB some seconds after.\n\n", mb(c.peak), mb(c.after))
	}
	for _, x := range r.wakes {
		fmt.Fprintf(b, "Woken in %v of idleness (voluntary context switches of all threads): Melon %d times, with a warm connection %d times, a Go program that does nothing %d times.\n\n",
			x.span, x.fresh, x.used, x.nothing)
	}
}

func (r *report) writeStart(b *strings.Builder) {
	if len(r.starts) == 0 {
		return
	}
	b.WriteString("## Start with waiting messages\n\n")
	rows := [][]string{{"messages", "ready after", "resident memory", "a message"}}
	for _, x := range r.starts {
		each := "–"
		if x.entries > 0 {
			each = fmt.Sprintf("%.0f octets", x.each)
		}
		rows = append(rows, []string{fmt.Sprint(x.entries), short(x.took), fmt.Sprintf("%.1f MB", mb(x.memory)), each})
	}
	table(b, rows)
}

// write writes results.md and the pictures.
func (r *report) write(dir string) error {
	err := os.WriteFile(filepath.Join(dir, "results.md"), []byte(r.markdown()), 0o644)
	for name, c := range r.charts() {
		svg, e := c.svg()
		if e == nil {
			e = os.WriteFile(filepath.Join(dir, name+".svg"), svg, 0o644)
		}
		err = errors.Join(err, e)
	}
	return err
}
