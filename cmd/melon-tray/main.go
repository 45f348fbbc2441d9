// Command melon-tray is Melon's icon in the panel: a client of the control API.
// It starts `melon run` when nothing answers. Mail does not depend on it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gofrs/flock"

	"melon/proxy/control/client"
	"melon/tray"
)

func main() {
	log.SetOutput(io.Discard) // a library's lines; what matters of them is said by the tray
	os.Exit(run(os.Args[1:], os.Stderr))
}

const usage = `melon-tray shows Melon's icon in the panel. It starts "melon run" when none
runs, and closing it stops no mail.

  --config FILE   the configuration, for every melon command that it runs
  --state DIR     the state directory, likewise
  --lang en|ja    language; default: the desktop's
  --melon FILE    the melon program; default: beside melon-tray, else in PATH
  --patience TIME how long a panel may take to appear before melon-tray says that
                  there is none; it goes on to wait. Default 20s

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
	patience := flags.Duration("patience", 0, "")
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
	o := tray.Options{Melon: m, Lang: *lang, Log: stderr, HostPatience: *patience}
	if err := show(ctx, o); err != nil {
		fmt.Fprintln(stderr, "melon-tray:", strings.TrimPrefix(err.Error(), "melon-tray: "))
		return 1
	}
	return 0
}

// show runs the one tray of this relay.
func show(ctx context.Context, o tray.Options) (err error) {
	if o.Melon.Path == "" {
		if o.Melon.Path, err = tray.FindMelon(); err != nil {
			return err
		}
	}
	p, err := o.Melon.Paths(ctx)
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
		fmt.Fprintln(o.Log, "melon-tray: there is an icon already")
		return nil
	}
	defer one.Unlock() // the file stays: removing it would race with the next one
	o.Relay, o.State = client.New(p.Socket), p.State
	defer o.Relay.Close()
	o.Driver, o.Notify = tray.NewDriver(), tray.NewNotifier
	return tray.Run(ctx, o)
}
