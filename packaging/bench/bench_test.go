//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"
)

// The plain app's conversation reaches each kind of provider, and takes the round
// trips that such an app takes.
func TestPlainApp(t *testing.T) {
	t.Parallel()
	for kind, trips := range map[provider]int{secure: 9, open: 7, pbs: 7} {
		l, err := newLab(kind, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := l.door().once(t.Context(), letter); err != nil {
			t.Fatal(err)
		}
		m := l.Messages()
		if len(m) != 1 || m[0].Trips.Total != trips || m[0].Size < letterSize {
			t.Errorf("kind %d: %+v, want %d round trips", kind, m, trips)
		}
	}
}

// An errand's messages all arrive, and no two are the same.
func TestErrand(t *testing.T) {
	t.Parallel()
	l, err := newLab(open, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var o outcome
	if err := (errand{Doors: []door{l.door()}, Conns: 3, Messages: 10, Size: 100}).run(context.Background(), &o); err != nil {
		t.Fatal(err)
	}
	sums := map[[32]byte]bool{}
	for _, m := range l.Messages() {
		sums[m.SHA256] = true
	}
	if len(sums) != 10 || o.Took <= 0 {
		t.Errorf("%d different messages in %v", len(sums), o.Took)
	}
	o = outcome{}
	if err := (errand{Doors: []door{l.door(), l.door()}, Conns: 1, Messages: 4, Size: 100, InTurn: true}).run(context.Background(), &o); err != nil {
		t.Fatal(err)
	}
	if len(o.Each) != 2 || len(o.Each[0]) != 4 || len(o.Each[1]) != 4 {
		t.Errorf("%+v", o)
	}
}

// full is a report with something of everything.
func full() *report {
	r := newReport("/", true)
	r.peers = []*peer{{name: "Postfix", version: "3.7"}, {name: "Other", absent: "it is not there"}}
	for _, rtt := range rtts {
		r.time(secure, way{name: "plain mail app", verdict: true}, rtt, timing{9 * rtt, 8 * rtt})
		r.time(secure, way{name: "Melon, warm", verdict: true}, rtt, timing{rtt + time.Millisecond, rtt / 2})
		r.time(secure, way{name: "Postfix"}, rtt, timing{time.Millisecond, 7 * rtt})
	}
	for i, x := range []float64{10, 30, 14} {
		r.rate(rateResult{"Melon, queue", 1, x, x, time.Duration(i) * time.Millisecond})
		r.rate(rateResult{"Postfix", 1, 5, 5, 0})
	}
	r.memoryIdle("Melon, live", 14<<20)
	r.memory("Melon, live", 1<<20, 1<<20)
	r.remark("a <remark> & more")
	return r
}

// What took turns is told by its medians, and compared turn by turn.
func TestRounds(t *testing.T) {
	t.Parallel()
	r := full()
	if x, ok := r.rateOf("Melon, queue", 1); !ok || x.whole != 14 || x.processor != time.Millisecond {
		t.Errorf("%+v", x)
	}
	if got := r.ratios("Melon, queue", "Postfix", 1); got != "2.80 (2.00–6.00)" {
		t.Error(got)
	}
	if got := r.ratios("Melon, live", "plain mail app", 1); got != "–" {
		t.Error(got)
	}
}

// The pictures are well-formed XML that names every curve, and stay inside their
// frame.
func TestPictures(t *testing.T) {
	t.Parallel()
	charts := full().charts()
	if len(charts) != 3 {
		t.Fatalf("%d pictures", len(charts))
	}
	for name, c := range charts {
		svg, err := c.svg()
		if err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(bytes.NewReader(svg))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, svg)
			}
		}
		for _, l := range c.Lines {
			if !bytes.Contains(svg, []byte(">"+l.Name+"<")) {
				t.Errorf("%s does not name %s", name, l.Name)
			}
		}
		if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) || bytes.Contains(svg, []byte("ZgotmplZ")) {
			t.Errorf("%s: %s", name, svg)
		}
	}
}

// The results say what counts: round trips, ratios and who is absent.
func TestMarkdown(t *testing.T) {
	t.Parallel()
	text := full().markdown()
	for _, want := range []string{
		"| plain mail app | ✓ | 0 / 0 | 450 ms / 400 ms | 2.70 s / 2.40 s | 9.0 | 8.0 |",
		"| Melon, warm | ✓ | 1.0 ms / 0 | 51 ms / 25 ms | 301 ms / 150 ms | 1.0 | 0.5 |",
		"| Melon, queue : Postfix (arrived) | 2.80 (2.00–6.00) |",
		"Other (absent: it is not there)",
		"a <remark> & more",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	ds := []time.Duration{5, 1, 4, 2, 3}
	if quantile(ds, 0.5) != 3 || quantile(ds, 0.9) != 5 || quantile(ds, 0) != 1 || quantile(nil, 0.5) != 0 || ds[0] != 5 {
		t.Error(quantile(ds, 0.5), quantile(ds, 0.9), quantile(ds, 0), ds)
	}
}
