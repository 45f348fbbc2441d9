package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"

	"github.com/spf13/cobra"

	"melon/upstream"
	"melon/upstream/auth"
)

func (c *cli) loginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "login ACCOUNT",
		Short: "sign an account in with OAuth 2.0",
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
		p, cfg, err := c.configured()
		if err != nil {
			return err
		}
		a, err := namedAccount(cfg, args[0])
		if err != nil {
			return err
		}
		if a.OAuth.IsZero() {
			return fmt.Errorf("the account %s has no oauth: block, so there is nothing to sign in to; its password is changed with: melon account edit %s --password", a.Name, a.Name)
		}
		if err := os.MkdirAll(p.State, 0o700); err != nil {
			return err
		}
		tokens := newOAuth(&auth.Secrets{}, p.State, cfg.Account)
		defer tokens.Close()
		if err := c.signIn(ctx, tokens, a, signInFlags{Device: *device, NoBrowser: *noBrowser}); err != nil {
			return err
		}
		c.clearAttention(ctx, a.Name)
		return nil
	})
	return cmd
}

// signIn signs the new account in; without a terminal within the time that the
// whole command has.
func (a *adding) signIn(ctx context.Context) error {
	if a.tty == nil && a.f.NoTest {
		fmt.Fprintf(a.c.stderr, "Not signed in yet. Sign in with: melon login %s\n", a.acc.Name)
		return nil
	}
	err := a.c.signIn(ctx, a.oauth, a.acc, a.f.signInFlags)
	if err != nil && a.tty == nil {
		err = fmt.Errorf("%w; to sign in later add --no-test, then run: melon login %s", err, a.acc.Name)
	}
	return err
}

// signIn runs one sign-in to its end.
func (c *cli) signIn(ctx context.Context, o *auth.OAuth, a upstream.Account, f signInFlags) error {
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	var err error
	if f.Device {
		err = c.signInByCode(ctx, o, a)
	} else {
		err = c.signInByBrowser(ctx, o, a, !f.NoBrowser)
	}
	if err != nil {
		text := sentence(err)
		if errors.Is(err, auth.ErrNoClient) && a.OAuth.ClientID == "" {
			text += "\n\n" + clientHelp(a.OAuth.Provider)
		}
		return errors.New(text)
	}
	fmt.Fprintf(c.stderr, "Signed in as %s.\n", a.Address)
	return nil
}

func (c *cli) signInByCode(ctx context.Context, o *auth.OAuth, a upstream.Account) error {
	d, err := o.BeginDevice(ctx, a)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stderr, "Open this page on any device and type the code:\n  %s\n  code: %s\n", d.VerificationURI, d.UserCode)
	if d.VerificationURIComplete != "" {
		fmt.Fprintf(c.stderr, "or, with the code in it:\n  %s\n", d.VerificationURIComplete)
	}
	fmt.Fprintln(c.stderr, "Waiting …")
	return d.Wait(ctx)
}

func (c *cli) signInByBrowser(ctx context.Context, o *auth.OAuth, a upstream.Account, open bool) error {
	s, err := o.Begin(ctx, a, c.explainLanguage())
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Fprintf(c.stderr, "Sign in on this page in a browser on this computer:\n  %s\n", s.URL)
	if open {
		if err := openBrowser(ctx, runtime.GOOS, s.URL); err != nil {
			fmt.Fprintf(c.stderr, "No browser could be opened (%v): open the link yourself.\n", err)
		}
	}
	fmt.Fprintln(c.stderr, "Waiting …")
	return s.Wait(ctx)
}

// openBrowser shows a page in the person's own browser. The URL is Melon's own
// work, and an argument by itself: no shell reads it.
func openBrowser(ctx context.Context, goos, url string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), browserCommand(goos)[0], append(browserCommand(goos)[1:], url)...)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release() // it lives as long as it likes
}

func browserCommand(goos string) []string {
	switch goos {
	case "darwin":
		return []string{"open"}
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	return []string{"xdg-open"}
}
