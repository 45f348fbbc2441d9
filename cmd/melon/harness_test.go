package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"melon/upstream/lab"
)

// asMelon makes the test binary the program itself, so that a test can start
// it, signal it and kill it.
const asMelon = "MELON_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asMelon) != "" {
		c := &cli{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
		os.Exit(c.execute(context.Background(), asNamed(os.Args)))
	}
	os.Exit(m.Run())
}

// home is a place for one Melon: a configuration and a state directory.
type home struct {
	t      *testing.T
	dir    string
	config string
	state  string
	env    []string // more environment for its commands
}

func newHome(t *testing.T, yaml string) *home {
	t.Helper()
	dir, err := os.MkdirTemp("", "melon") // short: the control socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &home{t: t, dir: dir, config: filepath.Join(dir, "config.yaml"), state: filepath.Join(dir, "state")}
	h.write(yaml)
	return h
}

// write replaces the configuration.
func (h *home) write(yaml string) {
	h.t.Helper()
	if err := os.WriteFile(h.config, []byte(yaml), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// secret writes a file for a secret and returns its name.
func (h *home) secret(name, value string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// command prepares a melon command with this home.
func (h *home) command(args ...string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.CommandContext(h.t.Context(), exe, append([]string{"--config", h.config, "--state", h.state}, args...)...)
	cmd.Env = append(os.Environ(), asMelon+"=1", "HOME="+h.dir, "XDG_RUNTIME_DIR="+h.dir, "LANG=C", "GORACE=halt_on_error=1")
	cmd.Env = append(cmd.Env, h.env...)
	return cmd
}

// run runs a command to its end.
func (h *home) run(args ...string) (stdout, stderr string, status int) {
	h.t.Helper()
	var out, errs bytes.Buffer
	cmd := h.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		h.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// jsonOf runs a command with --json that must succeed.
func jsonOf[T any](h *home, args ...string) T {
	h.t.Helper()
	out, errs, status := h.run(append(args, "--json")...)
	var v T
	if status != 0 {
		h.t.Fatalf("melon %v: status %d: %s", args, status, errs)
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		h.t.Fatalf("melon %v: %v in %s", args, err, out)
	}
	return v
}

// process is a running `melon run`.
type process struct {
	h    *home
	cmd  *exec.Cmd
	addr string // of the first smtp listener
	done chan struct{}

	mu   sync.Mutex
	log  bytes.Buffer
	more chan struct{}
}

// start starts `melon run` and waits for "ready".
func (h *home) start(args ...string) *process {
	h.t.Helper()
	p := &process{h: h, cmd: h.command(append([]string{"run"}, args...)...), done: make(chan struct{}), more: make(chan struct{})}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			p.mu.Lock()
			if a, ok := strings.CutPrefix(lines.Text(), "listening smtp "); ok && p.addr == "" {
				p.addr = a
			}
			p.log.WriteString(lines.Text() + "\n")
			close(p.more)
			p.more = make(chan struct{})
			p.mu.Unlock()
		}
		_ = p.cmd.Wait()
	}()
	h.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if strings.Contains(p.output(), "DATA RACE") || strings.Contains(p.output(), "panic") {
			h.t.Errorf("the relay says:\n%s", p.output())
		}
	})
	p.waitFor("ready\n")
	return p
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// waitFor waits until the log holds text.
func (p *process) waitFor(text string) {
	p.h.t.Helper()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for {
		p.mu.Lock()
		have, more := p.log.String(), p.more
		p.mu.Unlock()
		if strings.Contains(have, text) {
			return
		}
		select {
		case <-more:
		case <-p.done:
			p.h.t.Fatalf("the relay ended without saying %q:\n%s", text, p.output())
		case <-limit.C:
			p.h.t.Fatalf("the relay did not say %q:\n%s", text, p.output())
		}
	}
}

// stop sends a signal and returns the exit status.
func (p *process) stop(sig os.Signal) int {
	p.h.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.h.t.Fatal(err)
	}
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// send sends one message as a mail app does.
func (p *process) send(from string, to []string, message string) error {
	c, err := smtp.Dial(p.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Mail(from); err != nil {
		return err
	}
	for _, a := range to {
		if err := c.Rcpt(a); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

// mustSend is send for a message that must be taken.
func (p *process) mustSend(message string) {
	p.h.t.Helper()
	if err := p.send("taro@provider-a.example", []string{"hanako@elsewhere.example"}, message); err != nil {
		p.h.t.Fatalf("%v\n%s", err, p.output())
	}
}

const appMessage = "From: taro@provider-a.example\r\nTo: hanako@elsewhere.example\r\nSubject: %s\r\n\r\nbody\r\n"

// accountYAML is a configuration for the lab's first user.
func accountYAML(h *home, p *lab.Provider, more string) string {
	secret := h.secret("password", lab.DefaultUser.Password)
	ca := filepath.Join(h.dir, "ca.pem")
	if err := os.WriteFile(ca, p.CAPEM(), 0o644); err != nil {
		h.t.Fatal(err)
	}
	smtpHost, smtpPort, _ := net.SplitHostPort(p.SMTPAddr())
	popHost, popPort, _ := net.SplitHostPort(p.POPAddr())
	return fmt.Sprintf(`
listen: {smtp: ["127.0.0.1:0"]}
control: {web: "off"}
accounts:
  home:
    address: taro@provider-a.example
    username: taro
    password: {file: %s}
    smtp: {host: %s, port: %s}
    pop: {host: %s, port: %s}
    trust: {ca: %s}
%s`, secret, smtpHost, smtpPort, popHost, popPort, ca, more)
}

// wholeBody is a message in memory.
type wholeBody string

func (b wholeBody) Open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(b))), nil
}

func (b wholeBody) Size() (int64, bool) { return int64(len(b)), true }

func wait(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
