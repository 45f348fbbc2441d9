package smtpin

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"melon/upstream"
	"melon/upstream/trace"
)

// Server is the set of listeners and their connections.
type Server struct {
	log    *slog.Logger
	base   context.Context // of every connection
	cancel context.CancelFunc
	set    atomic.Pointer[settings] // what new connections get
	ids    atomic.Uint64
	slow   restraint

	mu      sync.Mutex // guards what follows
	doors   []*door
	given   []*door // those of Listen.Ready, which stay open to the end
	started bool
	down    bool // Shutdown began
	killed  bool // and ran out of patience
	conns   map[*conn]struct{}
	servers []*smtp.Server

	// tasks are the accept loops and connections not yet handed on; open are
	// the connections in conns.
	tasks, open sync.WaitGroup
}

// settings is what a connection goes by, from its first octet to its last.
// It never changes.
type settings struct {
	handler  Handler
	explain  func(*upstream.Error) string
	login    Login
	allow    Allow
	limits   Limits
	peers    PeerLookup
	trace    func(string, trace.Line)
	starttls bool // offered on loopback too
	tls      *tls.Config
	// Connections are given to go-smtp through these: it announces STARTTLS
	// by server, not by connection.
	plain, offering *handoff
}

// New checks the options and binds every address; connections wait until
// Start. An error says which address it is about and what to change.
func New(o Options) (*Server, error) {
	s := &Server{log: o.Log, conns: make(map[*conn]struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.given = readyDoors(o.Listen)
	if err := s.Reload(o); err != nil {
		closeDoors(s.given)
		s.cancel()
		return nil, err
	}
	return s, nil
}

// Reload puts other options in force: for new connections at once, while those
// that are open keep theirs. Addresses that are new are bound and those that
// are gone closed. On an error everything stays as it was. Log is not changed.
func (s *Server) Reload(o Options) error {
	set, err := s.settings(o)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errors.New("the listeners are shutting down")
	}
	doors, err := s.bind(wanted(o.Listen), set.login.Mode)
	if err != nil {
		return err
	}
	if err := set.openTLS(o.Listen, doors); err != nil {
		closeDoors(without(doors, s.doors))
		return err
	}
	gone, fresh := without(s.doors, doors), without(doors, s.doors)
	s.doors = doors
	s.serveSMTP(set)
	if old := s.set.Swap(set); old != nil {
		old.plain.Close()
		old.offering.Close()
	}
	closeDoors(gone)
	if s.started {
		s.acceptLocked(fresh)
	}
	return nil
}

// without returns the doors of a that are not in b.
func without(a, b []*door) []*door {
	var out []*door
next:
	for _, d := range a {
		for _, e := range b {
			if d == e {
				continue next
			}
		}
		out = append(out, d)
	}
	return out
}

// settings checks o and fills in its defaults.
func (s *Server) settings(o Options) (*settings, error) {
	set := &settings{
		handler: o.Handler, explain: o.Explain, login: o.Login, allow: o.Allow,
		limits: o.Limits.withDefaults(), peers: o.Peers, trace: o.Trace, starttls: o.Listen.StartTLS,
	}
	if set.handler == nil {
		return nil, errors.New("nobody handles the mail")
	}
	if set.peers == nil {
		set.peers = systemPeers{}
	}
	switch set.login.Mode {
	case "":
		set.login.Mode = LoginOptional
	case LoginOff, LoginOptional, LoginRequired:
	default:
		return nil, errors.New("listen.login is off, optional or required")
	}
	switch set.allow {
	case "":
		set.allow = AllowSameUser
	case AllowSameUser, AllowAnyLocal:
	default:
		return nil, errors.New("listen.allow is same-user or any-local")
	}
	return set, nil
}

func (l Limits) withDefaults() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	defTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.Connections, 1000)
	def(&l.ConnectionsUser, 500)
	def(&l.Recipients, 1000)
	def(&l.BadCommands, 20)
	def(&l.LoginAttempts, 3)
	def(&l.MessagesOther, 60)
	if l.Message <= 0 {
		l.Message = 100e6
	}
	defTime(&l.Idle, 5*time.Minute)
	defTime(&l.Body, time.Hour)
	defTime(&l.Write, time.Minute)
	return l
}

// openTLS loads or makes the certificate where one is needed.
func (set *settings) openTLS(l Listen, doors []*door) error {
	needed := set.starttls || l.CertFile != "" || l.KeyFile != ""
	for _, d := range doors {
		needed = needed || d.remote || d.kind == "smtps"
	}
	if !needed {
		return nil
	}
	cert, err := openCertificate(l)
	if err != nil {
		return err
	}
	set.tls = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: cert.get,
		// Mail apps ask for no protocol here. A browser asks for HTTP, and
		// that ends the handshake (RFC 7301 section 3.2): no page can have it
		// speak to this port, whatever certificate it trusts.
		NextProtos: []string{"smtp"},
	}
	return nil
}

// serveSMTP starts the go-smtp servers for set. Their limits on lines and time
// are off, as conn has its own.
func (s *Server) serveSMTP(set *settings) {
	serve := func(config *tls.Config) *handoff {
		srv := smtp.NewServer(smtp.BackendFunc(newSession))
		srv.Domain = "localhost"
		srv.TLSConfig = config // to announce STARTTLS; conn answers it
		srv.MaxLineLength = 0
		srv.MaxMessageBytes = set.limits.Message
		srv.MaxRecipients = set.limits.Recipients
		srv.AllowInsecureAuth = true // session.AuthMechanisms decides
		srv.EnableSMTPUTF8 = true
		srv.EnableDSN = true
		srv.ErrorLog = goSMTPLog{s.log}
		h := &handoff{conns: make(chan net.Conn), done: make(chan struct{})}
		s.servers = append(s.servers, srv)
		s.tasks.Add(1)
		go func() {
			defer s.tasks.Done()
			srv.Serve(h)
		}()
		return h
	}
	set.plain, set.offering = serve(nil), serve(set.tls)
}

// handoff is the net.Listener that go-smtp accepts admitted connections from.
type handoff struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Accept implements net.Listener.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handoff) Addr() net.Addr { return &net.TCPAddr{} }

// handOn gives a connection to go-smtp. One whose settings were replaced
// meanwhile goes by the new ones.
func (s *Server) handOn(c *conn) {
	for {
		h := c.set.plain
		if c.offersTLS() {
			h = c.set.offering
		}
		select {
		case h.conns <- c:
			return
		case <-h.done:
		}
		set := s.set.Load()
		if set == c.set {
			c.Close() // shut down
			return
		}
		c.set = set
	}
}

// Addresses lists what is listened on, plain ones first, in the order given.
func (s *Server) Addresses() []Address {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Address
	for _, d := range s.doors {
		out = append(out, Address{Kind: d.kind, Addr: d.ln.Addr().String()})
	}
	return out
}

// Enforced reports whether only this user's processes can connect: false with
// any-local, and where the platform cannot tell.
func (s *Server) Enforced() bool {
	set := s.set.Load()
	return set.allow == AllowSameUser && set.peers.Enforced()
}

// Start accepts connections until Shutdown.
func (s *Server) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.down {
		return
	}
	s.started = true
	s.acceptLocked(s.doors)
}

func (s *Server) acceptLocked(doors []*door) {
	for _, d := range doors {
		s.tasks.Add(1)
		go s.accept(d)
	}
}

// doorClosed reports whether d was closed by Reload or Shutdown.
func (s *Server) doorClosed(d *door) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down || len(without([]*door{d}, s.doors)) > 0
}

// newID names a connection.
func (s *Server) newID() string { return "c" + strconv.FormatUint(s.ids.Add(1), 10) }

// Shutdown stops accepting, ends idle connections with 421 4.3.2, lets those in
// a transaction finish until ctx ends, then cuts them. It returns when every
// goroutine has ended: nil when all finished by themselves, else ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.down = true
	closeDoors(s.doors)
	for c := range s.conns {
		c.wake(shutdown)
	}
	s.mu.Unlock()

	finished := make(chan struct{})
	go func() {
		s.open.Wait()
		close(finished)
	}()
	var err error
	select {
	case <-finished:
	case <-ctx.Done():
		err = ctx.Err()
		s.mu.Lock()
		s.killed = true
		for c := range s.conns {
			c.kill()
		}
		s.mu.Unlock()
	}
	s.cancel()
	<-finished
	set := s.set.Load()
	set.plain.Close()
	set.offering.Close()
	s.tasks.Wait()
	s.mu.Lock()
	servers := s.servers
	s.mu.Unlock()
	for _, srv := range servers {
		srv.Shutdown(context.Background()) // waits for its goroutines
	}
	return err
}
