package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/control/client"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/dial"
	"melon/upstream/discover"
	"melon/upstream/doctor"
	"melon/upstream/network"
	"melon/upstream/relay"
	"melon/upstream/reply"
)

// test logs in as the relay would, without sending; then, if the person agrees,
// sends a message to the account itself.
func (a *adding) test(ctx context.Context) (upstream.Class, error) {
	fmt.Fprintln(a.c.stderr, "Testing: connecting and logging in, nothing is sent …")
	lang := a.c.language(a.cfg.Language)
	o := doctorOptions(a.acc, a.secrets, a.oauth, a.dialer, lang)
	limit, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	report := doctor.Run(limit, o)
	fmt.Fprint(a.c.stderr, describeTest(report, false))
	if report.Verdict != upstream.ClassOK {
		if passwordRefused(report.Verdict) && a.found != nil && a.found.Note != "" {
			fmt.Fprintf(a.c.stderr, "  → %s\n", a.found.Note)
		}
		return report.Verdict, nil
	}
	send := a.f.SendTest
	if a.tty != nil && !send {
		var err error
		if send, err = a.tty.confirm(ctx, "The test went well. Send a message to yourself now?", true); err != nil {
			return "", err
		}
	}
	if !send {
		return upstream.ClassOK, nil
	}
	if e := a.sendTest(ctx); e != nil {
		fmt.Fprint(a.c.stderr, describeRefusal(e, lang))
		return e.Class, nil
	}
	fmt.Fprintf(a.c.stderr, "Sent. It should be in the mailbox of %s in a moment.\n", a.acc.Address)
	return upstream.ClassOK, nil
}

// sendTest sends a message to the account itself, through a relay of its own.
func (a *adding) sendTest(ctx context.Context) *upstream.Error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := relay.New(relay.Options{
		Dialer: a.dialer, Secrets: a.secrets, Tokens: a.oauth,
		Network: func() network.State { return network.State{Online: true} },
	})
	if err != nil {
		return upstream.AsError(err, upstream.PhaseConnect)
	}
	defer r.Close()
	env := upstream.Envelope{From: a.acc.Address, Recipients: []upstream.Recipient{{Address: a.acc.Address}}}
	return r.Send(ctx, []upstream.Account{a.acc}, env, testMessage(a.acc, a.c.language(a.cfg.Language), time.Now())).Err
}

// doctorOptions examine one account at the person's wish, whatever was refused
// before. A server on this machine says nothing about the network, so that
// nobody is asked about that then.
func doctorOptions(a upstream.Account, s doctor.Secrets, tokens *auth.OAuth, d *dial.Dialer, lang string) doctor.Options {
	o := doctor.Options{Account: a, Secrets: s, Dialer: d, Lang: lang, Force: true}
	if !a.OAuth.IsZero() {
		o.Tokens = tokens
	}
	if ip := net.ParseIP(a.SMTP.Host); a.SMTP.Host == "localhost" || ip != nil && ip.IsLoopback() {
		o.Probe.URL = "off"
	}
	return o
}

// describeTest is a report for people: the steps that matter, and for a failure
// what to do; all of the steps if wanted.
func describeTest(r doctor.Report, all bool) string {
	var b strings.Builder
	for _, c := range r.Checks {
		if all && c.Status != doctor.StatusSkip || c.Status == doctor.StatusFail || c.Status == doctor.StatusOK && strings.Contains(c.Name, "login") {
			fmt.Fprintf(&b, "  %-4s %-12s %s\n", c.Status, c.Name, c.Detail)
		}
	}
	fmt.Fprintf(&b, "%s: %s\n", r.Verdict, r.Summary)
	if r.Verdict != upstream.ClassOK {
		for _, line := range r.Advice {
			fmt.Fprintf(&b, "  → %s\n", line)
		}
	}
	return b.String()
}

// describeRefusal is a failed sending for people.
func describeRefusal(e *upstream.Error, lang string) string {
	var b strings.Builder
	x := reply.Explain(e.Class, lang)
	if !e.Reply.IsZero() {
		fmt.Fprintf(&b, "The server said: %s\n", e.Reply)
	} else if e.Sentence != "" {
		fmt.Fprintln(&b, e.Sentence)
	}
	fmt.Fprintf(&b, "%s: %s\n", e.Class, x.Summary)
	for _, line := range x.Advice {
		fmt.Fprintf(&b, "  → %s\n", line)
	}
	return b.String()
}

func (c *cli) accountTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "log in as the relay would, without sending; exit 1 unless it works",
		Long: `Connects and logs in as the relay would and asks whether a message would be
taken, without sending one. When that works, an account that needed attention is
tried again by the running relay.`,
		Args: cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		p, cfg, err := c.configured()
		if err != nil {
			return err
		}
		a, err := namedAccount(cfg, args[0])
		if err != nil {
			return err
		}
		secrets := &auth.Secrets{}
		tokens := newOAuth(secrets, p.State, cfg.Account)
		defer tokens.Close()
		r := doctor.Run(ctx, doctorOptions(a, secrets, tokens, &dial.Dialer{}, c.language(cfg.Language)))
		if *asJSON {
			err = c.printJSON(r)
		} else {
			_, err = fmt.Fprint(c.stdout, describeTest(r, true))
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

// clientHelp answers the client id question for a newcomer.
func clientHelp(provider string) string {
	const why = `Signing in with OAuth 2.0 needs a client id: the provider wants to know which
program asks. Melon has none of its own, so you register one for yourself, once:
`
	switch strings.ToLower(provider) {
	case "google":
		return why + `
  1. https://console.cloud.google.com: make a project, switch the Gmail API on.
  2. "OAuth consent screen": External, your own address as test user, then
     "Publish app" (in testing, Google ends each sign-in after 7 days).
  3. "Credentials", "Create OAuth client ID", type "Desktop app".
  4. melon account add ADDRESS --client-id ID --client-secret-file FILE

Simpler: an app password (https://myaccount.google.com/apppasswords) needs no client.`
	case "microsoft":
		return why + `
  1. https://entra.microsoft.com: "App registrations", "New registration", for
     "any organizational directory and personal Microsoft accounts".
  2. Redirect URI: type "Public client/native", http://localhost
  3. "API permissions": SMTP.Send and offline_access, delegated. "Authentication":
     allow public client flows (for --device).
  4. melon account add ADDRESS --client-id ID      (there is no secret)

An organisation's administrator may have to allow it; ask for "SMTP.Send".`
	case "yahoo":
		return why + `
  1. https://developer.yahoo.com/apps: make an app and ask for the mail scope,
     which Yahoo grants on request.
  2. melon account add ADDRESS --client-id ID --client-secret-file FILE

Simpler: an app password from Yahoo's account security page needs no client.`
	}
	return why + `
  Ask the provider how to register a "native" or "desktop" app with a redirect to
  http://127.0.0.1, then: melon account add ADDRESS --client-id ID
  --auth-url URL --token-url URL (--client-secret-file FILE if it gives a secret).`
}

// candidateOf shows a row of the table of providers as if found for an address.
func candidateOf(p discover.Provider) discover.Candidate {
	return discover.Candidate{Provider: p.Name, SMTP: p.SMTP, POP: p.POP, Logins: p.Logins, Note: p.Note}
}
