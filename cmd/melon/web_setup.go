package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"melon/packaging/autostart"
	"melon/proxy/config"
	"melon/proxy/control"
	"melon/proxy/control/web"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/discover"
	"melon/upstream/doctor"
)

// webSetup finds, tests and keeps accounts for the web page, by the same means as
// the account commands.
type webSetup struct{ d *daemon }

// Discover implements web.Finder.
func (s webSetup) Discover(ctx context.Context, address, lang string, step func(web.Step)) (web.Found, error) {
	a := &adding{address: address, cfg: s.d.config.Config(), acc: upstream.Account{Auth: upstream.AuthAuto,
		SMTP: upstream.Server{Security: upstream.SecurityAuto}, POP: upstream.POPServer{Server: upstream.Server{Security: upstream.SecurityAuto}},
		PopBeforeSMTP: upstream.PopBeforeSMTP{Window: defaultWindow, Finish: "login"}}}
	found, err := discover.Discover(ctx, discover.Options{Dialer: s.d.web.dialer, Timeout: findTime}, address)
	if err != nil && !errors.Is(err, discover.ErrNothing) {
		return web.Found{Account: a.acc}, err
	}
	if len(found) == 0 {
		step(web.Step{Status: web.StepWarn, Name: address, Text: "–"})
		return web.Found{Account: a.acc}, nil
	}
	best := found[0]
	for _, c := range found {
		step(web.Step{Status: web.StepOK, Name: sourceWords(c.Source, lang), Text: c.Where})
	}
	a.found = &best
	out := web.Found{Source: strings.TrimSpace(best.Provider+" "+showServer(best.SMTP).String()) + " (" + sourceWords(best.Source, lang) + ": " + best.Where + ")"}
	if best.SMTP.Host == "" {
		out.Source = ""
	} else {
		a.fromCandidate(best)
		if a.acc.POP.Host != "" {
			a.acc.POP.Username = a.acc.Username
		}
		if a.wantsOAuth() {
			a.acc.OAuth, a.acc.POP = a.mergedOAuth(), upstream.POPServer{Server: upstream.Server{Security: upstream.SecurityAuto}}
		}
	}
	if best.Note != "" {
		out.Notes = append(out.Notes, best.Note)
	}
	if len(best.Foreign) > 0 {
		out.Notes = append(out.Notes, foreignWords(best.Foreign, lang))
	}
	out.Account = a.acc
	return out, nil
}

// sourceWords say where settings are known from.
func sourceWords(s discover.Source, lang string) string {
	words := map[discover.Source][2]string{
		discover.SourcePreset:     {"Melon's own table", "Melon の一覧"},
		discover.SourceAutoconfig: {"the provider's settings file", "プロバイダーの設定ファイル"},
		discover.SourceMX:         {"by the domain's mail server", "ドメインのメールサーバー"},
		discover.SourceISPDB:      {"Thunderbird's database", "Thunderbird のデータベース"},
		discover.SourceSRV:        {"the domain's DNS", "ドメインの DNS"},
		discover.SourceGuess:      {"guessed, and it answered", "推測（応答を確認済み）"},
	}[s]
	if lang == "ja" {
		return words[1]
	}
	return words[0]
}

// foreignWords warn of servers that somebody on the way may have named.
func foreignWords(hosts []string, lang string) string {
	if lang == "ja" {
		return strings.Join(hosts, "、") + " はこのアドレスのドメインの外にあり、いまのネットワークが偽ることもできる情報源で見つかりました。正しいと確かめてからパスワードを送ってください。"
	}
	return strings.Join(hosts, ", ") + " is outside of the address's domain, and known only from a source that the network here could have made up. Make sure that it is right before your password goes there."
}

// Test implements web.Tester: doctor logs in as the relay would.
func (s webSetup) Test(ctx context.Context, a upstream.Account, password, lang string, step func(web.Step)) error {
	secrets := &heldSecrets{stores: s.d.secrets}
	if password != "" {
		typed := upstream.SecretRef{Keyring: "typed into the web page"} // a name for heldSecrets alone
		a.Password = typed
		if a.POP.Host != "" {
			a.POP.Password = typed
		}
		secrets.hold(typed, password)
	}
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	o := doctorOptions(a, secrets, s.d.tokens, s.d.web.dialer, lang)
	o.Progress = func(c doctor.Check) { step(webStep(c)) }
	r := doctor.Run(ctx, o)
	if r.Verdict == upstream.ClassOK {
		return nil
	}
	e := &upstream.Error{Account: a.Name, Class: r.Verdict, Sentence: r.Summary}
	for _, c := range r.Checks {
		if c.Status == doctor.StatusFail {
			e.Sentence = c.Detail
		}
	}
	return e
}

func webStep(c doctor.Check) web.Step {
	return web.Step{Status: web.StepStatus(c.Status), Name: c.Name, Text: c.Detail, MS: c.MS}
}

// errNoSecret refuses an account that could not log in.
var errNoSecret = fmt.Errorf("%w: type the password too, there is none yet", control.ErrInvalid)

// Save implements web.Keeper.
func (s webSetup) Save(ctx context.Context, a upstream.Account, password string) (string, error) {
	s.d.editing.Lock()
	defer s.d.editing.Unlock()
	cfg := s.d.config.Config()
	old, exists := cfg.Account(a.Name)
	ref := old.Password
	if password != "" {
		var err error
		if ref, err = s.place(ctx, ref, a.Name); err != nil {
			return "", err
		}
	} else if !exists && needsSecret(a) && a.OAuth.IsZero() {
		return "", errNoSecret
	}
	a.Password = ref
	if a.POP.Host != "" && (password != "" || a.POP.Password.IsZero()) {
		a.POP.Password = ref
	}
	if err := s.write(ctx, old, a, password); err != nil {
		return "", plain(err)
	}
	if err := s.d.Reload(); err != nil {
		return "", plain(err)
	}
	if password != "" {
		s.d.clear(a.Name) // the file may look the same, the secret does not
	}
	return ref.Source(), nil
}

// write puts the account into the file and then the password into its place: a
// configuration that is refused changes no secret. A new account whose password
// cannot be stored is taken out again.
func (s webSetup) write(ctx context.Context, old, a upstream.Account, password string) error {
	file, cfg := s.d.paths.Config, s.d.config.Config()
	var err error
	if old.Name != "" {
		err = config.SetAccount(file, old.Name, webFields(old, a)...)
	} else {
		err = config.AddAccount(file, a)
		if err == nil && len(cfg.Accounts) == 0 && cfg.Default == "" {
			err = config.SetDefault(file, a.Name)
		}
	}
	if err != nil || password == "" {
		return err
	}
	if a.Password.File != "" {
		err = os.MkdirAll(filepath.Dir(a.Password.File), 0o700)
	}
	if err == nil {
		err = s.d.secrets.Set(ctx, a.Password, password)
	}
	if err != nil && old.Name == "" {
		return errors.Join(errors.New(sentence(err)), config.RemoveAccount(file, a.Name))
	}
	if err != nil {
		return errors.New(sentence(err))
	}
	return nil
}

// place says where a password goes: where the account's is already if that is
// Melon's to write, else into the keyring, else into a 0600 file.
func (s webSetup) place(ctx context.Context, ref upstream.SecretRef, name string) (upstream.SecretRef, error) {
	switch {
	case ref.Keyring != "" || ref.File != "":
		return ref, nil
	case keyringWorks(ctx, s.d.secrets, name):
		return upstream.SecretRef{Keyring: name}, nil
	}
	return secretFile(s.d.paths, name, "password")
}

// webFields are the settings that the page's form changes.
func webFields(old, a upstream.Account) []config.Field {
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

// plain is a refused change without file and line, which nobody sees here.
func plain(err error) error {
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		return err
	}
	var text []string
	for _, p := range problems {
		text = append(text, p.Sentence)
	}
	return fmt.Errorf("%w: %s", control.ErrInvalid, strings.Join(text, "; "))
}

// Remove implements web.Keeper.
func (s webSetup) Remove(ctx context.Context, name string) error {
	s.d.editing.Lock()
	defer s.d.editing.Unlock()
	cfg := s.d.config.Config()
	a, ok := cfg.Account(name)
	if !ok {
		return fmt.Errorf("%w: there is no account %s", control.ErrNotFound, name)
	}
	if err := config.RemoveAccount(s.d.paths.Config, a.Name); err != nil {
		return plain(err)
	}
	if err := dropSecrets(ctx, s.d.paths, cfg, a); err != nil {
		s.d.log.Warn("the account is removed, but its stored secret could not be", "account", a.Name, "error", err)
	}
	return plain(s.d.Reload())
}

// SetDefault implements web.Keeper.
func (s webSetup) SetDefault(_ context.Context, name string) error {
	s.d.editing.Lock()
	defer s.d.editing.Unlock()
	if err := config.SetDefault(s.d.paths.Config, name); err != nil {
		return plain(err)
	}
	return plain(s.d.Reload())
}

// webSignIns begins sign-ins for the web page.
type webSignIns struct{ d *daemon }

// Begin implements web.SignIns.
func (s webSignIns) Begin(ctx context.Context, account string, device bool, lang string) (web.SignIn, error) {
	a, ok := s.d.config.Config().Account(account)
	if !ok {
		return nil, fmt.Errorf("%w: there is no account %s", control.ErrNotFound, account)
	}
	if device {
		in, err := s.d.tokens.BeginDevice(ctx, a)
		if err != nil {
			return nil, signInHelp(err, a)
		}
		return deviceSignIn{in}, nil
	}
	in, err := s.d.tokens.Begin(ctx, a, lang)
	if err != nil {
		return nil, signInHelp(err, a)
	}
	return browserSignIn{in}, nil
}

// signInHelp adds how to get a client id to the error that there is none.
func signInHelp(err error, a upstream.Account) error {
	if errors.Is(err, auth.ErrNoClient) && a.OAuth.ClientID == "" {
		return errors.New(sentence(err) + "\n\n" + clientHelp(a.OAuth.Provider))
	}
	return err
}

type browserSignIn struct{ *auth.SignIn }

func (s browserSignIn) Where() (url, code string) { return s.URL, "" }

type deviceSignIn struct{ *auth.DeviceSignIn }

func (s deviceSignIn) Where() (url, code string) { return s.VerificationURI, s.UserCode }
func (s deviceSignIn) Close() error              { return nil }

// webDoctor examines accounts for the web page.
type webDoctor struct{ d *daemon }

// Diagnose implements web.Doctor.
func (w webDoctor) Diagnose(ctx context.Context, account, lang string, step func(web.Step)) (web.Diagnosis, error) {
	var a upstream.Account
	if account != "" {
		var ok bool
		if a, ok = w.d.config.Config().Account(account); !ok {
			return web.Diagnosis{}, fmt.Errorf("%w: there is no account %s", control.ErrNotFound, account)
		}
	}
	o := doctorOptions(a, w.d.secrets, w.d.tokens, w.d.web.dialer, lang)
	o.Force = false // a refused password is not tried over and over
	o.Known, _ = remembered(w.d.paths.State, a)
	if st := w.d.relay.Status(a.Name); a.Name != "" && string(st.State) == "attention" {
		o.Attention = st.LastError
	}
	o.Progress = func(c doctor.Check) { step(webStep(c)) }
	r := doctor.Run(ctx, o)
	out := web.Diagnosis{Account: r.Account, Verdict: r.Verdict, Summary: r.Summary, Advice: r.Advice}
	for _, c := range r.Checks {
		out.Checks = append(out.Checks, webStep(c))
	}
	return out, nil
}

// webAutostart switches the start at login for the web page.
type webAutostart struct {
	manager autostart.Manager
	plan    func() (autostart.Plan, error)
	mu      *sync.Mutex
}

// webAutostart returns the switch, or nil where there is no place for an entry.
func (c *cli) webAutostart() web.Autostart {
	m, err := autostart.System(c.getenv)
	if err != nil {
		return nil
	}
	return webAutostart{m, func() (autostart.Plan, error) { return c.autostartPlan(false) }, &sync.Mutex{}}
}

// Enabled implements web.Autostart.
func (w webAutostart) Enabled() (bool, error) {
	s, err := w.manager.Status()
	return s.Enabled, err
}

// Set implements web.Autostart.
func (w webAutostart) Set(on bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	ctx := context.Background() // short, and not to be left half done
	if !on {
		_, err := w.manager.Off(ctx)
		return err
	}
	p, err := w.plan()
	if err == nil {
		_, err = w.manager.On(ctx, p)
	}
	return err
}
