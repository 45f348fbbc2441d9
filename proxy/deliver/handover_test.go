package deliver

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"melon/proxy/smtpin"
	"melon/upstream"
)

// pieces is a body that comes in pieces; it knows whether the next is there.
type pieces struct {
	parts   []string
	waiting int // from this piece on the app is waited for
	asked   int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.parts[0])
	if p.parts[0] = p.parts[0][n:]; p.parts[0] == "" {
		p.parts = p.parts[1:]
		p.asked++
	}
	return n, nil
}

func (p *pieces) Prompt() bool { return p.asked < p.waiting }

// A message that comes in one go is handed over whole; the provider's part of one
// for which the app is waited, or that is long, begins before.
func TestHandOver(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(strings.Repeat("x", 98)+"\r\n", 2*handOver/100)
	for _, c := range []struct {
		name  string
		body  pieces
		whole bool
	}{
		{"one go", pieces{parts: []string{testMessage, "more\r\n"}, waiting: 9}, true},
		{"a pause", pieces{parts: []string{testMessage, "more\r\n"}, waiting: 1}, false},
		{"long", pieces{parts: []string{testMessage, long, "more\r\n"}, waiting: 9}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			whole := make(chan bool, 1)
			release := make(chan struct{})
			b := newBench(t, testConfig, func(tx *fakeTx) {
				(<-tx.rcpts).answer(nil)
				body := <-tx.body
				_, complete := body.Size()
				whole <- complete
				close(release)
				tx.body <- body
				if _, err := tx.read(); err != nil {
					t.Error(err)
				}
				tx.end(upstream.Result{Account: "home", Reply: taken})
			})
			var body io.Reader = &c.body
			if !c.whole { // the rest comes when the provider's part has looked
				body = &late{&c.body, release}
			}
			if _, _, err := b.sendFrom(smtpin.Client{}, "taro@provider-a.example", body, "hanako@elsewhere.example"); err != nil {
				t.Fatal(err)
			}
			if got := <-whole; got != c.whole {
				t.Errorf("handed over whole: %v", got)
			}
		})
	}
}

// late gives out the last piece when it is released.
type late struct {
	*pieces
	release chan struct{}
}

func (h *late) Read(b []byte) (int, error) {
	if len(h.parts) == 1 {
		<-h.release
	}
	return h.pieces.Read(b)
}

// A clean message is written on in one piece for the header and one for the
// rest, and onHeader gets the same header however it comes.
func TestCanonicalByLines(t *testing.T) {
	t.Parallel()
	const header = "From: a@a.example\r\nSubject: x\r\n y\r\nTo: b@b.example\r\n\r\n"
	for _, message := range []string{header + "body\r\n\r\n.\r\nmore\r\n", header, "\r\nbody\r\n", "A: b\r\n"} {
		want, _, _ := strings.Cut(message, "\r\n\r\n")
		if strings.HasPrefix(message, "\r\n") {
			want = "\r\n"
		} else if want != message {
			want += "\r\n\r\n"
		}
		for size := 1; size <= len(message); size++ {
			var w writes
			var got string
			c := newCanonicalizer(&w, func(h []byte) error { got = string(h); return nil })
			for p := []byte(message); len(p) > 0; {
				n := min(size, len(p))
				if _, err := c.Write(p[:n]); err != nil {
					t.Fatal(err)
				}
				p = p[n:]
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if w.String() != message || got != want {
				t.Errorf("in pieces of %d: %q with the header %q", size, w.String(), got)
			}
			if size == len(message) && w.n > 2 {
				t.Errorf("%d writes", w.n)
			}
		}
	}
}

type writes struct {
	bytes.Buffer
	n int
}

func (w *writes) Write(p []byte) (int, error) { w.n++; return w.Buffer.Write(p) }
