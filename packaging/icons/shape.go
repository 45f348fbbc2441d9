package icons

import (
	"image/color"
	"math"
)

// unit is the width of the square that shapes are described on.
const unit = 64

// segment is one piece of an outline: a move, a line or a cubic curve, to the
// last point.
type segment struct {
	op byte // 'M', 'L' or 'C'
	p  [3]point
}

type point struct{ x, y float64 }

// path is a closed outline, or several.
type path []segment

func (p path) move(x, y float64) path { return append(p, segment{'M', [3]point{{x, y}}}) }
func (p path) line(x, y float64) path { return append(p, segment{'L', [3]point{{x, y}}}) }
func (p path) curve(a, b, c point) path {
	return append(p, segment{'C', [3]point{a, b, c}})
}

// circle is a disc.
func circle(cx, cy, r float64) path {
	const k = 0.5522847498 // of a quarter circle as a cubic curve
	d := r * k
	return path{}.move(cx+r, cy).
		curve(point{cx + r, cy + d}, point{cx + d, cy + r}, point{cx, cy + r}).
		curve(point{cx - d, cy + r}, point{cx - r, cy + d}, point{cx - r, cy}).
		curve(point{cx - r, cy - d}, point{cx - d, cy - r}, point{cx, cy - r}).
		curve(point{cx + d, cy - r}, point{cx + r, cy - d}, point{cx + r, cy})
}

// polygon is a closed outline of straight lines.
func polygon(xy ...float64) path {
	p := path{}.move(xy[0], xy[1])
	for i := 2; i < len(xy); i += 2 {
		p = p.line(xy[i], xy[i+1])
	}
	return p.line(xy[0], xy[1])
}

// bar is a line of the given width from a to b, with square ends.
func bar(a, b point, width float64) path {
	l := math.Hypot(b.x-a.x, b.y-a.y)
	nx, ny := (b.y-a.y)/l*width/2, -(b.x-a.x)/l*width/2
	return polygon(a.x+nx, a.y+ny, b.x+nx, b.y+ny, b.x-nx, b.y-ny, a.x-nx, a.y-ny)
}

// arc is a curved band: a crescent between two curves from a to b.
func arc(a, b point, bend, width float64) path {
	mid := func(off float64) point { return point{(a.x+b.x)/2 + off, (a.y + b.y) / 2} }
	in, out := mid(bend-width/2), mid(bend+width/2)
	return path{}.move(a.x-width/2, a.y).
		curve(in, in, point{b.x - width/2, b.y}).line(b.x+width/2, b.y).
		curve(out, out, point{a.x + width/2, a.y}).line(a.x-width/2, a.y)
}

// Picture is one drawing.
type Picture struct {
	Name   string
	Colour color.NRGBA
	solid  []path
	cuts   []path
	over   []path // solid again, over the cuts
}

// Frames is how many pictures make the arrow of sending rise once.
const Frames = 4

// The colours have a luminance between those of light and dark panels, so that
// each stands out on both (a test computes the contrast).
var (
	green  = color.NRGBA{0x2b, 0x95, 0x4a, 0xff}
	blue   = color.NRGBA{0x28, 0x7f, 0xd6, 0xff}
	amber  = color.NRGBA{0xb8, 0x7a, 0x0c, 0xff}
	red    = color.NRGBA{0xdc, 0x3d, 0x3d, 0xff}
	grey   = color.NRGBA{0x84, 0x84, 0x84, 0xff}
	purple = color.NRGBA{0x95, 0x69, 0xc8, 0xff}
)

// melon is the fruit with its stalk and a leaf.
func melon() []path {
	leaf := path{}.move(33, 13).curve(point{36, 1}, point{48, -1}, point{58, 5}).curve(point{54, 15}, point{42, 17}, point{33, 13})
	return []path{circle(32, 38, 25.5), bar(point{32, 15}, point{26, 3}, 5.5), leaf}
}

// net is what the rind looks like.
func net() []path {
	return []path{
		arc(point{23, 12}, point{23, 64}, -9, 3.4), arc(point{41, 12}, point{41, 64}, 9, 3.4),
		bar(point{4, 22}, point{60, 36}, 3), bar(point{4, 40}, point{60, 54}, 3),
	}
}

// App is the picture of the program itself.
func App() Picture {
	p := Status("idle")[0]
	p.Name = "melon"
	return p
}

// Status returns the pictures of a state: one, or those of its Frames in order.
// It is nil for a state that there is none of.
func Status(state string) []Picture {
	one := func(c color.NRGBA, solid []path, cuts ...path) []Picture {
		return []Picture{{Name: state, Colour: c, solid: solid, cuts: cuts}}
	}
	switch state {
	case "idle":
		return one(green, melon(), net()...)
	case "sending":
		var frames []Picture
		for i := range Frames {
			y := 8 - float64(i)*5.5
			frames = append(frames, Picture{Name: state, Colour: blue, solid: melon(), cuts: []path{
				polygon(32, 18+y, 47, 35+y, 37, 35+y, 37, 52+y, 27, 52+y, 27, 35+y, 17, 35+y)}})
		}
		return frames
	case "waiting":
		return one(amber, melon(), circle(18, 37, 5.5), circle(32, 37, 5.5), circle(46, 37, 5.5))
	case "attention":
		return one(red, []path{polygon(32, 2, 63, 60, 1, 60)},
			polygon(27, 22, 37, 22, 35, 42, 29, 42), circle(32, 50, 4.8))
	case "offline":
		return []Picture{{Name: state, Colour: grey, solid: []path{circle(32, 34, 28)}, cuts: []path{circle(32, 34, 21)},
			over: []path{bar(point{14, 52}, point{50, 16}, 7)}}}
	case "paused":
		return one(purple, melon(), bar(point{24, 24}, point{24, 50}, 8), bar(point{40, 24}, point{40, 50}, 8))
	}
	return nil
}
