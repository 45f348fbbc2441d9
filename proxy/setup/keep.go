package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"melon/proxy/config"
	"melon/upstream"
	"melon/upstream/auth"
)

// save stores the secret, then the account, and tells a running relay. When the
// account cannot be saved, nothing stays behind.
func (a *adding) save(ctx context.Context) error {
	undo, err := a.held.store(ctx)
	if err != nil {
		return a.fail("save.secret", Sentence(err))
	}
	store := TokenStore(a.Secrets, a.Paths.State, func(string) (upstream.Account, bool) { return a.acc, true })
	token, err := a.tokens.Load(ctx, a.acc.Name)
	signedIn := err == nil
	if signedIn {
		if err := store.Save(ctx, a.acc.Name, token); err != nil {
			return a.fail("save.signin", Sentence(err))
		}
	}
	if err := config.AddAccount(a.Paths.Config, a.acc); err != nil {
		if signedIn {
			err = errors.Join(err, store.Delete(ctx, a.acc.Name))
		}
		return errors.Join(err, undo(ctx))
	}
	if err := a.firstIsDefault(a.cfg, a.acc.Name); err != nil {
		return err
	}
	a.tell("save.done", a.acc.Name, a.Paths.Config)
	if err := a.Reload(ctx); err != nil {
		a.tell("save.reload", err)
	}
	return nil
}

// firstIsDefault makes the first account of all the default.
func (s *Setup) firstIsDefault(before *config.Config, name string) error {
	if len(before.Accounts) > 0 || before.Default != "" {
		return nil
	}
	return config.SetDefault(s.Paths.Config, name)
}

// ErrNoSecret refuses an account that could not log in.
var ErrNoSecret = errors.New("no password")

// Keep adds an account as it stands to the configuration, which is cfg so far, or
// changes the one of its name. The password is asked of the person; whoever
// answers with none keeps the stored one. Keep returns where the secret is, and
// whether it is another one now.
func (s *Setup) Keep(ctx context.Context, cfg *config.Config, a upstream.Account, p Person) (ref upstream.SecretRef, changed bool, err error) {
	old, exists := cfg.Account(a.Name)
	password, err := p.Type(ctx, s.passwordPrompt(a), true)
	if err != nil && !errors.Is(err, ErrNobody) {
		return ref, false, err
	}
	ref = old.Password
	switch {
	case password == "" && !exists && NeedsSecret(a) && a.OAuth.IsZero():
		return ref, false, s.words.Error(ErrNoSecret, "password.missing")
	case password != "" && ref.Keyring == "" && ref.File == "": // else it is there already, where Melon may write
		if ref, err = s.chooseStore(ctx, p, "", a.Name); err != nil {
			return ref, false, err
		}
	}
	a.Password = ref
	if a.POP.Host != "" && (password != "" || a.POP.Password.IsZero()) {
		a.POP.Password = ref
	}
	return ref, password != "", s.write(ctx, cfg, a, password)
}

// write puts the account into the file and then the password into its place: a
// configuration that is refused changes no secret. A new account whose password
// cannot be stored is taken out again.
func (s *Setup) write(ctx context.Context, cfg *config.Config, a upstream.Account, password string) error {
	old, exists := cfg.Account(a.Name)
	var err error
	if exists {
		err = config.SetAccount(s.Paths.Config, old.Name, changes(old, a)...)
	} else {
		err = config.AddAccount(s.Paths.Config, a)
		if err == nil {
			err = s.firstIsDefault(cfg, a.Name)
		}
	}
	if err != nil || password == "" {
		return err
	}
	held := &heldSecrets{stores: s.Secrets}
	held.hold(a.Password, password)
	if _, err = held.store(ctx); err == nil {
		return nil
	}
	err = errors.New(Sentence(err))
	if !exists {
		err = errors.Join(err, config.RemoveAccount(s.Paths.Config, a.Name))
	}
	return err
}

// NewPassword has the person type another password for an account of cfg, and puts
// it where the account's is kept.
func (s *Setup) NewPassword(ctx context.Context, a upstream.Account, p Person) error {
	if !a.OAuth.IsZero() {
		return s.fail("password.oauth", a.Name)
	}
	secret, err := p.Type(ctx, s.say("password.new", a.Username), true)
	if errors.Is(err, ErrNobody) {
		return s.misuse("password.new.nobody")
	}
	if err == nil && secret == "" || errors.Is(err, ErrNothingTyped) {
		err = s.fail("password.new.none")
	}
	if err != nil {
		return err
	}
	ref := a.Password
	if ref.IsZero() {
		if ref, err = s.chooseStore(ctx, p, "", a.Name); err != nil {
			return err
		}
	}
	held := &heldSecrets{stores: s.Secrets}
	held.hold(ref, secret)
	if _, err := held.store(ctx); err != nil {
		return errors.New(Sentence(err))
	}
	if a.Password.IsZero() {
		return config.SetAccount(s.Paths.Config, a.Name, config.Field{Key: "password", Value: ref})
	}
	return nil
}

// changes are the settings in which a differs from old, of those that a form has.
func changes(old, a upstream.Account) []config.Field {
	var all []config.Field
	set := func(key string, v any, empty bool) {
		if empty {
			v = nil
		}
		all = append(all, config.Field{Key: key, Value: v})
	}
	set("address", a.Address, false)
	set("username", a.Username, a.Username == a.Address)
	if fmt.Sprint(a.Password) != fmt.Sprint(old.Password) {
		set("password", a.Password, a.Password.IsZero())
	}
	set("auth", string(a.Auth), a.Auth == upstream.AuthAuto)
	set("smtp.host", a.SMTP.Host, false)
	set("smtp.port", a.SMTP.Port, a.SMTP.Port == 0)
	set("smtp.security", string(a.SMTP.Security), a.SMTP.Security == upstream.SecurityAuto)
	if a.POP.Host != "" {
		set("pop.host", a.POP.Host, false)
		set("pop.port", a.POP.Port, a.POP.Port == 0)
		set("pop.security", string(a.POP.Security), a.POP.Security == upstream.SecurityAuto)
		set("pop.username", a.POP.Username, a.POP.Username == a.Username)
		if fmt.Sprint(a.POP.Password) != fmt.Sprint(old.POP.Password) {
			set("pop.password", a.POP.Password, fmt.Sprint(a.POP.Password) == fmt.Sprint(a.Password))
		}
		set("pop_before_smtp.window", a.PopBeforeSMTP.Window, a.PopBeforeSMTP.Window == defaultWindow)
	} else if old.POP.Host != "" {
		set("pop", nil, true)
		set("pop_before_smtp", nil, true)
	}
	set("allow_plaintext", true, !a.AllowPlaintext)
	if a.OAuth.Provider != old.OAuth.Provider || a.OAuth.ClientID != old.OAuth.ClientID {
		set("oauth.provider", a.OAuth.Provider, a.OAuth.Provider == "")
		set("oauth.client_id", a.OAuth.ClientID, a.OAuth.ClientID == "")
	}
	return all
}

// Forget deletes what Melon stored for an account of cfg, unless another account or
// the local login uses it.
func (s *Setup) Forget(ctx context.Context, cfg *config.Config, a upstream.Account) error {
	used := func(ref upstream.SecretRef) bool {
		for _, o := range cfg.Accounts {
			for _, r := range []upstream.SecretRef{o.Password, o.POP.Password, o.OAuth.ClientSecret} {
				if o.Name != a.Name && reflect.DeepEqual(r, ref) {
					return true
				}
			}
		}
		return reflect.DeepEqual(cfg.Listen.Password, ref)
	}
	refs := []upstream.SecretRef{a.Password, a.POP.Password, a.OAuth.ClientSecret}
	if !a.OAuth.IsZero() {
		refs = append(refs, auth.TokenRef(a, s.Paths.State))
	}
	var errs []error
	for _, ref := range refs {
		ours := ref.Keyring != "" || ref.File != "" && within(ref.File, s.Paths.State)
		if ours && !used(ref) {
			errs = append(errs, s.Secrets.Delete(ctx, ref))
		}
	}
	return errors.Join(errs...)
}

// within reports whether path is below dir.
func within(path, dir string) bool {
	d, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(d, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(os.PathSeparator))
}
