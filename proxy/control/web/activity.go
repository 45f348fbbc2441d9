package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"melon/proxy/control/api"
)

// shownEvents is how many events the log shows.
const shownEvents = 200

// happening is one event as the log shows it.
type happening struct {
	api.Event
	What  string // in the page's language
	Fault fault
	Trace string // address of the conversation, "" when there was none
}

// happening puts an event into words.
func (v *view) happening(e api.Event) happening {
	h := happening{Event: e, Fault: v.explain(e.Error)}
	switch {
	case e.Outcome != "":
		h.What = v.T("outcome." + string(e.Outcome))
	case v.Has("event." + e.Kind + "." + e.Text):
		h.What = v.T("event." + e.Kind + "." + e.Text)
	case v.Has("event." + e.Text):
		h.What = v.T("event." + e.Text)
	default:
		h.What = e.Text
	}
	if h.Fault.Words == "" && e.Outcome != "" {
		h.Fault.Words = e.Text
	}
	talked := e.Outcome == api.OutcomeSent || e.Outcome == api.OutcomeRefused || e.Error != nil
	if e.Account != "" && talked && (e.Kind == "message" || e.Kind == "outbox") {
		h.Trace = "/activity/message?" + url.Values{
			"account": {e.Account}, "from": {e.From}, "at": {e.Time.Format(time.RFC3339Nano)}}.Encode()
	}
	return h
}

// recent returns what happened, the newest first: this process's events, and the
// history from before it.
func (s *Server) recent() []api.Event {
	events, _ := s.parts.Journal.Since(0)
	history, err := s.parts.Outbox.History()
	if err == nil && len(events) > 0 {
		history = slices.DeleteFunc(history, func(e api.Event) bool { return !e.Time.Before(events[0].Time) })
	}
	all := append(history, events...)
	slices.Reverse(all)
	return all
}

// last returns the newest messages that were sent or refused.
func (s *Server) last(v *view, n int) []happening {
	var out []happening
	for _, e := range s.recent() {
		if len(out) == n {
			break
		}
		if e.Outcome == api.OutcomeSent || e.Outcome == api.OutcomeRefused || e.Outcome == api.OutcomeBounced {
			out = append(out, v.happening(e))
		}
	}
	return out
}

// activity is the log.
func (s *Server) activity(w http.ResponseWriter, r *http.Request) {
	v := s.newView(r, "activity.title")
	q := r.URL.Query()
	words, account := strings.ToLower(strings.TrimSpace(q.Get("q"))), q.Get("account")
	var shown []happening
	for _, e := range s.recent() {
		if len(shown) == shownEvents {
			break
		}
		if account != "" && e.Account != account {
			continue
		}
		if h := v.happening(e); words == "" || h.holds(words) {
			shown = append(shown, h)
		}
	}
	var names []string
	for _, a := range s.parts.Config().Accounts {
		names = append(names, a.Name)
	}
	s.render(w, http.StatusOK, "activity", struct {
		*view
		Events         []happening
		Words, Account string
		Accounts       []string
		Traces         []Trace
		Limit          int
	}{v, shown, q.Get("q"), account, names, s.parts.Traces.List(), shownEvents})
}

// holds reports whether the words are anywhere in what is shown.
func (h happening) holds(words string) bool {
	for _, t := range append([]string{h.ID, h.Account, h.From, h.What, h.Text, h.Fault.Words, h.Fault.Class, h.Fault.Summary}, h.To...) {
		if strings.Contains(strings.ToLower(t), words) {
			return true
		}
	}
	return false
}

// activityMessage finds the conversation that an event is about.
func (s *Server) activityMessage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	at, err := time.Parse(time.RFC3339Nano, q.Get("at"))
	if err == nil {
		if id, ok := s.parts.Traces.Of(q.Get("account"), q.Get("from"), at); ok {
			goTo(w, r, "/activity/trace/"+url.PathEscape(id), "")
			return
		}
	}
	s.noTrace(w, r)
}

// activityTrace shows a conversation.
func (s *Server) activityTrace(w http.ResponseWriter, r *http.Request) {
	t, ok := s.parts.Traces.Get(r.PathValue("id"))
	if !ok {
		s.noTrace(w, r)
		return
	}
	v := s.newView(r, "activity.trace")
	s.render(w, http.StatusOK, "trace", struct {
		*view
		Trace *Trace
		Head  int
	}{v, &t, traceHead})
}

func (s *Server) noTrace(w http.ResponseWriter, r *http.Request) {
	v := s.newView(r, "activity.trace")
	s.render(w, http.StatusNotFound, "trace", struct {
		*view
		Trace *Trace
		Head  int
	}{v, nil, 0})
}
