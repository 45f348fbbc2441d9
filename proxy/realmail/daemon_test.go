//go:build realmail

package realmail

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait. Nothing takes a fraction of it; it is so long
// because a busy machine must not fail a test.
const patience = 60 * time.Second

// journal collects what a program prints, line by line.
type journal struct {
	mu      sync.Mutex
	partial string
	lines   []string
	more    chan struct{} // closed and replaced when lines are added
}

func newJournal() *journal { return &journal{more: make(chan struct{})} }

// Write implements io.Writer.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := strings.Split(j.partial+string(p), "\n")
	last := len(lines) - 1
	j.partial = lines[last]
	if last > 0 {
		j.lines = append(j.lines, lines[:last]...)
		close(j.more)
		j.more = make(chan struct{})
	}
	return len(p), nil
}

// count returns how many lines have all the words.
func (j *journal) count(words ...string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(matching(j.lines, words))
}

// wait returns the first line that has all the words, when it has come.
func (j *journal) wait(ctx context.Context, words ...string) (string, error) {
	for {
		j.mu.Lock()
		found, more := matching(j.lines, words), j.more
		j.mu.Unlock()
		if len(found) > 0 {
			return found[0], nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return "", fmt.Errorf("no line with %q: %w", words, ctx.Err())
		}
	}
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n") + "\n" + j.partial
}

func matching(lines, words []string) (found []string) {
next:
	for _, line := range lines {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// daemon is a program that runs until the test ends. Its output is in journal,
// which is shown when the test failed.
type daemon struct {
	*journal
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// drain adds to the journal what is written to name, a log file that is made a
// pipe, until the test ends: Postfix logs to a file only, and a pipe can be
// waited for.
func (j *journal) drain(t testing.TB, name string) {
	t.Helper()
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	// For writing as well, so that it never ends by itself.
	pipe, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(j, pipe) // until it is closed
	}()
	t.Cleanup(func() {
		pipe.Close()
		<-done
	})
}

// startDaemon starts cmd, which must have neither output nor SysProcAttr.Setsid;
// what it prints is added to j. At the end of the test the whole session is
// killed.
func startDaemon(t testing.TB, name string, cmd *exec.Cmd, j *journal) *daemon {
	t.Helper()
	d := &daemon{journal: j, cmd: cmd, done: make(chan struct{})}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setsid = true
	cmd.Stdout, cmd.Stderr = d, d
	cmd.WaitDelay = 10 * time.Second // for its children, which have its output
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		defer close(d.done)
		cmd.Wait() // however it ends: what it printed tells why
	}()
	t.Cleanup(func() {
		d.stop()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, d)
		}
	})
	return d
}

// stop kills the daemon and what it started in its session, and waits for it.
func (d *daemon) stop() {
	select {
	case <-d.done: // its number may be another's by now
	default:
		syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
		<-d.done
	}
}

// within returns a context for one wait.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// waitFor waits for a line with all the words, and fails the test when the
// daemon ends first or takes too long.
func (d *daemon) waitFor(t testing.TB, words ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	go func() {
		select {
		case <-d.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	line, err := d.wait(ctx, words...)
	if err != nil {
		t.Fatal(err)
	}
	return line
}
