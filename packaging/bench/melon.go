//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"melon/upstream"
	"melon/upstream/lab"
)

// melon is a running `melon run`.
type melon struct {
	home    string
	cmd     *exec.Cmd
	door    door
	started time.Duration // until "ready"
	done    chan struct{}
}

// config writes a configuration with one account at the provider and returns
// the directory that it is in.
func (b *bench) config(a upstream.Account, p *lab.Provider, more string) (string, error) {
	home, err := os.MkdirTemp(b.dir, "m")
	if err != nil {
		return "", err
	}
	secret, ca := filepath.Join(home, "secret"), filepath.Join(home, "ca.pem")
	pop := ""
	if a.Auth == upstream.AuthPOPBeforeSMTP {
		pop = fmt.Sprintf("    pop: {host: %q, port: %d, security: %s}\n", a.POP.Host, a.POP.Port, a.POP.Security)
	}
	yaml := fmt.Sprintf(`listen: {smtp: ["127.0.0.1:0"], max_message: 200MB}
control: {web: "off"}
log: {level: %s}
accounts:
  home:
    address: %s
    username: %s
    password: {file: %q}
    auth: %s
    allow_plaintext: %v
    trust: {ca: %q}
    smtp: {host: %q, port: %d, security: %s}
%sdefault: home
%s`, logLevel(), a.Address, a.Username, secret, a.Auth, a.AllowPlaintext, ca, a.SMTP.Host, a.SMTP.Port, a.SMTP.Security, pop, more)
	return home, errors.Join(
		os.WriteFile(secret, []byte(lab.DefaultUser.Password+"\n"), 0o600),
		os.WriteFile(ca, p.CAPEM(), 0o600),
		os.WriteFile(filepath.Join(home, "config.yaml"), []byte(yaml), 0o600))
}

// startMelon starts Melon in a directory that config made.
func (b *bench) startMelon(ctx context.Context, home string) (*melon, error) {
	m := &melon{home: home, done: make(chan struct{})}
	m.cmd = exec.CommandContext(ctx, b.binary, "--config", filepath.Join(home, "config.yaml"), "--state", filepath.Join(home, "s"), "run")
	m.cmd.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+home, "LANG=C")
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stderr, err := m.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan bool, 1)
	var said strings.Builder
	go func() {
		defer close(m.done)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			if addr, ok := strings.CutPrefix(lines.Text(), "listening smtp "); ok {
				m.door.Addr = addr
			}
			if lines.Text() == "ready" {
				m.started = time.Since(begin)
				ready <- true
				break
			}
			said.WriteString(lines.Text() + "\n")
		}
		io.Copy(os.Stderr, stderr)
		m.cmd.Wait()
		close(ready)
	}()
	if ok := <-ready; !ok {
		return nil, fmt.Errorf("melon did not start:\n%s", said.String())
	}
	return m, nil
}

// melonAt writes a configuration and starts Melon with it.
func (b *bench) melonAt(ctx context.Context, a upstream.Account, p *lab.Provider, more string) (*melon, error) {
	home, err := b.config(a, p, more)
	if err != nil {
		return nil, err
	}
	return b.startMelon(ctx, home)
}

func (m *melon) pid() int { return m.cmd.Process.Pid }

// stop ends Melon and waits for it.
func (m *melon) stop() {
	m.cmd.Process.Signal(syscall.SIGTERM)
	<-m.done
}

// run runs a command of this Melon, such as `pause`.
func (b *bench) command(ctx context.Context, m *melon, args ...string) error {
	all := append([]string{"--config", filepath.Join(m.home, "config.yaml"), "--state", filepath.Join(m.home, "s")}, args...)
	if out, err := exec.CommandContext(ctx, b.binary, all...).CombinedOutput(); err != nil {
		return fmt.Errorf("melon %v: %w: %s", args, err, out)
	}
	return nil
}

// logLevel is what Melon says beside the results: warnings, unless asked for more.
func logLevel() string {
	if l := os.Getenv("MELON_BENCH_LOG"); l != "" {
		return l
	}
	return "warn"
}
