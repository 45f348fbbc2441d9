package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"melon/proxy/config"
	"melon/proxy/control"
	"melon/proxy/control/api"
	"melon/proxy/control/web"
	"melon/proxy/smtpin"
	"melon/upstream"
	"melon/upstream/discover"
)

// webPage is the web page of a daemon, and what is remembered for it.
type webPage struct {
	server   *web.Server // nil: there is none
	problem  string      // why there is none although there should be
	traces   *web.Traces // nil: control.web is off
	progress progress
}

// prepareWeb is called before the parts that the page looks at start.
func (d *daemon) prepareWeb(cfg *config.Config) {
	if cfg.Control.Web != "" {
		d.web.traces = web.NewTraces(time.Now)
	}
}

// startWeb opens the web page. Whatever goes wrong is said, and never keeps the
// relay from running.
func (d *daemon) startWeb(cfg *config.Config, autostart web.Autostart) {
	if cfg.Control.Web == "" {
		return
	}
	l, err := web.Listen(cfg.Control.Web)
	if err == nil {
		setup := webSetup{d}
		d.web.server, err = web.Serve(l, web.Parts{
			Daemon: d, Outbox: d.outboxAPI(), Journal: d.journal, Config: d.config.Config,
			Finder: setup, Tester: setup, Keeper: setup, SignIns: setup, Doctor: setup,
			Autostart: autostart, Traces: d.web.traces, Hint: providerHint,
		}, web.Options{
			API:      control.Handler(control.Options{Daemon: d, Outbox: d.outboxAPI(), Journal: d.journal}),
			StateDir: d.paths.State, SameUser: webVisitor(cfg), Log: d.log, Version: version(),
		})
	}
	if err != nil {
		d.web.problem = fmt.Sprintf("the web page is not there: %v; set control.web to another address, or to \"off\"", err)
		d.log.Warn("the web page is not there", "address", cfg.Control.Web, "error", err)
	}
}

// providerHint is what the add form shows of a provider that was chosen in the
// tray's menu.
func providerHint(id string) (name, example string) {
	p, ok := discover.Find(id)
	if !ok || id == "" {
		return "", ""
	}
	for _, d := range p.Domains {
		if !strings.Contains(d, "*") {
			return p.Name, "you@" + d
		}
	}
	return p.Name, ""
}

// webVisitor tells this user's processes from others', by the rule that holds for
// mail; nil where that lets everybody in, or the platform cannot tell.
func webVisitor(cfg *config.Config) func(net.Conn) bool {
	peers := smtpin.SystemPeers()
	if cfg.Listen.Allow != config.AllowSameUser || !peers.Enforced() {
		return nil
	}
	return func(c net.Conn) bool {
		local, remote := addrPort(c.LocalAddr()), addrPort(c.RemoteAddr())
		same, _, err := peers.SameUser(local, remote)
		return err == nil && same
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// closeWeb ends the page, if there is one.
func (d *daemon) closeWeb(ctx context.Context) {
	if d.web.server == nil {
		return
	}
	if err := d.web.server.Close(ctx); err != nil {
		d.log.Warn("visitors of the web page were cut off at the end", "error", err)
	}
}

// webAddr is where the page is, "" when it is not.
func (d *daemon) webAddr() string {
	if d.web.server == nil {
		return ""
	}
	return d.web.server.Addr()
}

// OpenLink makes a link to the page (see control.Opener).
func (d *daemon) OpenLink(page string) (string, error) {
	switch {
	case d.web.server != nil:
		return d.web.server.OpenLink(page)
	case d.web.problem != "":
		return "", fmt.Errorf("%w: %s", control.ErrConflict, d.web.problem)
	}
	return "", fmt.Errorf("%w: the web page is switched off (control.web)", control.ErrConflict)
}

// progress knows how much has left of the messages that the outbox is sending.
type progress struct {
	mu  sync.Mutex
	all map[string]*meter
}

// meter counts the octets that were read of a message, which is what has gone to
// the provider but for what is still in buffers.
type meter struct {
	sent  int64
	since time.Time
}

// track returns body with its readers counted, until done is called.
func (p *progress) track(id string, body upstream.Body) (counted upstream.Body, done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[string]*meter{}
	}
	m := &meter{}
	p.all[id] = m
	return &meteredBody{Body: body, p: p, m: m}, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.all[id] == m {
			delete(p.all, id)
		}
	}
}

// of returns the progress of a message; nil when nothing of it has left.
func (p *progress) of(id string) *api.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.all[id]
	if m == nil || m.since.IsZero() {
		return nil
	}
	return &api.Progress{Sent: m.sent, Since: m.since}
}

// meteredBody is a Body whose last reader is counted.
type meteredBody struct {
	upstream.Body
	p *progress
	m *meter
}

// Open implements upstream.Body. A message that is read again is counted anew.
func (b *meteredBody) Open() (io.ReadCloser, error) {
	r, err := b.Body.Open()
	if err != nil {
		return nil, err
	}
	b.p.mu.Lock()
	defer b.p.mu.Unlock()
	b.m.sent, b.m.since = 0, time.Now()
	return &meteredReader{r, b}, nil
}

type meteredReader struct {
	io.ReadCloser
	b *meteredBody
}

func (r *meteredReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.b.p.mu.Lock()
	defer r.b.p.mu.Unlock()
	r.b.m.sent += int64(n)
	return n, err
}
