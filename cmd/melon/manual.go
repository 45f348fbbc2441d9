package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"melon/packaging/man"
	"melon/proxy/words"
)

// manualCommand writes the manual pages, for packages and for those who have
// built Melon themselves.
func (c *cli) manualCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "manual DIR",
		Long: `Writes melon.1, a page for each command, melon.yaml.5 and melon-tray.1 into DIR,
and those in Japanese into DIR/ja.
Read one with: man -l DIR/melon.1`,
		Args: cobra.ExactArgs(1),
	}
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		date := time.Now()
		if epoch, err := strconv.ParseInt(c.getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
			date = time.Unix(epoch, 0)
		}
		root := cmd.Root()
		root.InitDefaultCompletionCmd(root.Name())
		japanese := words.In(table, "ja")
		o := man.Options{Version: version(), Date: date, Japanese: func(path string) string { return japanese.Say("help." + path) }}
		for name, data := range man.Pages(root, o) {
			path := filepath.Join(args[0], filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				return fmt.Errorf("the page %s: %w", name, err)
			}
		}
		return nil
	})
	return cmd
}
