package tray

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Melon is the melon program and the global flags that every call of it gets.
type Melon struct {
	Path  string   // "melon" beside this program, or in PATH
	Flags []string // --config, --state, --lang
}

// FindMelon looks for the program beside this one, then in PATH.
func FindMelon() (string, error) {
	name := "melon"
	if runtime.GOOS == "windows" {
		name = "melon.exe"
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if fi, err := os.Stat(beside); err == nil && !fi.IsDir() {
			return beside, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errors.New("there is no melon program beside melon-tray or in PATH")
	}
	return path, nil
}

// Paths is where the relay of these flags keeps things.
type Paths struct {
	Config string `json:"config"`
	State  string `json:"state"`
	Socket string `json:"socket"`
}

// commandTime bounds a command that is run unseen.
const commandTime = 30 * time.Second

// Paths asks the program where things are.
func (m Melon) Paths(ctx context.Context) (Paths, error) {
	var p Paths
	out, err := m.output(ctx, "config", "path", "--json")
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(out, &p); err != nil {
		return p, fmt.Errorf("melon config path: %w", err)
	}
	return p, nil
}

// output runs a command unseen and returns what it prints; its error is the last
// line that it wrote on standard error.
func (m Melon) output(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, m.Path, append(append([]string{}, m.Flags...), args...)...)
	cmd.Stderr = &errs
	cmd.WaitDelay = time.Second
	unseen(cmd)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("melon %s: %s", strings.Join(args, " "), cmpOr(lastLine(errs.Bytes()), err.Error()))
	}
	return out, nil
}

// Start starts `melon run`, so that it outlives this program, and returns when
// it said that it is ready. What it writes goes to run.log in dir. An error says
// why it ended.
func (m Melon) Start(ctx context.Context, dir string) error {
	if err := startService(ctx); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name := filepath.Join(dir, "run.log")
	log, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(m.Path, append(append([]string{}, m.Flags...), "run")...) //nolint: it shall outlive ctx
	cmd.Stdout, cmd.Stderr = log, log
	detached(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // ends with the relay; nothing else waits for a child
	for d := 20 * time.Millisecond; ; d = min(2*d, time.Second) {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			said, _ := readTail(name)
			return errors.New(cmpOr(lastLine(said), fmt.Sprint("melon run ended: ", err)))
		case <-time.After(d):
		}
		if said, err := readTail(name); err == nil && bytes.Contains(said, []byte("\nready\n")) || bytes.HasPrefix(said, []byte("ready\n")) {
			return nil
		}
	}
}

// readTail reads the end of a file.
func readTail(name string) ([]byte, error) {
	const enough = 8 << 10
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Size() > enough {
		if _, err := f.Seek(-enough, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(f, 2*enough))
}

func lastLine(b []byte) string {
	s := strings.TrimSpace(string(b))
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		s = s[i+1:]
	}
	return strings.TrimPrefix(strings.TrimSpace(s), "melon: ")
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
