package config

import (
	"net"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"melon/upstream"
)

// FuzzValues: what a configuration says is fit for what it is used for: names for
// command lines and addresses of pages, addresses for an envelope, servers for a
// dialler, and all of it for one line on a screen.
func FuzzValues(f *testing.F) {
	for _, v := range []string{"home", "..", "-x", "a/b", "\\e[31m", "\\u202e", "\\x7f", "\\0", "\\N", "a@b.example", "\\\"a b\\\"@c.example", "a@[1.2.3.4]", "[::1]", "smtp.x.example", "xn--a", "例え.example", "*@x", "A"} {
		f.Add(v, v, v, v)
		f.Add("home", v, "h.example", "u")
	}
	f.Fuzz(func(t *testing.T, name, address, host, user string) {
		q := func(s string) string { return `"` + s + `"` }
		c, err := Parse("c", []byte("accounts:\n  "+q(name)+": {address: "+q(address)+", username: "+q(user)+", smtp: {host: "+q(host)+"}, senders: ["+q(address)+"]}\n"))
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if strings.ContainsFunc(line, unicode.IsControl) {
					t.Errorf("%q", line)
				}
			}
			return
		}
		for _, a := range c.Accounts {
			for _, s := range append(a.Senders, a.Name, a.Address, a.Username, a.SMTP.Host) {
				if s == "" || hasControl(s) || strings.ContainsAny(s, "\u202e\u2066\r\n") {
					t.Errorf("%q", s)
				}
			}
			if u, err := url.Parse("/account/" + url.PathEscape(a.Name) + "/edit"); err != nil || u.JoinPath().Path != "/account/"+a.Name+"/edit" || strings.ContainsAny(a.Name, `/\`) {
				t.Errorf("the name %q cannot be part of a path", a.Name)
			}
			if strings.ContainsAny(a.Address, "<> ") || !strings.Contains(a.Address, "@") {
				t.Errorf("address %q", a.Address)
			}
			if host, port, err := net.SplitHostPort(upstream.Server{Host: a.SMTP.Host, Port: 25}.Addr()); err != nil || host != a.SMTP.Host || port != "25" {
				t.Errorf("host %q", a.SMTP.Host)
			}
		}
	})
}
