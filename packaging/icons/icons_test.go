package icons

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"
)

var states = []string{"idle", "sending", "waiting", "attention", "offline", "paused"}

func TestFilesAreCurrent(t *testing.T) {
	t.Parallel()
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("files", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what is drawn now (%v); run: go run ./packaging/icons/export", name, err)
		}
	}
}

// TestEachStateHasAShape compares the pictures without their colours, at the
// size of a small panel: some part of the picture must differ clearly.
func TestEachStateHasAShape(t *testing.T) {
	t.Parallel()
	for i, a := range states {
		for _, b := range states[i+1:] {
			x, y := Status(a)[0].Template(22), Status(b)[0].Template(22)
			differ := 0
			for j := 3; j < len(x.Pix); j += 4 {
				if math.Abs(float64(x.Pix[j])-float64(y.Pix[j])) > 128 {
					differ++
				}
			}
			if differ < 30 {
				t.Errorf("%s and %s differ in %d of 484 pixels only", a, b, differ)
			}
		}
	}
}

// TestEachStateStandsOutOnLightAndDark computes the contrast of WCAG 2.1
// (section 1.4.11 asks 3:1 of graphics).
func TestEachStateStandsOutOnLightAndDark(t *testing.T) {
	t.Parallel()
	light, dark := color.NRGBA{0xf6, 0xf5, 0xf4, 0xff}, color.NRGBA{0x24, 0x24, 0x24, 0xff}
	for _, s := range states {
		c := Status(s)[0].Colour
		for name, panel := range map[string]color.NRGBA{"light": light, "dark": dark} {
			if r := contrast(c, panel); r < 3 {
				t.Errorf("%s on a %s panel: contrast %.2f", s, name, r)
			}
		}
	}
}

func contrast(a, b color.NRGBA) float64 {
	lum := func(c color.NRGBA) float64 {
		lin := func(v uint8) float64 {
			f := float64(v) / 255
			if f <= 0.04045 {
				return f / 12.92
			}
			return math.Pow((f+0.055)/1.055, 2.4)
		}
		return 0.2126*lin(c.R) + 0.7152*lin(c.G) + 0.0722*lin(c.B)
	}
	x, y := lum(a), lum(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestTheArrowRises(t *testing.T) {
	t.Parallel()
	frames := Status("sending")
	if len(frames) != Frames {
		t.Fatalf("%d frames", len(frames))
	}
	for i := 1; i < Frames; i++ {
		if bytes.Equal(frames[i].Draw(22).Pix, frames[i-1].Draw(22).Pix) {
			t.Errorf("frame %d looks like the one before", i)
		}
	}
}

func TestAStateThatDoesNotExistHasNoPicture(t *testing.T) {
	t.Parallel()
	if p := Status("dancing"); p != nil {
		t.Errorf("%v", p)
	}
}

// TestContainers reads back what the packages' formats hold.
func TestContainers(t *testing.T) {
	t.Parallel()
	ico, err := App().ICO(16, 32, 256)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	if n := le.Uint16(ico[4:]); n != 3 {
		t.Fatalf("%d images", n)
	}
	end := uint32(6 + 3*16)
	for i := range 3 {
		e := ico[6+16*i:]
		size, at := le.Uint32(e[8:]), le.Uint32(e[12:])
		if at != end {
			t.Errorf("image %d begins at %d, want %d", i, at, end)
		}
		end = at + size
	}
	if int(end) != len(ico) {
		t.Errorf("%d octets, the images end at %d", len(ico), end)
	}
	if img, err := png.Decode(bytes.NewReader(ico[le.Uint32(ico[6+32+12:]):])); err != nil || img.Bounds().Dx() != 256 {
		t.Errorf("the largest: %v", err)
	}
	icns, err := App().ICNS()
	if err != nil || string(icns[:4]) != "icns" || int(binary.BigEndian.Uint32(icns[4:])) != len(icns) {
		t.Errorf("icns: %v, %d octets", err, len(icns))
	}
	for at := 8; at < len(icns); {
		size := int(binary.BigEndian.Uint32(icns[at+4:]))
		if _, err := png.Decode(bytes.NewReader(icns[at+8 : at+size])); err != nil {
			t.Errorf("%s: %v", icns[at:at+4], err)
		}
		at += size
	}
	var doc struct{ XMLName xml.Name }
	if err := xml.Unmarshal(App().SVG(), &doc); err != nil || doc.XMLName.Local != "svg" {
		t.Errorf("svg: %v", err)
	}
}
