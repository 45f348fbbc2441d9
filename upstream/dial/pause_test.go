package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"melon/upstream"
)

// A Read ends with its limit and takes nothing from what comes later, in clear and
// inside TLS; the end of the connection's context counts for more.
func TestReadsUntil(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "Ours")
	cfg := &tls.Config{Certificates: []tls.Certificate{ours.issue(t, certOptions{names: []string{"mail.example"}})}}
	for _, inTLS := range []bool{false, true} {
		more := make(chan string)
		defer close(more)
		host, port := serve(t, func(c net.Conn) {
			defer c.Close()
			if inTLS {
				s := tls.Server(c, cfg)
				if s.Handshake() != nil {
					return
				}
				c = s
			}
			for s := range more {
				io.WriteString(c, s)
			}
		})
		d := &Dialer{RootCAs: ours.pool, Resolver: zone{"mail.example": host}}
		c, err := d.Dial(t.Context(), Target{Server: upstream.Server{Host: "mail.example", Port: port}, ImplicitTLS: inTLS})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, end := context.WithCancelCause(context.Background())
		defer c.Use(ctx)()
		b := make([]byte, 4)
		for range 3 {
			limit, cancel := context.WithCancel(context.Background())
			done := c.ReadsUntil(limit)
			go cancel()
			for range 2 { // ended during it, and before
				if n, err := c.Read(b); n != 0 || err != errNothing {
					t.Fatalf("%d, %v", n, err)
				}
			}
			done()
			more <- "okay"
			if _, err := io.ReadFull(c, b); err != nil || string(b) != "okay" {
				t.Fatalf("%q, %v", b, err)
			}
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			c.ReadsUntil(context.Background())()
		}
		limit, cancel := context.WithCancel(context.Background())
		cancel()
		done := c.ReadsUntil(limit)
		cause := errors.New("the end")
		end(cause)
		for err == nil || err == errNothing {
			_, err = c.Read(b)
		}
		done()
		if !errors.Is(err, cause) {
			t.Error(err)
		}
	}
}
