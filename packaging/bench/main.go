//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// bench is one run.
type bench struct {
	quick  bool
	only   string // a part of a section's name; "" runs all
	alone  bool   // without the peers
	dir    string // scratch, on the disk that is measured
	binary string // Melon
	peers  []*peer
	report *report
}

func main() {
	if os.Getenv(nothingVar) != "" {
		nothing()
		return
	}
	if os.Getenv(errandVar) != "" {
		runErrand()
		return
	}
	quick := flag.Bool("quick", false, "fewer repetitions: a minute or two, rougher figures")
	only := flag.String("only", "", "run only the sections whose name has this `TEXT`, and write no results")
	binary := flag.String("melon", "", "measure this `FILE` instead of building one")
	alone := flag.Bool("alone", false, "without the peers")
	out := flag.String("out", filepath.Join("packaging", "bench"), "`DIRECTORY` for results.md and the pictures")
	scratch := flag.String("scratch", "/var/tmp", "`DIRECTORY` on the disk to measure; what is made there is removed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &bench{quick: *quick, only: *only, alone: *alone, binary: *binary}, *out, *scratch); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, b *bench, out, scratch string) (err error) {
	if err := becomeRoot(); err != nil {
		say("without root the peers are absent: %v", err)
	}
	dir, err := os.MkdirTemp(scratch, "mb-") // short: a socket's name is in it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endChildren(), os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // the peers' users get there
		return err
	}
	b.dir, b.report = dir, newReport(dir, b.quick)
	if err := b.build(ctx); err != nil {
		return err
	}
	if !b.alone {
		b.peers = b.preparePeers(ctx)
	}
	b.report.peers = b.peers
	start := time.Now()
	for _, s := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"latency", b.latency},
		{"row", b.row},
		{"overhead", b.overhead},
		{"rate", b.rate},
		{"memory", b.memory},
		{"idle", b.idle},
		{"start", b.start},
	} {
		if !strings.Contains(s.name, b.only) {
			continue
		}
		say("%s (%v so far)", s.name, time.Since(start).Round(time.Second))
		if err := s.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	b.report.took = time.Since(start)
	fmt.Print(b.report.markdown())
	if b.only != "" {
		return nil
	}
	return b.report.write(out)
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// pick is the number of repetitions.
func (b *bench) pick(full, quick int) int {
	if b.quick {
		return quick
	}
	return full
}

// build builds Melon, unless there is one.
func (b *bench) build(ctx context.Context) error {
	if b.binary != "" {
		return nil
	}
	b.binary = filepath.Join(b.dir, "melon")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.binary, "./cmd/melon")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building Melon: %w\n%s", err, text)
	}
	return nil
}
