package deliver

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// BenchmarkCanonical is a message's way from the listener into a spool.
func BenchmarkCanonical(b *testing.B) {
	body := []byte("From: taro@provider-a.example\r\n\r\n" + strings.Repeat(strings.Repeat("melon pan ", 7)+"\r\n", 14000))
	in, buf := bytes.NewReader(nil), make([]byte, 32<<10)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(body)
		c := newCanonicalizer(io.Discard, nil)
		if _, err := io.CopyBuffer(onlyWriter{c}, onlyReader{in}, buf); err != nil {
			b.Fatal(err)
		}
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzCanonicalPieces: a message becomes the same however it comes in pieces;
// octet by octet none of them is a whole line that is passed on as it is.
func FuzzCanonicalPieces(f *testing.F) {
	for _, s := range []string{
		"A: b\r\n\r\nc\r\nd\r\n", "\r\n.\x00\r\nx", "\r\na\rb\nc\r\r\nd\n\r\n", "\r\n\r\n\r\n", "\n\na\r", "\r\nx\x00y\r\n.\r\n\x00.\x00\r\n",
	} {
		f.Add([]byte(s), 7)
	}
	f.Fuzz(func(t *testing.T, message []byte, size int) {
		in := func(size int) (string, string) {
			var out bytes.Buffer
			c := newCanonicalizer(&out, nil)
			for p := message; len(p) > 0; {
				n := min(len(p), size)
				if _, err := c.Write(p[:n]); err != nil {
					return "", err.Error()
				}
				p = p[n:]
			}
			if err := c.Close(); err != nil {
				return "", err.Error()
			}
			return out.String(), ""
		}
		one, oneErr := in(1)
		for _, n := range []int{max(2, size%100), len(message) + 1} {
			if got, err := in(n); got != one || err != oneErr {
				t.Errorf("%q in pieces of %d: %q, %s; octet by octet %q, %s", message, n, got, err, one, oneErr)
			}
		}
	})
}

// onlyWriter and onlyReader keep io.CopyBuffer to its buffer.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)
