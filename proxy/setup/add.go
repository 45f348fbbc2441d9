package setup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"melon/proxy/config"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/discover"
)

// adding is one account on its way into the configuration.
type adding struct {
	*Setup
	w       Wishes
	person  Person
	address string
	cfg     *config.Config
	acc     upstream.Account
	found   *discover.Candidate // nil when the wishes said everything
	retype  bool                // another password is wanted for the next test
	held    *heldSecrets
	tokens  *heldTokens
	oauth   *auth.OAuth // on tokens
}

// Add finds out what an address needs, asks the person for the rest, tests, and
// saves the account in the configuration, which is cfg so far. A *UsageError says
// that the wishes have to change; after any error nothing is saved.
func (s *Setup) Add(ctx context.Context, cfg *config.Config, address string, w Wishes, p Person) (upstream.Account, error) {
	a := &adding{Setup: s, w: w, person: p, address: address, cfg: cfg, held: &heldSecrets{stores: s.Secrets}, tokens: &heldTokens{}}
	a.oauth = auth.NewOAuth(auth.OAuthOptions{Store: a.tokens, Secrets: s.Secrets})
	defer a.oauth.Close()
	for _, step := range []func(context.Context) error{a.settle, a.prove, a.save} {
		if err := step(ctx); err != nil {
			return upstream.Account{}, err
		}
	}
	return a.acc, nil
}

func (a *adding) tell(key string, args ...any) { a.person.Tell(a.say(key, args...)) }

// settle finds out every setting but the secret, and has the person look at it.
func (a *adding) settle(ctx context.Context) error {
	if err := a.servers(ctx); err != nil {
		return err
	}
	if a.w.CA != "" {
		ca, err := filepath.Abs(a.w.CA)
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
		var err error
		a.acc.Username, err = a.person.Type(ctx, a.say("login.name"), false)
		if errors.Is(err, ErrNobody) {
			return a.misuse("login.ask")
		}
		if err != nil {
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
	if !NeedsSecret(a.acc) {
		return nil
	}
	ref, err := a.chooseStore(ctx, a.person, a.w.Store, a.acc.Name)
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

// check has the configuration look at the account before anybody types a
// password: it is added to a copy.
func (a *adding) check() error {
	dir, err := os.MkdirTemp("", "melon-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	trial := filepath.Join(dir, "config.yaml")
	now, err := os.ReadFile(a.Paths.Config)
	if err == nil {
		err = os.WriteFile(trial, now, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err = config.AddAccount(trial, a.acc)
	if problems, ok := errors.AsType[config.Problems](err); ok {
		return usage(errors.New(strings.Join(sentences(problems), "\n")))
	}
	if err != nil {
		return usage(err)
	}
	return nil
}

// sentences are the problems without file and line, which say nothing of a copy.
func sentences(problems config.Problems) []string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Sentence)
	}
	return all
}

// prove gets the secret and tests the account, as often as the person likes.
func (a *adding) prove(ctx context.Context) error {
	for try := 0; ; try++ {
		if err := a.getSecret(ctx, try); err != nil {
			return err
		}
		if a.w.NoTest {
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
	notSaved := a.fail("test.failed")
	switch {
	case class == upstream.ClassTLSRequired && !a.acc.AllowPlaintext:
		ok, err := a.person.Confirm(ctx, a.say("test.plain"), false)
		if errors.Is(err, ErrNobody) {
			err = a.fail("test.failed.plain")
		}
		if err != nil || ok {
			a.acc.AllowPlaintext = ok
			return ok, err
		}
	case passwordRefused(class) && a.acc.OAuth.IsZero() && try < 2:
		a.retype, err = a.person.Confirm(ctx, a.say("test.retype"), true)
		if errors.Is(err, ErrNobody) {
			err = notSaved
		}
		if err != nil || a.retype {
			return a.retype, err
		}
	}
	ok, err := a.person.Confirm(ctx, a.say("test.anyway"), false)
	if err == nil && !ok || errors.Is(err, ErrNobody) {
		err = notSaved
	}
	return false, err
}

func passwordRefused(c upstream.Class) bool {
	return c == upstream.ClassCredentialsRejected || c == upstream.ClassPOPCredentialsRejected || c == upstream.ClassAppPasswordOrOAuthRequired
}

// getSecret signs in or has the password typed. One that is held already is kept
// when only another setting changed.
func (a *adding) getSecret(ctx context.Context, try int) error {
	switch {
	case !NeedsSecret(a.acc), try > 0 && !a.retype:
		return nil
	case !a.acc.OAuth.IsZero():
		return a.signIn(ctx)
	}
	prompt := a.passwordPrompt(a.acc)
	if a.found != nil && a.found.Has(discover.LoginAppPassword) && !a.found.Has(discover.LoginPassword) {
		prompt = a.say("password.app", a.acc.Username)
	}
	for {
		s, err := a.person.Type(ctx, prompt, true)
		if errors.Is(err, ErrNobody) {
			return a.misuse("password.nobody")
		}
		if err != nil && a.w.Unattended {
			return a.misuse("password.none")
		}
		if err != nil {
			return err
		}
		if s != "" {
			a.held.hold(a.acc.Password, s)
			return nil
		}
	}
}

func (s *Setup) passwordPrompt(a upstream.Account) string { return s.say("password.ask", a.Username) }
