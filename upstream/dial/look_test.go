//go:build unix

package dial

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"melon/upstream"
)

// TestSilent: a look does not wait, takes nothing from what comes later, and
// finds what was said or that the server hung up, in clear and inside TLS.
func TestSilent(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "Ours")
	cfg := &tls.Config{Certificates: []tls.Certificate{ours.issue(t, certOptions{names: []string{"mail.example"}})}}
	for _, inTLS := range []bool{false, true} {
		for _, last := range []string{"421 bye\r\n", ""} {
			more := make(chan struct{})
			host, port := serve(t, func(c net.Conn) {
				if inTLS {
					c = tls.Server(c, cfg)
				}
				io.WriteString(c, "220 hi\r\n")
				<-more
				io.WriteString(c, "250 ok\r\n")
				<-more
				io.WriteString(c, last)
				c.Close()
			})
			d := &Dialer{RootCAs: ours.pool, Resolver: zone{"mail.example": host}}
			to := Target{Server: upstream.Server{Host: "mail.example", Port: port}, ImplicitTLS: inTLS}
			c, err := d.Dial(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for _, line := range []string{"220 hi\r\n", "250 ok\r\n"} {
				b := make([]byte, len(line))
				if _, err := io.ReadFull(c, b); err != nil || string(b) != line {
					t.Fatalf("%q, %v", b, err)
				}
				for range 3 {
					if !c.Looks() || !c.Silent() {
						t.Fatal("somebody spoke")
					}
				}
				more <- struct{}{}
			}
			for c.Silent() { // until it is here
			}
		}
	}
	c, far := pipe()
	defer far.Close()
	defer c.Close()
	if c.Looks() {
		t.Error("a pipe can be looked at")
	}
}
