package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"melon/packaging/autostart"
	"melon/proxy/smtpin"
)

func (c *cli) autostartCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "autostart",
		Short: "start at login, by the platform's own means",
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
		Use:   "on",
		Short: "start at login; again is no error",
		Args:  cobra.NoArgs,
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
			return errors.New("there is no melon-tray beside melon")
		}
		changed, err := m.On(cmd.Context(), p)
		if err != nil {
			return err
		}
		text := "Melon starts at the next login."
		if len(p.Listen) > 0 {
			text = "From the next login on Melon starts when an app connects to " + strings.Join(p.Listen, " or ") + "."
		}
		if !changed {
			text = "It was so already. " + text
		}
		_, err = fmt.Fprintln(c.stdout, text)
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
		Use:   "off",
		Short: "do not start at login; again is no error",
		Args:  cobra.NoArgs,
		RunE: c.do(func(cmd *cobra.Command, _ []string) error {
			m, err := autostart.System(c.getenv)
			if err != nil {
				return err
			}
			if _, err := m.Off(cmd.Context()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.stdout, "Melon does not start at login.")
			return err
		}),
	}
}

func (c *cli) autostartStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "say whether Melon starts at login, and how",
		Args:  cobra.NoArgs,
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
			_, err = fmt.Fprintf(c.stdout, "off (%s)\n", s.Method)
			return err
		}
		fmt.Fprintf(c.stdout, "on (%s)\n", s.Method)
		for _, l := range [][2]string{{"program", s.Melon}, {"icon", s.Tray}, {"problem", s.Problem}} {
			if l[1] != "" {
				fmt.Fprintf(c.stdout, "  %-8s %s\n", l[0], l[1])
			}
		}
		if s.SocketActivation {
			fmt.Fprintln(c.stdout, "  starts when an app connects")
		}
		for _, f := range s.Files {
			fmt.Fprintf(c.stdout, "  file     %s\n", f)
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
