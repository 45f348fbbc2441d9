package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/config"
)

// graceful is how long `run` finishes what is in flight when it is told to stop;
// with what comes after it stays within the ten seconds that are promised.
const graceful = 8 * time.Second

func (c *cli) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run",
		Long: `Runs the relay: listeners, outbox, control API and web page. Prints one line for each
address it listens on, then "ready", on standard error.

SIGINT, SIGTERM  stop accepting, finish or spool what is in flight within 10 s
SIGHUP           read the configuration again; a bad one is refused, the old one stays`,
		Args: cobra.NoArgs,
	}
	level := cmd.Flags().String("log-level", "", "`LEVEL`: trace, debug, info, warn or error; trace shows both conversations with secrets masked; default: the configuration's log.level (info)")
	cmd.RunE = c.do(func(cmd *cobra.Command, _ []string) error {
		if _, ok := levels[*level]; !ok && *level != "" {
			return &failure{exitUsage, fmt.Errorf("--log-level %s: write trace, debug, info, warn or error", *level)}
		}
		return c.runRelay(cmd.Context(), *level)
	})
	return cmd
}

func (c *cli) runRelay(ctx context.Context, logLevel string) error {
	p, err := c.paths()
	if err != nil {
		return err
	}
	unprotected := protectProcess() // before anything is made or read
	cfg, err := c.loadConfig(p)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	setLevel := func(configured string) {
		if logLevel != "" {
			configured = logLevel
		}
		level.Set(levels[configured])
	}
	setLevel(cfg.Log.Level)
	log, logFile, err := openLog(cfg.Log, level, c.stderr)
	if err != nil {
		return err
	}
	if logFile != nil {
		defer logFile.Close()
	}
	if unprotected != nil {
		log.Warn("the process cannot be protected as it should be", "error", unprotected)
	}
	if err := ownState(p.State); err != nil {
		return err
	}
	// The signals are caught before anything starts, so that none is missed.
	ctx, unstop := signal.NotifyContext(ctx, stopSignals...)
	defer unstop()
	ctx, quit := context.WithCancel(ctx) // a client of the control API may end it too
	defer quit()
	ready, err := activated(os.Getenv, os.Getpid())
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	if len(reloadSignals) > 0 {
		signal.Notify(hup, reloadSignals...)
		defer signal.Stop(hup)
	}
	d, err := startDaemon(cfg, daemonOptions{Paths: p, Lang: c.language(cfg.Language), Log: log, Ready: ready, Stop: quit, Autostart: c.webAutostart()})
	if err != nil {
		return err
	}
	followBinary(ctx, c.getenv, log)
	c.greet(cfg, p, d)
	reloadUntil(ctx, d, hup, setLevel)
	unstop() // a second signal ends the process at once
	log.Info("stopping")
	end, cancel := context.WithTimeout(context.Background(), graceful)
	defer cancel()
	d.stop(end)
	return nil
}

// reloadUntil reads the configuration again at each signal, until ctx ends.
func reloadUntil(ctx context.Context, d *daemon, hup <-chan os.Signal, setLevel func(string)) {
	for {
		select {
		case <-hup:
			if err := d.Reload(); err == nil {
				setLevel(d.config.Config().Log.Level)
			}
		case <-ctx.Done():
			return
		}
	}
}

// greet prints the addresses and, on a first start, what to do next.
func (c *cli) greet(cfg *config.Config, p config.Paths, d *daemon) {
	for _, a := range d.smtp.Addresses() {
		fmt.Fprintf(c.stderr, "listening %s %s\n", a.Kind, a.Addr)
	}
	if a := d.webAddr(); a != "" {
		fmt.Fprintf(c.stderr, "listening web %s\n", a)
	}
	if !d.smtp.Enforced() && cfg.Listen.Allow == config.AllowSameUser {
		d.log.Warn("this platform does not tell which user connects: every local process may")
	}
	for _, s := range cfg.SecretProblems() {
		d.log.Warn("a secret cannot be read; its account needs attention", "account", s.Account, "problem", s.Problem.Error())
	}
	for _, s := range d.outbox.Problems() {
		d.log.Warn(s.Sentence, "id", s.ID, "error", s.Err)
	}
	if len(cfg.Accounts) == 0 {
		fmt.Fprint(c.stderr, c.say("run.first", p.Config))
	}
	fmt.Fprintln(c.stderr, "ready")
}
