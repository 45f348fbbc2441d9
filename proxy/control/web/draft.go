package web

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"melon/upstream"
)

// Bounds of drafts.
const (
	maxDrafts = 8
	draftLife = time.Hour // a forgotten draft, and the password in it, are dropped after this
	maxField  = 512       // octets of one setting
)

// drafts holds the accounts that are being set up or changed. What was typed,
// the password among it, is in memory alone and never sent back.
type drafts struct {
	now func() time.Time
	mu  sync.Mutex
	all []*draft // oldest first
}

func newDrafts(now func() time.Time) *drafts { return &drafts{now: now} }

// draft is one account that is being set up (isNew) or changed.
type draft struct {
	id    string
	isNew bool
	made  time.Time

	mu       sync.Mutex
	account  upstream.Account
	password string // as typed; "" when none was
	found    *Found // nil until discovery has ended
	job      *job   // discovery or test, the newest; nil before
	problem  error  // why it was not saved
	store    string // where the secret went; set when it was saved
	saved    bool
	tested   bool // before it was saved
}

// draftState is a draft at one moment, without the password.
type draftState struct {
	New      bool
	Account  upstream.Account
	Found    *Found
	Job      *job
	Problem  error
	Store    string
	Saved    bool
	Tested   bool
	Password bool // one was typed
}

func (s *drafts) add(d *draft) *draft {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.id, d.made = rand.Text(), s.now()
	s.all = slices.DeleteFunc(s.all, func(o *draft) bool { return s.now().Sub(o.made) > draftLife })
	if len(s.all) >= maxDrafts {
		s.all = s.all[1:]
	}
	s.all = append(s.all, d)
	return d
}

func (s *drafts) get(id string) *draft {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.all {
		if d.id == id && s.now().Sub(d.made) <= draftLife {
			return d
		}
	}
	return nil
}

func (d *draft) state() draftState {
	d.mu.Lock()
	defer d.mu.Unlock()
	return draftState{New: d.isNew, Account: d.account, Found: d.found, Job: d.job,
		Problem: d.problem, Store: d.store, Saved: d.saved, Tested: d.tested, Password: d.password != ""}
}

// settle ends a draft that was saved; its password is forgotten.
func (d *draft) settle(store string, tested bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.saved, d.tested, d.store, d.password, d.problem = true, tested, store, "", nil
}

func (d *draft) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.problem = err
}

// find looks for the servers of the draft's address, as a job.
func (s *Server) find(d *draft, lang string) error {
	address := d.state().Account.Address
	j, err := s.jobs.start("find", address, func(ctx context.Context, j *job) (any, error) {
		found, err := s.parts.Finder.Discover(ctx, address, lang, j.step)
		if found.Account.SMTP.Host == "" {
			found.Account.SMTP.Security = upstream.SecurityAuto
			found.Account.Auth = upstream.AuthAuto
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		name := d.account.Name
		d.account, d.found = found.Account, &found
		d.account.Name, d.account.Address = name, address
		if d.account.Username == "" {
			d.account.Username = address
		}
		return nil, err
	})
	if err == nil {
		d.mu.Lock()
		d.job = j
		d.mu.Unlock()
	}
	return err
}

// testAndSave tries the draft, as a job, and saves it when that went well.
func (s *Server) testAndSave(d *draft, lang string) error {
	d.mu.Lock()
	account, password := d.account, d.password
	d.problem = nil
	d.mu.Unlock()
	j, err := s.jobs.start("test", account.Name, func(ctx context.Context, j *job) (any, error) {
		if err := s.parts.Tester.Test(ctx, account, password, lang, j.step); err != nil {
			d.fail(err)
			return nil, err
		}
		return nil, s.save(ctx, d, keep{account, password, true})
	})
	if err == nil {
		d.mu.Lock()
		d.job = j
		d.mu.Unlock()
	}
	return err
}

// keep is what is saved of a draft.
type keep struct {
	account  upstream.Account
	password string
	tested   bool
}

// save writes the draft into the configuration.
func (s *Server) save(ctx context.Context, d *draft, k keep) error {
	store, err := s.parts.Keeper.Save(ctx, k.account, k.password)
	if err != nil {
		d.fail(err)
		return err
	}
	d.settle(store, k.tested)
	return nil
}

// Errors of what was typed; their texts are keys of the catalogue.
var (
	errAddress = errors.New("account.bad.address")
	errField   = errors.New("account.bad.field")
	errPort    = errors.New("account.bad.port")
	errName    = errors.New("account.bad.name")
	errServer  = errors.New("account.bad.server")
	errWindow  = errors.New("account.bad.window")
)

// clean returns a field without blanks at its ends; ok is false when it holds
// what no setting may.
func clean(r *http.Request, name string) (string, bool) {
	t := strings.TrimSpace(r.PostFormValue(name))
	return t, len(t) <= maxField && t == upstream.CleanLine(t)
}

// address reads a mail address, as far as that can be judged here.
func address(r *http.Request) (string, error) {
	t, ok := clean(r, "address")
	at := strings.LastIndexByte(t, '@')
	if !ok || at <= 0 || at == len(t)-1 || strings.ContainsAny(t, " \t<>,;") {
		return "", errAddress
	}
	return t, nil
}

// typed overlays what the form says on the draft. The password stays as it was
// when its field is empty.
func (d *draft) typed(r *http.Request) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.account
	for field, to := range map[string]*string{
		"username": &a.Username, "smtp_host": &a.SMTP.Host, "pop_host": &a.POP.Host, "pop_username": &a.POP.Username,
		"oauth_provider": &a.OAuth.Provider, "oauth_client": &a.OAuth.ClientID,
	} {
		t, ok := clean(r, field)
		if !ok {
			return errField
		}
		*to = t
	}
	var err error
	if a.Address, err = address(r); err != nil {
		return err
	}
	if a.Username == "" {
		a.Username = a.Address
	}
	if d.isNew {
		if a.Name, err = accountName(r); err != nil {
			return err
		}
	}
	if err := d.typedServers(r, &a); err != nil {
		return err
	}
	d.account = a
	if p := strings.TrimRight(r.PostFormValue("password"), "\r\n"); p != "" {
		d.password = p
	}
	return nil
}

// typedServers reads the servers' part of the form into a.
func (d *draft) typedServers(r *http.Request, a *upstream.Account) (err error) {
	if a.SMTP.Host == "" {
		return errServer
	}
	if a.SMTP.Port, err = port(r, "smtp_port"); err != nil {
		return err
	}
	if a.POP.Port, err = port(r, "pop_port"); err != nil {
		return err
	}
	a.SMTP.Security = oneOf(r.PostFormValue("smtp_security"), securities(), upstream.SecurityAuto)
	a.POP.Security = oneOf(r.PostFormValue("pop_security"), securities(), upstream.SecurityAuto)
	a.Auth = oneOf(r.PostFormValue("auth"), methods(), upstream.AuthAuto)
	a.AllowPlaintext = r.PostFormValue("allow_plaintext") != ""
	switch {
	case a.POP.Host == "":
		a.POP.Username = ""
	case a.POP.Username == "":
		a.POP.Username = a.Username
	}
	if t := strings.TrimSpace(r.PostFormValue("window")); t != "" {
		minutes, err := strconv.Atoi(t)
		if err != nil || minutes < 1 || minutes > 24*60 {
			return errWindow
		}
		a.PopBeforeSMTP.Window = time.Duration(minutes) * time.Minute
	}
	return nil
}

// accountName reads the name of a new account.
func accountName(r *http.Request) (string, error) {
	t, ok := clean(r, "name")
	bad := func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("-_.@", c)
	}
	if !ok || t == "" || strings.ContainsFunc(t, bad) {
		return "", errName
	}
	return t, nil
}

// port reads a port; an empty field is 0, which means the usual ones.
func port(r *http.Request, name string) (int, error) {
	t := strings.TrimSpace(r.PostFormValue(name))
	if t == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(t)
	if err != nil || n < 0 || n > 65535 {
		return 0, errPort
	}
	return n, nil
}

// oneOf returns v as one of the values, or the other when it is none.
func oneOf[T ~string](v string, values []T, other T) T {
	if slices.Contains(values, T(v)) {
		return T(v)
	}
	return other
}

// securities and methods are the choices of the form.
func securities() []upstream.Security {
	return []upstream.Security{upstream.SecurityAuto, upstream.SecurityTLS, upstream.SecurityStartTLS, upstream.SecurityNone}
}

func methods() []upstream.AuthMethod {
	return []upstream.AuthMethod{
		upstream.AuthAuto, upstream.AuthPOPBeforeSMTP, upstream.AuthNone, upstream.AuthPlain, upstream.AuthLogin,
		upstream.AuthCRAMMD5, upstream.AuthSCRAMSHA1, upstream.AuthSCRAMSHA256, upstream.AuthXOAUTH2, upstream.AuthOAUTHBEARER, upstream.AuthExternal,
	}
}
