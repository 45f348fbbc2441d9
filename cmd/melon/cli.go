package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"melon/proxy/config"
	"melon/proxy/control/client"
	"melon/proxy/words"
	"melon/upstream/discover"
)

// The exit statuses.
const (
	exitDone       = 0
	exitFailed     = 1
	exitUsage      = 2 // the command line or the configuration is wrong
	exitNotRunning = 3 // nothing is running to talk to
)

// cli is one run of the program: its streams, its environment and the global
// flags.
type cli struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string

	flags config.Flags
	lang  string
	words *words.Words // of the table; nil until say finds out the language

	find func(context.Context, discover.Options, string) ([]discover.Candidate, error) // nil: discover.Discover
}

// failure is an error of a command that was understood, with its exit status.
type failure struct {
	status int
	err    error // nil: everything was said already
}

func (f *failure) Error() string {
	if f.err == nil {
		return ""
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// execute runs one command line and returns the exit status.
func (c *cli) execute(ctx context.Context, args []string) int {
	root := c.root()
	root.SetArgs(protectSendmail(protectReplies(args)))
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	status := exitUsage // what cobra itself finds is the command line's fault
	if f, ok := errors.AsType[*failure](err); ok {
		status = f.status
	}
	if text := err.Error(); text != "" {
		if text == client.ErrNotRunning.Error() {
			text = c.say("running.none")
		}
		if _, isConfig := errors.AsType[config.Problems](err); !isConfig {
			text = "melon: " + text
		}
		fmt.Fprintln(c.stderr, text)
	}
	return status
}

// protectReplies keeps a server's "-ERR …" from being taken for a flag of
// `explain`.
func protectReplies(args []string) []string {
	explain := false
	for i, a := range args {
		if a == "explain" {
			explain = true
		}
		if a == "--" {
			break
		}
		if explain && len(a) >= 4 && strings.EqualFold(a[:4], "-ERR") {
			var flags, words []string
			for _, rest := range args[i:] {
				if rest == "--json" {
					flags = append(flags, rest)
				} else {
					words = append(words, rest)
				}
			}
			out := append([]string{}, args[:i]...)
			return append(append(append(out, flags...), "--"), words...)
		}
	}
	return args
}

// root builds the command tree.
func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "melon",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	p := root.PersistentFlags()
	p.StringVar(&c.flags.Config, "config", "", "configuration `FILE`; exit 2 when it does not exist")
	p.StringVar(&c.flags.State, "state", "", "`DIR` for outbox, history, learned facts and the control socket")
	p.StringVar(&c.lang, "lang", "", "language of what a person reads: `en|ja`; default: by the configuration, then the environment")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if c.lang != "" && c.lang != "en" && c.lang != "ja" {
			return fmt.Errorf("--lang %s: write en or ja", c.lang)
		}
		return nil
	}
	root.AddCommand(
		c.runCommand(), c.demoCommand(), c.statusCommand(), c.outboxCommand(), c.logCommand(),
		c.accountCommand(), c.loginCommand(), c.providerCommand(), c.openCommand(),
		c.pauseCommand(), c.resumeCommand(), c.explainCommand(), c.doctorCommand(), c.configCommand(), c.versionCommand(), c.autostartCommand(),
		c.sendmailCommand(), c.manualCommand(), c.stopCommand(),
	)
	c.describe(root)
	return root
}

// do wraps a command's work: what goes wrong in it is a failure with the right
// exit status.
func (c *cli) do(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := f(cmd, args)
		if err == nil {
			return nil
		}
		if _, ok := errors.AsType[*failure](err); ok {
			return err
		}
		status := exitFailed
		if errors.Is(err, client.ErrNotRunning) {
			status = exitNotRunning
		}
		return &failure{status, err}
	}
}

// paths says where things are for this command line.
func (c *cli) paths() (config.Paths, error) {
	p, err := config.PathsFor(runtime.GOOS, c.getenv, c.flags)
	if err != nil {
		return p, &failure{exitUsage, err}
	}
	return p, nil
}

// loadConfig reads the configuration; a file that was not named and does not
// exist is an empty one.
func (c *cli) loadConfig(p config.Paths) (*config.Config, error) {
	cfg, err := config.LoadOrDefault(p)
	if err != nil {
		return nil, &failure{exitUsage, err}
	}
	return cfg, nil
}

// client returns a client of the running relay. The caller closes it.
func (c *cli) client() (*client.Client, error) {
	p, err := c.paths()
	if err != nil {
		return nil, err
	}
	return client.New(p.Socket), nil
}

// language is the one a person reads: by flag, configuration, environment.
func (c *cli) language(configured string) string {
	for _, l := range []string{c.lang, configured} {
		if l == "en" || l == "ja" {
			return l
		}
	}
	for _, v := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if s := c.getenv(v); s != "" {
			if strings.HasPrefix(strings.ToLower(s), "ja") {
				return "ja"
			}
			return "en"
		}
	}
	return "en"
}

// printJSON writes one object, indented, to standard output.
func (c *cli) printJSON(v any) error {
	enc := json.NewEncoder(c.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// jsonFlag adds --json to a command that prints a report.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON")
}
