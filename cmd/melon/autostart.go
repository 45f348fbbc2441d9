package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"melon/packaging/autostart"
	"melon/proxy/smtpin"
	"melon/proxy/words"
)

func (c *cli) autostartCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "autostart",
		Long: `Makes Melon start at login: by systemd user units, by a desktop's autostart
entries where no user manager runs, by LaunchAgents on macOS, by the Run key on
Windows. It starts or stops nothing now. After an update that moved the program,
"melon run" points the entry to the new place.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.autostartOn(), c.autostartOff(), c.autostartStatus())
	return cmd
}

func (c *cli) autostartOn() *cobra.Command {
	cmd := &cobra.Command{
		Use:  "on",
		Args: cobra.NoArgs,
	}
	sockets := cmd.Flags().Bool("socket-activation", false, "systemd only: nothing runs until an app connects; messages that wait are not sent before (default false)")
	tray := cmd.Flags().Bool("tray", false, "the icon, too; default: when melon-tray is beside melon")
	cmd.RunE = c.do(func(cmd *cobra.Command, _ []string) error {
		m, err := autostart.System(c.getenv)
		if err != nil {
			return err
		}
		p, err := c.autostartPlan(*sockets)
		if err != nil {
			return err
		}
		switch {
		case cmd.Flags().Changed("tray") && !*tray:
			p.Tray = ""
		case *tray && p.Tray == "":
			return c.fail(nil, "autostart.notray")
		}
		changed, err := m.On(cmd.Context(), p)
		if err != nil {
			return err
		}
		text := c.say("autostart.on")
		if len(p.Listen) > 0 {
			text = c.say("autostart.sockets", strings.Join(p.Listen, c.say("autostart.or")))
		}
		if !changed {
			text = c.say("autostart.already", text)
		}
		_, err = fmt.Fprint(c.stdout, text)
		return err
	})
	return cmd
}

// autostartPlan is what shall start at login: this program, with the global flags
// of this call.
func (c *cli) autostartPlan(sockets bool) (p autostart.Plan, err error) {
	self, err := os.Executable()
	if err != nil {
		return p, err
	}
	p.Tray = autostart.Beside(self, "melon-tray")
	p.Melon = autostart.Stable(self, nil)
	if p.Tray != "" {
		p.Tray = autostart.Stable(p.Tray, nil)
	}
	for _, f := range [][2]string{{"--config", c.flags.Config}, {"--state", c.flags.State}} {
		if f[1] == "" {
			continue
		}
		if f[1], err = filepath.Abs(f[1]); err != nil {
			return p, err
		}
		p.Flags = append(p.Flags, f[:]...)
	}
	if !sockets {
		return p, nil
	}
	paths, err := c.paths()
	if err != nil {
		return p, err
	}
	cfg, err := c.loadConfig(paths)
	if err != nil {
		return p, err
	}
	p.Listen, err = activationAddresses(cfg.Listen.SMTP, cfg.Listen.SMTPDefault)
	return p, err
}

// activationAddresses are the addresses that systemd shall open: those of the
// configuration, or of the default those that this machine has.
func activationAddresses(configured []string, byDefault bool) (out []string, err error) {
	if byDefault {
		configured = smtpin.DefaultSMTP()
	}
	for _, a := range configured {
		host, port, err := net.SplitHostPort(a)
		if err != nil || port == "0" {
			return nil, fmt.Errorf("listen.smtp: %s: socket activation needs an address with a port, as systemd opens it", a)
		}
		if host == "localhost" {
			a = net.JoinHostPort("127.0.0.1", port)
		}
		if byDefault {
			l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			if err != nil {
				continue // this machine has no such address, and systemd would fail over it
			}
			l.Close()
		}
		out = append(out, a)
	}
	return out, nil
}

func (c *cli) autostartOff() *cobra.Command {
	return &cobra.Command{
		Use:  "off",
		Args: cobra.NoArgs,
		RunE: c.do(func(cmd *cobra.Command, _ []string) error {
			m, err := autostart.System(c.getenv)
			if err != nil {
				return err
			}
			if _, err := m.Off(cmd.Context()); err != nil {
				return err
			}
			_, err = fmt.Fprint(c.stdout, c.say("autostart.off"))
			return err
		}),
	}
}

func (c *cli) autostartStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:  "status",
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(*cobra.Command, []string) error {
		m, err := autostart.System(c.getenv)
		if err != nil {
			return err
		}
		s, err := m.Status()
		if err != nil {
			return err
		}
		if *asJSON {
			return c.printJSON(s)
		}
		if !s.Enabled {
			_, err = fmt.Fprint(c.stdout, c.say("autostart.isoff", s.Method))
			return err
		}
		fmt.Fprint(c.stdout, c.say("autostart.ison", s.Method))
		for _, l := range [][2]string{{c.say("row.program"), s.Melon}, {c.say("row.icon"), s.Tray}, {c.say("row.problem"), s.Problem}} {
			if l[1] != "" {
				fmt.Fprintf(c.stdout, "  %s %s\n", words.Pad(l[0], 8), l[1])
			}
		}
		if s.SocketActivation {
			fmt.Fprint(c.stdout, c.say("autostart.connects"))
		}
		for _, f := range s.Files {
			fmt.Fprintf(c.stdout, "  %s %s\n", words.Pad(c.say("row.file"), 8), f)
		}
		return nil
	})
	return cmd
}

// followBinary points the autostart entry to this program when its own is gone.
// What goes wrong is worth a line, and never keeps the relay from running.
func followBinary(ctx context.Context, getenv func(string) string, log *slog.Logger) {
	m, err := autostart.System(getenv)
	if err != nil {
		return // there is no place for an entry
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	moved, err := m.Follow(ctx, autostart.Stable(self, nil))
	switch {
	case err != nil:
		log.Warn("the autostart entry could not be looked after", "error", err)
	case moved:
		log.Info("the autostart entry follows the program", "program", self)
	}
}
