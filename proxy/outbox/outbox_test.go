package outbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

func TestKeptMessageIsAPlainFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.Pause()
		e := entry("hanako@provider-b.example", "jiro@provider-c.example")
		e.Envelope.Recipients[0].Notify = []string{"FAILURE", "DELAY"}
		e.Envelope.Recipients[0].OriginalType, e.Envelope.Recipients[0].Original = "rfc822", "h@x.example"
		e.Envelope.Body, e.Envelope.SMTPUTF8, e.Envelope.Return, e.Envelope.EnvelopeID = upstream.Body8BitMIME, true, "HDRS", "QQ1"
		id := r.keep("hello", e, KeepOptions{})
		data, err := os.ReadFile(filepath.Join(r.dir, id+".eml"))
		if err != nil || !strings.HasSuffix(string(data), "Subject: hello\r\n\r\nhello\r\n") {
			t.Errorf("%q, %v", data, err)
		}
		for _, name := range []string{id + ".eml", id + ".json"} {
			if fi, err := os.Stat(filepath.Join(r.dir, name)); err != nil || !private(fi, 0o600) {
				t.Errorf("%s: %v, %v", name, fi.Mode(), err)
			}
		}
		if fi, _ := os.Stat(r.dir); !private(fi, 0o700) {
			t.Errorf("directory: %v", fi.Mode())
		}
		r.reopen()
		got := r.show(id)
		e.Envelope.Size = int64(len(data))
		if fmt.Sprint(got.Envelope) != fmt.Sprint(e.Envelope) || got.Account != "home" || got.Size != e.Envelope.Size {
			t.Errorf("\n got %+v\nwant %+v", got.Envelope, e.Envelope)
		}
		rd, _, err := r.Export(id[:9])
		if err != nil {
			t.Fatal(err)
		}
		defer rd.Close()
		if out, _ := io.ReadAll(rd); string(out) != string(data) {
			t.Error("export differs")
		}
	})
}

func TestErrorsSurviveARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(noSuchUser)
		id := r.keep("m", entry(), KeepOptions{})
		synctest.Wait()
		r.reopen()
		e := r.show(id)
		if e.LastError == nil || e.LastError.Error() != noSuchUser.Error() || e.LastError.Kind() != upstream.KindMessage {
			t.Errorf("%v", e.LastError)
		}
	})
}

func TestInFlight(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		result *upstream.Error
		want   State
	}{
		{"delivered", nil, ""},
		{"refused", noSuchUser, Attention},
		{"no verdict", unreachable, Waiting},
		{"lost", lostReply, Unconfirmed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				id := r.keep("m", entry(), KeepOptions{InFlight: true})
				r.NetworkChanged()
				time.Sleep(24 * time.Hour)
				if n := len(r.attempts()); n != 0 || r.show(id).State != Sending {
					t.Fatalf("%d attempts while a live transaction works on it", n)
				}
				if err := r.Hold(id); !errors.Is(err, ErrBusy) {
					t.Errorf("hold: %v", err)
				}
				r.answer(unreachable)
				if err := r.Settle(id, upstream.Result{Err: tt.result}); err != nil {
					t.Fatal(err)
				}
				if s := r.states()[id]; s != tt.want {
					t.Errorf("%q, want %q", s, tt.want)
				}
				if err := r.Settle(id, upstream.Result{}); !errors.Is(err, ErrUnknownID) {
					t.Errorf("settled twice: %v", err)
				}
			})
		})
	}
}

func TestSendingIsUnconfirmedAfterACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		id := r.keep("m", entry(), KeepOptions{InFlight: true})
		r.Pause()
		r.reopen() // without a word from the live transaction
		if e := r.show(id); e.State != Unconfirmed {
			t.Errorf("%s", e.State)
		}
		r.Hold(id)
		r.reopen()
		r.Release(id)
		if e := r.show(id); e.State != Unconfirmed {
			t.Errorf("held and released: %s", e.State)
		}
		r.Resume()
		if n := len(r.attempts()); n != 1 {
			t.Errorf("%d attempts at once", n)
		}
	})
}

func TestOfABatchOnlyTheFirstIsUnconfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.Pause()
		ids := r.keepN(3)
		var entries []Entry
		for _, id := range ids {
			e, _ := r.store.load(id)
			e.State, e.Attempts, e.record.batch = Sending, 1, ids[0]
			entries = append(entries, e)
		}
		r.store.updateAll(entries, nil)
		r.reopen()
		got := r.states()
		if got[ids[0]] != Unconfirmed || got[ids[1]] != Waiting || got[ids[2]] != Waiting {
			t.Errorf("%v", got)
		}
	})
}

func TestJoin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		e := entry("a@x.example", "b@x.example")
		sp := r.NewSpool()
		defer sp.Discard()
		sp.WritePrefix([]byte("Received: at twelve\r\n"))
		io.WriteString(sp, "Subject: m\r\n\r\nhello\r\n")
		sp.Finish()
		id, err := r.Keep(t.Context(), sp, e, KeepOptions{InFlight: true})
		if err != nil {
			t.Fatal(err)
		}
		again := r.NewSpool()
		defer again.Discard()
		again.WritePrefix([]byte("Received: at five past twelve\r\n"))
		io.WriteString(again, "Subject: m\r\n\r\nhello\r\n")
		again.Finish()
		join := func(env upstream.Envelope) string {
			id, _ := r.Join(again.Fingerprint(env))
			return id
		}
		if got := join(entry("b@x.example", "a@x.example").Envelope); got != id {
			t.Errorf("joined %q, want %q", got, id)
		}
		if got := join(entry("a@x.example").Envelope); got != "" {
			t.Errorf("other recipients joined %q", got)
		}
		r.answer(unreachable)
		r.Settle(id, upstream.Result{Err: lostReply})
		time.Sleep(9 * time.Minute)
		if got := join(e.Envelope); got != id {
			t.Errorf("unconfirmed: joined %q, want %q", got, id)
		}
		time.Sleep(2 * time.Minute)
		if got := join(e.Envelope); got != "" {
			t.Errorf("joined after ten minutes: %q", got)
		}
		second := r.keep("other", e, KeepOptions{InFlight: true})
		sp2 := r.spool("other")
		defer sp2.Discard()
		r.Settle(second, upstream.Result{Err: greylisted})
		if got, ok := r.Join(sp2.Fingerprint(e.Envelope)); ok {
			t.Errorf("a known outcome was joined: %q", got)
		}
	})
}

func TestCommands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.Pause()
		ids := r.keepN(4)
		if err := r.Hold(ids[0], ids[1]); err != nil {
			t.Fatal(err)
		}
		if err := r.Remove(ids[2]); err != nil {
			t.Fatal(err)
		}
		r.reopen()
		r.Resume()
		r.SendNow()
		equal(t, "all but held and removed", idsSeen(r.attempts()), ids[3:])
		if s := r.Snapshot(); s.Held != 2 || s.Total != 2 {
			t.Errorf("%+v", s)
		}
		r.Release(ids[0])
		r.SendNow(ids[1])
		equal(t, "released and sent by name", idsSeen(r.attempts()), ids[:2])
		names, _ := filepath.Glob(filepath.Join(r.dir, "*.*"))
		if len(names) != 1 || filepath.Base(names[0]) != historyName {
			t.Errorf("left behind: %v", names)
		}
		r.Record(Record{Account: "home", Outcome: "delivered"}) // by a live send
		if h, _ := r.History(); len(h) != 5 || h[0].Time.IsZero() || h[0].ID != "" {
			t.Errorf("%+v", h)
		}
		r.Configure(Settings{History: 1})
		if h, _ := r.History(); len(h) != 1 {
			t.Errorf("%d in a history of one", len(h))
		}
		r.Configure(Settings{})
		h, err := r.History()
		h = h[1:]
		if err != nil || len(h) != 4 || h[0].Outcome != "delivered" || h[3].Outcome != "removed" || h[3].ID != ids[2] {
			t.Errorf("%+v, %v", h, err)
		}
	})
}

func TestIDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.Pause()
		ids := r.keepN(2)
		for _, tt := range []struct {
			id   string
			want error
		}{
			{"zzz", ErrUnknownID}, {"", ErrUnknownID}, {"../../etc/passwd", ErrUnknownID},
			{ids[0][:3], ErrAmbiguousID}, {ids[0], nil},
		} {
			_, err := r.Show(tt.id)
			var ie *IDError
			if !errors.Is(err, tt.want) || tt.want != nil && (!errors.As(err, &ie) || ie.ID != tt.id) {
				t.Errorf("%q: %v, want %v", tt.id, err, tt.want)
			}
		}
		if err := r.Remove(ids[0], "zzz"); !errors.Is(err, ErrUnknownID) || r.Snapshot().Total != 2 {
			t.Errorf("%v: nothing is removed when one of the IDs is unknown", err)
		}
	})
}

func TestIDsSort(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	s := newStore(t.TempDir(), OS{}, func() time.Time { return day })
	defer s.close()
	last := ""
	for range 1000 { // the clock stands still
		id := s.newID()
		if n, ok := decodeID(id); !ok || encodeID(n) != id || id <= last || len(id) != 10 {
			t.Fatalf("%q after %q", id, last)
		}
		last = id
	}
	for _, bad := range []string{"", "short", "iiiiiiiiii", "01234567890", "ABCDEFGHJK"} {
		if _, ok := decodeID(bad); ok {
			t.Errorf("%q was taken for an ID", bad)
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		_, err := Open(r.dir, Options{Sender: r})
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", os.Getpid())) {
			t.Errorf("%v", err)
		}
		r.reopen()
	})
}

func TestUnreadableEntriesAreSetAside(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.Pause()
		ids := r.keepN(6)
		spoil := func(i int, ext string, fn func(name string) error) {
			if err := fn(filepath.Join(r.dir, ids[i]+ext)); err != nil {
				t.Fatal(err)
			}
		}
		r.Close()
		spoil(0, ".json", func(n string) error { return os.WriteFile(n, []byte(`{"version": 1,`), 0o600) })
		spoil(1, ".eml", os.Remove)
		spoil(2, ".json", func(n string) error {
			os.Remove(n)
			return os.Symlink(filepath.Join(r.dir, ids[3]+".json"), n)
		})
		spoil(4, ".eml", func(n string) error { return os.Truncate(n, 5) })
		os.WriteFile(filepath.Join(r.dir, "note.eml"), []byte("a person's own"), 0o600)
		os.WriteFile(filepath.Join(r.dir, "0123456789.eml"), []byte("never committed"), 0o600)
		os.WriteFile(filepath.Join(r.dir, ids[3]+temporary), []byte("half"), 0o600)
		r.open()
		if p := r.Problems(); len(p) != 3 {
			t.Errorf("%d problems: %+v", len(p), p)
		}
		r.Resume()
		seen := r.attempts()
		defer func() {
			r.reopen()
			if p := r.Problems(); len(p) != 1 {
				t.Errorf("set aside by an earlier run: %+v", p)
			}
		}()
		equal(t, "sent", idsSeen(seen), []string{ids[3], ids[5]})
		if p := r.Problems(); len(p) != 4 { // the cut one was found when it was to be sent
			t.Errorf("%d problems: %+v", len(p), p)
		}
		for _, name := range []string{ids[0] + ".eml", ids[0] + ".json", ids[1] + ".json", ids[2] + ".eml", ids[2] + ".json", ids[4] + ".eml"} {
			if _, err := os.Lstat(filepath.Join(r.dir, unreadable, name)); err != nil {
				t.Error(err)
			}
		}
		for name, there := range map[string]bool{"note.eml": true, "0123456789.eml": false, ids[3] + temporary: false} {
			if _, err := os.Lstat(filepath.Join(r.dir, name)); (err == nil) != there {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestNewerStateIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.Pause()
		id := r.keepN(1)[0]
		r.Close()
		name := filepath.Join(r.dir, id+".json")
		data, _ := os.ReadFile(name)
		os.WriteFile(name, []byte(strings.Replace(string(data), `"version": 1`, `"version": 2`, 1)), 0o600)
		if _, err := Open(r.dir, Options{Sender: r}); !errors.Is(err, ErrNewerState) {
			t.Errorf("%v", err)
		}
		if after, _ := os.ReadFile(name); len(after) != len(data) {
			t.Error("the newer state was touched")
		}
		os.WriteFile(name, data, 0o600)
		r.open() // the refusal let go of the lock
	})
}

func TestDirectoryThatIsALink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "outbox")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if f, err := (OS{}).Open(link); err == nil && runtime.GOOS != "windows" {
		f.Close()
		t.Error("a symbolic link was opened")
	}
	if o, err := Open(link, Options{Sender: senderFunc(nil)}); err == nil {
		o.Close()
		t.Error("a symbolic link was followed")
	}
}

func TestDirectoryGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		os.RemoveAll(r.dir)
		sp := r.spool("m")
		defer sp.Discard()
		_, err := r.Keep(t.Context(), sp, entry(), KeepOptions{})
		var ue *upstream.Error
		if !errors.As(err, &ue) || ue.Reply.String() != "452 4.3.1 The outbox directory is gone: the message could not be kept." {
			t.Errorf("%v", err)
		}
		if p := r.Problems(); len(p) != 1 || p[0].Sentence == "" {
			t.Errorf("%+v", p)
		}
		os.MkdirAll(r.dir, 0o700)
		r.Pause()
		r.keepN(1)
		if p := r.Problems(); len(p) != 0 {
			t.Errorf("it can be written again: %+v", p)
		}
	})
}
