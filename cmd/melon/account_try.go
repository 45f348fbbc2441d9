package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/control/client"
	"melon/proxy/setup"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/doctor"
)

func (c *cli) accountTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "test NAME",
		Long: `Connects and logs in as the relay would and asks whether a message would be
taken, without sending one. When that works, an account that needed attention is
tried again by the running relay.`,
		Args: cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		p, cfg, a, err := c.account(args[0])
		if err != nil {
			return err
		}
		secrets := &auth.Secrets{}
		tokens := setup.NewOAuth(secrets, p.State, cfg.Account)
		defer tokens.Close()
		r := doctor.Run(ctx, c.setup(p, cfg).Examination(a, secrets, tokens))
		if *asJSON {
			err = c.printJSON(r)
		} else {
			_, err = fmt.Fprint(c.stdout, setup.DescribeReport(r, true))
		}
		switch {
		case err != nil:
			return err
		case r.Verdict != upstream.ClassOK:
			return &failure{status: exitFailed}
		}
		c.clearAttention(ctx, a.Name)
		return nil
	})
	return cmd
}

// clearAttention tells a running relay, if there is one, that the account works
// again.
func (c *cli) clearAttention(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = c.withClient(func(cl *client.Client) error { return cl.ClearAccount(ctx, name) })
}
