package setup

import (
	"context"
	"errors"
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
		id, err := a.person.Type(ctx, a.clientHelp(o.Provider)+"\n"+a.say("client.id"), false)
		if err != nil && !errors.Is(err, ErrNobody) {
			return err
		}
		o.ClientID = id
	}
	if err := auth.CheckClient(*o); err != nil {
		text := Sentence(err)
		if o.ClientID == "" {
			text += "\n\n" + a.clientHelp(o.Provider)
		}
		return usage(errors.New(text))
	}
	return os.MkdirAll(a.Paths.State, 0o700)
}

// signIn signs the new account in; with nobody there within the time that the
// whole has.
func (a *adding) signIn(ctx context.Context) error {
	if a.w.Unattended && a.w.NoTest {
		a.tell("signin.later", a.acc.Name)
		return nil
	}
	err := a.SignIn(ctx, a.oauth, a.acc, a.w.SignIn, a.person)
	if err != nil && a.w.Unattended {
		err = a.words.Error(err, "signin.failed.later", err, a.acc.Name)
	}
	return err
}

// SignIn runs one sign-in to its end. Of the wishes it heeds how, not with what.
func (s *Setup) SignIn(ctx context.Context, o *auth.OAuth, a upstream.Account, w SignInWishes, p Person) error {
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	var err error
	if w.Device {
		err = s.signInByCode(ctx, o, a, p)
	} else {
		err = s.signInByBrowser(ctx, o, a, w, p)
	}
	if err != nil {
		return errors.New(Sentence(s.WithClientHelp(err, a)))
	}
	p.Tell(s.say("signin.done", a.Address))
	return nil
}

// WithClientHelp adds how to get a client id to the error that there is none.
func (s *Setup) WithClientHelp(err error, a upstream.Account) error {
	if errors.Is(err, auth.ErrNoClient) && a.OAuth.ClientID == "" {
		return errors.New(Sentence(err) + "\n\n" + s.clientHelp(a.OAuth.Provider))
	}
	return err
}

func (s *Setup) signInByCode(ctx context.Context, o *auth.OAuth, a upstream.Account, p Person) error {
	d, err := o.BeginDevice(ctx, a)
	if err != nil {
		return err
	}
	p.Tell(s.say("signin.code", d.VerificationURI, d.UserCode))
	if d.VerificationURIComplete != "" {
		p.Tell(s.say("signin.code.link", d.VerificationURIComplete))
	}
	p.Tell(s.say("signin.wait"))
	return d.Wait(ctx)
}

func (s *Setup) signInByBrowser(ctx context.Context, o *auth.OAuth, a upstream.Account, w SignInWishes, p Person) error {
	in, err := o.Begin(ctx, a, s.Lang)
	if err != nil {
		return err
	}
	defer in.Close()
	p.Tell(s.say("signin.browser", in.URL))
	if !w.NoBrowser {
		if err := s.Browse(ctx, in.URL); err != nil {
			p.Tell(s.say("signin.nobrowser", err))
		}
	}
	p.Tell(s.say("signin.wait"))
	return in.Wait(ctx)
}

// clientHelp answers the client id question for a newcomer.
func (s *Setup) clientHelp(provider string) string {
	key := "client." + strings.ToLower(provider)
	if !s.words.Has(key) {
		key = "client.other"
	}
	return s.say("client.why") + s.say(key)
}
