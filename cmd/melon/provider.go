package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"melon/proxy/setup"
	"melon/upstream/discover"
)

// shownProvider is a row of the table of providers as a report.
type shownProvider struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Domains []string     `json:"domains"`
	MX      []string     `json:"mx,omitempty"`
	SMTP    *shownServer `json:"smtp"` // null: the provider has no SMTP
	POP     *shownServer `json:"pop"`
	Login   []string     `json:"login"`
	OAuth   string       `json:"oauth,omitempty"`
	User    string       `json:"username"` // address, local, dotted or ask
	Note    string       `json:"note,omitempty"`
}

func showProvider(p discover.Provider) shownProvider {
	s := shownProvider{ID: p.ID, Name: p.Name, Domains: p.Domains, MX: p.MX, OAuth: p.OAuth, User: p.User, Note: p.Note, Login: []string{}}
	if p.Domains == nil {
		s.Domains = []string{}
	}
	if p.SMTP.Host != "" {
		smtp := showServer(p.SMTP)
		s.SMTP = &smtp
	}
	if p.POP.Host != "" {
		pop := showServer(p.POP)
		s.POP = &pop
	}
	for _, l := range p.Logins {
		s.Login = append(s.Login, string(l))
	}
	return s
}

func (c *cli) providerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:  "provider",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := &cobra.Command{Use: "list", Args: cobra.NoArgs}
	listJSON := jsonFlag(list)
	list.RunE = c.do(func(*cobra.Command, []string) error {
		var all []shownProvider
		for _, p := range discover.Providers() {
			all = append(all, showProvider(p))
		}
		if *listJSON {
			return c.printJSON(all)
		}
		w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tNAME\tLOGIN")
		for _, p := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\n", p.ID, p.Name, strings.Join(p.Login, ", "))
		}
		return w.Flush()
	})
	show := &cobra.Command{Use: "show ID|DOMAIN", Args: cobra.ExactArgs(1)}
	showJSON := jsonFlag(show)
	show.RunE = c.do(func(_ *cobra.Command, args []string) error {
		p, ok := discover.Find(args[0][strings.LastIndexByte(args[0], '@')+1:])
		if !ok {
			return c.fail(nil, "provider.unknown", args[0])
		}
		if *showJSON {
			return c.printJSON(showProvider(p))
		}
		fmt.Fprintf(c.stdout, "%s (%s)\n%s", p.Name, p.ID, setup.New(setup.Parts{Lang: c.explainLanguage()}).DescribeCandidate(asFound(p)))
		if p.SMTP.Host == "" {
			fmt.Fprint(c.stdout, c.inLanguage().Row("row.note", p.Note))
		}
		if len(p.Domains) > 0 {
			fmt.Fprint(c.stdout, c.inLanguage().Row("row.addresses", strings.Join(p.Domains, ", ")))
		}
		if len(p.MX) > 0 {
			fmt.Fprint(c.stdout, c.say("provider.mx", strings.Join(p.MX, ", ")))
		}
		return nil
	})
	cmd.AddCommand(list, show)
	return cmd
}

// asFound shows a row of the table of providers as if found for an address.
func asFound(p discover.Provider) discover.Candidate {
	return discover.Candidate{Provider: p.Name, SMTP: p.SMTP, POP: p.POP, Logins: p.Logins, Note: p.Note}
}
