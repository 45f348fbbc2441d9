package submit

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"melon/upstream"
)

// long is a body of n lines of 1000 octets that is made while it is read.
type long struct {
	n        int
	complete bool
}

func (b long) Size() (int64, bool) { return int64(b.n) * 1000, b.complete }

func (b long) Open() (io.ReadCloser, error) { return io.NopCloser(&longReader{left: b.n * 1000}), nil }

type longReader struct{ left, at int }

func (r *longReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), r.left)
	for i := range p[:n] {
		switch c := (r.at + i) % 1000; {
		case c == 998:
			p[i] = '\r'
		case c == 999:
			p[i] = '\n'
		case c%7 == 0:
			p[i] = '.'
		default:
			p[i] = 'x'
		}
	}
	r.left, r.at = r.left-n, (r.at+n)%1000
	return n, nil
}

// sink is a server that takes everything, in a fixed buffer. It returns how many
// octets of bodies came.
func sink(conn net.Conn, keywords ...string) (octets int64) {
	defer conn.Close()
	br := bufio.NewReader(conn)
	io.WriteString(conn, "220 hi\r\n")
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return octets
		}
		answer := "250 ok\r\n"
		switch verb, rest, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
		case "EHLO":
			answer = "250-hi\r\n250-" + strings.Join(keywords, "\r\n250-") + "\r\n250 HELP\r\n"
		case "BDAT":
			var n int64
			fmt.Sscan(rest, &n)
			m, _ := br.Discard(int(n))
			octets += int64(m)
		case "DATA":
			io.WriteString(conn, "354 go\r\n")
			for end := ""; end != ".\r\n"; {
				part, err := br.ReadSlice('\n')
				if err != nil && err != bufio.ErrBufferFull {
					return octets
				}
				octets += int64(len(part))
				end = ""
				if len(part) == 3 {
					end = string(part)
				}
			}
		}
		io.WriteString(conn, answer)
	}
}

// Memory does not grow with the message, by any way that a body takes.
func TestConstantMemory(t *testing.T) {
	const size = 20_000_000
	for _, r := range []struct {
		name     string
		keywords []string
		complete bool
	}{
		{"one chunk", []string{"PIPELINING", "CHUNKING"}, true},
		{"chunks", []string{"PIPELINING", "CHUNKING"}, false},
		{"chunks in lockstep", []string{"CHUNKING"}, false},
		{"DATA", []string{"PIPELINING"}, false},
	} {
		t.Run(r.name, func(t *testing.T) {
			client, server := pair(t)
			octets := make(chan int64, 1)
			go func() { octets <- sink(server, r.keywords...) }()
			c, err := Open(context.Background(), &fakeConn{Conn: client}, testOptions())
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			out := c.Transact(context.Background(), envelope, feed(long{size / 1000, r.complete}, addrA), TransactOptions{})
			runtime.ReadMemStats(&after)
			c.Close()
			if got := <-octets; out.Err != nil || got < size {
				t.Fatalf("%d octets arrived, %v", got, out.Err)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 2<<20 {
				t.Errorf("20 MB cost %d octets of allocations", got)
			}
		})
	}
}

// pair is two ends of a loopback connection.
func pair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func BenchmarkTransact(b *testing.B) {
	for _, keywords := range [][]string{{"PIPELINING", "CHUNKING"}, {"PIPELINING"}} {
		b.Run(keywords[len(keywords)-1], func(b *testing.B) {
			client, server := pair(b)
			done := make(chan int64, 1)
			go func() { done <- sink(server, keywords...) }()
			c, err := Open(context.Background(), &fakeConn{Conn: client}, Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				out := c.Transact(context.Background(), envelope, feed(letter, addrA), TransactOptions{OneFlight: time.Minute})
				if out.Err != nil {
					b.Fatal(out.Err)
				}
			}
			c.Close()
			<-done
		})
	}
}

func BenchmarkStuffing(b *testing.B) {
	text := []byte(strings.Repeat(strings.Repeat("x", 70)+"\r\n..\r\n", 400))
	s := &stuffer{w: bufio.NewWriter(io.Discard)}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if !wellFormed(text) || s.write(text) != nil {
			b.Fatal("refused")
		}
	}
}

// What a server says is read, or refused, within the bounds; what is read is
// clean.
func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "250-a\n550 b\n", "220", "354\r\n", "250 2.0.0 \xff\x1b\r\n421 x\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := lineReader{bufio.NewReader(strings.NewReader(s))}.readReply()
		if err != nil {
			return
		}
		if r.code < 200 || r.code > 599 || len(r.lines) == 0 || len(r.lines) > maxLines || len(r.trail) > 4 {
			t.Fatalf("%+v", r)
		}
		for _, line := range r.clean().Lines {
			if line != upstream.CleanLine(line) {
				t.Fatalf("%q is not clean", line)
			}
		}
	})
}

// A body goes out in blocks that never split a CRLF and together are the body;
// stuffed and read back it is the same; anything bare is refused.
func FuzzBody(f *testing.F) {
	for _, s := range []string{"", ".\r\n", "a\r\n.b\r\n", "a\nb", "\r", "a\r\n\r\n..\r\n"} {
		f.Add(s, 5)
	}
	f.Fuzz(func(t *testing.T, text string, size int) {
		size = 2 + min(max(size, -size, 0), 100)
		b := &blocks{r: strings.NewReader(text), buf: make([]byte, size)}
		var wire strings.Builder
		w := bufio.NewWriter(&wire)
		s := &stuffer{w: w}
		var err error
		for {
			var p []byte
			if p, err = b.next(size%2 == 0); err != nil {
				break
			}
			s.write(p)
		}
		w.Flush()
		bare := strings.ContainsAny(strings.ReplaceAll(text, "\r\n", ""), "\r\n")
		if bare != (err == errBare) || !bare && err != io.EOF {
			t.Fatalf("%q: %v", text, err)
		}
		if bare {
			return
		}
		got := "\r\n" + wire.String()
		if strings.Contains(got, "\r\n.\r\n") {
			t.Fatalf("a lone dot in %q", got)
		}
		if back := strings.ReplaceAll(got, "\r\n..", "\r\n."); back != "\r\n"+text {
			t.Fatalf("%q came back as %q", text, back)
		}
	})
}
