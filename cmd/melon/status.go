package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/control/api"
	"melon/proxy/control/client"
	"melon/upstream"
	"melon/upstream/reply"
)

// withClient runs f with a client of the running relay.
func (c *cli) withClient(f func(cl *client.Client) error) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	return f(cl)
}

func (c *cli) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:  "status",
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(cmd *cobra.Command, _ []string) error {
		return c.withClient(func(cl *client.Client) error {
			s, err := cl.Status(cmd.Context())
			if err != nil {
				return err
			}
			if *asJSON {
				return c.printJSON(s)
			}
			_, err = fmt.Fprint(c.stdout, c.describeStatus(s))
			return err
		})
	})
	return cmd
}

// describeStatus is the status as a person reads it.
func (c *cli) describeStatus(s api.Status) string {
	var b strings.Builder
	row := func(key, value string) { b.WriteString(c.inLanguage().Row(key, value)) }
	b.WriteString(c.say("status.title", s.Version, c.say("state."+string(s.State))))
	for _, l := range s.Listeners {
		row("row.listening", l.Kind+" "+l.Address)
	}
	if !s.SameUser {
		row("row.note", c.say("status.others"))
	}
	if len(s.Accounts) == 0 {
		row("row.account", c.say("status.noaccount", s.Config))
	}
	for _, a := range s.Accounts {
		line := c.say("status.account", a.Name, a.Address, c.say("state."+string(a.State)))
		if a.Auth != "" {
			line += c.say("status.by", a.Auth)
		}
		if a.RelayOpenUntil != nil {
			line += c.say("status.open", a.RelayOpenUntil.Local().Format(time.TimeOnly))
		}
		row("row.account", line)
		if a.LastError != nil {
			describeError(&b, "             ", a.LastError, c.explainLanguage())
		}
	}
	row("row.outbox", c.say("status.counts", s.Outbox.Waiting, s.Outbox.Attention))
	for _, p := range s.Problems {
		row("row.problem", p)
	}
	return b.String()
}

// describeError writes what a server said, what it means and the one thing to
// do first.
func describeError(b *strings.Builder, indent string, e *api.Error, lang string) {
	if e.Text != "" {
		fmt.Fprintf(b, "%s%s\n", indent, serverWords(e))
	}
	x := reply.Explain(upstream.Class(e.Class), lang)
	fmt.Fprintf(b, "%s%s\n", indent, x.Summary)
	if len(x.Advice) > 0 {
		fmt.Fprintf(b, "%s→ %s\n", indent, x.Advice[0])
	}
}

func serverWords(e *api.Error) string {
	var parts []string
	if e.Code != 0 {
		parts = append(parts, fmt.Sprint(e.Code))
	}
	if e.Enhanced != "" {
		parts = append(parts, e.Enhanced)
	}
	return strings.Join(append(parts, e.Text), " ")
}

func (c *cli) pauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:  "pause",
		Args: cobra.NoArgs,
		RunE: c.do(func(cmd *cobra.Command, _ []string) error {
			return c.withClient(func(cl *client.Client) error { return cl.Pause(cmd.Context()) })
		}),
	}
}

func (c *cli) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:  "resume",
		Args: cobra.NoArgs,
		RunE: c.do(func(cmd *cobra.Command, _ []string) error {
			return c.withClient(func(cl *client.Client) error { return cl.Resume(cmd.Context()) })
		}),
	}
}

func (c *cli) logCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:  "log [-f]",
		Args: cobra.NoArgs,
	}
	follow := cmd.Flags().BoolP("follow", "f", false, "go on until interrupted")
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(cmd *cobra.Command, _ []string) error {
		return c.withClient(func(cl *client.Client) error {
			return c.showLog(cmd.Context(), cl, *follow, *asJSON)
		})
	})
	return cmd
}

// showLog prints the history, then follows the events that are newer.
func (c *cli) showLog(ctx context.Context, cl *client.Client, follow, asJSON bool) error {
	status, err := cl.Status(ctx)
	if err != nil {
		return err
	}
	history, err := cl.History(ctx)
	if err != nil {
		return err
	}
	if asJSON && !follow {
		return c.printJSON(history)
	}
	show := func(e api.Event) error {
		if asJSON {
			return c.printJSON(e)
		}
		_, err := fmt.Fprintln(c.stdout, describeEvent(e))
		return err
	}
	for _, e := range history {
		if err := show(e); err != nil {
			return err
		}
	}
	if !follow {
		return nil
	}
	return cl.Events(ctx, status.Event, show)
}

// describeEvent is an event on one line.
func describeEvent(e api.Event) string {
	var b strings.Builder
	b.WriteString(e.Time.Local().Format(time.DateTime))
	fmt.Fprintf(&b, "  %-8s", strings.TrimSpace(string(e.Outcome)+" "+onlyIf(e.Outcome == "", e.Kind)))
	if e.ID != "" {
		fmt.Fprintf(&b, " %s", e.ID)
	}
	if e.From != "" || len(e.To) > 0 {
		fmt.Fprintf(&b, " <%s> → %s", e.From, strings.Join(e.To, ", "))
	}
	if e.Account != "" {
		fmt.Fprintf(&b, " (%s)", e.Account)
	}
	if e.Error != nil {
		fmt.Fprintf(&b, ": %s [%s]", serverWords(e.Error), e.Error.Class)
	} else if e.Text != "" {
		fmt.Fprintf(&b, ": %s", e.Text)
	}
	return b.String()
}

func onlyIf(ok bool, s string) string {
	if ok {
		return s
	}
	return ""
}
