package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"melon/proxy/control"
	"melon/proxy/control/api"
)

// pageSize is how many messages one page of the outbox shows.
const pageSize = 50

// row is one message as the list shows it.
type row struct {
	api.Entry
	Fault   fault
	Percent int64
	Left    int // seconds that the rest will take; 0: not known
	Verbs   []string
}

// verbsFor lists what may be done with a message in a state.
func verbsFor(st api.EntryState) []string {
	switch st {
	case api.EntrySending:
		return nil
	case api.EntryHeld:
		return []string{"release", "remove"}
	case api.EntryAttention, api.EntryUnconfirmed:
		return []string{"release", "hold", "remove"}
	}
	return []string{"send", "hold", "remove"}
}

// rows are messages of a list. While sending is paused no next attempt is shown.
func (s *Server) rows(v *view, entries []api.Entry, paused bool) []row {
	var out []row
	for _, e := range entries {
		out = append(out, s.row(v, e, paused))
	}
	return out
}

func (s *Server) row(v *view, e api.Entry, paused bool) row {
	if paused {
		e.NextAttempt = nil
	}
	now := s.o.Now()
	r := row{Entry: e, Fault: v.explain(e.LastError), Verbs: verbsFor(e.State)}
	if p := e.Progress; p != nil {
		r.Percent = percent(p.Sent, e.Size)
		r.Left = estimate(p.Sent, e.Size, now.Sub(p.Since))
	}
	return r
}

// estimate is how many seconds the rest takes at the pace so far; 0 when there is
// no pace yet, or nothing left.
func estimate(sent, size int64, spent time.Duration) int {
	if sent <= 0 || size <= sent || spent < 2*time.Second {
		return 0
	}
	left := spent.Seconds() * float64(size-sent) / float64(sent)
	return int(min(left, 24*3600)) + 1
}

// outboxStates are the choices of the list's filter; "" is all.
func outboxStates() []api.EntryState {
	return []api.EntryState{"", api.EntrySending, api.EntryWaiting, api.EntryAttention, api.EntryUnconfirmed, api.EntryHeld}
}

// outboxList shows one page of what waits.
func (s *Server) outboxList(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	state := api.EntryState(q.Get("state"))
	if !slices.Contains(outboxStates(), state) {
		state = ""
	}
	number, err := strconv.Atoi(q.Get("page"))
	if err != nil || number < 1 || number > 1e6 {
		number = 1
	}
	v := s.newView(r, "outbox.title")
	paused := s.parts.Daemon.Status().Paused
	entries, total, err := s.parts.Outbox.Page(state, (number-1)*pageSize, pageSize)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	last := max(1, (total+pageSize-1)/pageSize)
	if number > last { // it emptied meanwhile
		goTo(w, r, outboxPage(state, last), q.Get("done"))
		return
	}
	p := struct {
		*view
		Rows           []row
		State          api.EntryState
		States         []api.EntryState
		Total          int
		Number, Last   int
		Previous, Next string
		Paused         bool
	}{view: v, Rows: s.rows(v, entries, paused), State: state, States: outboxStates(), Total: total, Number: number, Last: last,
		Paused: paused}
	if number > 1 {
		p.Previous = outboxPage(state, number-1)
	}
	if number < last {
		p.Next = outboxPage(state, number+1)
	}
	s.render(w, http.StatusOK, "outbox", p)
}

// outboxPage is the address of a page of the list.
func outboxPage(state api.EntryState, number int) string {
	return "/outbox?" + url.Values{"state": {string(state)}, "page": {strconv.Itoa(number)}}.Encode()
}

// outboxShow shows one message.
func (s *Server) outboxShow(w http.ResponseWriter, r *http.Request) {
	v := s.newView(r, "outbox.one")
	e, err := s.parts.Outbox.Entry(r.PathValue("id"))
	if errors.Is(err, control.ErrNotFound) {
		// Perhaps it was sent while somebody looked at it.
		if h, ok := s.finished(v, r.PathValue("id")); ok {
			s.render(w, http.StatusOK, "message", struct {
				*view
				Row      row
				Finished *happening
			}{v, row{}, &h})
			return
		}
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	s.render(w, http.StatusOK, "message", struct {
		*view
		Row      row
		Finished *happening
	}{v, s.row(v, e, s.parts.Daemon.Status().Paused), nil})
}

// finished finds a message in the history.
func (s *Server) finished(v *view, id string) (happening, bool) {
	history, err := s.parts.Outbox.History()
	if err != nil {
		return happening{}, false
	}
	for _, e := range slices.Backward(history) {
		if e.ID == id {
			return v.happening(e), true
		}
	}
	return happening{}, false
}

// outboxMessage serves the message file, to be saved and never shown.
func (s *Server) outboxMessage(w http.ResponseWriter, r *http.Request) {
	e, err := s.parts.Outbox.Entry(r.PathValue("id"))
	if err != nil {
		s.problem(w, r, err)
		return
	}
	m, err := s.parts.Outbox.Message(e.ID)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	defer m.Close()
	w.Header().Set("Content-Type", "message/rfc822")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", e.ID+".eml"))
	if _, err := io.Copy(w, m); err != nil {
		panic(http.ErrAbortHandler) // a message cut short must not look whole
	}
}

// outboxDo sends, holds, releases or removes messages; removing asks first.
func (s *Server) outboxDo(w http.ResponseWriter, r *http.Request) {
	verb, ids := r.PostFormValue("verb"), r.PostForm["id"]
	done := map[string]string{"send": "send", "hold": "hold", "release": "release", "remove": "remove"}[verb]
	back := r.PostFormValue("back")
	if back == "" {
		back = backTo(r)
	}
	switch {
	case done == "":
		s.problem(w, r, fmt.Errorf("%w: %q", control.ErrInvalid, verb))
		return
	case len(ids) == 0 && verb != "send":
		goTo(w, r, local(back), "none")
		return
	case verb == "remove" && r.PostFormValue("sure") == "":
		s.removeAsk(w, r, ids)
		return
	}
	if _, err := s.parts.Outbox.Do(verb, ids); err != nil {
		s.problem(w, r, err)
		return
	}
	goTo(w, r, local(back), done)
}

// local makes sure that a way back stays on this page, and drops what was done
// before.
func local(back string) string {
	u, err := url.Parse(back)
	if err != nil || u.Path == "" || u.Path[0] != '/' {
		return "/outbox"
	}
	q := u.Query()
	q.Del("done")
	return (&url.URL{Path: "/" + trimSlashes(u.Path), RawQuery: q.Encode()}).String()
}

// removeAsk asks whether these messages are really to be removed.
func (s *Server) removeAsk(w http.ResponseWriter, r *http.Request, ids []string) {
	v := s.newView(r, "outbox.remove")
	v.Live = false // what is asked must stay what is asked
	var rows []row
	for _, id := range ids {
		e, err := s.parts.Outbox.Entry(id)
		if err != nil {
			continue // gone meanwhile
		}
		rows = append(rows, s.row(v, e, false))
	}
	if len(rows) == 0 {
		goTo(w, r, "/outbox", "none")
		return
	}
	s.render(w, http.StatusOK, "remove", struct {
		*view
		Rows []row
		Back string
	}{v, rows, local(backTo(r))})
}
