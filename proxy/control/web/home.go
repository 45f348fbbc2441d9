package web

import (
	"net/http"

	"melon/proxy/control/api"
	"melon/upstream"
)

// shownHome is how many messages of each kind the first page shows.
const shownHome = 5

// card is an account on the first page and in the list.
type card struct {
	api.Account
	Fault fault
	OAuth bool // signs in with OAuth, and has to
}

// home is the state in one sentence, and what to do.
func (s *Server) home(w http.ResponseWriter, r *http.Request) {
	v := s.newView(r, "home.title")
	st := s.parts.Daemon.Status()
	entries, total, err := s.parts.Outbox.Page("", 0, shownHome)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.render(w, http.StatusOK, "home", struct {
		*view
		Status   api.Status
		Sentence string
		Accounts []card
		Entries  []row
		Total    int
		Last     []happening
	}{v, st, v.sentence(st, total), s.cards(v, st), s.rows(v, entries, st.Paused), total, s.last(v, shownHome)})
}

// sentence says what the relay is doing.
func (v *view) sentence(st api.Status, total int) string {
	switch {
	case len(st.Accounts) == 0 && st.State != api.StatePaused:
		return v.T("home.noaccount")
	case st.State == api.StateWaiting, st.State == api.StateOffline:
		return v.T("home."+string(st.State), total)
	}
	return v.T("home." + string(st.State))
}

// cards are the accounts with what is wrong and what to do.
func (s *Server) cards(v *view, st api.Status) []card {
	cfg := s.parts.Config()
	var out []card
	for _, a := range st.Accounts {
		c := card{Account: a}
		if a.State == api.AccountAttention || a.LastError != nil {
			c.Fault = v.explain(a.LastError)
			acc, _ := cfg.Account(a.Name)
			c.OAuth = usesOAuth(acc) && a.LastError != nil && a.LastError.Class == string(upstream.ClassAppPasswordOrOAuthRequired)
		}
		out = append(out, c)
	}
	return out
}

// usesOAuth reports whether an account signs in with OAuth 2.0.
func usesOAuth(a upstream.Account) bool {
	return !a.OAuth.IsZero() || a.Auth == upstream.AuthXOAUTH2 || a.Auth == upstream.AuthOAUTHBEARER
}
