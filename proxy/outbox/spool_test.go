package outbox

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"melon/upstream"
)

// newSpoolStore returns a store in a new directory.
func newSpoolStore(t *testing.T) *store {
	t.Helper()
	s := newStore(t.TempDir(), OS{}, stoppedClock)
	t.Cleanup(s.close)
	return s
}

func files(t *testing.T, dir string) int {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestSpoolReadersFollowTheWriter(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, spoolMemory - 1, spoolMemory, spoolMemory + 1, 10 * spoolMemory} {
		synctest.Test(t, func(t *testing.T) {
			s := newSpoolStore(t)
			sp := newSpool(s)
			want := bytes.Repeat([]byte("0123456789abcde\n"), size/16+1)[:size]
			var wg sync.WaitGroup
			for range 3 {
				r, err := sp.Open()
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					defer r.Close()
					if err := iotest.TestReader(onlyReader{r}, want); err != nil {
						t.Errorf("%d octets: %v", size, err)
					}
				})
			}
			for rest := want; len(rest) > 0; {
				n := min(len(rest), 5000)
				sp.Write(rest[:n])
				rest = rest[n:]
				synctest.Wait() // the readers have caught up
			}
			if n, complete := sp.Size(); n != int64(size) || complete {
				t.Errorf("%d octets, complete %v", n, complete)
			}
			sp.Finish()
			wg.Wait()
			if n := files(t, s.dir); (n > 0) != (size > spoolMemory) {
				t.Errorf("%d octets: %d files", size, n)
			}
			sp.Discard()
			sp.Discard()
			if n := files(t, s.dir); n != 0 {
				t.Errorf("%d octets: %d files left", size, n)
			}
		})
	}
}

// onlyReader keeps iotest from seeking.
type onlyReader struct{ io.Reader }

func TestSpoolAborted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sp := newSpool(newSpoolStore(t))
		defer sp.Discard()
		io.WriteString(sp, "half a mess")
		r, _ := sp.Open()
		done := make(chan error)
		go func() {
			_, err := io.ReadAll(r)
			done <- err
		}()
		synctest.Wait()
		sp.Abort()
		if err := <-done; !errors.Is(err, upstream.ErrBodyAborted) {
			t.Errorf("%v", err)
		}
		if _, err := sp.take(); err == nil {
			t.Error("an entry of half a message")
		}
		if _, err := io.WriteString(sp, "more"); err == nil {
			t.Error("written after Abort")
		}
	})
}

func TestSpoolReaderClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sp := newSpool(newSpoolStore(t))
		for _, end := range []func(io.Closer){func(r io.Closer) { r.Close() }, func(io.Closer) { sp.Discard() }} {
			r, _ := sp.Open()
			done := make(chan error)
			go func() {
				_, err := r.Read(make([]byte, 1))
				done <- err
			}()
			synctest.Wait()
			end(r)
			if err := <-done; !errors.Is(err, os.ErrClosed) {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestSpoolDiskFull(t *testing.T) {
	t.Parallel()
	m := newMemFS()
	s := newStore("/outbox", m, stoppedClock)
	defer s.close()
	sp := newSpool(s)
	r, _ := sp.Open()
	sp.Write(make([]byte, spoolMemory))
	m.step = func(op string) error { return full(op) }
	_, err := sp.Write([]byte("x"))
	var se *StoreError
	if !errors.As(err, &se) || !errors.As(sp.Finish(), &se) {
		t.Errorf("%v", err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, upstream.ErrBodyAborted) {
		t.Errorf("reader: %v", err)
	}
	sp.Discard()
	if len(m.now) != 0 {
		t.Errorf("left: %v", m.now)
	}
}

func TestSeveralEntriesOfOneSpool(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 3 * spoolMemory} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			r.Pause()
			sp := r.NewSpool()
			sp.Write(bytes.Repeat([]byte("x"), size))
			sp.Finish()
			var ids []string
			for range 3 {
				id, err := r.Keep(t.Context(), sp, entry(), KeepOptions{})
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, id)
			}
			sp.Discard()
			for _, id := range ids {
				fi, err := os.Stat(filepath.Join(r.dir, id+".eml"))
				if err != nil || fi.Size() != int64(size) {
					t.Errorf("%v, %v", fi, err)
				}
			}
		})
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	s := newSpoolStore(t)
	print := func(prefix, content string, e Entry) string {
		sp := newSpool(s)
		defer sp.Discard()
		sp.WritePrefix([]byte(prefix))
		io.WriteString(sp, content)
		sp.Finish()
		return sp.Fingerprint(e.Envelope)
	}
	one := print("Received: 1\r\n", "body", entry("a@x.example", "b@x.example"))
	other := entry("a@x.example", "b@x.example")
	other.Envelope.From = "jiro@provider-a.example"
	for name, tt := range map[string]struct {
		got  string
		same bool
	}{
		"another Received line": {print("Received: 2\r\n", "body", entry("a@x.example", "b@x.example")), true},
		"another order":         {print("", "body", entry("b@x.example", "a@x.example")), true},
		"another content":       {print("", "Body", entry("a@x.example", "b@x.example")), false},
		"fewer recipients":      {print("", "body", entry("a@x.example")), false},
		"joined recipients":     {print("", "body", entry("a@x.exampleb@x.example")), false},
		"another sender":        {print("", "body", other), false},
	} {
		if (tt.got == one) != tt.same {
			t.Errorf("%s: same fingerprint is %v", name, !tt.same)
		}
	}
}
