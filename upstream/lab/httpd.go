package lab

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// maxForm bounds what an HTTP request may send.
const maxForm = 64 << 10

// serveHTTP serves h on a free port of 127.0.0.1, with the provider's
// certificate when secure. It ends, and every connection with it, with the
// provider, whose Close waits for all of it.
func (p *Provider) serveHTTP(h http.Handler, secure bool) (addr string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return "", errors.New("lab: the provider is closed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr = l.Addr().String()
	if secure {
		conf := p.tls.Clone()
		conf.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, conf)
	}
	s := &http.Server{
		Handler:           http.MaxBytesHandler(h, maxForm),
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // refused certificates are what tests are about
		ConnState: func(_ net.Conn, st http.ConnState) {
			switch st {
			case http.StateNew:
				p.wg.Add(1)
			case http.StateClosed, http.StateHijacked:
				p.wg.Done()
			}
		},
	}
	p.closers = append(p.closers, s)
	p.wg.Go(func() { s.Serve(l) })
	return addr, nil
}
