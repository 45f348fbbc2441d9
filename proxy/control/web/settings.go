package web

import (
	"fmt"
	"net/http"
	"strings"

	"melon/proxy/config"
	"melon/proxy/control"
	"melon/proxy/control/api"
)

// settings shows what is set, and takes what may be changed here.
func (s *Server) settings(w http.ResponseWriter, r *http.Request) {
	p := struct {
		*view
		Status       api.Status
		Config       *config.Config
		HasAutostart bool
		Autostart    bool
		AutostartBad string
	}{view: s.newView(r, "settings.title"), Status: s.parts.Daemon.Status(), Config: s.parts.Config(), HasAutostart: s.parts.Autostart != nil}
	if p.HasAutostart {
		on, err := s.parts.Autostart.Enabled()
		if p.Autostart = on; err != nil {
			p.AutostartBad = err.Error()
		}
	}
	s.render(w, http.StatusOK, "settings", p)
}

// settingsDo carries out what a button of the settings says.
func (s *Server) settingsDo(w http.ResponseWriter, r *http.Request) {
	verb := r.PostFormValue("verb")
	back := local(backTo(r))
	switch {
	case verb == "pause" || verb == "resume":
		goToOr(s, w, r, s.parts.Daemon.SetPaused(verb == "pause"), back, verb)
	case (verb == "autostart-on" || verb == "autostart-off") && s.parts.Autostart != nil:
		goToOr(s, w, r, s.parts.Autostart.Set(verb == "autostart-on"), "/settings", verb)
	case verb == "end-sessions":
		if err := s.sessions.renew(); err != nil {
			s.problem(w, r, err)
			return
		}
		http.SetCookie(w, s.sessions.newCookie()) // whoever ends the others stays
		goTo(w, r, "/settings", verb)
	default:
		s.problem(w, r, fmt.Errorf("%w: %q", control.ErrInvalid, verb))
	}
}

// languageDo remembers the choice of a language.
func (s *Server) languageDo(w http.ResponseWriter, r *http.Request) {
	lang := r.PostFormValue("lang")
	if lang != "en" && lang != "ja" {
		s.problem(w, r, fmt.Errorf("%w: %q", control.ErrInvalid, lang))
		return
	}
	http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: lang, Path: "/", HttpOnly: true,
		SameSite: http.SameSiteStrictMode, MaxAge: 365 * 24 * 3600})
	back := r.PostFormValue("back")
	if strings.HasPrefix(back, "/why/explain") { // the answer to a form, gone
		back = "/why"
	}
	goTo(w, r, local(back), "")
}
