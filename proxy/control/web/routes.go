package web

import (
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"melon/proxy/control"
	"melon/upstream"
)

// routes is everything that stands behind the guard.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	assets, err := fs.Sub(files, "assets")
	if err == nil {
		mux.Handle("GET /assets/", http.StripPrefix("/assets/", onlyFiles(http.FileServerFS(assets))))
	}
	if s.o.API != nil {
		mux.Handle("/v1/", s.o.API)
	}
	for pattern, f := range map[string]http.HandlerFunc{
		"GET /{$}": s.home,

		"GET /account":                     s.accountList,
		"GET /add":                         s.accountAdd,
		"POST /add":                        s.accountFind,
		"GET /setup/{id}":                  s.setupShow,
		"POST /setup/{id}":                 s.setupDo,
		"GET /account/{name}":              s.accountShow,
		"GET /account/{name}/edit":         s.accountEdit,
		"GET /account/{name}/remove":       s.accountRemoveAsk,
		"POST /account/{name}/{verb}":      s.accountDo,
		"GET /account/{name}/signin/{id}":  s.signInShow,
		"GET /account/{name}/testing/{id}": s.testShow,

		"GET /outbox":              s.outboxList,
		"POST /outbox":             s.outboxDo,
		"GET /outbox/{id}":         s.outboxShow,
		"GET /outbox/{id}/message": s.outboxMessage,

		"GET /why":                 s.whyShow,
		"POST /why":                s.whyStart,
		"POST /why/explain":        s.whyExplain,
		"GET /why/{id}":            s.whyRun,
		"GET /why/{id}/report.txt": s.whyReport,

		"GET /activity":            s.activity,
		"GET /activity/message":    s.activityMessage,
		"GET /activity/trace/{id}": s.activityTrace,

		"GET /settings":         s.settings,
		"POST /settings":        s.settingsDo,
		"POST /language":        s.languageDo,
		"GET /jobs/{id}/events": s.jobEvents,
	} {
		mux.HandleFunc(pattern, f)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.problem(w, r, fmt.Errorf("%w: %s", control.ErrNotFound, upstream.CleanLine(r.URL.Path)))
	})
	return mux
}

// onlyFiles lets requests through whose path can be a file's: the file server
// takes another for a fault of its own, and lists directories.
func onlyFiles(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !fs.ValidPath(r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// goTo answers a form: the browser fetches the page anew, so that reloading it
// does not send the form again.
func goTo(w http.ResponseWriter, r *http.Request, page, done string) {
	if done != "" {
		sep := "?"
		if strings.Contains(page, "?") {
			sep = "&"
		}
		page += sep + "done=" + done
	}
	http.Redirect(w, r, page, http.StatusSeeOther)
}
