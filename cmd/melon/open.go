package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"

	"melon/proxy/control/client"
)

func (c *cli) openCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "open [PAGE]",
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
				return c.fail(err, "open.failed", err, link)
			}
			return nil
		})
	})
	return cmd
}

// openBrowser shows a page in the person's own browser. The URL is Melon's own
// work, and an argument by itself: no shell reads it.
func openBrowser(ctx context.Context, goos, url string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), browserCommand(goos)[0], append(browserCommand(goos)[1:], url)...)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release() // it lives as long as it likes
}

func browserCommand(goos string) []string {
	switch goos {
	case "darwin":
		return []string{"open"}
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	return []string{"xdg-open"}
}
