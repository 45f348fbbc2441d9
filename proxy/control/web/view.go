package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/upstream"
	"melon/upstream/reply"
)

//go:embed templates assets catalogue.tsv
var files embed.FS

// catalogue holds every text of the page: key, then language. Its file is a
// table with a row a text and a column a language.
type catalogue map[string]map[string]string

// languages are the columns of the catalogue, in its order.
func languages() []string { return []string{"en", "ja"} }

func loadCatalogue() (catalogue, error) {
	data, err := files.ReadFile("catalogue.tsv")
	if err != nil {
		return nil, err
	}
	c := catalogue{}
	for n, line := range strings.Split(string(data), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != 1+len(languages()) || c[cells[0]] != nil {
			return nil, fmt.Errorf("catalogue.tsv:%d: %d columns, or a key that is there already", n+1, len(cells))
		}
		c[cells[0]] = map[string]string{}
		for i, lang := range languages() {
			c[cells[0]][lang] = cells[i+1]
		}
	}
	return c, nil
}

// pages are the parsed templates, by name.
type pages map[string]*template.Template

func loadPages() (pages, error) {
	funcs := template.FuncMap{
		"size": size, "when": when, "stamp": stamp, "join": strings.Join,
		"percent": percent, "add": func(a, b int) int { return a + b },
	}
	base, err := template.New("").Funcs(funcs).ParseFS(files, "templates/base.html", "templates/parts.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := pages{}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "base" || name == "parts" {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(files, file)
		}
		if err != nil {
			return nil, err
		}
		all[name] = t
	}
	return all, nil
}

// view is what every page needs. A page embeds it.
type view struct {
	texts   catalogue
	Lang    string
	Title   string // key
	Nav     string // which entry of the menu this is
	Path    string // of this page, for what leads back to it
	CSRF    string
	Closed  bool   // no session: no menu
	Refresh string // reload without the script, as in the Refresh header
	Since   uint64 // the newest event that is shown
	Live    bool   // the page follows events
	Job     string // the page follows this job's steps
	Done    string // key of what was just done
	Version string
}

// newView begins a page.
func (s *Server) newView(r *http.Request, title string) *view {
	v := &view{texts: s.texts, Lang: s.language(r), Title: title, Path: r.URL.RequestURI(), Version: s.o.Version}
	v.Nav, _, _ = strings.Cut(title, ".")
	if session, ok := r.Context().Value(sessionKey{}).(string); ok {
		v.CSRF = s.sessions.csrf(session)
	}
	if done := "done." + r.URL.Query().Get("done"); s.texts[done] != nil {
		v.Done = done
	}
	v.Since = s.parts.Journal.Last() // before anything is read: nothing is missed
	v.Live = v.CSRF != "" && s.o.API != nil
	return v
}

// T is the text of a key in the page's language.
func (v *view) T(key string, args ...any) string {
	row := v.texts[key]
	if row == nil {
		return key
	}
	if len(args) == 0 {
		return row[v.Lang]
	}
	return fmt.Sprintf(row[v.Lang], args...)
}

// Has reports whether there is a text for the key.
func (v *view) Has(key string) bool { return v.texts[key] != nil }

// Other is the other language.
func (v *view) Other() string {
	if v.Lang == "ja" {
		return "en"
	}
	return "ja"
}

// languageCookie remembers the choice of a language.
const languageCookie = "melon_lang"

// language is the visitor's choice, the configuration's, or the browser's.
func (s *Server) language(r *http.Request) string {
	if c, err := r.Cookie(languageCookie); err == nil && (c.Value == "en" || c.Value == "ja") {
		return c.Value
	}
	if l := s.parts.Config().Language; l == "en" || l == "ja" {
		return l
	}
	return acceptLanguage(r.Header.Get("Accept-Language"))
}

// acceptLanguage picks from an Accept-Language header (RFC 9110 section 12.5.4).
func acceptLanguage(header string) string {
	best, weight := "en", 0.0
	for part := range strings.SplitSeq(header, ",") {
		tag, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			if _, err := fmt.Sscanf(v, "%f", &q); err != nil {
				q = 0
			}
		}
		tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
		if (tag == "en" || tag == "ja") && q > weight {
			best, weight = tag, q
		}
	}
	return best
}

// render writes a page. It is made whole before anything is sent.
func (s *Server) render(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	all, err := s.pages()
	if err == nil {
		err = all[name].ExecuteTemplate(&b, "base", data)
	}
	if err != nil {
		s.o.Log.Error("a page could not be made", "page", name, "error", err)
		http.Error(w, "Melon could not make this page; its log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// problem shows why something was not done.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, control.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, control.ErrConflict), errors.Is(err, errTooManyJobs):
		status = http.StatusConflict
	case errors.Is(err, control.ErrInvalid):
		status = http.StatusBadRequest
	}
	v := s.newView(r, "problem.title")
	s.render(w, status, "problem", struct {
		*view
		FaultOf fault
		Back    string
	}{v, v.fault(err), backTo(r)})
}

// backTo is the page that a form was on, by its Referer, which comes from this
// page alone.
func backTo(r *http.Request) string {
	_, after, ok := strings.Cut(r.Referer(), "://"+r.Host)
	if !ok || !strings.HasPrefix(after, "/") {
		return "/"
	}
	return after
}

// fault is a failure as a person reads it: the other side's words, what they
// mean, and what to do.
type fault struct {
	Words   string // of the provider, or Melon's own sentence
	Server  bool   // Words are the provider's
	Class   string
	Summary string
	Advice  []string
}

// fault explains an error.
func (v *view) fault(err error) fault {
	if err == nil {
		return fault{}
	}
	var e *upstream.Error
	if !errors.As(err, &e) {
		words := err.Error()
		for _, sentinel := range []error{control.ErrInvalid, control.ErrConflict} {
			words = strings.TrimPrefix(words, sentinel.Error()+": ")
		}
		return fault{Words: words}
	}
	words := e.Reply.Text()
	if words == "" {
		words = e.Sentence
	}
	return v.explain(&api.Error{Class: string(e.Class), Code: e.Reply.Code, Enhanced: e.Reply.Enhanced.String(), Text: words})
}

// explain adds the explanation in the page's language.
func (v *view) explain(e *api.Error) fault {
	if e == nil {
		return fault{}
	}
	f := fault{Words: e.Text, Server: e.Code != 0 || strings.HasPrefix(e.Text, "-ERR"), Class: e.Class}
	if e.Code != 0 {
		f.Words = strings.TrimSpace(fmt.Sprintf("%d %s", e.Code, strings.TrimSpace(e.Enhanced+" "+e.Text)))
	}
	if e.Class != "" {
		x := reply.Explain(upstream.Class(e.Class), v.Lang)
		f.Summary, f.Advice = x.Summary, x.Advice
	}
	return f
}

// size writes a number of octets for people.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// when writes a time of this machine's clock; the browser is on it too. Of today
// the hour is enough.
func when(t any) string {
	s := written(t, time.DateTime)
	return strings.TrimPrefix(s, time.Now().Format(time.DateOnly)+" ")
}

// stamp is for the datetime attribute.
func stamp(t any) string { return written(t, time.RFC3339) }

func written(t any, layout string) string {
	switch t := t.(type) {
	case time.Time:
		if !t.IsZero() {
			return t.Local().Format(layout)
		}
	case *time.Time:
		if t != nil {
			return written(*t, layout)
		}
	}
	return ""
}

// percent is how much of total n is, from 0 to 100.
func percent(n, total int64) int64 {
	if total <= 0 {
		return 0
	}
	return min(100*n/total, 100)
}
