package submit

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/upstream"
)

// fakeConn is a Conn over any net.Conn.
type fakeConn struct {
	net.Conn
	tls    bool
	writes *int // counts Write calls, when set
	looks  bool // it can tell without waiting what was said
}

func (f *fakeConn) Looks() bool { return f.looks }
func (f *fakeConn) Silent() bool {
	f.Conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err := f.Conn.Read(make([]byte, 1))
	f.Conn.SetReadDeadline(time.Time{})
	return errors.Is(err, os.ErrDeadlineExceeded)
}

func (f *fakeConn) ReadsUntil(limit context.Context) func() {
	over := make(chan struct{})
	stop := context.AfterFunc(limit, func() { f.Conn.SetReadDeadline(time.Unix(1, 0)); close(over) })
	return func() {
		if !stop() {
			<-over
			f.Conn.SetReadDeadline(time.Time{})
		}
	}
}

func (f *fakeConn) SetStep(time.Duration) {}
func (f *fakeConn) Use(ctx context.Context) func() {
	stop := context.AfterFunc(ctx, func() { f.Close() })
	return func() { stop() }
}
func (f *fakeConn) StartTLS(ctx context.Context, pending int) error {
	if pending > 0 {
		return &upstream.Error{Class: upstream.ClassSMTPIntercepted, Sentence: "injected"}
	}
	f.tls = true
	return nil
}
func (f *fakeConn) TLS() (tls.ConnectionState, bool) { return tls.ConnectionState{}, f.tls }
func (f *fakeConn) Addr() string                     { return "smtp.provider-a.example:587" }
func (f *fakeConn) Write(p []byte) (int, error) {
	if f.writes != nil {
		*f.writes++
	}
	return f.Conn.Write(p)
}
func (f *fakeConn) Fault(p upstream.Phase, err error) *upstream.Error {
	var e *upstream.Error
	if errors.As(err, &e) {
		return e
	}
	class := upstream.ClassServerUnreachable
	if errors.Is(err, io.EOF) {
		class = upstream.ClassServerBroken
	}
	return &upstream.Error{Class: class, Sentence: "fault", Err: err}
}

// script runs a server's side of a conversation on loopback. Its lines:
//
//	S: text   sends the line; nothing of the client's may be unread then
//	S+ text   sends the line, whatever is unread
//	C: text   expects the line
//	B: text   expects these octets (Go quoting)
//	HANGUP    closes
//	CUT       takes anything but the end of a message, until the client hangs up
//	SILENCE   waits for the client to hang up
//
// At its end it waits for the client to hang up too.
type script struct {
	conn   *fakeConn
	server net.Conn
	done   chan error
}

func play(t *testing.T, lines ...string) *script {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := &script{conn: &fakeConn{Conn: client}, server: server, done: make(chan error, 1)}
	go func() {
		defer server.Close()
		s.done <- s.run(lines)
	}()
	t.Cleanup(func() {
		client.Close()
		if err := <-s.done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *script) run(lines []string) error {
	br := bufio.NewReader(s.server)
	for i, line := range lines {
		kind, text, _ := strings.Cut(line, " ")
		switch kind {
		case "S:", "S+":
			if n := br.Buffered(); n > 0 && kind == "S:" {
				b, _ := br.Peek(n)
				return fmt.Errorf("step %d %q: the client had already sent %q", i, line, b)
			}
			if _, err := io.WriteString(s.server, text+"\r\n"); err != nil {
				return fmt.Errorf("step %d %q: %v", i, line, err)
			}
		case "C:":
			got, err := br.ReadString('\n')
			if err != nil || got != text+"\r\n" {
				return fmt.Errorf("step %d: got %q (%v), want %q", i, got, err, text)
			}
		case "B:":
			want := unquote(text)
			got := make([]byte, len(want))
			if n, err := io.ReadFull(br, got); err != nil || string(got) != want {
				return fmt.Errorf("step %d: got %q (%v), want %q", i, got[:n], err, want)
			}
		case "HANGUP":
			return nil
		case "CUT":
			rest, _ := io.ReadAll(br)
			if strings.HasSuffix(string(rest), ".\r\n") || strings.Contains(string(rest), "LAST") {
				return fmt.Errorf("the message was ended: %.50q", rest)
			}
			return nil
		case "SILENCE":
		default:
			return fmt.Errorf("step %d: bad script line %q", i, line)
		}
	}
	if rest, _ := io.ReadAll(br); len(rest) > 0 {
		return fmt.Errorf("the client sent more: %.50q", rest)
	}
	return nil
}

func unquote(s string) string {
	return strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\0`, "\x00").Replace(s)
}

// textBody is a complete body.
type textBody string

func (b textBody) Open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(b))), nil
}
func (b textBody) Size() (int64, bool) { return int64(len(b)), true }

// pipeBody grows while it is read, once.
type pipeBody struct {
	r *io.PipeReader
	w *io.PipeWriter
}

func newPipeBody() *pipeBody {
	r, w := io.Pipe()
	return &pipeBody{r, w}
}
func (b *pipeBody) Open() (io.ReadCloser, error) { return b.r, nil }
func (b *pipeBody) Size() (int64, bool)          { return 0, false }

// fixed is a Feed that knows everything from the start, or gets it by add.
type fixed struct {
	mu       sync.Mutex
	rcpts    []upstream.Recipient
	body     upstream.Body
	cancel   bool
	more     chan struct{}
	verdicts []*upstream.Error
	heard    int
	onHeard  func(i int, e *upstream.Error) bool
}

func feed(body upstream.Body, addrs ...string) *fixed {
	f := &fixed{body: body, more: make(chan struct{})}
	for _, a := range addrs {
		f.rcpts = append(f.rcpts, upstream.Recipient{Address: a})
	}
	return f
}

func (f *fixed) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	close(f.more)
	f.more = make(chan struct{})
}

func (f *fixed) Next(n int) Supply {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Supply{Recipients: f.rcpts[n:], Body: f.body, Cancelled: f.cancel, More: f.more}
}

func (f *fixed) Verdict(i int, r upstream.Reply, e *upstream.Error) bool {
	f.mu.Lock()
	for len(f.verdicts) <= i {
		f.verdicts = append(f.verdicts, nil)
	}
	f.verdicts[i] = e
	f.heard++
	on := f.onHeard
	f.mu.Unlock()
	return on == nil || on(i, e)
}

// testOptions keeps a failing test from hanging.
func testOptions() Options {
	return Options{Account: "home", Timeout: func(upstream.Phase) time.Duration { return 5 * time.Second }}
}

func open(t *testing.T, s *script, o Options) *Client {
	t.Helper()
	c, err := Open(context.Background(), s.conn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

var envelope = upstream.Envelope{From: "taro@provider-a.example"}
