package lab

import (
	"net"
	"testing"
	"time"
)

// TestSourceAddress shows that a client's own loopback address counts, on the
// one system where all of 127.0.0.0/8 is there.
func TestSourceAddress(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Rules: Rules{PBS: PBS{Window: time.Minute}}})
	popLogin(t, p, "")
	for source, want := range map[string]string{"127.0.0.1": "250", "127.0.0.2": "550"} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
		nc, err := d.Dial("tcp", p.SMTPAddr())
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, nc)
		c.want("220")
		c.cmd("EHLO x", "250")
		c.cmd("MAIL FROM:<"+own+">", "250")
		c.cmd("RCPT TO:<"+other+">", want)
	}
}
