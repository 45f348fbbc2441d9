package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"melon/packaging/autostart"
	"melon/proxy/config"
	"melon/proxy/control"
	"melon/proxy/control/web"
	"melon/proxy/setup"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/doctor"
)

// webSetup finds, tests, keeps and examines accounts for the web page, by the same
// means as the commands.
type webSetup struct{ d *daemon }

// setup returns the means, in the visitor's language.
func (s webSetup) setup(lang string) *setup.Setup {
	return setup.New(setup.Parts{Paths: s.d.paths, Lang: lang, Secrets: s.d.secrets, Dialer: s.d.dialer})
}

// form is a person who has filled one in: all answers are in it.
type form struct{ password string }

// Tell implements setup.Person: the page says it in its own words.
func (form) Tell(string) {}

// Confirm implements setup.Person: there are no further questions.
func (form) Confirm(context.Context, string, bool) (bool, error) { return false, setup.ErrNobody }

// Type implements setup.Person.
func (f form) Type(_ context.Context, _ string, secret bool) (string, error) {
	if !secret || f.password == "" {
		return "", setup.ErrNobody
	}
	return f.password, nil
}

// Discover implements web.Finder.
func (s webSetup) Discover(ctx context.Context, address, lang string, step func(web.Step)) (web.Found, error) {
	means := s.setup(lang)
	found, err := means.Look(ctx, address)
	out := web.Found{Account: found.Account}
	if err != nil {
		return out, err
	}
	if len(found.All) == 0 {
		step(web.Step{Status: web.StepWarn, Name: address, Text: "–"})
		return out, nil
	}
	for _, c := range found.All {
		step(web.Step{Status: web.StepOK, Name: means.SourceWords(c.Source), Text: c.Where})
	}
	best := found.All[0]
	if best.SMTP.Host != "" {
		out.Source = strings.TrimSpace(best.Provider+" "+means.DescribeServer(best.SMTP)) + " (" + means.SourceWords(best.Source) + ": " + best.Where + ")"
	}
	if best.Note != "" {
		out.Notes = append(out.Notes, best.Note)
	}
	if len(best.Foreign) > 0 {
		out.Notes = append(out.Notes, means.ForeignWords(best.Foreign))
	}
	return out, nil
}

// Test implements web.Tester: doctor logs in as the relay would.
func (s webSetup) Test(ctx context.Context, a upstream.Account, password, lang string, step func(web.Step)) error {
	return s.setup(lang).Try(ctx, a, s.d.tokens, form{password}, func(c doctor.Check) { step(webStep(c)) })
}

func webStep(c doctor.Check) web.Step {
	return web.Step{Status: web.StepStatus(c.Status), Name: c.Name, Text: c.Detail, MS: c.MS}
}

// Save implements web.Keeper.
func (s webSetup) Save(ctx context.Context, a upstream.Account, password string) (string, error) {
	s.d.editing.Lock()
	defer s.d.editing.Unlock()
	ref, changed, err := s.setup(s.d.lang).Keep(ctx, s.d.config.Config(), a, form{password})
	if err == nil {
		err = s.d.Reload()
	}
	if err != nil {
		return "", plain(err)
	}
	if changed {
		s.d.clear(a.Name) // the file may look the same, the secret does not
	}
	return ref.Source(), nil
}

// plain is a refused change without file and line, which nobody sees here.
func plain(err error) error {
	if errors.Is(err, setup.ErrNoSecret) {
		return fmt.Errorf("%w: %w", control.ErrInvalid, err)
	}
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
	if err := s.setup(s.d.lang).Forget(ctx, cfg, a); err != nil {
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

// Begin implements web.SignIns.
func (s webSetup) Begin(ctx context.Context, account string, device bool, lang string) (web.SignIn, error) {
	a, ok := s.d.config.Config().Account(account)
	if !ok {
		return nil, fmt.Errorf("%w: there is no account %s", control.ErrNotFound, account)
	}
	if device {
		in, err := s.d.tokens.BeginDevice(ctx, a)
		if err != nil {
			return nil, s.setup(lang).WithClientHelp(err, a)
		}
		return deviceSignIn{in}, nil
	}
	in, err := s.d.tokens.Begin(ctx, a, lang)
	if err != nil {
		return nil, s.setup(lang).WithClientHelp(err, a)
	}
	return browserSignIn{in}, nil
}

type browserSignIn struct{ *auth.SignIn }

func (s browserSignIn) Where() (url, code string) { return s.URL, "" }

type deviceSignIn struct{ *auth.DeviceSignIn }

func (s deviceSignIn) Where() (url, code string) { return s.VerificationURI, s.UserCode }
func (s deviceSignIn) Close() error              { return nil }

// Diagnose implements web.Doctor.
func (s webSetup) Diagnose(ctx context.Context, account, lang string, step func(web.Step)) (web.Diagnosis, error) {
	var a upstream.Account
	if account != "" {
		var ok bool
		if a, ok = s.d.config.Config().Account(account); !ok {
			return web.Diagnosis{}, fmt.Errorf("%w: there is no account %s", control.ErrNotFound, account)
		}
	}
	o := s.setup(lang).Examination(a, s.d.secrets, s.d.tokens)
	o.Force = false // a refused password is not tried over and over
	o.Known, _ = remembered(s.d.paths.State, a)
	if st := s.d.relay.Status(a.Name); a.Name != "" && string(st.State) == "attention" {
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
