package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"melon/proxy/config"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/dial"
	"melon/upstream/discover"
)

// Bounds for `account add`. With nobody at the keyboard the whole of it ends
// within unattended.
const (
	unattended = 14 * time.Second
	findTime   = 6 * time.Second
	testTime   = 12 * time.Second
	signInTime = 10 * time.Minute
)

// addFlags are the flags of `account add`.
type addFlags struct {
	serverFlags
	signInFlags
	Name, Username, Auth, Store, CA      string
	PasswordStdin, NoTest, SendTest, Yes bool
	Plaintext, ISPDB                     bool
}

// serverFlags name the servers.
type serverFlags struct{ SMTP, Security, POP, POPSecurity string }

// signInFlags say how to sign in with OAuth 2.0.
type signInFlags struct {
	OAuth             upstream.OAuth
	ClientSecretFile  string
	Device, NoBrowser bool
}

func (c *cli) accountAddCommand() *cobra.Command {
	var f addFlags
	cmd := &cobra.Command{
		Use:   "add ADDRESS",
		Short: "set up an account: find the servers, ask for the password, test, save",
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
	l.StringVar(&f.SMTP, "smtp", "", "server to send by, `HOST[:PORT]`; nothing is looked up then; without PORT the usual ones are tried")
	l.StringVar(&f.POP, "pop", "", "POP3 server for POP before SMTP, `HOST[:PORT]`")
	l.StringVar(&f.Security, "security", "", "of the SMTP connection: `auto|tls|starttls|none`")
	l.StringVar(&f.POPSecurity, "pop-security", "", "of the POP3 connection: `auto|tls|starttls|none`")
	l.StringVar(&f.Auth, "auth", "", "`METHOD` of login: auto, none, plain, login, cram-md5, scram-sha-1, scram-sha-256, xoauth2, oauthbearer, external, pop-before-smtp; default auto")
	l.StringVar(&f.Username, "username", "", "login `NAME`; default: what the provider wants, mostly the address")
	l.BoolVar(&f.PasswordStdin, "password-stdin", false, "read the password from the first line of standard input")
	l.StringVar(&f.Store, "store", "", "where to keep the secret: `keyring|file`")
	l.StringVar(&f.CA, "ca", "", "trust the PEM certificates in `FILE` for this account, instead of the system's")
	l.BoolVar(&f.Plaintext, "allow-plaintext", false, "the password may be sent over an unencrypted connection")
	l.BoolVar(&f.NoTest, "no-test", false, "save without testing")
	l.BoolVar(&f.SendTest, "send-test", false, "send a message to yourself as part of the test")
	l.BoolVar(&f.Yes, "yes", false, "do not ask whether the settings are right")
	l.BoolVar(&f.ISPDB, "ispdb", false, "Thunderbird's public database may be asked about the domain")
	addOAuthFlags(cmd, &f)
	cmd.RunE = c.do(func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
		defer stop()
		return c.accountAdd(ctx, args[0], f)
	})
	return cmd
}

func addOAuthFlags(cmd *cobra.Command, f *addFlags) {
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

// adding is one `account add` under way.
type adding struct {
	c       *cli
	f       addFlags
	address string
	p       config.Paths
	cfg     *config.Config
	tty     *terminal // nil: nobody is there
	acc     upstream.Account
	found   *discover.Candidate // nil when the flags said everything
	retype  bool                // another password is wanted for the next test
	secrets *heldSecrets
	tokens  *heldTokens
	oauth   *auth.OAuth // on tokens
	dialer  *dial.Dialer
}

func (c *cli) accountAdd(ctx context.Context, address string, f addFlags) error {
	p, cfg, err := c.configured()
	if err != nil {
		return err
	}
	a := &adding{c: c, f: f, address: address, p: p, cfg: cfg, tty: c.terminal(), tokens: &heldTokens{}, dialer: &dial.Dialer{}}
	a.secrets = &heldSecrets{stores: &auth.Secrets{}}
	if f.PasswordStdin {
		a.tty = nil // whatever standard input is, it is not for questions
	}
	if a.tty == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, unattended)
		defer cancel()
	}
	a.oauth = auth.NewOAuth(auth.OAuthOptions{Store: a.tokens, Secrets: a.secrets.stores})
	defer a.oauth.Close()
	for _, step := range []func(context.Context) error{a.settle, a.prove, a.save} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return c.printMailApps(ctx, p, a.acc)
}

// settle finds out every setting but the secret, and has the person look at it.
func (a *adding) settle(ctx context.Context) error {
	if err := a.servers(ctx); err != nil {
		return err
	}
	if a.f.CA != "" {
		ca, err := filepath.Abs(a.f.CA)
		if err != nil {
			return err
		}
		a.acc.Trust.CA = ca
	}
	if !a.acc.OAuth.IsZero() {
		if err := a.oauthClient(ctx); err != nil {
			return err
		}
	}
	if a.acc.Username == "" {
		if a.tty == nil {
			return &failure{exitUsage, errors.New("this provider has login names of its own; give yours with --username")}
		}
		var err error
		if a.acc.Username, err = a.tty.line(ctx, "Login name:"); err != nil {
			return err
		}
	}
	if err := a.placeSecret(ctx); err != nil {
		return err
	}
	return a.check()
}

// placeSecret decides where the secret will be kept.
func (a *adding) placeSecret(ctx context.Context) error {
	if !needsSecret(a.acc) {
		return nil
	}
	ref, err := a.c.chooseStore(ctx, a.p, a.secrets.stores, a.f.Store, a.acc.Name)
	if err != nil {
		return err
	}
	if !a.acc.OAuth.IsZero() && ref.File != "" {
		return nil // the sign-in has a file of its own in the state directory
	}
	a.acc.Password = ref
	if a.acc.POP.Host != "" {
		a.acc.POP.Password = ref
	}
	return nil
}

// needsSecret reports whether the account logs in with anything to be kept.
func needsSecret(a upstream.Account) bool {
	switch a.Auth {
	case upstream.AuthNone, upstream.AuthExternal:
		return a.POP.Host != ""
	}
	return true
}

// check has the configuration look at the account before anybody types a
// password: it is added to a copy.
func (a *adding) check() error {
	dir, err := os.MkdirTemp("", "melon-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	trial := filepath.Join(dir, "config.yaml")
	now, err := os.ReadFile(a.p.Config)
	if err == nil {
		err = os.WriteFile(trial, now, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err = config.AddAccount(trial, a.acc)
	if problems, ok := errors.AsType[config.Problems](err); ok {
		var text []string
		for _, p := range problems {
			text = append(text, p.Sentence)
		}
		return &failure{exitUsage, errors.New(strings.Join(text, "\n"))}
	}
	if err != nil {
		return &failure{exitUsage, err}
	}
	return nil
}

// prove gets the secret and tests the account, as often as the person likes.
func (a *adding) prove(ctx context.Context) error {
	for try := 0; ; try++ {
		if err := a.getSecret(ctx, try); err != nil {
			return err
		}
		if a.f.NoTest {
			return nil
		}
		class, err := a.test(ctx)
		if err != nil {
			return err
		}
		if class == upstream.ClassOK {
			return nil
		}
		again, err := a.afterFailure(ctx, class, try)
		if err != nil || !again {
			return err
		}
	}
}

// afterFailure asks what to do about a failed test; nobody there, nothing is
// saved. again is true when something was changed that is worth another test.
func (a *adding) afterFailure(ctx context.Context, class upstream.Class, try int) (again bool, err error) {
	notSaved := &failure{exitFailed, errors.New("the test failed; the account was not saved")}
	if a.tty == nil {
		if class == upstream.ClassTLSRequired && !a.acc.AllowPlaintext {
			notSaved.err = errors.New("the test failed, the account was not saved; if the password may really be sent unencrypted, add --allow-plaintext")
		}
		return false, notSaved
	}
	switch {
	case class == upstream.ClassTLSRequired && !a.acc.AllowPlaintext:
		ok, err := a.tty.confirm(ctx, "May this account send its password over an unencrypted connection, where others can read it?", false)
		if err != nil {
			return false, err
		}
		if ok {
			a.acc.AllowPlaintext = true
			return true, nil
		}
	case passwordRefused(class) && a.acc.OAuth.IsZero() && try < 2:
		var err error
		if a.retype, err = a.tty.confirm(ctx, "Try another password?", true); err != nil || a.retype {
			return a.retype, err
		}
	}
	ok, err := a.tty.confirm(ctx, "Save the account anyway?", false)
	if err != nil {
		return false, err
	}
	if !ok {
		return false, notSaved
	}
	return false, nil
}

func passwordRefused(c upstream.Class) bool {
	return c == upstream.ClassCredentialsRejected || c == upstream.ClassPOPCredentialsRejected || c == upstream.ClassAppPasswordOrOAuthRequired
}

// getSecret signs in or gets the password: from standard input, or typed. One
// that is held already is kept when only another setting changed.
func (a *adding) getSecret(ctx context.Context, try int) error {
	switch {
	case !needsSecret(a.acc), try > 0 && !a.retype:
		return nil
	case !a.acc.OAuth.IsZero():
		return a.signIn(ctx)
	case a.f.PasswordStdin:
		s, err := typedLine(a.c.stdin, maxTyped)
		if err != nil || s == "" {
			return &failure{exitUsage, errors.New("--password-stdin: there is no password on standard input")}
		}
		a.secrets.hold(a.acc.Password, s)
		return nil
	case a.tty == nil:
		return &failure{exitUsage, errors.New("there is no terminal to ask for the password on; give it with --password-stdin")}
	}
	what := "Password"
	if a.found != nil && a.found.Has(discover.LoginAppPassword) && !a.found.Has(discover.LoginPassword) {
		what = "App password"
	}
	for {
		s, err := a.tty.secret(ctx, fmt.Sprintf("%s for %s (not shown):", what, a.acc.Username))
		if err != nil {
			return err
		}
		if s != "" {
			a.secrets.hold(a.acc.Password, s)
			return nil
		}
	}
}

// save stores the secret, then the account, and tells a running relay. When the
// account cannot be saved, nothing stays behind.
func (a *adding) save(ctx context.Context) error {
	undo, err := a.secrets.store(ctx)
	if err != nil {
		return fmt.Errorf("the secret could not be stored, nothing was saved: %s", sentence(err))
	}
	store := tokenStore(a.secrets.stores, a.p.State, func(string) (upstream.Account, bool) { return a.acc, true })
	token, err := a.tokens.Load(ctx, a.acc.Name)
	signedIn := err == nil
	if signedIn {
		if err := store.Save(ctx, a.acc.Name, token); err != nil {
			return fmt.Errorf("the sign-in could not be stored, nothing was saved: %s", sentence(err))
		}
	}
	if err := config.AddAccount(a.p.Config, a.acc); err != nil {
		if signedIn {
			err = errors.Join(err, store.Delete(ctx, a.acc.Name))
		}
		return errors.Join(err, undo(ctx))
	}
	if len(a.cfg.Accounts) == 0 && a.cfg.Default == "" {
		if err := config.SetDefault(a.p.Config, a.acc.Name); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.c.stderr, "Saved the account %s in %s.\n", a.acc.Name, a.p.Config)
	if err := a.c.reload(ctx); err != nil {
		fmt.Fprintf(a.c.stderr, "The running relay did not take the new configuration: %v\n", err)
	}
	return nil
}
