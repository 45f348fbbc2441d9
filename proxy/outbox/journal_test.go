package outbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// filesOf lists what is in a directory of the machine.
func filesOf(t *testing.T, dir, ext string) (names []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+ext))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestWaitingEntriesAreFiles: in the journal is only what is sent at this moment.
func TestWaitingEntriesAreFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		err   *upstream.Error
		then  func(r *rig)
		files int
	}{
		{"the first attempt failed", unreachable, func(*rig) {}, 4},
		{"deferred one by one", greylisted, func(*rig) {}, 4},
		{"password", wrongPassword, func(*rig) {}, 4},
		{"delivered", nil, func(*rig) {}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.answer(tt.err)
				r.keepN(4)
				tt.then(r)
				time.Sleep(time.Second)
				synctest.Wait()
				if n := len(filesOf(t, r.dir, ".json")); n != tt.files || n != len(filesOf(t, r.dir, ".eml")) {
					t.Errorf("%d entries are files, want %d", n, tt.files)
				}
				if ids := r.store.journal.ids(); len(ids) != 0 {
					t.Errorf("in the journal: %v", ids)
				}
			})
		})
	}
}

// TestBehindASlowOne: what waits for its turn is moved to files when the person
// pauses, or after a while; what is being sent stays.
func TestBehindASlowOne(t *testing.T) {
	t.Parallel()
	for _, pause := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			gate := make(chan struct{})
			r.script(func(Entry) upstream.Result { <-gate; return upstream.Result{} })
			ids := r.keepN(3)
			synctest.Wait()
			if n := len(filesOf(t, r.dir, ".json")); n != 0 {
				t.Errorf("%d files at once", n)
			}
			if pause {
				r.Pause()
			} else {
				time.Sleep(moveDelay + time.Second)
			}
			synctest.Wait()
			if n := len(filesOf(t, r.dir, ".json")); n != 2 {
				t.Errorf("pause %v: %d files of those that wait", pause, n)
			}
			equal(t, "in the journal", r.store.journal.ids(), ids[:1])
			close(gate)
			synctest.Wait()
			r.Resume()
			synctest.Wait()
			equal(t, "sent", idsSeen(r.attempts()), ids)
		})
	}
}

// TestArrivalsShareOneSync: whoever comes while a sync runs waits for the next.
func TestArrivalsShareOneSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		o := opened(t, m)
		o.do(func(x *index) { x.lane("home").running = 1 }) // so that none is sent
		syncs := 0
		m.slow(time.Millisecond, func(op string) bool {
			if op != "sync "+journalName {
				return false
			}
			syncs++
			return true
		})
		keep := func(n int) {
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					sp := spoolOf(t, o, fmt.Sprint("m", i))
					defer sp.Discard()
					if _, err := o.Keep(t.Context(), sp, entry(), KeepOptions{}); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		keep(1)
		before := syncs
		keep(16)
		m.mu.Lock()
		defer m.mu.Unlock()
		if n := syncs - before; n > 3 {
			t.Errorf("%d syncs for 16 messages", n)
		}
		o.do(func(x *index) { x.lane("home").running = 0 })
	})
}

// TestNothingIsLeftInClear: what was delivered is in no file when it is idle,
// nor after the end.
func TestNothingIsLeftInClear(t *testing.T) {
	t.Parallel()
	for _, end := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			for i := range 40 {
				r.keep(fmt.Sprint("secret", i), entry("confidant@provider-b.example"), KeepOptions{})
			}
			synctest.Wait()
			if end {
				r.Close()
			} else {
				time.Sleep(time.Second)
				synctest.Wait()
			}
			data, err := os.ReadFile(filepath.Join(r.dir, journalName))
			if err != nil || len(data) == 0 {
				t.Fatal(err)
			}
			if bytes.Contains(data, []byte("hello")) || bytes.Contains(data, []byte("confidant")) || len(bytes.Trim(data[startSize:], "\x00")) > 0 {
				t.Errorf("end %v: the journal still has a message", end)
			}
		})
	}
}

// TestSegmentsTakeTurns fills the journal several times over, with one entry
// that takes its time.
func TestSegmentsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		slow := make(chan struct{})
		r.script(func(e Entry) upstream.Result {
			if e.Account == "slow" {
				<-slow
			}
			return upstream.Result{}
		})
		keep := func(account string) {
			sp := r.NewSpool()
			defer sp.Discard()
			sp.Write([]byte("Subject: m\r\n\r\n"))
			sp.Write(bytes.Repeat([]byte("0123456789abcdef"), 3500))
			sp.Finish()
			e := entry()
			e.Account = account
			if _, err := r.Keep(t.Context(), sp, e, KeepOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		keep("home")
		keep("slow")
		for range 3 * 2 * segmentSize / 56000 {
			keep("home")
			synctest.Wait()
		}
		generation := r.store.journal.file.newest
		if fi, err := os.Stat(filepath.Join(r.dir, journalName)); err != nil || fi.Size() > 2*segmentSize {
			t.Errorf("%v, %v", fi, err)
		}
		close(slow)
		for range 2 * 2 * segmentSize / 56000 {
			keep("home")
			synctest.Wait()
		}
		if now := r.store.journal.file.newest; now < generation+2 {
			t.Errorf("generation %d, before %d: the segments do not take turns", now, generation)
		}
		if s := r.Snapshot(); s.Total != 0 || len(r.Problems()) > 0 {
			t.Errorf("%+v %v", s, r.Problems())
		}
		for id, body := range r.bodies {
			if len(body) != 56014 || !strings.HasPrefix(body, "Subject: m\r\n") {
				t.Errorf("%s: %d octets", id, len(body))
			}
		}
	})
}

// TestDamagedJournal spoils one octet of a journal that a killed process left.
func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"one", "two", "three", "start"} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemFS()
			o := opened(t, m)
			o.do(func(x *index) { x.lane("home").running = 1 })
			for _, s := range []string{"one", "two", "three", "four"} {
				sp := spoolOf(t, o, s)
				if _, err := o.Keep(t.Context(), sp, entry(), KeepOptions{}); err != nil {
					t.Fatal(err)
				}
				sp.Discard()
			}
			c := m.crash(killed)
			o.do(func(x *index) { x.lane("home").running = 0 })
			f := c.now["/outbox/"+journalName]
			at := bytes.Index(f.data, []byte("Subject: "+place))
			if place == "start" {
				at = 5
			}
			f.data[at]++
			c.now["/outbox/"+pausedName] = new(memFile)
			again, err := openMem(t, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			want := map[string]int{"start": 0}
			if _, ok := want[place]; !ok {
				want[place] = 3
			}
			list, _ := again.List()
			if p := again.Problems(); len(list) != want[place] || len(p) == 0 {
				t.Errorf("%s spoilt: %d entries are left, %v", place, len(list), p)
			}
			aside := false
			for name := range c.now {
				aside = aside || strings.HasPrefix(name, "/outbox/"+unreadable+"/"+journalName)
			}
			if !aside || c.now["/outbox/"+journalName] != nil {
				t.Errorf("%s spoilt: not set aside", place)
			}
		})
	}
}

// TestSyncThatFails: what was being made durable is refused, what was durable
// before is sent, and there is a new journal.
func TestSyncThatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		gate := make(chan struct{})
		var sent []string
		o, err := openMem(t, m, senderFunc(func(_ context.Context, e Entry, _ upstream.Body) upstream.Result {
			<-gate
			sent = append(sent, e.ID)
			return upstream.Result{}
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		keep := func(s string) (string, error) {
			sp := spoolOf(t, o, s)
			defer sp.Discard()
			return o.Keep(t.Context(), sp, entry(), KeepOptions{})
		}
		one, _ := keep("one")
		two, _ := keep("two")
		synctest.Wait()
		m.mu.Lock()
		m.step = func(op string) error {
			if op == "sync "+journalName {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		m.mu.Unlock()
		if _, err := keep("three"); err == nil {
			t.Error("kept without a sync")
		}
		m.mu.Lock()
		m.step = nil
		m.mu.Unlock()
		four, err := keep("four") // in files
		if err != nil {
			t.Error(err)
		}
		close(gate)
		time.Sleep(time.Second)
		synctest.Wait()
		equal(t, "sent", sent, []string{one, two, four})
		if _, there := m.now["/outbox/"+journalName]; there || o.Snapshot().Total != 0 {
			t.Error("the journal that failed is still there")
		}
		five, err := keep("five")
		synctest.Wait()
		if _, there := m.now["/outbox/"+journalName]; err != nil || !there || len(sent) != 4 || sent[3] != five {
			t.Errorf("%v, a new journal: %v", err, there)
		}
	})
}

// TestFilesBesideTheJournal: where a crash left both, the files rule, unless they
// cannot be read.
func TestFilesBesideTheJournal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(state, message *memFile)
		state State
		aside bool
	}{
		{"both sound", func(_, _ *memFile) {}, Held, false},
		{"a state that is none", func(s, _ *memFile) { s.data = []byte("{") }, Waiting, true},
		{"half a message", func(_, m *memFile) { m.data = m.data[:10] }, Waiting, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			m := newMemFS()
			o, err := openMem(t, m, nil)
			if err != nil {
				t.Fatal(err)
			}
			o.do(func(x *index) { x.lane("home").running = 1 })
			sp := spoolOf(t, o, "a first message") // it will be recorded as attempted
			o.Keep(t.Context(), sp, entry(), KeepOptions{})
			sp.Discard()
			sp = spoolOf(t, o, "one")
			id, err := o.Keep(t.Context(), sp, entry(), KeepOptions{})
			if err != nil {
				t.Fatal(err)
			}
			sp.Discard()
			o.do(func(x *index) { x.lane("home").running = 0; x.paused = true })
			c := m.crash(killed)
			e, _ := o.store.journal.get(id)
			e.State = Held
			if err := o.store.move(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			for _, ext := range []string{".json", ".eml"} {
				c.now["/outbox/"+id+ext] = m.now["/outbox/"+id+ext]
			}
			o.Pause()
			tt.spoil(c.now["/outbox/"+id+".json"], c.now["/outbox/"+id+".eml"])
			c.now["/outbox/"+pausedName] = new(memFile)
			again, err := openMem(t, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := again.Show(id)
			if err != nil || got.State != tt.state || again.Snapshot().Total != 2 {
				t.Errorf("%s: %s, %v, %+v", tt.name, got.State, err, again.Snapshot())
			}
			if p := again.Problems(); (len(p) > 0) != tt.aside {
				t.Errorf("%s: %+v", tt.name, p)
			}
			again.Close()
			o.Close()
		})
	}
}

// TestNewerJournalIsRefused: and left alone.
func TestNewerJournalIsRefused(t *testing.T) {
	t.Parallel()
	m := newMemFS()
	m.now["/outbox/"+journalName] = &memFile{data: append([]byte("Mjr\x02"), make([]byte, 8000)...)}
	if o, err := openMem(t, m, nil); err != ErrNewerState {
		t.Errorf("%v", err)
		if o != nil {
			o.Close()
		}
	}
	if f := m.now["/outbox/"+journalName]; f == nil || !bytes.HasPrefix(f.data, []byte("Mjr\x02")) {
		t.Error("it was changed")
	}
}

// TestOneSyncForOneMessage: its first attempt is recorded with it, its end needs
// none.
func TestOneSyncForOneMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		o, err := openMem(t, m, senderFunc(func(context.Context, Entry, upstream.Body) upstream.Result {
			return upstream.Result{}
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		for i := range 3 {
			m.mu.Lock()
			before := len(m.log)
			m.mu.Unlock()
			sp := spoolOf(t, o, "m")
			if _, err := o.Keep(t.Context(), sp, entry(), KeepOptions{}); err != nil {
				t.Fatal(err)
			}
			sp.Discard()
			synctest.Wait()
			m.mu.Lock()
			log := strings.Join(m.log[before:], ", ")
			m.mu.Unlock()
			if want := "write journal, sync journal, write journal"; i > 0 && !strings.HasPrefix(log, want) || strings.Count(log, ".eml") > 0 ||
				i > 0 && strings.Count(log, "sync") != 1 {
				t.Errorf("message %d: %s", i, log)
			}
		}
		if s := o.Snapshot(); s.Total != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestOutcomeInTheJournal: where no file can be made, the journal takes what
// became of an entry, and a kill does not make anybody get it twice.
func TestOutcomeInTheJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		o, err := openMem(t, m, senderFunc(func(_ context.Context, e Entry, _ upstream.Body) upstream.Result {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.step = func(op string) error {
				if strings.HasPrefix(op, "create") {
					return full(op)
				}
				return nil
			}
			return upstream.Result{Recipients: []upstream.RecipientResult{
				{Recipient: e.Envelope.Recipients[0]}, {Recipient: e.Envelope.Recipients[1], Err: greylisted},
			}}
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		sp := spoolOf(t, o, "m")
		defer sp.Discard()
		if _, err := o.Keep(t.Context(), sp, entry("x", "y"), KeepOptions{}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if owed := o.store.debts(); len(owed) != 0 {
			t.Errorf("owed: %v", owed)
		}
		for _, mode := range crashModes {
			c := m.crash(mode)
			c.now["/outbox/"+pausedName] = new(memFile)
			again, err := openMem(t, c, nil)
			if err != nil {
				t.Fatal(err)
			}
			list, err := again.List()
			if err != nil || len(list) != 1 || fmt.Sprint(list[0].To()) != "[y]" || list[0].State != Waiting {
				t.Errorf("%s: %+v, %v", mode, list, err)
			}
			again.Close()
		}
		m.mu.Lock()
		m.step = nil
		m.mu.Unlock()
	})
}
