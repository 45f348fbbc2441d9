package main

import (
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"melon/proxy/setup"
	"melon/upstream/auth"
)

func (c *cli) loginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "login ACCOUNT",
		Long: `Opens the provider's sign-in page in your browser and waits until you are back;
the link is printed as well. With --device it prints a code and a link that can
be opened on any device. The sign-in is stored where the account's secret is
kept, and a running relay uses it at once.`,
		Args: cobra.ExactArgs(1),
	}
	device := cmd.Flags().Bool("device", false, "sign in with a code on any device, instead of the browser here")
	noBrowser := cmd.Flags().Bool("no-browser", false, "print the link, do not open it")
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
		defer stop()
		p, cfg, a, err := c.account(args[0])
		if err != nil {
			return err
		}
		if a.OAuth.IsZero() {
			return c.fail(nil, "account.nooauth", a.Name)
		}
		if err := os.MkdirAll(p.State, 0o700); err != nil {
			return err
		}
		tokens := setup.NewOAuth(&auth.Secrets{}, p.State, cfg.Account)
		defer tokens.Close()
		person, _ := c.person(false)
		if err := c.setup(p, cfg).SignIn(ctx, tokens, a, setup.SignInWishes{Device: *device, NoBrowser: *noBrowser}, person); err != nil {
			return err
		}
		c.clearAttention(ctx, a.Name)
		return nil
	})
	return cmd
}
