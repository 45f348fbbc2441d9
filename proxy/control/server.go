package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"melon/proxy/control/api"
)

// Errors of a Daemon that have a status of their own.
var (
	ErrNotFound = errors.New("not found")   // 404
	ErrConflict = errors.New("not now")     // 409
	ErrInvalid  = errors.New("not allowed") // 400
)

// Daemon is what the API shows and steers.
type Daemon interface {
	Status() api.Status
	// ClearAccount ends an account's attention.
	ClearAccount(name string) error
	SetPaused(paused bool) error
	// Reload reads the configuration again; an error says what is wrong with it.
	Reload() error
}

// Outbox is what the API shows and steers of the messages that wait.
type Outbox interface {
	Entries() ([]api.Entry, error)
	Entry(id string) (api.Entry, error)
	// Message opens the message file of an entry; the caller closes it.
	Message(id string) (io.ReadCloser, error)
	// Do carries out "send", "hold", "release" or "remove" on the entries with
	// these IDs or unique prefixes and returns their whole IDs. No ID means all
	// that the verb applies to, for "send" only.
	Do(verb string, ids []string) ([]string, error)
	History() ([]api.Event, error)
}

// Opener makes links that open the web page.
type Opener interface {
	// OpenLink returns an address that opens the page ("" is the first, "outbox"
	// or "/outbox/ID" another) once and for a short time. ErrConflict says that
	// there is no web page at the moment, and why.
	OpenLink(page string) (string, error)
}

// Options is what a Server is made of; all but Opener, Collect, Stop and Log are
// needed.
type Options struct {
	Daemon  Daemon
	Outbox  Outbox
	Journal *Journal
	Opener  Opener // nil: POST /v1/open is not found
	Stop    func() // ends the relay, soon; nil: POST /v1/stop is not found
	// Collect takes in what sendmail left while nothing was running; nil: POST
	// /v1/collect is not found.
	Collect func(context.Context) error
	Log     *slog.Logger
}

// Server serves the control API. Close ends it.
type Server struct {
	o      Options
	http   *http.Server
	ctx    context.Context // ends event streams
	cancel context.CancelFunc
	done   chan struct{}
}

// maxBody bounds what a client may send, in octets.
const maxBody = 1 << 20

// Serve starts to serve on l, which it owns from now on (see Listen).
func Serve(l net.Listener, o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, done: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           handler(o, true),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the control API ended", "error", err)
		}
	}()
	return s
}

// Close ends the event streams, lets requests finish until ctx ends, and waits.
func (s *Server) Close(ctx context.Context) error {
	s.cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}

// Handler returns the API without a listener, for the web page, which has its
// own checks before it. What only the socket may ask for is not part of it. A
// request's event stream ends with its context.
func Handler(o Options) http.Handler { return handler(o, false) }

// handler is the API; socket is true for the callers of the unix socket.
func handler(o Options, socket bool) http.Handler {
	s := &calls{o}
	mux := http.NewServeMux()
	get := func(path string, f call) { mux.Handle("GET /v1"+path, f) }
	post := func(path string, f call) { mux.Handle("POST /v1"+path, f) }
	get("/status", func(*http.Request) (any, error) { return s.o.Daemon.Status(), nil })
	get("/accounts", func(*http.Request) (any, error) { return s.o.Daemon.Status().Accounts, nil })
	post("/accounts/{name}/clear", func(r *http.Request) (any, error) {
		return struct{}{}, s.o.Daemon.ClearAccount(r.PathValue("name"))
	})
	get("/outbox", func(*http.Request) (any, error) {
		entries, err := s.o.Outbox.Entries()
		if entries == nil {
			entries = []api.Entry{}
		}
		return entries, err
	})
	get("/outbox/{id}", func(r *http.Request) (any, error) { return s.o.Outbox.Entry(r.PathValue("id")) })
	get("/history", func(*http.Request) (any, error) {
		h, err := s.o.Outbox.History()
		if h == nil {
			h = []api.Event{}
		}
		return h, err
	})
	for _, verb := range []string{"send", "hold", "release", "remove"} {
		post("/outbox/"+verb, func(r *http.Request) (any, error) { return s.do(verb, r) })
	}
	post("/pause", func(*http.Request) (any, error) { return struct{}{}, s.o.Daemon.SetPaused(true) })
	post("/resume", func(*http.Request) (any, error) { return struct{}{}, s.o.Daemon.SetPaused(false) })
	post("/reload", func(*http.Request) (any, error) {
		if err := s.o.Daemon.Reload(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return struct{}{}, nil
	})
	if socket {
		s.onSocket(post)
	}
	mux.HandleFunc("GET /v1/outbox/{id}/message", s.message)
	mux.HandleFunc("GET /v1/events", s.events)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, fmt.Errorf("%w: %s %s is not part of this API", ErrNotFound, r.Method, r.URL.Path))
	})
	return mux
}

// call is one call of the API: what it answers is sent as JSON.
type call func(r *http.Request) (any, error)

// ServeHTTP implements http.Handler.
func (f call) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, err := f(r)
	answer(w, v, err)
}

// calls carries out what the API is asked for.
type calls struct{ o Options }

// onSocket adds what the callers of the unix socket alone may ask for.
func (s *calls) onSocket(post func(path string, f call)) {
	if s.o.Opener != nil {
		post("/open", s.open)
	}
	if s.o.Stop != nil {
		post("/stop", func(*http.Request) (any, error) { s.o.Stop(); return struct{}{}, nil })
	}
	if s.o.Collect != nil {
		post("/collect", func(r *http.Request) (any, error) { return struct{}{}, s.o.Collect(r.Context()) })
	}
}

// open makes a link to the web page.
func (s *calls) open(r *http.Request) (any, error) {
	var in api.Open
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&in); err != nil {
		return nil, fmt.Errorf("%w: the body is not {\"page\": …}", ErrInvalid)
	}
	link, err := s.o.Opener.OpenLink(in.Page)
	return api.Link{URL: link}, err
}

// do runs a verb on outbox entries.
func (s *calls) do(verb string, r *http.Request) (any, error) {
	var in api.IDs
	dec := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return nil, fmt.Errorf("%w: the body is not {\"ids\": […]}", ErrInvalid)
	}
	if len(in.IDs) == 0 && verb != "send" {
		return nil, fmt.Errorf("%w: which messages? give their IDs", ErrInvalid)
	}
	ids, err := s.o.Outbox.Do(verb, in.IDs)
	if ids == nil {
		ids = []string{}
	}
	return api.Done{IDs: ids}, err
}

// message serves the message file of an entry.
func (s *calls) message(w http.ResponseWriter, r *http.Request) {
	m, err := s.o.Outbox.Message(r.PathValue("id"))
	if err != nil {
		answer(w, nil, err)
		return
	}
	defer m.Close()
	w.Header().Set("Content-Type", "message/rfc822")
	if _, err := io.Copy(w, m); err != nil {
		panic(http.ErrAbortHandler) // a message cut short must not look whole
	}
}

// events streams the journal as server-sent events.
func (s *calls) events(w http.ResponseWriter, r *http.Request) {
	since := s.o.Journal.Last()
	v := r.URL.Query().Get("since")
	if id := r.Header.Get("Last-Event-ID"); id != "" { // a browser that came back
		v = id
	}
	if v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			answer(w, nil, fmt.Errorf("%w: since=%q is not a number", ErrInvalid, v))
			return
		}
		since = n
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	flush := http.NewResponseController(w)
	if err := flush.Flush(); err != nil {
		return
	}
	// The stream ends with the client, with the server, or when the client
	// does not read: a write has a minute.
	_ = s.o.Journal.Follow(r.Context(), since, func(e api.Event) error {
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if err := flush.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "id: %d\ndata: %s\n\n", e.Seq, data); err != nil {
			return err
		}
		return flush.Flush()
	})
}

// answer writes v as JSON, or err as an api.Problem.
func answer(w http.ResponseWriter, v any, err error) {
	status := http.StatusOK
	if err != nil {
		switch {
		case errors.Is(err, ErrNotFound):
			status = http.StatusNotFound
		case errors.Is(err, ErrConflict):
			status = http.StatusConflict
		case errors.Is(err, ErrInvalid):
			status = http.StatusBadRequest
		default:
			status = http.StatusInternalServerError
		}
		v = api.Problem{Error: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone, or it is not
}
