package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is set by the packages' builds with -ldflags "-X main.release=…".
var release = ""

// version returns the release, or what the build knows of its commit.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}

func (c *cli) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:  "version",
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(*cobra.Command, []string) error {
		if *asJSON {
			return c.printJSON(map[string]string{"version": version()})
		}
		_, err := fmt.Fprintln(c.stdout, "melon", version())
		return err
	})
	return cmd
}
