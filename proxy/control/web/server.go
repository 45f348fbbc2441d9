package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// maxConns bounds the connections that are served at once.
const maxConns = 64

// ErrBeyondLoopback is what Listen returns for an address that others can reach.
var ErrBeyondLoopback = errors.New("the web page listens on loopback addresses only")

// Listen opens control.web's address, which must be on loopback. "localhost" is
// 127.0.0.1.
func Listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Unmap().IsLoopback() {
		return nil, fmt.Errorf("%w: %s is none", ErrBeyondLoopback, addr)
	}
	return net.Listen("tcp", net.JoinHostPort(host, port))
}

// Options is what a Server is made of besides its listener and its Parts.
type Options struct {
	// API answers what is below /v1/ (control.Handler); nil: nothing is there,
	// and no page updates itself.
	API http.Handler
	// StateDir is where the session's secret is kept.
	StateDir string
	// SameUser reports whether a connection comes from a process of this user;
	// nil: everybody on this machine is taken for one.
	SameUser func(net.Conn) bool
	Now      func() time.Time // wall clock; nil: time.Now
	Log      *slog.Logger     // nil: discarded
	Version  string
}

// Server serves the web page. Close ends it.
type Server struct {
	o        Options
	parts    Parts
	addr     string
	hosts    []string // Host headers that are ours
	texts    catalogue
	pages    func() (pages, error) // made for the first visitor
	sessions *sessions
	jobs     *jobs
	drafts   *drafts
	http     *http.Server
	ctx      context.Context // ends event streams
	cancel   context.CancelFunc
	done     chan struct{}
}

// Serve starts to serve the page on l (see Listen), which it owns from now on,
// also when it fails.
func Serve(l net.Listener, p Parts, o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if p.Traces == nil {
		p.Traces = NewTraces(o.Now)
	}
	s := &Server{o: o, parts: p, addr: l.Addr().String(), done: make(chan struct{}), pages: sync.OnceValues(loadPages)}
	s.hosts = hostsOf(s.addr)
	var err error
	if s.texts, err = loadCatalogue(); err == nil {
		s.sessions, err = openSessions(o.StateDir, o.Now)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.jobs, s.drafts = newJobs(s.ctx, o.Now), newDrafts(o.Now)
	s.http = &http.Server{
		Handler:           s.guard(s.routes()),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(s.doorman(l)); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the web page ended", "error", err)
		}
	}()
	return s, nil
}

// hostsOf lists the Host headers of an address: itself, and localhost.
func hostsOf(addr string) []string {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil
	}
	hosts := []string{addr, net.JoinHostPort("localhost", port)}
	if port == "80" {
		hosts = append(hosts, strings.TrimSuffix(addr, ":80"), "localhost")
	}
	return hosts
}

// Addr is the address that is listened on.
func (s *Server) Addr() string { return s.addr }

// OpenLink returns an address that opens a page once and within a minute. page
// is a path with or without its first slash; "" is the first page.
func (s *Server) OpenLink(page string) (string, error) {
	if !strings.HasPrefix(page, "/") {
		page = "/" + page
	}
	// Whatever is asked for, it leads to this server.
	u := url.URL{Path: "/" + strings.TrimLeft(page, `/\`)}
	if i := strings.IndexByte(u.Path, '?'); i >= 0 {
		q, _ := url.ParseQuery(u.Path[i+1:]) // what cannot be read is left out
		u.Path, u.RawQuery = u.Path[:i], q.Encode()
	}
	return "http://" + s.addr + "/open?token=" + s.sessions.newLink(u.String()), nil
}

// Close ends event streams and jobs, lets requests finish until ctx ends, and
// waits.
func (s *Server) Close(ctx context.Context) error {
	s.cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	s.jobs.wait()
	return err
}

// doorman turns away connections of other users and beyond loopback, and those
// that are too many.
func (s *Server) doorman(l net.Listener) net.Listener {
	return &doorman{Listener: l, same: s.o.SameUser, room: make(chan struct{}, maxConns), log: s.o.Log}
}

type doorman struct {
	net.Listener
	same func(net.Conn) bool
	room chan struct{}
	log  *slog.Logger
}

func (d *doorman) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		a, _ := c.RemoteAddr().(*net.TCPAddr)
		if a == nil || !a.IP.IsLoopback() || d.same != nil && !d.same(c) {
			d.log.Warn("a visitor of the web page was turned away", "peer", c.RemoteAddr().String())
			c.Close()
			continue
		}
		select {
		case d.room <- struct{}{}:
			return &guest{Conn: c, leave: sync.OnceFunc(func() { <-d.room })}, nil
		default:
			c.Close() // more than any browser opens
		}
	}
}

// guest gives its place back when it is closed.
type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
