package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/config"
	"melon/proxy/setup"
)

// unattended bounds `account add` with nobody at the keyboard.
const unattended = 14 * time.Second

func (c *cli) accountAddCommand() *cobra.Command {
	var (
		f     setup.Wishes
		stdin bool
	)
	cmd := &cobra.Command{
		Use: "add ADDRESS",
		Long: `Finds the servers for a mail address, shows where they are known from, asks for
the password without echo (or signs in with OAuth 2.0), logs in to test without
sending anything, offers to send a message to yourself, saves, tells a running
relay, and prints what to type into your mail app.

Without a terminal nothing is asked: give the password with --password-stdin.
It then ends within 15 seconds; an account whose test fails is not saved (exit
1) unless --no-test is given.

The password is kept in the system keyring. Where there is none you are asked;
without a terminal it goes into a 0600 file in the state directory, and that is
said.`,
		Args: cobra.ExactArgs(1),
	}
	l := cmd.Flags()
	l.StringVar(&f.Name, "name", "", "the account's `NAME`; default: from the address's domain")
	l.StringVar(&f.Servers.SMTP, "smtp", "", "server to send by, `HOST[:PORT]`; nothing is looked up then; without PORT the usual ones are tried")
	l.StringVar(&f.Servers.POP, "pop", "", "POP3 server for POP before SMTP, `HOST[:PORT]`")
	l.StringVar(&f.Servers.Security, "security", "", "of the SMTP connection: `auto|tls|starttls|none`")
	l.StringVar(&f.Servers.POPSecurity, "pop-security", "", "of the POP3 connection: `auto|tls|starttls|none`")
	l.StringVar(&f.Auth, "auth", "", "`METHOD` of login: auto, none, plain, login, cram-md5, scram-sha-1, scram-sha-256, xoauth2, oauthbearer, external, pop-before-smtp; default auto")
	l.StringVar(&f.Username, "username", "", "login `NAME`; default: what the provider wants, mostly the address")
	l.BoolVar(&stdin, "password-stdin", false, "read the password from the first line of standard input")
	l.StringVar(&f.Store, "store", "", "where to keep the secret: `keyring|file`")
	l.StringVar(&f.CA, "ca", "", "trust the PEM certificates in `FILE` for this account, instead of the system's")
	l.BoolVar(&f.Plaintext, "allow-plaintext", false, "the password may be sent over an unencrypted connection")
	l.BoolVar(&f.NoTest, "no-test", false, "save without testing")
	l.BoolVar(&f.SendTest, "send-test", false, "send a message to yourself as part of the test")
	l.BoolVar(&f.Yes, "yes", false, "do not ask whether the settings are right")
	l.BoolVar(&f.ISPDB, "ispdb", false, "Thunderbird's public database may be asked about the domain")
	addOAuthFlags(cmd, &f.SignIn)
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
		defer stop()
		return c.accountAdd(ctx, args[0], f, stdin)
	})
	return cmd
}

func addOAuthFlags(cmd *cobra.Command, f *setup.SignInWishes) {
	l := cmd.Flags()
	l.StringVar(&f.OAuth.Provider, "oauth", "", "sign in with OAuth 2.0 at `google|microsoft|yahoo`")
	l.StringVar(&f.OAuth.ClientID, "client-id", "", "`ID` of your own OAuth client; signs in with OAuth 2.0")
	l.StringVar(&f.ClientSecretFile, "client-secret-file", "", "0600 `FILE` with the OAuth client's secret, if it has one")
	l.StringVar(&f.OAuth.Tenant, "tenant", "", "Microsoft `TENANT`; default common")
	l.StringSliceVar(&f.OAuth.Scopes, "scope", nil, "OAuth `SCOPES`, where the provider's usual ones will not do")
	l.StringVar(&f.OAuth.AuthURL, "auth-url", "", "`URL` of another provider's authorization page")
	l.StringVar(&f.OAuth.TokenURL, "token-url", "", "`URL` of its token endpoint")
	l.StringVar(&f.OAuth.DeviceURL, "device-url", "", "`URL` of its device endpoint")
	l.BoolVar(&f.Device, "device", false, "sign in with a code on any device, instead of the browser here")
	l.BoolVar(&f.NoBrowser, "no-browser", false, "print the sign-in link, do not open it")
}

// setup returns the means to set accounts up from the command line.
func (c *cli) setup(p config.Paths, cfg *config.Config) *setup.Setup {
	return setup.New(setup.Parts{
		Paths: p, Lang: c.language(cfg.Language), Find: c.find, Reload: c.reload,
		Browse: func(ctx context.Context, url string) error { return openBrowser(ctx, runtime.GOOS, url) },
	})
}

func (c *cli) accountAdd(ctx context.Context, address string, w setup.Wishes, stdin bool) error {
	p, cfg, err := c.configured()
	if err != nil {
		return err
	}
	person, attended := c.person(stdin)
	if w.Unattended = !attended; w.Unattended {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, unattended)
		defer cancel()
	}
	a, err := c.setup(p, cfg).Add(ctx, cfg, address, w, person)
	if err != nil {
		return usageFailure(err)
	}
	return c.printMailApps(ctx, p, a)
}

// usageFailure gives a wish that cannot be its exit status.
func usageFailure(err error) error {
	if u, ok := errors.AsType[*setup.UsageError](err); ok {
		return &failure{exitUsage, u}
	}
	return err
}
