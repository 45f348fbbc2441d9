package setup

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"melon/proxy/config"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/discover"
	"melon/upstream/doctor"
	"melon/upstream/lab"
)

// scripted answers questions by what is in them, and notes what it was asked and
// told.
type scripted struct {
	t       *testing.T
	answers [][2]string // part of a question, answer; each once, in this order
	asked   []string
	told    strings.Builder
}

func (s *scripted) Tell(text string) { s.told.WriteString(text) }

func (s *scripted) answer(question string) string {
	s.asked = append(s.asked, question)
	if len(s.answers) == 0 || !strings.Contains(question, s.answers[0][0]) {
		s.t.Fatalf("asked %q, the next answer is for %q\n%s", question, s.answers, &s.told)
	}
	a := s.answers[0][1]
	s.answers = s.answers[1:]
	return a
}

func (s *scripted) Confirm(_ context.Context, question string, _ bool) (bool, error) {
	return s.answer(question) == "yes", nil
}

func (s *scripted) Type(_ context.Context, prompt string, _ bool) (string, error) {
	return s.answer(prompt), nil
}

// nobody answers nothing but with a password, if there is one.
type nobody struct {
	password string
	told     strings.Builder
}

func (n *nobody) Tell(text string) { n.told.WriteString(text) }

func (n *nobody) Confirm(context.Context, string, bool) (bool, error) { return false, ErrNobody }

func (n *nobody) Type(_ context.Context, _ string, secret bool) (string, error) {
	if !secret || n.password == "" {
		return "", ErrNobody
	}
	return n.password, nil
}

// noKeyring is a keyring that does not answer.
type noKeyring struct{}

func (noKeyring) Get(string, string) (string, error) { return "", errors.New("locked") }
func (noKeyring) Set(string, string, string) error   { return errors.New("locked") }
func (noKeyring) Delete(string, string) error        { return errors.New("locked") }

// world is a set-up that finds the lab's servers for every address.
type world struct {
	*Setup
	t        *testing.T
	provider *lab.Provider
	found    discover.Candidate
	reloads  int
}

func newWorld(t *testing.T, o lab.Options) *world {
	t.Helper()
	dir := t.TempDir()
	p := lab.Run(t, o)
	a := p.Account("x")
	w := &world{t: t, provider: p, found: discover.Candidate{Source: discover.SourceAutoconfig, Where: "https://here.example/file",
		Provider: "Provider A", SMTP: a.SMTP, Username: "taro", Logins: []discover.Login{discover.LoginPassword}}}
	w.Setup = New(Parts{
		Paths:   config.Paths{Config: filepath.Join(dir, "config.yaml"), State: filepath.Join(dir, "state")},
		Lang:    "en",
		Secrets: &auth.Secrets{Keyring: noKeyring{}},
		Find: func(context.Context, discover.Options, string) ([]discover.Candidate, error) {
			if w.found.SMTP.Host == "" {
				return nil, discover.ErrNothing
			}
			return []discover.Candidate{w.found}, nil
		},
		Reload: func(context.Context) error { w.reloads++; return nil },
	})
	return w
}

// wishes trust the lab's certificates.
func (w *world) wishes() Wishes {
	ca := filepath.Join(w.t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, w.provider.CAPEM(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return Wishes{CA: ca}
}

// config reads the file as it is now.
func (w *world) config() *config.Config {
	w.t.Helper()
	cfg, err := config.LoadOrDefault(w.Paths)
	if err != nil {
		w.t.Fatal(err)
	}
	return cfg
}

// untouched checks that no account and no secret was saved.
func (w *world) untouched() {
	w.t.Helper()
	if _, err := os.Stat(w.Paths.Config); !errors.Is(err, os.ErrNotExist) {
		w.t.Errorf("there is a configuration: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(w.Paths.State, "*", "*")); len(left) > 0 {
		w.t.Errorf("left behind: %v", left)
	}
}

const address1 = "taro@provider-a.example"

// TestAddAsksInOrder: what was found, where the secret goes, the password until it
// is right, the test message; then all is saved and the relay told.
func TestAddAsksInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.Options{})
	p := &scripted{t: t, answers: [][2]string{
		{"Use these settings?", "yes"}, {"Keep the secret in the file", "yes"},
		{"Password for taro", "wrong"}, {"Try another password?", "yes"}, {"Password for taro", ""}, {"Password for taro", lab.DefaultUser.Password},
		{"Send a message to yourself", "yes"},
	}}
	a, err := w.Add(t.Context(), config.Defaults(), address1, w.wishes(), p)
	if err != nil || len(p.answers) > 0 {
		t.Fatalf("%v, not asked: %q\n%s", err, p.answers, &p.told)
	}
	cfg := w.config()
	got, ok := cfg.Account(a.Name)
	if !ok || a.Name != "provider-a" || cfg.Default != a.Name || got.Username != "taro" || w.reloads != 1 {
		t.Errorf("%+v, default %q, %d reloads", got, cfg.Default, w.reloads)
	}
	if s, err := w.Secrets.Get(t.Context(), got.Password); s != lab.DefaultUser.Password || err != nil {
		t.Errorf("stored %q, %v", s, err)
	}
	if n := len(w.provider.Messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
	if strings.Contains(p.told.String(), lab.DefaultUser.Password) {
		t.Errorf("the password was told:\n%s", &p.told)
	}
}

// TestNoIsNo: whatever the person does not agree to, nothing is saved.
func TestNoIsNo(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string][][2]string{
		"settings": {{"Use these settings?", "no"}},
		"store":    {{"Use these settings?", "yes"}, {"Keep the secret", "no"}},
		"test": {{"Use these settings?", "yes"}, {"Keep the secret", "yes"}, {"Password", "wrong"}, {"another", "no"},
			{"Save the account anyway?", "no"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, lab.Options{})
			p := &scripted{t: t, answers: answers}
			if _, err := w.Add(t.Context(), config.Defaults(), address1, w.wishes(), p); err == nil || !strings.Contains(err.Error(), "saved") || len(p.answers) > 0 {
				t.Errorf("%v, not asked: %q", err, p.answers)
			}
			w.untouched()
		})
	}
}

// TestNobodyDecides: without a person the careful answer holds.
func TestNobodyDecides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change   func(w *world, wish *Wishes)
		password string
		words    string // of the error; "" is saved
		usage    bool
	}{
		"all is well":        {func(*world, *Wishes) {}, lab.DefaultUser.Password, "", false},
		"no password":        {func(*world, *Wishes) {}, "", "--password-stdin", true},
		"a wrong one":        {func(*world, *Wishes) {}, "wrong", "not saved", false},
		"strangers":          {func(w *world, _ *Wishes) { w.found.Foreign = []string{"evil.example"} }, lab.DefaultUser.Password, "--yes", false},
		"vouched for":        {func(w *world, s *Wishes) { w.found.Foreign, s.Yes = []string{"evil.example"}, true }, lab.DefaultUser.Password, "", false},
		"nothing found":      {func(w *world, _ *Wishes) { w.found.SMTP.Host = "" }, "x", "--smtp HOST", false},
		"a name of its own":  {func(w *world, _ *Wishes) { w.found.Username = "" }, "x", "--username", true},
		"an account by then": {func(_ *world, s *Wishes) { s.Name = "Bad Name" }, "x", "name", true},
		"no such store":      {func(_ *world, s *Wishes) { s.Store = "cloud" }, "x", "keyring or file", true},
		"no keyring":         {func(_ *world, s *Wishes) { s.Store = "keyring" }, "x", "--store file", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, lab.Options{})
			wish := w.wishes()
			wish.Unattended = true
			c.change(w, &wish)
			_, err := w.Add(t.Context(), config.Defaults(), address1, wish, &nobody{password: c.password})
			if c.words == "" {
				if err != nil || len(w.config().Accounts) != 1 || len(w.provider.Messages()) != 0 {
					t.Errorf("%v", err)
				}
				return
			}
			_, usage := errors.AsType[*UsageError](err)
			if err == nil || !strings.Contains(err.Error(), c.words) || usage != c.usage {
				t.Errorf("%v, usage %v", err, usage)
			}
			w.untouched()
		})
	}
}

// TestPlaintextIsAsked: a provider without TLS gets the password only when that
// was agreed to; declined, the account may still be saved, the permission not.
func TestPlaintextIsAsked(t *testing.T) {
	t.Parallel()
	for answer, last := range map[string][2]string{"yes": {"Send a message", "no"}, "no": {"Save the account anyway?", "yes"}} {
		w := newWorld(t, lab.Options{SMTP: lab.SMTP{Without: []string{"STARTTLS", "AUTH"}}, POP: lab.POP{Without: []string{"STLS"}},
			Rules: lab.Rules{PBS: lab.PBS{Window: time.Minute}}})
		w.found.POP, w.found.Logins = w.provider.Server("pop"), []discover.Login{discover.LoginPOP}
		p := &scripted{t: t, answers: [][2]string{{"Use these", "yes"}, {"Keep the secret", "yes"}, {"Password", lab.DefaultUser.Password},
			{"over an unencrypted connection", answer}, last}}
		a, err := w.Add(t.Context(), config.Defaults(), address1, w.wishes(), p)
		if err != nil || a.AllowPlaintext != (answer == "yes") || a.Auth != upstream.AuthPOPBeforeSMTP {
			t.Errorf("%s: %+v, %v", answer, a, err)
		}
	}
}

// TestSaveLeavesNothingBehind: when the configuration cannot be written, the secret
// goes again.
func TestSaveLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.Options{})
	wish := w.wishes()
	wish.NoTest, wish.Unattended = true, true
	p := &interfering{nobody{password: "x"}, func() {
		if err := os.WriteFile(w.Paths.Config, []byte("nonsense: true\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}}
	if _, err := w.Add(t.Context(), config.Defaults(), address1, wish, p); err == nil {
		t.Fatal("saved into a configuration that is wrong")
	}
	if left, _ := filepath.Glob(filepath.Join(w.Paths.State, "secrets", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// interfering does something when the password is typed.
type interfering struct {
	nobody
	do func()
}

func (i *interfering) Type(ctx context.Context, prompt string, secret bool) (string, error) {
	i.do()
	return i.nobody.Type(ctx, prompt, secret)
}

// TestKeepAForm adds an account, changes it without its password, and gives it
// another one.
func TestKeepAForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.Options{})
	found, err := w.Look(t.Context(), address1)
	if err != nil || len(found.All) != 1 || found.Account.Username != "taro" {
		t.Fatalf("%+v, %v", found, err)
	}
	a := found.Account
	a.Name, a.Address = "home", address1
	if _, _, err := w.Keep(t.Context(), w.config(), a, &nobody{}); !errors.Is(err, ErrNoSecret) {
		t.Errorf("without a password: %v", err)
	}
	w.untouched()
	keep := func(password string, changed bool) {
		t.Helper()
		ref, new, err := w.Keep(t.Context(), w.config(), a, &nobody{password: password})
		if err != nil || new != changed || ref.File == "" {
			t.Fatalf("%+v, %v, %v", ref, new, err)
		}
	}
	stored := func() string {
		s, _ := w.Secrets.Get(t.Context(), w.config().Accounts[0].Password)
		return s
	}
	keep("first", true)
	a.Username = "jiro"
	keep("", false)
	if cfg := w.config(); cfg.Default != "home" || cfg.Accounts[0].Username != "jiro" || stored() != "first" {
		t.Errorf("%+v, %q", cfg.Accounts, stored())
	}
	keep("second", true)
	before, _ := os.ReadFile(w.Paths.Config)
	a.Auth = "magic"
	if _, _, err := w.Keep(t.Context(), w.config(), a, &nobody{password: "third"}); err == nil {
		t.Error("a method that there is not was taken")
	}
	if now, _ := os.ReadFile(w.Paths.Config); !slices.Equal(now, before) || stored() != "second" {
		t.Errorf("a refused change changed something: %q\n%s", stored(), now)
	}
	if err := w.NewPassword(t.Context(), w.config().Accounts[0], &nobody{password: "fourth"}); err != nil || stored() != "fourth" {
		t.Errorf("%v, %q", err, stored())
	}
	if err := w.Forget(t.Context(), w.config(), w.config().Accounts[0]); err != nil || stored() != "" {
		t.Errorf("%v, %q", err, stored())
	}
}

// TestTry: a typed password is tried and not kept; without one the stored one is.
func TestTry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.Options{})
	a := w.provider.Account("home")
	a.Trust.CA = w.wishes().CA
	a.Password = upstream.SecretRef{File: filepath.Join(w.Paths.State, "nowhere")}
	a.POP = upstream.POPServer{}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	try := func(password string) error {
		return w.Try(ctx, a, nil, &nobody{password: password}, func(doctor.Check) {})
	}
	if err := try(lab.DefaultUser.Password); err != nil {
		t.Error(err)
	}
	for _, password := range []string{"", "wrong"} {
		if e, ok := errors.AsType[*upstream.Error](try(password)); !ok || e.Class != upstream.ClassCredentialsRejected {
			t.Errorf("%q: %v", password, e)
		}
	}
	w.untouched()
}

func TestParseServer(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]upstream.Server{
		"smtp.a.example":     {Host: "smtp.a.example", Security: "auto"},
		"smtp.a.example:587": {Host: "smtp.a.example", Port: 587, Security: "auto"},
		"[2001:db8::1]:25":   {Host: "2001:db8::1", Port: 25, Security: "auto"},
		"[2001:db8::1]":      {Host: "2001:db8::1", Security: "auto"},
		"":                   {Security: "auto"},
	} {
		if got, err := New(Parts{}).parseServer("smtp", in, ""); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, c := range [][2]string{{"h:99999", ""}, {"h:x", ""}, {"", "tls"}} {
		if got, err := New(Parts{}).parseServer("pop", c[0], c[1]); err == nil {
			t.Errorf("%q: %+v", c, got)
		}
	}
}
