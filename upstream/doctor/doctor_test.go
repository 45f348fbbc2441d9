package doctor

import (
	"testing"

	"melon/upstream"
	"melon/upstream/lab"
)

func TestOK(t *testing.T) {
	t.Run("login", func(t *testing.T) {
		examine(t, lab.Options{}, func(c *clinic) {
			r := c.want(upstream.ClassOK)
			c.check(r, "network", StatusOK, "wlan0 (Hotel), 192.0.2.77 via 192.0.2.1")
			c.check(r, "portal", StatusOK, "")
			c.check(r, "dns-smtp", StatusOK, provider4)
			c.check(r, "dns-honest", StatusOK, "")
			c.check(r, "clock", StatusOK, "")
			c.check(r, "vpn", StatusOK, "wlan0")
			c.check(r, "pop-110", StatusOK, "+OK")
			c.check(r, "smtp-587", StatusOK, "220 mail.provider-a.example")
			c.check(r, "smtp-465", StatusOK, "TLS 1.3")
			c.check(r, "smtp-25", StatusSkip, "refuses")
			c.check(r, "identity", StatusOK, "certificate")
			c.check(r, "certificate", StatusOK, "Provider A Root")
			c.check(r, "login-smtp", StatusOK, "PLAIN")
			c.check(r, "login-pop", StatusOK, "")
			c.check(r, "same-address", StatusOK, laptop4)
			c.check(r, "relay", StatusOK, DefaultOutside)
			if n := c.provider.Count(lab.SMTPProto, "RSET"); n != 1 {
				t.Errorf("%d RSET, want 1", n)
			}
			if n := c.provider.Count(lab.SMTPProto, "QUIT"); n != 3 { // two ports, one trial
				t.Errorf("%d QUIT, want 3", n)
			}
		})
	})
	t.Run("pop before smtp", func(t *testing.T) {
		examine(t, lab.Options{Rules: lab.Rules{PBS: lab.PBS{Window: 600e9}}}, func(c *clinic) {
			c.opts.Account.Auth = upstream.AuthPOPBeforeSMTP
			r := c.want(upstream.ClassOK)
			c.check(r, "relay", StatusOK, "After the POP login the relay is open")
		})
	})
}
