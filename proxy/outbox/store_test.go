package outbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// openMem opens an outbox on a file system in memory (its lock is on the real
// one). Nothing is sent.
func openMem(t *testing.T, m *memFS, sender Sender) (*Outbox, error) {
	t.Helper()
	if sender == nil {
		sender = senderFunc(func(context.Context, Entry, upstream.Body) upstream.Result {
			return upstream.Result{Err: unreachable}
		})
	}
	return Open(t.TempDir(), Options{Sender: sender, FS: &moved{m}, Jitter: func() float64 { return 0 }})
}

// opened is openMem of an outbox that opens, and is closed at the end.
func opened(t *testing.T, m *memFS) *Outbox {
	t.Helper()
	o, err := openMem(t, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// moved puts every directory at one place, so that a crashed file system can be
// opened elsewhere.
type moved struct{ *memFS }

func at(name string) string {
	dir, base := filepath.Split(name)
	if filepath.Base(dir) == unreadable {
		return "/outbox/" + unreadable + "/" + base
	}
	return "/outbox/" + base
}

func (m *moved) Create(n string) (File, error) { return m.memFS.Create(at(n)) }
func (m *moved) Append(n string) (File, error) { return m.memFS.Append(at(n)) }
func (m *moved) Change(n string) (File, error) { return m.memFS.Change(at(n)) }
func (m *moved) Open(n string) (File, error)   { return m.memFS.Open(at(n)) }
func (m *moved) ReadDir(n string) ([]fs.DirEntry, error) {
	if filepath.Base(n) == unreadable {
		return m.memFS.ReadDir("/outbox/" + unreadable)
	}
	return m.memFS.ReadDir("/outbox")
}
func (m *moved) Rename(a, b string) error { return m.memFS.Rename(at(a), at(b)) }
func (m *moved) Remove(n string) error    { return m.memFS.Remove(at(n)) }

// entries lists what a file system holds by the subject of each message, as seen
// by a new process, which must find it sound.
func entriesOf(t *testing.T, m *memFS) map[string]State {
	t.Helper()
	m.now["/outbox/"+pausedName] = new(memFile)
	o := opened(t, m)
	entries, err := o.List()
	if err != nil {
		t.Fatal(err)
	}
	if p := o.Problems(); len(p) > 0 {
		t.Errorf("problems: %v", p)
	}
	found := make(map[string]State)
	for _, e := range entries {
		data, err := readFile(o.store.fs, o.store.message(e.ID), 1<<20)
		if err != nil || int64(len(data)) != e.Size || len(e.Envelope.Recipients) != 1 {
			t.Errorf("%s: %d of %d octets, to %v, %v", e.ID, len(data), e.Size, e.To(), err)
		}
		subject, _, _ := strings.Cut(strings.SplitN(string(data)+": ?", "Subject: ", 2)[1], "\r\n")
		if _, twice := found[subject]; twice {
			t.Errorf("%q is there twice", subject)
		}
		found[subject] = e.State
	}
	return found
}

// position finds the first call after start that begins with prefix and ends
// with suffix.
func position(log []string, start int, prefix, suffix string) int {
	for i := start; i < len(log); i++ {
		if strings.HasPrefix(log[i], prefix) && strings.HasSuffix(log[i], suffix) {
			return i
		}
	}
	return -1
}

func TestOrderOfSyncs(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, spoolMemory + 1} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemFS()
			o := opened(t, m)
			o.Pause()
			start := len(m.log)
			sp := o.NewSpool()
			defer sp.Discard()
			sp.Write(make([]byte, size))
			sp.Finish()
			if _, err := o.Keep(t.Context(), sp, entry(), KeepOptions{}); err != nil {
				t.Fatal(err)
			}
			log := slices.Clone(m.log)
			content := position(log, start, "sync ", ".eml")
			state := position(log, start, "sync ", temporary)
			names := max(position(log, start, "create", ".eml"), position(log, start, "create", temporary))
			dir := position(log, names, "syncdir", "") // side by side with the files
			commit := position(log, start, "rename", ".json")
			durable := position(log, commit, "syncdir", "")
			if content < 0 || state < 0 || names < 0 || content > commit || state > commit || dir < 0 || dir > commit || durable < 0 {
				t.Errorf("%d octets: %q", size, log[start:])
			}
		})
	}
}

func TestConcurrentArrivalsShareSyncs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		o := opened(t, m)
		o.Pause()
		m.slow(time.Millisecond, func(op string) bool { return strings.HasPrefix(op, "syncdir") })
		before := strings.Count(strings.Join(m.log, "\n"), "syncdir")
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				sp := spoolOf(t, o, fmt.Sprint("m", i))
				defer sp.Discard()
				if _, err := o.Keep(t.Context(), sp, entry(), KeepOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		m.mu.Lock()
		defer m.mu.Unlock()
		if n := strings.Count(strings.Join(m.log, "\n"), "syncdir") - before; n > 4 {
			t.Errorf("%d directory syncs for 16 messages", n)
		}
	})
}

func TestDirSyncGroups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		syncs, gate := 0, make(chan struct{})
		d := newDirSync(func() error { syncs++; <-gate; return nil })
		var wg sync.WaitGroup
		keep := func() {
			wg.Go(func() { d.do(change{before: d.now(), act: func() error { return nil }}) })
		}
		keep()
		synctest.Wait()
		for range 15 { // while the first one's sync runs
			keep()
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		d.close()
		// The first one's commit is the others' first sync.
		if syncs != 3 {
			t.Errorf("%d directory syncs, want 3", syncs)
		}
	})
}

func TestEachFailingCallKeepsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			size    int
			journal bool
			least   int
		}{
			// create, write and sync of two files, two directory syncs, a rename
			{10, false, 9},
			{spoolMemory + 1, false, 9},
			// create, zeros, sync, the first frame, sync, directory sync; the entry, sync
			{10, true, 8},
		} {
			failed := 0
			for n := 0; ; n++ {
				if !failNth(t, tt.size, n, tt.journal) {
					break
				}
				failed++
			}
			if failed < tt.least {
				t.Errorf("%+v: only %d calls could fail", tt, failed)
			}
		}
	})
}

// failNth keeps one message well and another one while the nth call fails. It
// returns false when there was no nth call.
func failNth(t *testing.T, size, n int, journal bool) bool {
	t.Helper()
	m := newMemFS()
	o, err := openMem(t, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.Pause()
	first := spoolOf(t, o, "first")
	if _, err := o.Keep(t.Context(), first, entry(), KeepOptions{}); err != nil {
		t.Fatal(err)
	}
	first.Discard()
	if journal { // it would be sent at once, were there not a runner already
		o.do(func(x *index) { x.paused, x.lane("home").running = false, 1 })
	}
	count, what := 0, ""
	m.step = func(op string) error {
		if count++; count == n+1 {
			what = op
			return full(op)
		}
		return nil
	}
	sp := o.NewSpool()
	_, err = fmt.Fprintf(sp, "Subject: second\r\n\r\n%s\r\n", make([]byte, size))
	if err == nil {
		sp.Finish()
		_, err = o.Keep(t.Context(), sp, entry(), KeepOptions{})
	}
	kept := err == nil
	sp.Discard()
	if journal {
		if kept != (len(o.store.journal.ids()) == 1) {
			t.Errorf("call %d, %s: not by the journal", n, what)
		}
		o.do(func(x *index) { x.paused, x.lane("home").running = true, 0 })
	}
	if what == "" {
		o.Close()
		return false
	}
	var ue *upstream.Error
	if strings.HasPrefix(what, "remove") {
		t.Errorf("%s: nothing is removed while all goes well", what)
	}
	if kept || !errors.As(err, &ue) || ue.Reply.String() != "452 4.3.1 The disk is full: the message could not be kept." {
		t.Errorf("call %d, %s: kept %v, %v", n, what, kept, err)
	}
	if s := o.Snapshot(); s.Total != 1 {
		t.Errorf("call %d, %s: %+v", n, what, s)
	}
	if p := o.Problems(); len(p) != 1 {
		t.Errorf("call %d, %s: %d problems", n, what, len(p))
	}
	o.Close()
	for _, mode := range crashModes {
		if got := entriesOf(t, m.crash(mode)); len(got) != 1 || got["first"] != Waiting {
			t.Errorf("call %d, %s, %s: %v", n, what, mode, got)
		}
	}
	return true
}

func TestDiskStaysFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		attempts := 0
		o, err := openMem(t, m, senderFunc(func(context.Context, Entry, upstream.Body) upstream.Result {
			attempts++
			return upstream.Result{}
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		o.Pause()
		sp := spoolOf(t, o, "m")
		o.Keep(t.Context(), sp, entry(), KeepOptions{})
		m.mu.Lock()
		m.step = func(op string) error {
			if strings.HasPrefix(op, "write") {
				return full(op)
			}
			return nil
		}
		m.mu.Unlock()
		again := spoolOf(t, o, "again")
		if _, err := o.Keep(t.Context(), again, entry(), KeepOptions{}); err == nil {
			t.Error("kept on a full disk")
		}
		again.Discard()
		sp.Discard()
		o.do(func(x *index) { x.paused = false })
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := o.Snapshot(); attempts != 0 || s.Total != 1 || s.Waiting != 1 {
			t.Errorf("%d attempts that were not recorded; %+v", attempts, s)
		}
		m.mu.Lock()
		m.step = nil
		m.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := o.Snapshot(); attempts != 1 || s.Total != 0 {
			t.Errorf("%d attempts when there is room again; %+v", attempts, s)
		}
	})
}

func subjectOf(message string) string {
	_, s, _ := strings.Cut(message, "Subject: ")
	s, _, _ = strings.Cut(s, "\r\n")
	return s
}

func TestKeepGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		o := opened(t, m)
		for _, size := range []int{10, 2 * spoolMemory} {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			sp := o.NewSpool()
			sp.Write(make([]byte, size))
			sp.Finish()
			if _, err := o.Keep(ctx, sp, entry(), KeepOptions{}); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			sp.Discard()
		}
		if s := o.Snapshot(); s.Total != 0 || len(m.now) != 0 || len(o.Problems()) != 0 {
			t.Errorf("%+v, left: %v", s, slices.Collect(maps.Keys(m.now)))
		}
	})
}

func TestIndexIsSmall(t *testing.T) { // not parallel: it looks at the heap
	const n = 10_000
	o := &Outbox{opts: Options{}.withDefaults(), index: newIndex()}
	headers := make([]header, n)
	for i := range headers {
		headers[i] = header{ID: encodeID(int64(i)), Account: "home", State: Waiting, LastError: storeErr(unreachable)}
	}
	before := heapInUse()
	o.fill(headers)
	if per := (heapInUse() - before) / n; per > 1000 {
		t.Errorf("%d octets an entry", per)
	}
	if s := o.index.snapshot(); s.Waiting != n {
		t.Errorf("%+v", s)
	}
}

func TestUnwritableDirectoryIsSaidAtStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		m.step = func(op string) error {
			if strings.HasPrefix(op, "create") {
				return errors.ErrUnsupported
			}
			return nil
		}
		o := opened(t, m)
		if p := o.Problems(); len(p) != 1 || p[0].Sentence == "" || strings.Contains(p[0].Sentence, "/") {
			t.Errorf("%+v", p)
		}
	})
}
