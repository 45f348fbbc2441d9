package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"melon/proxy/control/client"
)

func (c *cli) openCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "open [PAGE]",
		Short: "open the web page through a one-time link",
		Long: `Opens the running relay's page in your browser, by a link that works once and
for a minute; the browser is then let in for a week, without a password. PAGE is
outbox, why, account, activity, settings, add, or any path of the page.`,
		Example: `  melon open
  melon open why
  melon open --print      # on another machine's screen: the link is for a browser on this one`,
		Args: cobra.MaximumNArgs(1),
	}
	show := cmd.Flags().Bool("print", false, "print the link, do not open it")
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		page := ""
		if len(args) > 0 {
			page = args[0]
		}
		return c.withClient(func(cl *client.Client) error {
			link, err := cl.Open(cmd.Context(), page)
			if err != nil {
				return err
			}
			if *show {
				_, err = fmt.Fprintln(c.stdout, link)
				return err
			}
			if err := openBrowser(cmd.Context(), runtime.GOOS, link); err != nil {
				return fmt.Errorf("no browser could be opened (%w); open this link yourself, within a minute: %s", err, link)
			}
			return nil
		})
	})
	return cmd
}
