package outbox

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// An attempt is a line behind the state. Cut short anywhere, as by a crash, the
// state before it stands; the next attempt is read whatever was cut before it.
func TestAttemptCutShort(t *testing.T) {
	t.Parallel()
	e := entry("hanako@provider-b.example")
	e.ID, e.State, e.QueuedAt, e.Fingerprint = "0123456789", Waiting, stoppedClock(), "f"
	e.LastError = &upstream.Error{Phase: upstream.PhaseRcpt, Sentence: "\n}\n"} // looks like the end
	base, err := encode(e)
	if err != nil {
		t.Fatal(err)
	}
	line := func(n int) []byte {
		a := e
		a.State, a.Attempts, a.LastAttempt, a.NextAttempt = Sending, n, stoppedClock(), stoppedClock().Add(time.Duration(n)*time.Minute)
		a.record.step, a.record.batch = n, "b"
		l, err := encodeAttempt(a)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	want := func(data []byte, state State, attempts int) {
		t.Helper()
		got, err := decode(e.ID, data)
		h, herr := decodeHeader(e.ID, data)
		if err != nil || herr != nil || got.State != state || got.Attempts != attempts || h.State != state || h.Attempts != attempts ||
			!h.NextAttempt.Equal(got.NextAttempt) || h.Batch != got.record.batch || h.Step != got.record.step || h.Step != attempts {
			t.Fatalf("%+v, %v; %+v, %v; want %s after %d attempts\n%s", got, err, h, herr, state, attempts, data)
		}
	}
	first := line(1)
	want(base, Waiting, 0)
	for cut := range len(first) - 1 {
		torn := append(bytes.Clone(base), first[:cut]...)
		want(torn, Waiting, 0)
		want(append(torn, line(2)...), Sending, 2)
		want(append(bytes.Clone(torn), make([]byte, 40)...), Waiting, 0) // the length was kept, the octets were not
	}
	want(append(bytes.Clone(base), first...), Sending, 1)
	want(slices.Concat(base, first, line(2)), Sending, 2)
}

// Recording an attempt costs one sync of one file that is there: no new file, no
// rename, no sync of the directory.
func TestAttemptIsOneSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		o := opened(t, m)
		o.Pause()
		sp := spoolOf(t, o, "one")
		id, err := o.Keep(t.Context(), sp, entry(), KeepOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sp.Discard()
		synctest.Wait()
		e, err := o.store.load(id)
		if err != nil {
			t.Fatal(err)
		}
		var ops []string
		m.step = func(op string) error { ops = append(ops, strings.Fields(op)[0]); return nil }
		e.State, e.Attempts = Sending, 1
		if errs := o.store.attemptAll([]Entry{e}); errs[0] != nil {
			t.Fatal(errs[0])
		}
		m.step = nil
		if got := strings.Join(ops, " "); strings.Count(got, "sync") != 1 || strings.Contains(got, "create") || strings.Contains(got, "rename") {
			t.Errorf("calls: %s", got)
		}
		// After the power failed the attempt is known.
		after, err := openMem(t, m.crash(powerOff), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer after.Close()
		if got, err := after.Show(id); err != nil || got.Attempts != 1 || got.State != Unconfirmed {
			t.Errorf("after a crash: %+v, %v", got, err)
		}
	})
}

// Keeping a message takes the time of two syncs, one after the other: both files
// and the directory side by side, then the directory with the commit.
func TestKeepTakesTwoSyncs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		o := opened(t, m)
		o.Pause()
		m.slow(10*time.Millisecond, func(op string) bool { return strings.HasPrefix(op, "sync") })
		sp := spoolOf(t, o, "one")
		defer sp.Discard()
		start := time.Now()
		if _, err := o.Keep(t.Context(), sp, entry(), KeepOptions{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 20*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		m.mu.Lock()
		m.step = nil
		m.mu.Unlock()
	})
}
