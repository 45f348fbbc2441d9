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
		Use:  "config",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	check := &cobra.Command{
		Use:  "check",
		Args: cobra.NoArgs,
	}
	check.RunE = c.do(func(*cobra.Command, []string) error {
		p, err := c.paths()
		if err != nil {
			return err
		}
		err = config.Check(p.Config)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !p.ConfigGiven:
			_, err = fmt.Fprint(c.stdout, c.say("config.absent", p.Config))
			return err
		case err != nil:
			return &failure{exitUsage, err}
		}
		_, err = fmt.Fprint(c.stdout, c.say("config.good", p.Config))
		return err
	})
	path := &cobra.Command{
		Use:  "path",
		Args: cobra.NoArgs,
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
