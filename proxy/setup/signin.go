package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/discover"
)

// wantsOAuth reports whether the account signs in with OAuth: the wishes say so,
// or there is no other way in.
func (a *adding) wantsOAuth() bool {
	o := a.w.SignIn.OAuth
	if o.Provider != "" || o.ClientID != "" || o.TokenURL != "" {
		return true
	}
	m := a.acc.Auth
	if m == upstream.AuthXOAUTH2 || m == upstream.AuthOAUTHBEARER {
		return true
	}
	return a.found != nil && m == upstream.AuthAuto && len(a.found.Logins) == 1 && a.found.Logins[0] == discover.LoginOAuth
}

// mergedOAuth is what was found, with the wishes over it.
func (a *adding) mergedOAuth() upstream.OAuth {
	o := a.w.SignIn.OAuth
	if a.found == nil || o.Provider != "" || o.TokenURL != "" {
		return o
	}
	f := a.found.OAuth
	o.Provider, o.AuthURL, o.TokenURL = f.Provider, f.AuthURL, f.TokenURL
	if len(o.Scopes) == 0 {
		o.Scopes = f.Scopes
	}
	return o
}

// oauthClient checks that there is a client to sign in with, and says how to get
// one when there is none.
func (a *adding) oauthClient(ctx context.Context) error {
	o := &a.acc.OAuth
	if file := a.w.SignIn.ClientSecretFile; file != "" {
		path, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		o.ClientSecret = upstream.SecretRef{File: path}
		if err := a.Secrets.Check(o.ClientSecret); err != nil {
			return usage(err)
		}
	}
	if o.ClientID == "" {
		id, err := a.person.Type(ctx, clientHelp(o.Provider)+"\nClient ID:", false)
		if err != nil && !errors.Is(err, ErrNobody) {
			return err
		}
		o.ClientID = id
	}
	if err := auth.CheckClient(*o); err != nil {
		text := Sentence(err)
		if o.ClientID == "" {
			text += "\n\n" + clientHelp(o.Provider)
		}
		return usage(errors.New(text))
	}
	return os.MkdirAll(a.Paths.State, 0o700)
}

// signIn signs the new account in; with nobody there within the time that the
// whole has.
func (a *adding) signIn(ctx context.Context) error {
	if a.w.Unattended && a.w.NoTest {
		a.tell("Not signed in yet. Sign in with: melon login %s\n", a.acc.Name)
		return nil
	}
	err := a.SignIn(ctx, a.oauth, a.acc, a.w.SignIn, a.person)
	if err != nil && a.w.Unattended {
		err = fmt.Errorf("%w; to sign in later add --no-test, then run: melon login %s", err, a.acc.Name)
	}
	return err
}

// SignIn runs one sign-in to its end. Of the wishes it heeds how, not with what.
func (s *Setup) SignIn(ctx context.Context, o *auth.OAuth, a upstream.Account, w SignInWishes, p Person) error {
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	var err error
	if w.Device {
		err = signInByCode(ctx, o, a, p)
	} else {
		err = s.signInByBrowser(ctx, o, a, w, p)
	}
	if err != nil {
		return errors.New(Sentence(WithClientHelp(err, a)))
	}
	p.Tell(fmt.Sprintf("Signed in as %s.\n", a.Address))
	return nil
}

// WithClientHelp adds how to get a client id to the error that there is none.
func WithClientHelp(err error, a upstream.Account) error {
	if errors.Is(err, auth.ErrNoClient) && a.OAuth.ClientID == "" {
		return errors.New(Sentence(err) + "\n\n" + clientHelp(a.OAuth.Provider))
	}
	return err
}

func signInByCode(ctx context.Context, o *auth.OAuth, a upstream.Account, p Person) error {
	d, err := o.BeginDevice(ctx, a)
	if err != nil {
		return err
	}
	p.Tell(fmt.Sprintf("Open this page on any device and type the code:\n  %s\n  code: %s\n", d.VerificationURI, d.UserCode))
	if d.VerificationURIComplete != "" {
		p.Tell(fmt.Sprintf("or, with the code in it:\n  %s\n", d.VerificationURIComplete))
	}
	p.Tell("Waiting …\n")
	return d.Wait(ctx)
}

func (s *Setup) signInByBrowser(ctx context.Context, o *auth.OAuth, a upstream.Account, w SignInWishes, p Person) error {
	in, err := o.Begin(ctx, a, s.Lang)
	if err != nil {
		return err
	}
	defer in.Close()
	p.Tell(fmt.Sprintf("Sign in on this page in a browser on this computer:\n  %s\n", in.URL))
	if !w.NoBrowser {
		if err := s.Browse(ctx, in.URL); err != nil {
			p.Tell(fmt.Sprintf("No browser could be opened (%v): open the link yourself.\n", err))
		}
	}
	p.Tell("Waiting …\n")
	return in.Wait(ctx)
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
