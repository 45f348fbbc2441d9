package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"melon/proxy/config"
)

func (c *cli) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "check the configuration, or say where it is",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "read the configuration, start nothing; exit 2 when it is wrong",
		Args:  cobra.NoArgs,
	}
	check.RunE = c.do(func(*cobra.Command, []string) error {
		p, err := c.paths()
		if err != nil {
			return err
		}
		err = config.Check(p.Config)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !p.ConfigGiven:
			_, err = fmt.Fprintf(c.stdout, "%s does not exist yet: that is an empty configuration. Add an account with: melon account add ADDRESS\n", p.Config)
			return err
		case err != nil:
			return &failure{exitUsage, err}
		}
		_, err = fmt.Fprintf(c.stdout, "%s is good\n", p.Config)
		return err
	})
	path := &cobra.Command{
		Use:   "path",
		Short: "print where the configuration is, or would be",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonFlag(path)
	path.RunE = c.do(func(*cobra.Command, []string) error {
		p, err := c.paths()
		if err != nil {
			return err
		}
		if *asJSON {
			return c.printJSON(map[string]string{"config": p.Config, "state": p.State, "socket": p.Socket})
		}
		_, err = fmt.Fprintln(c.stdout, p.Config)
		return err
	})
	cmd.AddCommand(check, path)
	return cmd
}
