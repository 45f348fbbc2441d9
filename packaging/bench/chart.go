//go:build linux

package main

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
	"sort"
	"time"
)

// chart is a picture of lines.
type chart struct {
	Title, X, Y string
	Lines       []line
}

type line struct {
	Name   string
	Points []point
	Dash   bool // theory rather than measurement
}

type point struct{ X, Y float64 }

// charts draws what was measured.
func (r *report) charts() map[string]chart {
	all := map[string]chart{}
	if lines := r.timeLines(); len(lines) > 0 {
		all["latency"] = chart{"One message over TLS, until the app has the verdict", "round-trip time (ms)", "seconds", lines}
	}
	var rates []line
	for _, name := range r.rateNames() {
		l := line{Name: name}
		for _, c := range connections {
			if x, ok := r.rateOf(name, c); ok {
				l.Points = append(l.Points, point{float64(c), x.whole})
			}
		}
		rates = append(rates, l)
	}
	if len(rates) > 0 {
		all["rate"] = chart{"Messages arriving at the provider", "connections of the app", "messages a second", rates}
	}
	if lines := r.memoryLines(); len(lines) > 0 {
		all["memory"] = chart{"Memory while one message passes, beyond that at rest", "size of the message (MB)", "MB", lines}
	}
	return all
}

// timeLines has for each way the later of what counts: the verdict where the app
// hears it, the arrival where it does not.
func (r *report) timeLines() (lines []line) {
	at := map[string]int{}
	for _, t := range r.times {
		if t.kind != secure {
			continue
		}
		i, ok := at[t.way.name]
		if !ok {
			i = len(lines)
			at[t.way.name] = i
			name := t.way.name
			if !t.way.verdict {
				name += " (arrival; no verdict)"
			}
			lines = append(lines, line{Name: name, Dash: t.way.send == nil})
		}
		d := t.t.hears
		if !t.way.verdict {
			d = t.t.arrives
		}
		lines[i].Points = append(lines[i].Points, point{float64(t.rtt / time.Millisecond), d.Seconds()})
	}
	return lines
}

func (r *report) memoryLines() (lines []line) {
	at := map[string]int{}
	for _, m := range r.memories {
		i, ok := at[m.name]
		if !ok {
			i = len(lines)
			at[m.name] = i
			lines = append(lines, line{Name: m.name})
		}
		lines[i].Points = append(lines[i].Points, point{float64(m.size >> 20), mb(m.more)})
	}
	return lines
}

// The picture's measures, in its own units.
const (
	chartWidth, chartHeight = 860, 440
	plotLeft, plotTop       = 70, 50
	plotWidth, plotHeight   = 520, 320
)

// colours are told apart by most eyes (after Okabe and Ito); Melon's are green.
var colours = []string{"#0072b2", "#d55e00", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#8a6d3b", "#000000"}

// drawn is a chart with everything in its place.
type drawn struct {
	chart
	Width, Height, Left, Top, Right, Bottom int
	XTicks, YTicks                          []tick
	Curves                                  []curve
}

type tick struct {
	At    float64
	Label string
}

type curve struct {
	Name, Colour, Path string
	Dash, Bold         bool
	Marks              []point
	LabelY             float64 // of the name
	EndX, EndY         float64
}

// svg draws the chart.
func (c chart) svg() ([]byte, error) {
	var most point
	for _, l := range c.Lines {
		for _, p := range l.Points {
			most.X, most.Y = max(most.X, p.X), max(most.Y, p.Y)
		}
	}
	step := tickStep(most.Y)
	top := step * math.Ceil(most.Y/step*1.0001)
	d := drawn{chart: c, Width: chartWidth, Height: chartHeight, Left: plotLeft, Top: plotTop, Right: plotLeft + plotWidth, Bottom: plotTop + plotHeight}
	x := func(v float64) float64 { return plotLeft + v/most.X*plotWidth }
	y := func(v float64) float64 { return plotTop + plotHeight - v/top*plotHeight }
	for v := 0.0; v <= top*1.0001; v += step {
		d.YTicks = append(d.YTicks, tick{y(v), fmt.Sprintf("%g", math.Round(v*1000)/1000)})
	}
	seen := map[float64]bool{}
	for _, l := range c.Lines {
		for _, p := range l.Points {
			if !seen[p.X] {
				seen[p.X] = true
				d.XTicks = append(d.XTicks, tick{x(p.X), fmt.Sprintf("%g", p.X)})
			}
		}
	}
	other := 0
	for _, l := range c.Lines {
		if len(l.Points) == 0 {
			continue
		}
		k := curve{Name: l.Name, Dash: l.Dash, Bold: len(l.Name) > 5 && l.Name[:5] == "Melon"}
		if k.Bold {
			k.Colour = []string{"#009e73", "#2f6b3a"}[boolInt(len(d.Curves) > 0 && d.Curves[len(d.Curves)-1].Bold)]
		} else {
			k.Colour = colours[other%len(colours)]
			other++
		}
		for i, p := range l.Points {
			k.Path += fmt.Sprintf("%c%.1f %.1f", "ML"[boolInt(i > 0)], x(p.X), y(p.Y))
			k.Marks = append(k.Marks, point{x(p.X), y(p.Y)})
		}
		k.EndX, k.EndY = k.Marks[len(k.Marks)-1].X, k.Marks[len(k.Marks)-1].Y
		d.Curves = append(d.Curves, k)
	}
	d.placeNames()
	var b bytes.Buffer
	err := picture.Execute(&b, d)
	return b.Bytes(), err
}

// placeNames writes each curve's name at its end, apart from the others.
func (d *drawn) placeNames() {
	order := make([]*curve, len(d.Curves))
	for i := range d.Curves {
		order[i] = &d.Curves[i]
	}
	sort.SliceStable(order, func(i, j int) bool { return order[i].EndY < order[j].EndY })
	const apart = 17
	for i, k := range order {
		k.LabelY = k.EndY
		if i > 0 {
			k.LabelY = max(k.LabelY, order[i-1].LabelY+apart)
		}
	}
	if n := len(order); n > 0 {
		lowest := float64(d.Bottom)
		for i := n - 1; i >= 0; i-- {
			order[i].LabelY = min(order[i].LabelY, lowest)
			lowest = order[i].LabelY - apart
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// tickStep is a round step that divides most into four to eight.
func tickStep(most float64) float64 {
	if most <= 0 {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(most)))
	for _, m := range []float64{0.1, 0.2, 0.5, 1, 2} {
		if most/(base*m) <= 8 {
			return base * m
		}
	}
	return base
}

var picture = template.Must(template.New("svg").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {{.Width}} {{.Height}}" font-family="system-ui, sans-serif" font-size="13">
<title>{{.Title}}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="{{.Left}}" y="24" font-size="16" font-weight="600" fill="#222222">{{.Title}}</text>
{{range .YTicks}}<line x1="{{$.Left}}" x2="{{$.Right}}" y1="{{.At}}" y2="{{.At}}" stroke="#dddddd"/><text x="{{$.Left}}" dx="-8" y="{{.At}}" dy="4" text-anchor="end" fill="#444444">{{.Label}}</text>
{{end}}{{range .XTicks}}<text x="{{.At}}" y="{{$.Bottom}}" dy="20" text-anchor="middle" fill="#444444">{{.Label}}</text>
{{end}}<line x1="{{.Left}}" x2="{{.Right}}" y1="{{.Bottom}}" y2="{{.Bottom}}" stroke="#444444"/>
<text x="{{.Right}}" y="{{.Bottom}}" dy="44" text-anchor="end" fill="#222222">{{.X}}</text>
<text x="{{.Left}}" y="{{.Top}}" dy="-6" fill="#222222">{{.Y}}</text>
{{range .Curves}}<path d="{{.Path}}" fill="none" stroke="{{.Colour}}" stroke-width="{{if .Bold}}3.5{{else}}1.8{{end}}"{{if .Dash}} stroke-dasharray="5 4"{{end}}/>
{{$colour := .Colour}}{{range .Marks}}<circle cx="{{.X}}" cy="{{.Y}}" r="3" fill="{{$colour}}"/>{{end}}
<text x="{{.EndX}}" dx="10" y="{{.LabelY}}" dy="4" fill="{{.Colour}}"{{if .Bold}} font-weight="600"{{end}}>{{.Name}}</text>
{{end}}</svg>
`))
