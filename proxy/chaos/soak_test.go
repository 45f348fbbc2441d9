//go:build soak && linux

package chaos

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// maxThreads bounds the threads: Go keeps one for each of the file writes that
// were once under way together, and of those the outbox has at most 32.
const maxThreads = 64

// TestSoak is steady traffic for DURATION (default 10m), every kind of app, the
// provider in good health but for a lost connection now and then. The process
// ends where it began: descriptors, threads, memory, goroutines, files.
func TestSoak(t *testing.T) {
	d := duration(t, 10*time.Minute)
	w := newWorld(t, seedOf(t), false)
	warm, cancel := context.WithTimeout(t.Context(), max(5*time.Second, d/20))
	w.apps(warm, 6, 60*time.Millisecond)
	cancel()
	w.idle(t)
	before := usageOf(t, w.relay)
	t.Logf("after warming up: %v", before)

	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause(ctx, 3*time.Second) {
			w.wire().cut(1)
			if rand.IntN(5) == 0 {
				w.reload(ctx)
			}
		}
	}()
	w.apps(ctx, 6, 60*time.Millisecond)
	<-done
	w.idle(t)
	after := usageOf(t, w.relay)
	t.Logf("after %v and %d messages: %v", d, w.ledger.messages(), after)
	if after.descriptors > before.descriptors+4 || after.threads > maxThreads || after.memory > before.memory+16<<20 {
		t.Errorf("it grew: %v, then %v", before, after)
	}
	w.goroutines(t)
	w.start()
	w.clear(t.Context())
	if b := w.settle(); b.lost+b.corrupt+b.uninvited > 0 {
		t.Error("messages were lost")
	}
	if left, _ := filepath.Glob(filepath.Join(w.site.state, "outbox", "*.eml")); len(left) > 0 {
		t.Errorf("%d files are left in the outbox", len(left))
	}
}

// idle returns when nothing waits, nothing is under way and connections that are
// kept warm have had their time.
func (w *world) idle(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		w.send(ctx)
		if n, err := w.waiting(ctx); err == nil && n == 0 {
			break
		}
		if !pause(ctx, 300*time.Millisecond) {
			t.Fatal("messages wait though nothing is wrong")
		}
	}
	for _, p := range w.providers {
		p.Drop("")
		if err := p.WaitIdle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	pause(ctx, 2*time.Second) // the garbage of the last moments
}

// goroutines has the process print its goroutines as it ends, and compares with
// a process that has just started.
func (w *world) goroutines(t *testing.T) {
	t.Helper()
	count := func() (n int) {
		w.end(func(r *relayd) {
			r.signal(syscall.SIGQUIT)
			<-r.done
			n = len(regexp.MustCompile(`(?m)^goroutine \d+ `).FindAllString(r.log(), -1))
		})
		return n
	}
	after := count()
	w.start()
	w.idle(t)
	fresh := count()
	t.Logf("goroutines: %d after the traffic, %d in a process that is new", after, fresh)
	if after > fresh+2 || fresh == 0 {
		t.Errorf("%d goroutines after the traffic, %d in a process that is new", after, fresh)
	}
}

// usage is what a process holds.
type usage struct{ descriptors, threads, memory int }

func (u usage) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %.1f MB", u.descriptors, u.threads, float64(u.memory)/(1<<20))
}

// usageOf reads /proc.
func usageOf(t *testing.T, r *relayd) usage {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d", r.cmd.Process.Pid)
	fds, err := os.ReadDir(dir + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		t.Fatal(err)
	}
	field := func(name string) int {
		_, rest, _ := bytes.Cut(status, []byte("\n"+name+":"))
		n, _ := strconv.Atoi(string(regexp.MustCompile(`\d+`).Find(rest)))
		return n
	}
	return usage{descriptors: len(fds), threads: field("Threads"), memory: field("VmRSS") << 10}
}
