package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/control/api"
	"melon/proxy/control/client"
)

// stopCommand ends the relay: for installers, and for platforms without signals.
func (c *cli) stopCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stop",
		Long: `Ends the running relay as SIGTERM does: it finishes or keeps what is in flight,
10 seconds at most. Waits until it has ended. Exit 3 when none runs.`,
		Args: cobra.NoArgs,
		RunE: c.do(func(cmd *cobra.Command, _ []string) error {
			return c.withClient(func(cl *client.Client) error {
				ctx, cancel := context.WithTimeout(cmd.Context(), 2*graceful)
				defer cancel()
				return stopRelay(ctx, cl)
			})
		}),
	}
}

// stopRelay asks the relay to stop and waits until nothing answers any more.
func stopRelay(ctx context.Context, cl *client.Client) error {
	if err := cl.Stop(ctx); err != nil {
		return err
	}
	// The stream of events ends with the relay's control API, or is refused.
	_ = cl.Events(ctx, 0, func(api.Event) error { return nil })
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := cl.Status(ctx); err != nil {
			return ctx.Err()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
