package smtpin

import (
	"context"
	"io"
	"testing"

	"melon/upstream"
)

// TestNoLeak ends connections in every state and looks for what is left. It is
// not parallel: other tests' goroutines would be counted.
func TestNoLeak(t *testing.T) {
	before, _ := goroutines()
	r := &recorder{data: func(ctx context.Context, body io.Reader) (upstream.Reply, error) {
		_, err := io.Copy(io.Discard, body)
		return upstream.Reply{}, err
	}}
	s, err := New(Options{Handler: r, Peers: peers{}, Listen: Listen{
		SMTP: []string{"127.0.0.1:0"}, SMTPS: []string{"127.0.0.1:0"}, StartTLS: true, StateDir: t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	var apps []*app
	for _, state := range states {
		for _, end := range []string{"", "QUIT\r\n", "STARTTLS\r\n", "GET /\r\n", "BDAT 1"} {
			a := dial(t, s, 0)
			a.say(state + end)
			apps = append(apps, a)
		}
	}
	for i, a := range apps {
		if i%3 == 0 {
			a.Close()
		}
	}
	up := dial(t, s, 0)
	up.cmd("EHLO x", "250")
	up.cmd("STARTTLS", "220")
	up.startTLS().cmd("EHLO x", "250")
	if err := s.Reload(Options{Handler: r, Peers: peers{}, Listen: Listen{SMTP: []string{"127.0.0.1:0"}}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s.Shutdown(ctx)
	noMore(t, before)
	for _, m := range r.all() {
		if m.resets != 1 {
			t.Errorf("%d resets", m.resets)
		}
	}
	if len(s.conns) > 0 {
		t.Errorf("%d connections are left", len(s.conns))
	}
}

// TestNotStarted: a server that never started leaves nothing either.
func TestNotStarted(t *testing.T) {
	before, _ := goroutines()
	s, err := New(Options{Handler: &recorder{}, Listen: Listen{SMTP: []string{"127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	noMore(t, before)
}

// noMore waits until there are no more goroutines than before: one that has
// told its owner of its end still has a few instructions to go.
func noMore(t *testing.T, before int) {
	t.Helper()
	var stacks string
	defer func() {
		if t.Failed() {
			t.Logf("left:\n%s", stacks)
		}
	}()
	eventually(t, "goroutines to end", func() bool {
		var n int
		n, stacks = goroutines()
		return n <= before
	})
}
