// Command melon-tray is Melon's icon in the panel: a client of the control API.
// It starts `melon run` when nothing answers. Mail does not depend on it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gofrs/flock"

	"melon/proxy/control/client"
	"melon/tray"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

const usage = `melon-tray shows Melon's icon in the panel. It starts "melon run" when none
runs, and closing it stops no mail.

  --config FILE   the configuration, for every melon command that it runs
  --state DIR     the state directory, likewise
  --lang en|ja    language; default: the desktop's
  --melon FILE    the melon program; default: beside melon-tray, else in PATH

Exit status: 0 it was quit, 1 there is no desktop or it went away,
2 the command line is wrong.
`

// run runs the tray and returns the exit status.
func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("melon-tray", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { fmt.Fprint(stderr, usage) }
	config, state := flags.String("config", "", ""), flags.String("state", "", "")
	lang, program := flags.String("lang", "", ""), flags.String("melon", "", "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 || *lang != "" && *lang != "en" && *lang != "ja" {
		fmt.Fprint(stderr, usage)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	m := tray.Melon{Path: *program}
	for flag, value := range map[string]string{"--config": *config, "--state": *state} {
		if value != "" {
			m.Flags = append(m.Flags, flag, value)
		}
	}
	if *lang == "" {
		*lang = tray.Language(os.Getenv)
	}
	m.Flags = append(m.Flags, "--lang", *lang)
	if err := show(ctx, m, *lang, stderr); err != nil {
		fmt.Fprintln(stderr, "melon-tray:", strings.TrimPrefix(err.Error(), "melon-tray: "))
		return 1
	}
	return 0
}

// show runs the one tray of this relay.
func show(ctx context.Context, m tray.Melon, lang string, stderr io.Writer) (err error) {
	if m.Path == "" {
		if m.Path, err = tray.FindMelon(); err != nil {
			return err
		}
	}
	p, err := m.Paths(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.State, 0o700); err != nil {
		return err
	}
	one := flock.New(filepath.Join(p.State, "tray.lock"))
	locked, err := one.TryLock()
	if err != nil {
		return err
	}
	if !locked {
		fmt.Fprintln(stderr, "melon-tray: there is an icon already")
		return nil
	}
	defer one.Unlock() // the file stays: removing it would race with the next one
	relay := client.New(p.Socket)
	defer relay.Close()
	return tray.Run(ctx, tray.Options{
		Relay: relay, Melon: m, State: p.State, Driver: tray.NewDriver(), Notify: tray.NewNotifier, Lang: lang, Log: stderr,
	})
}
