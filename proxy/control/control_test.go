package control_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/proxy/control/client"
)

// fakeDaemon records what it is told.
type fakeDaemon struct {
	mu    sync.Mutex
	calls []string
	err   error
}

func (d *fakeDaemon) called(format string, a ...any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, fmt.Sprintf(format, a...))
	return d.err
}

func (d *fakeDaemon) Status() api.Status {
	return api.Status{State: api.StateIdle, Version: "test", Accounts: []api.Account{{Name: "home", State: api.AccountReady}}}
}
func (d *fakeDaemon) ClearAccount(name string) error { return d.called("clear %s", name) }
func (d *fakeDaemon) SetPaused(p bool) error         { return d.called("paused %v", p) }
func (d *fakeDaemon) Reload() error                  { return d.called("reload") }

func (d *fakeDaemon) Entries() ([]api.Entry, error) { return nil, nil }
func (d *fakeDaemon) History() ([]api.Event, error) { return nil, nil }
func (d *fakeDaemon) Entry(id string) (api.Entry, error) {
	if id != "abc" {
		return api.Entry{}, fmt.Errorf("%w: %s", control.ErrNotFound, id)
	}
	return api.Entry{ID: "abcdef"}, nil
}
func (d *fakeDaemon) Message(id string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("Subject: x\r\n\r\nbody\r\n")), nil
}
func (d *fakeDaemon) Do(verb string, ids []string) ([]string, error) {
	return ids, d.called("%s %v", verb, ids)
}

// start serves d on a socket of its own and returns a client for it.
func start(t *testing.T, d *fakeDaemon) (*client.Client, *control.Journal, func()) {
	t.Helper()
	path := socketPath(t)
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	j := control.NewJournal(time.Now)
	s := control.Serve(l, control.Options{Daemon: d, Outbox: d, Journal: j})
	c := client.New(path)
	stop := sync.OnceFunc(func() {
		c.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return c, j, stop
}

// socketPath returns a short path: t.TempDir's may be longer than a socket's
// may be.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "melon")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "run", "s")
}

func TestCommandsReachTheDaemon(t *testing.T) {
	t.Parallel()
	d := &fakeDaemon{}
	c, _, _ := start(t, d)
	ctx := t.Context()
	st, err := c.Status(ctx)
	if err != nil || st.State != api.StateIdle || st.Version != "test" || len(st.Accounts) != 1 {
		t.Fatalf("status: %+v, %v", st, err)
	}
	if e, err := c.Outbox(ctx); err != nil || e == nil {
		t.Fatalf("outbox: %v, %v; an empty one is [] and not null", e, err)
	}
	if e, err := c.Entry(ctx, "abc"); err != nil || e.ID != "abcdef" {
		t.Fatalf("entry: %+v, %v", e, err)
	}
	var m bytes.Buffer
	if err := c.Message(ctx, "abc", &m); err != nil || !strings.HasSuffix(m.String(), "body\r\n") {
		t.Fatalf("message: %q, %v", m.String(), err)
	}
	for _, step := range []func() error{
		func() error { return c.Pause(ctx) },
		func() error { return c.Resume(ctx) },
		func() error { return c.Reload(ctx) },
		func() error { return c.ClearAccount(ctx, "ho me/x") },
		func() error { _, err := c.Do(ctx, "send", nil); return err },
		func() error { _, err := c.Do(ctx, "remove", []string{"abc"}); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"paused true", "paused false", "reload", "clear ho me/x", "send []", "remove [abc]"}
	if !reflect.DeepEqual(d.calls, want) {
		t.Errorf("the daemon heard %q, want %q", d.calls, want)
	}
}

func TestErrorsReachTheClient(t *testing.T) {
	t.Parallel()
	d := &fakeDaemon{err: errors.New("no such thing")}
	c, _, _ := start(t, d)
	ctx := t.Context()
	for _, s := range []struct {
		name   string
		call   func() error
		status int
		text   string
	}{
		{"unknown entry", func() error { _, err := c.Entry(ctx, "zzz"); return err }, 404, "zzz"},
		{"daemon's error", func() error { return c.Pause(ctx) }, 500, "no such thing"},
		{"bad configuration", func() error { return c.Reload(ctx) }, 400, "no such thing"},
		{"remove all", func() error { _, err := c.Do(ctx, "remove", nil); return err }, 400, "IDs"},
		{"unknown verb", func() error { _, err := c.Do(ctx, "explode", nil); return err }, 404, "explode"},
		{"too much", func() error {
			_, err := c.Do(ctx, "hold", []string{strings.Repeat("x", 2<<20)})
			return err
		}, 400, "ids"},
	} {
		err := s.call()
		var ce *client.Error
		if !errors.As(err, &ce) || ce.Status != s.status || !strings.Contains(ce.Problem, s.text) {
			t.Errorf("%s: %v, want status %d and %q", s.name, err, s.status, s.text)
		}
	}
}

func TestNothingRunsIsSaid(t *testing.T) {
	t.Parallel()
	_, err := client.New(socketPath(t)).Status(t.Context())
	if !errors.Is(err, client.ErrNotRunning) {
		t.Fatalf("%v, want ErrNotRunning", err)
	}
}

func TestEventsResumeWithoutAGap(t *testing.T) {
	t.Parallel()
	c, j, _ := start(t, &fakeDaemon{})
	for i := range 5 {
		j.Add(api.Event{Kind: "message", ID: fmt.Sprint(i)})
	}
	stop := errors.New("enough")
	read := func(since uint64, n int) (ids []string, last uint64) {
		err := c.Events(t.Context(), since, func(e api.Event) error {
			ids = append(ids, e.ID)
			last = e.Seq
			if len(ids) == n {
				return stop
			}
			return nil
		})
		if !errors.Is(err, stop) {
			t.Fatalf("events after %d: %v", since, err)
		}
		return ids, last
	}
	ids, last := read(2, 3)
	if !reflect.DeepEqual(ids, []string{"2", "3", "4"}) || last != 5 {
		t.Fatalf("events %v, last %d", ids, last)
	}
	go j.Add(api.Event{ID: "5"}) // arrives while the stream is open or just before: no difference
	if ids, _ = read(last, 1); ids[0] != "5" {
		t.Fatalf("after the line broke: %v", ids)
	}
	if ids, _ = read(1<<40, 6); len(ids) != 6 { // a number from an earlier process
		t.Fatalf("after a restart: %v", ids)
	}
}

func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	j := control.NewJournal(time.Now)
	for range 36_000 {
		j.Add(api.Event{})
	}
	events, _ := j.Since(0)
	if len(events) != 1000 || events[999].Seq != 36_000 || j.Last() != 36_000 {
		t.Fatalf("%d events, the last is %d", len(events), events[len(events)-1].Seq)
	}
}

func TestSocketIsPrivate(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for p, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		fi, err := os.Stat(p)
		if err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", p, fi.Mode().Perm(), err, want)
		}
	}
	if _, err := control.Listen(path); !errors.Is(err, control.ErrRunning) {
		t.Errorf("a second process: %v, want ErrRunning", err)
	}
}

func TestWhatIsInTheWayOfTheSocket(t *testing.T) {
	t.Parallel()
	t.Run("a socket that nobody serves is replaced", func(t *testing.T) {
		t.Parallel()
		path := socketPath(t)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		dead.SetUnlinkOnClose(false)
		dead.Close()
		l, err := control.Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
	t.Run("a symbolic link is refused", func(t *testing.T) {
		t.Parallel()
		path := socketPath(t)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/null", path); err != nil {
			t.Fatal(err)
		}
		if l, err := control.Listen(path); err == nil {
			l.Close()
			t.Fatal("the link was followed or replaced")
		}
	})
	t.Run("a linked directory is refused", func(t *testing.T) {
		t.Parallel()
		path := socketPath(t)
		elsewhere := filepath.Join(filepath.Dir(filepath.Dir(path)), "elsewhere")
		if err := os.Mkdir(elsewhere, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(elsewhere, filepath.Dir(path)); err != nil {
			t.Fatal(err)
		}
		if l, err := control.Listen(path); err == nil {
			l.Close()
			t.Fatal("the socket was made in a linked directory")
		}
	})
	t.Run("a long path is explained", func(t *testing.T) {
		t.Parallel()
		_, err := control.Listen("/tmp/" + strings.Repeat("x", 120))
		if err == nil || !strings.Contains(err.Error(), "--state") {
			t.Fatalf("%v, want the advice to choose another directory", err)
		}
	})
}
