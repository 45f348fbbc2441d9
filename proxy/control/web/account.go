package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/upstream"
)

// errNoPart is shown where this build or run of Melon lacks what a page is for.
var errNoPart = fmt.Errorf("%w: not in this Melon", control.ErrNotFound)

// accountList shows the accounts.
func (s *Server) accountList(w http.ResponseWriter, r *http.Request) {
	v := s.newView(r, "account.title")
	s.render(w, http.StatusOK, "accounts", struct {
		*view
		Accounts []card
		CanAdd   bool
	}{v, s.cards(v, s.parts.Daemon.Status()), s.canSetUp()})
}

func (s *Server) canSetUp() bool {
	return s.parts.Finder != nil && s.parts.Tester != nil && s.parts.Keeper != nil
}

// accountAdd asks for address and password.
func (s *Server) accountAdd(w http.ResponseWriter, r *http.Request) {
	if !s.canSetUp() {
		s.problem(w, r, errNoPart)
		return
	}
	s.addForm(w, r, http.StatusOK, "", "")
}

// addForm is the first form of a new account; bad is the key of what was wrong
// with it.
func (s *Server) addForm(w http.ResponseWriter, r *http.Request, status int, address, bad string) {
	v := s.newView(r, "account.add")
	v.Live = false
	var provider, example string
	if s.parts.Hint != nil {
		provider, example = s.parts.Hint(r.URL.Query().Get("provider"))
	}
	s.render(w, status, "add", struct {
		*view
		Address  string
		Bad      string
		Provider string
		Example  string
	}{v, address, bad, provider, example})
}

// accountFind begins a new account: it looks for the address's servers.
func (s *Server) accountFind(w http.ResponseWriter, r *http.Request) {
	if !s.canSetUp() {
		s.problem(w, r, errNoPart)
		return
	}
	addr, err := address(r)
	if err != nil {
		s.addForm(w, r, http.StatusUnprocessableEntity, upstream.CleanLine(r.PostFormValue("address")), err.Error())
		return
	}
	d := &draft{isNew: true, account: upstream.Account{Address: addr, Name: s.parts.Config().FreeName(addr)},
		password: strings.TrimRight(r.PostFormValue("password"), "\r\n")}
	s.drafts.add(d)
	if err := s.find(d, s.language(r)); err != nil {
		s.problem(w, r, err)
		return
	}
	goTo(w, r, "/setup/"+d.id, "")
}

// setupPage is what the pages of a draft show.
type setupPage struct {
	*view
	ID         string
	Draft      draftState
	Steps      []Step
	Kind       string // of the job
	Running    bool
	FaultOf    fault
	Bad        string // key of what is wrong with the form
	OAuth      bool
	Securities []upstream.Security
	Methods    []upstream.AuthMethod
	Apps       *appSettings // when it was saved
}

// Window is the POP window in minutes, "" for the usual one.
func (p setupPage) Window() string {
	if w := p.Draft.Account.PopBeforeSMTP.Window; w > 0 {
		return strconv.Itoa(int(w / time.Minute))
	}
	return ""
}

// setupShow shows how far a draft is.
func (s *Server) setupShow(w http.ResponseWriter, r *http.Request) {
	d := s.drafts.get(r.PathValue("id"))
	if d == nil {
		s.problem(w, r, fmt.Errorf("%w: this set-up is over; begin again", control.ErrNotFound))
		return
	}
	s.setup(w, r, http.StatusOK, d, "")
}

func (s *Server) setup(w http.ResponseWriter, r *http.Request, status int, d *draft, bad string) {
	title := "account.add"
	if !d.isNew {
		title = "account.edit"
	}
	v := s.newView(r, title)
	v.Live = false // its own job is what it follows
	p := setupPage{view: v, ID: d.id, Bad: bad, Securities: securities(), Methods: methods()}
	// The job first: a draft is settled before its job ends.
	if j := d.state().Job; j != nil {
		js := j.state()
		p.Steps, p.Kind, p.Running = js.Steps, j.kind, !js.Done
		if j.kind == "find" && js.Err != nil {
			p.FaultOf = v.fault(js.Err)
		}
		if p.Running {
			v.Job, v.Refresh = j.id, "2"
		}
	}
	p.Draft = d.state()
	if p.Draft.Problem != nil {
		p.FaultOf = v.fault(p.Draft.Problem)
	}
	p.OAuth = usesOAuth(p.Draft.Account)
	if p.Draft.Saved {
		p.Apps = s.appSettings(p.Draft.Account)
	}
	s.render(w, status, "setup", p)
}

// setupDo takes the form of a draft: test and save, save alone, or forget it.
func (s *Server) setupDo(w http.ResponseWriter, r *http.Request) {
	d := s.drafts.get(r.PathValue("id"))
	if d == nil || !s.canSetUp() {
		s.problem(w, r, fmt.Errorf("%w: this set-up is over; begin again", control.ErrNotFound))
		return
	}
	here := "/setup/" + d.id
	st := d.state()
	switch {
	case st.Saved, st.Job != nil && !st.Job.state().Done: // sent twice
		goTo(w, r, here, "")
		return
	}
	if err := d.typed(r); err != nil {
		s.setup(w, r, http.StatusUnprocessableEntity, d, err.Error())
		return
	}
	st = d.state()
	if _, taken := s.parts.Config().Account(st.Account.Name); taken && st.New {
		s.setup(w, r, http.StatusUnprocessableEntity, d, "account.bad.taken")
		return
	}
	if r.PostFormValue("verb") != "save" && !usesOAuth(st.Account) {
		if err := s.testAndSave(d, s.language(r)); err != nil {
			s.problem(w, r, err)
			return
		}
		goTo(w, r, here, "")
		return
	}
	d.mu.Lock()
	password := d.password
	d.mu.Unlock()
	if err := s.save(r.Context(), d, keep{st.Account, password, false}); err != nil {
		s.setup(w, r, http.StatusUnprocessableEntity, d, "")
		return
	}
	if usesOAuth(st.Account) && s.parts.SignIns != nil && r.PostFormValue("verb") != "save" {
		s.signIn(w, r, st.Account.Name, false)
		return
	}
	goTo(w, r, here, "")
}

// account returns the account that the path names.
func (s *Server) account(r *http.Request) (upstream.Account, card, error) {
	name := r.PathValue("name")
	a, ok := s.parts.Config().Account(name)
	if !ok {
		return a, card{}, fmt.Errorf("%w: there is no account %s", control.ErrNotFound, upstream.CleanLine(name))
	}
	v := &view{texts: s.texts, Lang: s.language(r)}
	for _, c := range s.cards(v, s.parts.Daemon.Status()) {
		if c.Name == a.Name {
			return a, c, nil
		}
	}
	return a, card{Account: api.Account{Name: a.Name, Address: a.Address, State: api.AccountUnknown}}, nil
}

// accountShow shows one account, and what its mail apps need to know.
func (s *Server) accountShow(w http.ResponseWriter, r *http.Request) {
	a, c, err := s.account(r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.render(w, http.StatusOK, "account", struct {
		*view
		Card     card
		Settings upstream.Account
		Store    string
		Apps     *appSettings
		OAuth    bool
		CanEdit  bool
		CanTest  bool
	}{s.newView(r, "account.one"), c, a, a.Password.Source(), s.appSettings(a), usesOAuth(a) && s.parts.SignIns != nil,
		s.canSetUp(), s.parts.Tester != nil})
}

// accountEdit begins to change an account.
func (s *Server) accountEdit(w http.ResponseWriter, r *http.Request) {
	a, _, err := s.account(r)
	if err == nil && !s.canSetUp() {
		err = errNoPart
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	d := s.drafts.add(&draft{account: a, found: &Found{Account: a}})
	goTo(w, r, "/setup/"+d.id, "")
}

// accountRemoveAsk asks whether an account is really to be removed.
func (s *Server) accountRemoveAsk(w http.ResponseWriter, r *http.Request) {
	_, c, err := s.account(r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	v := s.newView(r, "account.remove")
	v.Live = false
	s.render(w, http.StatusOK, "account-remove", struct {
		*view
		Card card
	}{v, c})
}

// accountDo carries out what a button of an account says.
func (s *Server) accountDo(w http.ResponseWriter, r *http.Request) {
	a, _, err := s.account(r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	here := "/account/" + url.PathEscape(a.Name)
	switch verb := r.PathValue("verb"); {
	case verb == "test" && s.parts.Tester != nil:
		s.test(w, r, a)
		return
	case verb == "signin" && s.parts.SignIns != nil:
		s.signIn(w, r, a.Name, r.PostFormValue("device") != "")
		return
	case verb == "clear":
		err = s.parts.Daemon.ClearAccount(a.Name)
		goToOr(s, w, r, err, here, "clear")
		return
	case verb == "default" && s.parts.Keeper != nil:
		err = s.parts.Keeper.SetDefault(r.Context(), a.Name)
		goToOr(s, w, r, err, here, "default")
		return
	case verb == "remove" && s.parts.Keeper != nil:
		err = s.parts.Keeper.Remove(r.Context(), a.Name)
		goToOr(s, w, r, err, "/account", "removed")
		return
	}
	s.problem(w, r, errNoPart)
}

// goToOr goes to a page, or says why it was not done.
func goToOr(s *Server, w http.ResponseWriter, r *http.Request, err error, page, done string) {
	if err != nil {
		s.problem(w, r, err)
		return
	}
	goTo(w, r, page, done)
}

// test tries a saved account.
func (s *Server) test(w http.ResponseWriter, r *http.Request, a upstream.Account) {
	lang := s.language(r)
	j, err := s.jobs.start("test", a.Name, func(ctx context.Context, j *job) (any, error) {
		err := s.parts.Tester.Test(ctx, a, "", lang, j.step)
		if err == nil {
			err = s.parts.Daemon.ClearAccount(a.Name)
		}
		return nil, err
	})
	goToOr(s, w, r, err, "/account/"+url.PathEscape(a.Name)+"/testing/"+jobID(j), "")
}

func jobID(j *job) string {
	if j == nil {
		return ""
	}
	return j.id
}

// waiting is what a page shows of a test or a sign-in.
type waiting struct {
	*view
	Name    string
	Steps   []Step
	Over    bool
	FaultOf fault
	Failed  bool
	URL     string
	Code    string
	Apps    *appSettings
	Working bool // the sign-in is over, the test goes on
}

// jobPage shows a test or a sign-in of an account.
func (s *Server) jobPage(w http.ResponseWriter, r *http.Request, name, title string) {
	a, _, err := s.account(r)
	j := s.jobs.get(r.PathValue("id"))
	if err != nil || j == nil || j.account != a.Name {
		s.problem(w, r, errors.Join(err, fmt.Errorf("%w: this is over; begin again", control.ErrNotFound)))
		return
	}
	v := s.newView(r, title)
	v.Live = false
	st := j.state()
	p := waiting{view: v, Name: a.Name, Steps: st.Steps, Over: st.Done, Failed: st.Err != nil, FaultOf: v.fault(st.Err)}
	if !st.Done {
		v.Job, v.Refresh = j.id, "2"
	} else if st.Err == nil {
		p.Apps = s.appSettings(a)
	}
	if where, ok := st.Result.(signInPlace); ok {
		p.URL, p.Code, p.Working = where.url, where.code, where.over
	}
	s.render(w, http.StatusOK, name, p)
}

func (s *Server) testShow(w http.ResponseWriter, r *http.Request) {
	s.jobPage(w, r, "testing", "account.testing")
}

func (s *Server) signInShow(w http.ResponseWriter, r *http.Request) {
	s.jobPage(w, r, "signin", "account.signin")
}

// signInPlace is where the person signs in.
type signInPlace struct {
	url, code string
	over      bool
}

// signIn begins a sign-in and, when the person is through with it, tests the
// account.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, name string, device bool) {
	lang := s.language(r)
	j, err := s.jobs.start("signin", name, func(ctx context.Context, j *job) (any, error) {
		in, err := s.parts.SignIns.Begin(ctx, name, device, lang)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		var place signInPlace
		place.url, place.code = in.Where()
		j.show(place)
		if err := in.Wait(ctx); err != nil {
			return nil, err
		}
		place.over = true
		j.show(place)
		if err := s.parts.Daemon.ClearAccount(name); err != nil {
			return place, err
		}
		a, _ := s.parts.Config().Account(name)
		return place, s.parts.Tester.Test(ctx, a, "", lang, j.step)
	})
	goToOr(s, w, r, err, "/account/"+url.PathEscape(name)+"/signin/"+jobID(j), "")
}

// appSettings is what a mail app is told.
type appSettings struct {
	Host, Port string
	Name       string // the account's, for apps that log in
	Address    string
	Required   bool // apps must log in, with the local password
	Apps       []string
}

// appSettings returns what mail apps need to send by this account; nil when
// nothing listens.
func (s *Server) appSettings(a upstream.Account) *appSettings {
	st := s.parts.Daemon.Status()
	i := slices.IndexFunc(st.Listeners, func(l api.Listener) bool { return l.Kind == "smtp" })
	if i < 0 {
		return nil
	}
	host, port, err := net.SplitHostPort(st.Listeners[i].Address)
	if err != nil {
		return nil
	}
	if host == "127.0.0.1" || host == "::1" {
		host = "localhost"
	}
	return &appSettings{Host: host, Port: port, Name: a.Name, Address: a.Address,
		Required: s.parts.Config().Listen.Login == "required",
		Apps:     []string{"thunderbird", "apple", "outlook", "evolution"}}
}

func trimSlashes(p string) string { return strings.TrimLeft(p, `/\`) }
