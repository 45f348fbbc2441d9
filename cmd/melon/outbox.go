package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/control/api"
	"melon/proxy/control/client"
)

func (c *cli) outboxCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "outbox",
		Long: `The messages that wait. Commands take IDs; the beginning of one will do, as long
as it is the only one that begins so.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		c.outboxListCommand(), c.outboxShowCommand(), c.outboxExportCommand(),
		c.outboxVerbCommand("send", 0),
		c.outboxVerbCommand("hold", 1),
		c.outboxVerbCommand("release", 1),
		c.outboxVerbCommand("remove", 1),
	)
	return cmd
}

func (c *cli) outboxListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Args: cobra.NoArgs}
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(cmd *cobra.Command, _ []string) error {
		return c.withClient(func(cl *client.Client) error {
			entries, err := cl.Outbox(cmd.Context())
			if err != nil {
				return err
			}
			if *asJSON {
				return c.printJSON(entries)
			}
			if len(entries) == 0 {
				_, err := fmt.Fprint(c.stdout, c.say("outbox.empty"))
				return err
			}
			return listEntries(c.stdout, entries)
		})
	})
	return cmd
}

func listEntries(w io.Writer, entries []api.Entry) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSTATE\tACCOUNT\tFROM\tTO\tSIZE\tQUEUED\tNEXT\tWHY")
	for _, e := range entries {
		next, why := "", ""
		if e.NextAttempt != nil {
			next = e.NextAttempt.Local().Format(time.DateTime)
		}
		if e.LastError != nil {
			why = e.LastError.Class
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t<%s>\t%s\t%d\t%s\t%s\t%s\n", e.ID, e.State, e.Account, e.From,
			strings.Join(e.To, " "), e.Size, e.QueuedAt.Local().Format(time.DateTime), next, why)
	}
	return t.Flush()
}

func (c *cli) outboxShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show ID", Args: cobra.ExactArgs(1)}
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		return c.withClient(func(cl *client.Client) error {
			e, err := cl.Entry(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if *asJSON {
				return c.printJSON(e)
			}
			_, err = fmt.Fprint(c.stdout, describeEntry(e, c.explainLanguage()))
			return err
		})
	})
	return cmd
}

func describeEntry(e api.Entry, lang string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ID        %s\nState     %s\nAccount   %s\nFrom      <%s>\n", e.ID, e.State, e.Account, e.From)
	for _, to := range e.To {
		fmt.Fprintf(&b, "To        <%s>\n", to)
	}
	fmt.Fprintf(&b, "Size      %d octets\nQueued    %s\nAttempts  %d\n", e.Size, e.QueuedAt.Local().Format(time.DateTime), e.Attempts)
	if e.NextAttempt != nil {
		fmt.Fprintf(&b, "Next      %s\n", e.NextAttempt.Local().Format(time.DateTime))
	}
	if e.LastError != nil {
		b.WriteString("Why\n")
		describeError(&b, "  ", e.LastError, lang)
	}
	return b.String()
}

func (c *cli) outboxExportCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "export ID", Args: cobra.ExactArgs(1)}
	output := cmd.Flags().StringP("output", "o", "", "write to a new `FILE`")
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) (err error) {
		return c.withClient(func(cl *client.Client) error {
			if *output == "" {
				return cl.Message(cmd.Context(), args[0], c.stdout)
			}
			f, err := os.OpenFile(*output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			err = cl.Message(cmd.Context(), args[0], f)
			if cerr := f.Close(); err == nil {
				err = cerr
			}
			if err != nil {
				os.Remove(*output)
			}
			return err
		})
	})
	return cmd
}

func (c *cli) outboxVerbCommand(verb string, least int) *cobra.Command {
	use := verb + " ID…"
	if least == 0 {
		use = verb + " [ID…]"
	}
	cmd := &cobra.Command{Use: use, Args: cobra.MinimumNArgs(least)}
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		return c.withClient(func(cl *client.Client) error {
			ids, err := cl.Do(cmd.Context(), verb, args)
			if err != nil {
				return err
			}
			if *asJSON {
				return c.printJSON(api.Done{IDs: ids})
			}
			for _, id := range ids {
				if _, err := fmt.Fprintln(c.stdout, verb, id); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return cmd
}
