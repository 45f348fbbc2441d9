package icons

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"strings"

	"golang.org/x/image/vector"
)

// Draw rasterizes the picture at size by size pixels, in its colour.
func (p Picture) Draw(size int) *image.NRGBA { return p.fill(size, p.Colour) }

// Template is the picture in black, for platforms that colour it themselves.
func (p Picture) Template(size int) *image.NRGBA {
	return p.fill(size, color.NRGBA{A: 0xff})
}

func (p Picture) fill(size int, c color.NRGBA) *image.NRGBA {
	solid, cuts, over := mask(p.solid, size), mask(p.cuts, size), mask(p.over, size)
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	for i, a := range solid.Pix {
		a = uint8(int(a) * (255 - int(cuts.Pix[i])) / 255)
		a = max(a, over.Pix[i])
		img.Pix[4*i], img.Pix[4*i+1], img.Pix[4*i+2], img.Pix[4*i+3] = c.R, c.G, c.B, a
	}
	return img
}

// mask is the union of the paths. Each is drawn by itself, so that where two
// overlap nothing is counted twice.
func mask(paths []path, size int) *image.Alpha {
	all := image.NewAlpha(image.Rect(0, 0, size, size))
	r := vector.NewRasterizer(size, size)
	k := float32(size) / unit
	for _, p := range paths {
		r.Reset(size, size)
		for _, s := range p {
			a, b, c := s.p[0], s.p[1], s.p[2]
			switch s.op {
			case 'M':
				r.MoveTo(float32(a.x)*k, float32(a.y)*k)
			case 'L':
				r.LineTo(float32(a.x)*k, float32(a.y)*k)
			case 'C':
				r.CubeTo(float32(a.x)*k, float32(a.y)*k, float32(b.x)*k, float32(b.y)*k, float32(c.x)*k, float32(c.y)*k)
			}
		}
		r.ClosePath()
		r.Draw(all, all.Bounds(), image.Opaque, image.Point{})
	}
	return all
}

// PNG encodes an image.
func PNG(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, img)
	return b.Bytes(), err
}

// ICO encodes the picture for Windows at these sizes, each at most 256: 32-bit
// bitmaps, which every function of Windows reads, and a PNG for 256.
func (p Picture) ICO(sizes ...int) ([]byte, error) {
	var head, body bytes.Buffer
	le := binary.LittleEndian
	head.Write([]byte{0, 0, 1, 0})
	head.Write(le.AppendUint16(nil, uint16(len(sizes))))
	for _, size := range sizes {
		img := p.Draw(size)
		data := bitmap(img)
		if size >= 256 {
			var err error
			if data, err = PNG(img); err != nil {
				return nil, err
			}
		}
		entry := []byte{byte(size), byte(size), 0, 0} // 256 is written as 0
		entry = le.AppendUint16(entry, 1)
		entry = le.AppendUint16(entry, 32)
		entry = le.AppendUint32(entry, uint32(len(data)))
		entry = le.AppendUint32(entry, uint32(6+16*len(sizes)+body.Len()))
		head.Write(entry)
		body.Write(data)
	}
	return append(head.Bytes(), body.Bytes()...), nil
}

// bitmap is a BITMAPINFOHEADER, the pixels bottom up, and an empty mask.
func bitmap(img *image.NRGBA) []byte {
	size := img.Bounds().Dx()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 40)
	b = le.AppendUint32(b, uint32(size))
	b = le.AppendUint32(b, uint32(2*size)) // with the mask
	b = le.AppendUint16(b, 1)
	b = le.AppendUint16(b, 32)
	b = append(b, make([]byte, 24)...)
	for y := size - 1; y >= 0; y-- {
		for x := range size {
			c := img.NRGBAAt(x, y)
			b = append(b, c.B, c.G, c.R, c.A)
		}
	}
	return append(b, make([]byte, (size+31)/32*4*size)...)
}

// ICNS encodes the picture for macOS.
func (p Picture) ICNS() ([]byte, error) {
	var body []byte
	for _, t := range []struct {
		code string
		size int
	}{{"icp4", 16}, {"icp5", 32}, {"ic07", 128}, {"ic08", 256}, {"ic09", 512}} {
		data, err := PNG(p.Draw(t.size))
		if err != nil {
			return nil, err
		}
		body = append(body, t.code...)
		body = binary.BigEndian.AppendUint32(body, uint32(8+len(data)))
		body = append(body, data...)
	}
	out := binary.BigEndian.AppendUint32([]byte("icns"), uint32(8+len(body)))
	return append(out, body...), nil
}

// SVG writes the picture as a document; the cuts are a mask.
func (p Picture) SVG() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d">`+"\n", unit, unit)
	fmt.Fprintf(&b, `<mask id="cuts"><rect width="%d" height="%d" fill="#fff"/>%s</mask>`+"\n", unit, unit, elements(p.cuts))
	c := p.Colour
	fmt.Fprintf(&b, `<g fill="#%02x%02x%02x"><g mask="url(#cuts)">%s</g>%s</g>`+"\n</svg>\n", c.R, c.G, c.B, elements(p.solid), elements(p.over))
	return []byte(b.String())
}

func elements(paths []path) string {
	var b strings.Builder
	for _, p := range paths {
		b.WriteString(`<path d="`)
		for _, s := range p {
			b.WriteByte(s.op)
			n := 1
			if s.op == 'C' {
				n = 3
			}
			for _, pt := range s.p[:n] {
				fmt.Fprintf(&b, "%.5g %.5g ", pt.x, pt.y)
			}
		}
		b.WriteString(`Z"/>`)
	}
	return b.String()
}
