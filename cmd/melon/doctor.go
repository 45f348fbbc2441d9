package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/config"
	"melon/proxy/control/api"
	"melon/proxy/control/client"
	"melon/proxy/setup"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/doctor"
	"melon/upstream/relay"
)

// doctorFlags are the flags of `melon doctor`.
type doctorFlags struct {
	asJSON            *bool
	report, probe, to string
	force             bool
}

func (c *cli) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor [ACCOUNT]",
		Long: `Looks, side by side and for at most 20 seconds, at the network and its sign-in
page, the names and ports of the account's servers, their certificates, the
clock and a VPN on the way; logs in by POP and SMTP as Melon would; then names a
recipient at another provider and takes that back before any message is sent.
Says in one sentence what is wrong, and what to do, the most likely help first.

Without ACCOUNT all accounts are examined; without any account, the network
alone. It works whether or not the relay runs. An account whose password was
refused is not logged in to, as that could lock it; --force does it anyway.

The sign-in page is looked for by one web request to
` + doctor.DefaultProbe + `; --probe names another address, one that
answers 204 or a short text, or "off". A network that answers in its place has a
sign-in page.

--report FILE.html writes a page to show or print at the front desk: it needs
nothing else to be read, and holds no password.

Exit status: 0 when the verdict is ok for every account, 1 when it is not, 2
when there is no such account.`,
		Example: `  melon doctor
  melon doctor home --report doctor.html --lang ja`,
		Args: cobra.MaximumNArgs(1),
	}
	f := doctorFlags{asJSON: jsonFlag(cmd)}
	cmd.Flags().StringVar(&f.report, "report", "", "write the report as a page to `FILE`")
	cmd.Flags().StringVar(&f.probe, "probe", "", "web address to look for a sign-in page with: `URL`, or off")
	cmd.Flags().StringVar(&f.to, "to", doctor.DefaultOutside, "recipient at another provider: `ADDRESS`; nothing is sent to it")
	cmd.Flags().BoolVar(&f.force, "force", false, "log in although the password was refused before")
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		if err := c.checkDoctor(f); err != nil {
			return &failure{exitUsage, err}
		}
		return c.examine(cmd.Context(), args, f)
	})
	return cmd
}

// checkDoctor refuses flags that no examination can use.
func (c *cli) checkDoctor(f doctorFlags) error {
	if local, domain, ok := strings.Cut(f.to, "@"); !ok || local == "" || domain == "" || strings.ContainsAny(f.to, " <>\r\n\t\x00") {
		return c.fail(nil, "doctor.to", f.to)
	}
	if u, err := url.Parse(f.probe); f.probe != "" && f.probe != "off" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return c.fail(nil, "doctor.probe", f.probe)
	}
	return nil
}

// examine runs the doctor over the accounts and prints what it says.
func (c *cli) examine(ctx context.Context, args []string, f doctorFlags) error {
	p, err := c.paths()
	if err != nil {
		return err
	}
	cfg, err := c.loadConfig(p)
	if err != nil {
		return err
	}
	accounts := cfg.Accounts
	if len(args) > 0 {
		a, ok := findAccount(cfg, args[0])
		if !ok {
			return &failure{exitUsage, c.fail(nil, "doctor.unknown", args[0])}
		}
		accounts = []upstream.Account{a}
	}
	_, domain, _ := strings.Cut(f.to, "@")
	for _, a := range accounts {
		if _, own, _ := strings.Cut(a.Address, "@"); strings.EqualFold(own, domain) {
			return &failure{exitUsage, c.fail(nil, "doctor.own", f.to, a.Address)}
		}
	}
	lang := c.language(cfg.Language)
	if len(accounts) == 0 {
		fmt.Fprint(c.stderr, c.say("doctor.noaccount"))
		accounts = []upstream.Account{{}}
	}
	reports, err := c.reports(ctx, p, cfg, accounts, doctor.Options{
		Probe: doctor.Probe{URL: f.probe}, Outside: f.to, Force: f.force, Lang: lang,
	})
	if err != nil {
		return err
	}
	if f.report != "" {
		var page bytes.Buffer
		if err := doctor.WriteHTML(&page, reports, doctor.Page{Lang: lang, Time: time.Now(), Version: version()}); err != nil {
			return err
		}
		if err := os.WriteFile(f.report, page.Bytes(), 0o644); err != nil {
			return c.fail(err, "doctor.report", err)
		}
	}
	if err := c.printReports(reports, cfg, f, len(args) > 0); err != nil {
		return err
	}
	for _, r := range reports {
		if r.Verdict != upstream.ClassOK {
			return &failure{exitFailed, nil}
		}
	}
	return nil
}

// reports examines all accounts side by side.
func (c *cli) reports(ctx context.Context, p config.Paths, cfg *config.Config, accounts []upstream.Account, o doctor.Options) ([]doctor.Report, error) {
	secrets := &auth.Secrets{}
	o.Secrets = secrets
	for _, a := range accounts {
		if a.OAuth.IsZero() || o.Tokens != nil {
			continue
		}
		if err := os.MkdirAll(p.State, 0o700); err != nil {
			return nil, fmt.Errorf("the state directory: %w", err)
		}
		tokens := auth.NewOAuth(auth.OAuthOptions{
			Secrets: secrets, LockDir: p.State, Timeout: 6 * time.Second,
			Store: setup.TokenStore(secrets, p.State, cfg.Account),
		})
		defer tokens.Close()
		o.Tokens = tokens
	}
	live := c.attention(ctx, p)
	out := make([]doctor.Report, len(accounts))
	var wg sync.WaitGroup
	for i, a := range accounts {
		o := o
		o.Account = a
		known, refused := remembered(p.State, a)
		o.Known, o.Attention = known, refused
		if e, running := live[a.Name]; running {
			o.Attention = e
		}
		wg.Go(func() { out[i] = doctor.Run(ctx, o) })
	}
	wg.Wait()
	return out, nil
}

// attention asks the running relay which accounts wait for the person, and why;
// nil for those that do not. It is empty when none runs or answers.
func (c *cli) attention(ctx context.Context, p config.Paths) map[string]*upstream.Error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	cl := client.New(p.Socket)
	defer cl.Close()
	s, err := cl.Status(ctx)
	if err != nil {
		return nil
	}
	out := map[string]*upstream.Error{}
	for _, a := range s.Accounts {
		out[a.Name] = nil
		if a.State == api.AccountAttention && a.LastError != nil {
			out[a.Name] = &upstream.Error{Account: a.Name, Class: upstream.Class(a.LastError.Class), Phase: upstream.Phase(a.LastError.Phase)}
		}
	}
	return out
}

// remembered returns what the relay learned about an account that the doctor
// asks for. What cannot be read is not known.
func remembered(state string, a upstream.Account) (doctor.Known, *upstream.Error) {
	m, err := relay.Remembered(state, a)
	if err != nil {
		return doctor.Known{}, nil
	}
	return doctor.Known{SMTPTLS: m.SMTPTLS, POPTLS: m.POPTLS}, m.Attention
}

// printReports writes an object for the one account that was asked for, an array
// for all, or text.
func (c *cli) printReports(reports []doctor.Report, cfg *config.Config, f doctorFlags, one bool) error {
	switch {
	case *f.asJSON && one:
		return c.printJSON(reports[0])
	case *f.asJSON:
		return c.printJSON(reports)
	}
	var b strings.Builder
	for i, r := range reports {
		if i > 0 {
			b.WriteString("\n")
		}
		if a, ok := cfg.Account(r.Account); ok {
			fmt.Fprintf(&b, "%s <%s>\n", a.Name, a.Address)
		}
		describeReport(&b, r)
	}
	if f.report != "" {
		fmt.Fprintf(&b, "\n→ %s\n", f.report)
	}
	_, err := fmt.Fprint(c.stdout, b.String())
	return err
}

// describeReport is a report as a person reads it.
func describeReport(b *strings.Builder, r doctor.Report) {
	for _, k := range r.Checks {
		fmt.Fprintf(b, "  %s %-13s  %s\n", k.Status.Mark(), k.Name, k.Detail)
	}
	mark := doctor.StatusOK.Mark()
	if r.Verdict != upstream.ClassOK {
		mark = doctor.StatusFail.Mark()
	}
	fmt.Fprintf(b, "\n%s %s (%s)\n\n", mark, r.Summary, r.Verdict)
	for i, a := range r.Advice {
		fmt.Fprintf(b, "%d. %s\n", i+1, a)
	}
}
