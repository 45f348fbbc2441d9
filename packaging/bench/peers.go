//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"melon/packaging/rootdir"
)

// peer is a program that a person would run instead.
type peer struct {
	name     string
	packages []string
	// setUp writes the configuration into the root directory.
	setUp func(*site) error
	// serve is the daemon's command line; nil for a program without one.
	serve []string
	// hand hands a message in, and returns when the app would hear it; nil: by
	// SMTP to the daemon's port.
	hand func(ctx context.Context, s *site, body []byte) error
	// verdict: hand returns the provider's own verdict.
	verdict bool

	root, version string // of the image
	absent        string // why it takes no part
}

// hop is where a peer sends everything.
type hop struct {
	host string
	port int
	auth bool // implicit TLS, and AUTH as the lab's user
}

// site is a root directory with a peer in it, and the peer while it runs.
type site struct {
	peer *peer
	root string
	host string // loopback address and port that it listens on
	port int
	hop  hop
	keep bool // keep all mail in the queue

	cmd  *exec.Cmd
	said *bytes.Buffer
	door door
}

// The users and groups of every site. Numbers of a Debian system.
var siteUsers = []string{"root:0:0", "postfix:110:110", "Debian-exim:112:112", "mail:8:8", "opensmtpd:113:113", "opensmtpq:114:114", "nobody:65534:65534"}
var siteGroups = []string{"root:0", "mail:8", "postfix:110", "Debian-exim:112", "opensmtpd:113", "opensmtpq:114", "postdrop:120", "nogroup:65534"}

// preparePeers unpacks the peers. What cannot be had says why.
func (b *bench) preparePeers(ctx context.Context) []*peer {
	all := []*peer{postfix(), exim(), opensmtpd(), msmtp(), nullmailer()}
	for _, p := range all {
		if os.Geteuid() != 0 {
			p.absent = "it takes root, or a user namespace"
			continue
		}
		var err error
		if p.root, p.version, err = image(ctx, p.packages...); err != nil {
			p.absent = err.Error()
		} else if err := b.tryOut(ctx, p); err != nil {
			p.absent = err.Error()
		}
		if p.absent != "" {
			say("%s is absent: %s", p.name, p.absent)
		}
	}
	return all
}

// present are the peers that take part.
func (b *bench) present() (ps []*peer) {
	for _, p := range b.peers {
		if p.absent == "" {
			ps = append(ps, p)
		}
	}
	return ps
}

// prepare makes a root directory for a peer.
func (b *bench) prepare(p *peer, h hop) (*site, error) {
	dir, err := os.MkdirTemp(b.dir, "p")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	s := &site{peer: p, root: filepath.Join(dir, "root"), host: "127.0.0.1", port: l.Addr().(*net.TCPAddr).Port, hop: h}
	if err := errors.Join(os.Chmod(dir, 0o755), rootdir.Clone(p.root, s.root)); err != nil {
		return nil, err
	}
	var passwd, group string
	for _, u := range siteUsers {
		f := strings.Split(u, ":")
		passwd += fmt.Sprintf("%s:x:%s:%s::/var/empty:/usr/sbin/nologin\n", f[0], f[1], f[2])
	}
	for _, g := range siteGroups {
		f := strings.Split(g, ":")
		group += fmt.Sprintf("%s:x:%s:\n", f[0], f[1])
	}
	if err := errors.Join(os.MkdirAll(filepath.Join(s.root, "var/empty"), 0o755), os.Chmod(filepath.Join(s.root, "tmp"), 0o1777)); err != nil {
		return nil, err
	}
	for name, data := range map[string]string{
		"etc/passwd": passwd, "etc/group": group, "dev/null": "",
		"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\n",
		"etc/hosts":         "127.0.0.1 localhost laptop.example\n",
		"etc/mailname":      "laptop.example\n",
		"etc/services":      "smtp 25/tcp\nsmtps 465/tcp\nsubmission 587/tcp\n",
	} {
		if err := s.write(name, 0o644, data); err != nil {
			return nil, err
		}
	}
	return s, errors.Join(os.Chmod(filepath.Join(s.root, "dev/null"), 0o666), syscall.Mknod(filepath.Join(s.root, "dev/urandom"), syscall.S_IFCHR|0o666, 1<<8|9))
}

// launch configures a peer and starts it; keep leaves all mail in its queue.
func (b *bench) launch(ctx context.Context, p *peer, h hop, keep bool) (*site, error) {
	s, err := b.prepare(p, h)
	if err != nil {
		return nil, err
	}
	s.keep = keep
	if err := p.setUp(s); err != nil {
		return nil, err
	}
	if p.serve == nil {
		return s, nil
	}
	s.cmd, s.said = s.command(p.serve[0], p.serve[1:]...)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.door = door{Addr: net.JoinHostPort(s.host, fmt.Sprint(s.port))}
	if p.hand != nil {
		return s, nil
	}
	// A peer tells nobody that it is ready: it is asked until it answers.
	limit, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ask := time.NewTicker(10 * time.Millisecond)
	defer ask.Stop()
	for {
		a, err := s.door.open(ctx)
		if err == nil {
			a.quit()
			return s, nil
		}
		select {
		case <-ask.C:
		case <-limit.Done():
			s.stop()
			return nil, fmt.Errorf("it does not answer: %w: %s", err, lastLine(s.said.String()))
		}
	}
}

// command prepares a command inside the root directory.
func (s *site) command(name string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(name, args...)
	cmd.Path = name // inside
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TZ=UTC", "HOME=/", "USER=root"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: s.root, Setsid: true}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second
	return cmd, &said
}

// submit hands a message in and returns when the app hears that it was taken.
func (s *site) submit(ctx context.Context, body []byte) error {
	if s.peer.hand != nil {
		return s.peer.hand(ctx, s, body)
	}
	_, err := s.door.once(ctx, body)
	return err
}

// stop kills the peer and all processes of its session, and removes its directory.
func (s *site) stop() {
	if s.cmd != nil {
		for range 3 { // what forks meanwhile is found the next time
			for _, pid := range session(s.cmd.Process.Pid) {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		s.cmd.Wait()
	}
	os.RemoveAll(filepath.Dir(s.root))
}

// write makes a file of the site's own, which looks an hour old: Postfix waits
// while main.cf may still be being written.
func (s *site) write(name string, mode os.FileMode, data string) error {
	path := filepath.Join(s.root, name)
	old := time.Now().Add(-time.Hour)
	os.Remove(path) // it may be a link to the image's
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(data), mode),
		os.Chmod(path, mode), os.Chtimes(path, old, old))
}

// mkdir makes a directory with exactly that owner and mode, as chmod(1) has it.
func (s *site) mkdir(name string, uid, gid int, mode uint32) error {
	path := filepath.Join(s.root, name)
	return errors.Join(os.MkdirAll(path, 0o755), os.Chown(path, uid, gid), syscall.Chmod(path, mode))
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// tryOut sends one message through a peer.
func (b *bench) tryOut(ctx context.Context, p *peer) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	l, err := newLab(secure, 0)
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := b.launch(ctx, p, l.hop(), false)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := s.submit(ctx, message(1000)); err != nil {
		return fmt.Errorf("%w: %s", err, s.log())
	}
	if err := l.arrived(ctx, 1); err != nil {
		return fmt.Errorf("a message did not arrive: %w: %s", err, s.log())
	}
	return nil
}

// log is the end of what the peer wrote to its log.
func (s *site) log() string {
	var all string
	if s.said != nil {
		all = s.said.String()
	}
	logs, _ := filepath.Glob(filepath.Join(s.root, "var/log/*log"))
	more, _ := filepath.Glob(filepath.Join(s.root, "var/log/exim4/*"))
	for _, name := range append(logs, more...) {
		if data, err := os.ReadFile(name); err == nil {
			all += string(data)
		}
	}
	return all[max(0, len(all)-1500):]
}
