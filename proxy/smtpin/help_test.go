package smtpin

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/upstream"
)

// message is what a recorder was given.
type message struct {
	client Client
	env    upstream.Envelope
	body   string
	err    error // of the body, nil when it was complete
	resets int
}

// recorder is a Handler that takes everything, unless its hooks say otherwise.
type recorder struct {
	begin func(ctx context.Context, c Client, env upstream.Envelope) error
	rcpt  func(ctx context.Context, rc upstream.Recipient) error
	data  func(ctx context.Context, body io.Reader) (upstream.Reply, error)

	mu       sync.Mutex
	messages []*message
}

func (r *recorder) Begin(ctx context.Context, c Client, env upstream.Envelope) (Transaction, error) {
	if r.begin != nil {
		if err := r.begin(ctx, c, env); err != nil {
			return nil, err
		}
	}
	m := &message{client: c, env: env, body: unread}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, m)
	return &recording{r: r, m: m}, nil
}

// all returns copies of the transactions so far.
func (r *recorder) all() []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []message
	for _, m := range r.messages {
		out = append(out, *m)
	}
	return out
}

// complete returns the messages that came whole.
func (r *recorder) complete() []message {
	var out []message
	for _, m := range r.all() {
		if m.err == nil && m.body != unread {
			out = append(out, m)
		}
	}
	return out
}

const unread = "\x00unread"

type recording struct {
	r *recorder
	m *message
}

func (t *recording) Rcpt(ctx context.Context, rc upstream.Recipient) error {
	if t.r.rcpt != nil {
		if err := t.r.rcpt(ctx, rc); err != nil {
			return err
		}
	}
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.m.env.Recipients = append(t.m.env.Recipients, rc)
	return nil
}

func (t *recording) Data(ctx context.Context, body io.Reader) (upstream.Reply, error) {
	if t.r.data != nil {
		return t.r.data(ctx, body)
	}
	var b bytes.Buffer
	_, err := io.Copy(&b, body)
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.m.body, t.m.err = b.String(), err
	return upstream.Reply{Code: 250, Enhanced: upstream.EnhancedCode{2, 6, 0}, Lines: []string{"taken"}}, err
}

func (t *recording) Reset() {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.m.resets++
	if t.m.body == unread {
		t.m.err = upstream.ErrBodyAborted
	}
}

// peers is a PeerLookup that says what it is told to.
type peers struct {
	same func(local, remote netip.AddrPort) (bool, string, error)
	off  bool
}

func (p peers) Enforced() bool { return !p.off }

func (p peers) SameUser(local, remote netip.AddrPort) (bool, string, error) {
	if p.same == nil {
		return true, "me", nil
	}
	return p.same(local, remote)
}

// logBuffer collects log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// start runs a server on a free loopback port for the length of the test.
func start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Handler == nil {
		o.Handler = &recorder{}
	}
	if o.Listen.SMTP == nil {
		o.Listen.SMTP = []string{"127.0.0.1:0"}
	}
	if o.Peers == nil {
		o.Peers = peers{}
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whoever is still there is cut
		s.Shutdown(ctx)
	})
	return s
}

// app is the app's end of a connection.
type app struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func newApp(t testing.TB, c net.Conn) *app {
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second)) // a test that hangs fails
	return &app{t: t, Conn: c, r: bufio.NewReader(c)}
}

// dial connects to the i-th address and reads the greeting.
func dial(t testing.TB, s *Server, i int) *app {
	t.Helper()
	c, err := net.Dial("tcp", s.Addresses()[i].Addr)
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(t, c)
	a.expect("220 ")
	return a
}

// reply reads one reply, whole, with "\n" between its lines; "" at the end of
// the connection.
func (a *app) reply() string {
	a.t.Helper()
	var lines []string
	for {
		line, err := a.r.ReadString('\n')
		if err != nil {
			return strings.Join(append(lines, line), "\n")
		}
		if !strings.HasSuffix(line, "\r\n") {
			a.t.Errorf("reply line without CRLF: %q", line)
		}
		if len(line) > 512 {
			a.t.Errorf("reply line of %d octets", len(line))
		}
		line = strings.TrimRight(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(lines, "\n")
		}
	}
}

// expect reads a reply that begins so.
func (a *app) expect(prefix string) string {
	a.t.Helper()
	r := a.reply()
	if !strings.HasPrefix(r, prefix) || prefix == "" && r != "" {
		a.t.Fatalf("reply %q, want %q", r, prefix)
	}
	return r
}

// say sends octets as they are.
func (a *app) say(s string) {
	a.t.Helper()
	if _, err := io.WriteString(a.Conn, s); err != nil {
		a.t.Logf("write: %v", err)
	}
}

// cmd sends a line and expects a reply that begins so.
func (a *app) cmd(line, prefix string) string {
	a.t.Helper()
	a.say(line + "\r\n")
	return a.expect(prefix)
}

// play follows a transcript: lines "C: " are sent, "S: " expected as the start
// of the next reply, "S: ." is the end of the connection. "C: " lines between
// "354" and its dot are content.
func (a *app) play(transcript string) {
	a.t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(transcript), "\n") {
		who, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case who == "C":
			a.say(text + "\r\n")
		case who == "C::":
			a.say("\r\n")
		case text == ".":
			a.expect("")
		default:
			a.expect(text)
		}
	}
}

// startTLS upgrades the app's end.
func (a *app) startTLS() *app {
	a.t.Helper()
	c := tls.Client(a.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		a.t.Fatal(err)
	}
	return &app{t: a.t, Conn: c, r: bufio.NewReader(c)}
}

// eventually waits for a condition that a goroutine of the server brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// goroutines returns the stacks of this package's goroutines but for those that
// a test runs in.
func goroutines() (n int, stacks string) {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var found []string
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		if (strings.Contains(g, "smtpin.(*") || strings.Contains(g, "emersion/go-smtp")) &&
			!strings.Contains(g, "testing.tRunner") && !strings.Contains(g, "testing.(*T)") {
			found = append(found, g)
		}
	}
	return len(found), strings.Join(found, "\n\n")
}
