//go:build unix

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program builds the real program once for all tests and returns its path.
// MELON_PROGRAM names one that is built already, such as a package's.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("MELON_PROGRAM"); path != "" {
		return path, nil
	}
	path := filepath.Join(scratch, "melon")
	out, err := exec.Command("go", "build", "-o", path, "melon/cmd/melon").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return path, nil
})

// scratch is where the program is built; TestMain removes it.
var scratch string

func TestMain(m *testing.M) {
	if attack := os.Getenv(asAttacker); attack != "" {
		os.Exit(attackAs(attack, os.Args[1:]))
	}
	var err error
	if scratch, err = os.MkdirTemp("", "melon-chaos-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(scratch)
	os.Exit(status)
}

// site is where one Melon lives: its configuration and its state directory.
type site struct{ program, dir, config, state string }

// newSite makes the directories, below a short path: the control socket is there.
func newSite(t testing.TB) *site {
	t.Helper()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "mc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{program: bin, dir: dir, config: filepath.Join(dir, "config.yaml"), state: filepath.Join(dir, "state")}
	if err := os.Mkdir(s.state, 0o700); err != nil {
		t.Fatal(err)
	}
	return s
}

// write puts a file into the site's directory and returns its path. It is
// replaced as a whole, as a reload may read it at any moment.
func (s *site) write(t testing.TB, name, content string) string {
	path := filepath.Join(s.dir, name)
	err := os.WriteFile(path+".new", []byte(content), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Error(err)
	}
	return path
}

func (s *site) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.program, append([]string{"--config", s.config, "--state", s.state}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "XDG_RUNTIME_DIR="+s.dir, "LANG=C")
	return cmd
}

// run runs a command of the program's to its end.
func (s *site) run(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd := s.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// relayd is a running `melon run`.
type relayd struct {
	cmd  *exec.Cmd
	addr string        // of its listener
	done chan struct{} // closed when it has ended

	mu   sync.Mutex
	tail []string // the last lines of its log
	bad  []string // lines that no run may have
}

// tailLines is how many lines of the log are kept.
const tailLines = 4000

// start starts the program and returns when it says "ready".
func (s *site) start(ctx context.Context, args ...string) (*relayd, error) {
	r := &relayd{cmd: s.command(context.WithoutCancel(ctx), append([]string{"run"}, args...)...), done: make(chan struct{})}
	pipe, err := r.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go r.follow(bufio.NewReader(pipe), ready)
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	select {
	case <-ready:
		return r, nil
	case <-r.done:
		return nil, fmt.Errorf("the program ended before it was ready:\n%s", r.log())
	case <-limit.C:
		r.kill()
		return nil, fmt.Errorf("the program was not ready in time:\n%s", r.log())
	}
}

// follow reads the log to its end and then waits for the process.
func (r *relayd) follow(log *bufio.Reader, ready chan struct{}) {
	defer close(r.done)
	for {
		line, err := log.ReadString('\n')
		line = strings.TrimSuffix(line, "\n")
		r.mu.Lock()
		if a, ok := strings.CutPrefix(line, "listening smtp "); ok && r.addr == "" {
			r.addr = a
		}
		if strings.Contains(line, "panic") || strings.Contains(line, "DATA RACE") {
			r.bad = append(r.bad, line)
		}
		if line != "" {
			r.tail = append(r.tail, line)
		}
		if len(r.tail) > 2*tailLines {
			r.tail = append([]string(nil), r.tail[tailLines:]...)
		}
		r.mu.Unlock()
		if line == "ready" {
			close(ready)
		}
		if err != nil {
			break
		}
	}
	_ = r.cmd.Wait() // how it ended is in ProcessState
}

// log returns the last lines.
func (r *relayd) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.tail, "\n")
}

// alive reports whether the process has not ended.
func (r *relayd) alive() bool {
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

// kill ends the process at once and waits for its end.
func (r *relayd) kill() { r.signal(syscall.SIGKILL); <-r.done }

// stop ends it as a person would; the error says what was wrong with its end.
func (r *relayd) stop() error {
	r.signal(syscall.SIGTERM)
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	select {
	case <-r.done:
	case <-limit.C:
		r.signal(syscall.SIGQUIT)
		<-r.done
		return fmt.Errorf("it did not stop on SIGTERM:\n%s", r.log())
	}
	if code := r.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("exit status %d:\n%s", code, r.log())
	}
	return nil
}

func (r *relayd) signal(sig os.Signal) {
	if err := r.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		panic(err)
	}
}

// pause waits for d or for ctx's end, and reports whether it was d.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
