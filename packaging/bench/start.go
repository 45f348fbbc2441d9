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
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// nothingVar makes this program one that does nothing: what a Go program is
// woken for by its own runtime.
const nothingVar = "MELON_BENCH_NOTHING"

// nothing listens, and waits for a signal.
func nothing() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	go l.Accept()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}

// idle counts how often an idle Melon is woken, beside a Go program that does
// nothing: fresh, and after a message, with a warm connection.
func (b *bench) idle(ctx context.Context) error {
	l, err := newLab(secure, 0)
	if err != nil {
		return err
	}
	defer l.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	still := exec.CommandContext(ctx, self)
	still.Env = append(os.Environ(), nothingVar+"=1")
	if err := still.Start(); err != nil {
		return err
	}
	defer func() { still.Process.Signal(syscall.SIGTERM); still.Wait() }()
	fresh, err := b.melonAt(ctx, l.account(), l.Provider, "")
	if err != nil {
		return err
	}
	defer fresh.stop()
	used, err := b.melonAt(ctx, l.account(), l.Provider, "")
	if err != nil {
		return err
	}
	defer used.stop()
	if err := used.sendLive(ctx); err != nil {
		return err
	}
	if err := wait(ctx, settle); err != nil {
		return err
	}
	span := time.Duration(b.pick(60, 5)) * time.Second
	pids := []int{still.Process.Pid, fresh.pid(), used.pid()}
	var before, after [3]int64
	for i, pid := range pids {
		if before[i], err = switches(pid); err != nil {
			return err
		}
	}
	if err := wait(ctx, span); err != nil {
		return err
	}
	for i, pid := range pids {
		if after[i], err = switches(pid); err != nil {
			return err
		}
	}
	b.report.idle(idleResult{span: span, nothing: after[0] - before[0], fresh: after[1] - before[1], used: after[2] - before[2]})
	return nil
}

// start is how long Melon takes to start with many waiting messages, and the
// memory that they take.
func (b *bench) start(ctx context.Context) error {
	l, err := newLab(open, 0)
	if err != nil {
		return err
	}
	defer l.Close()
	home, err := b.config(l.account(), l.Provider, "delivery: queue\n")
	if err != nil {
		return err
	}
	counts := []int{0, 10_000, 100_000}
	if b.quick {
		counts = counts[:2]
	}
	empty := int64(0)
	for _, n := range counts {
		if n > 0 {
			if err := b.fillOutbox(ctx, home, n); err != nil {
				return err
			}
		}
		m, err := b.startMelon(ctx, home)
		if err != nil {
			return err
		}
		err = wait(ctx, settle)
		now, _, err2 := resident(m.pid())
		m.stop()
		if err != nil || err2 != nil {
			return err
		}
		if n == 0 {
			empty = now
		}
		r := startResult{entries: n, took: m.started, memory: now}
		if n > 0 {
			r.each = float64(now-empty) / float64(n)
		}
		say("  %d entries: ready after %v, %.1f MB, %.0f octets each", n, m.started.Round(time.Millisecond), mb(now), r.each)
		b.report.start(r)
	}
	return nil
}

// fillOutbox has n messages wait: one is handed in, and the others are made from
// its files, as it is the start that is measured.
func (b *bench) fillOutbox(ctx context.Context, home string, n int) error {
	box := filepath.Join(home, "s", "outbox")
	old, err := filepath.Glob(filepath.Join(box, "*.json"))
	if err != nil {
		return err
	}
	if len(old) == 0 {
		m, err := b.startMelon(ctx, home)
		if err != nil {
			return err
		}
		err = b.command(ctx, m, "pause")
		if err == nil {
			_, err = m.door.once(ctx, letter)
		}
		m.stop()
		if err != nil {
			return err
		}
		if old, err = filepath.Glob(filepath.Join(box, "*.json")); err != nil || len(old) != 1 {
			return fmt.Errorf("%d states in %s, %w", len(old), box, err)
		}
	}
	state, err := os.ReadFile(old[0])
	if err != nil {
		return err
	}
	id := strings.TrimSuffix(filepath.Base(old[0]), ".json")
	mail, err := os.ReadFile(filepath.Join(box, id+".eml"))
	if err != nil {
		return err
	}
	linked := ""
	for i := len(old); i < n; i++ {
		next := id[:len(id)-5] + fmt.Sprintf("%05d", i) // digits are part of any ID
		to := filepath.Join(box, next+".eml")
		err := os.WriteFile(filepath.Join(box, next+".json"), bytes.ReplaceAll(state, []byte(id), []byte(next)), 0o600)
		if linked == "" || i%10_000 == 0 { // a file has so many names and no more
			linked = to
			err = errors.Join(err, os.WriteFile(to, mail, 0o600))
		} else {
			err = errors.Join(err, os.Link(linked, to))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
