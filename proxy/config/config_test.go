package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"melon/upstream"
)

func TestWhole(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	const name = "testdata/whole.yaml"
	c, err := Parse(name, data)
	if err != nil {
		t.Fatal(err)
	}
	last := defaultAccount("last")
	last.Address, last.Username, last.SMTP.Host, last.Trust.Insecure = "a@last.example", "a@last.example", "h", true
	want := &Config{
		File: name,
		Listen: Listen{
			SMTP: []string{"127.0.0.1:2525", "[::1]:2525", "localhost:0", "192.0.2.1:25"}, SMTPS: []string{"[::]:465"},
			StartTLS: true, Login: LoginRequired, Password: upstream.SecretRef{Env: "MELON_TEST_LOCAL"},
			Allow: AllowAnyLocal, MaxMessage: 50 << 20,
		},
		Accounts: []upstream.Account{{
			Name: "home", Address: "taro@provider-a.example", Senders: []string{"*@provider-a.example", "*"},
			Username: "0123", Password: upstream.SecretRef{Keyring: "home"}, Auth: upstream.AuthPOPBeforeSMTP,
			SMTP: upstream.Server{Host: "smtp.provider-a.example", Port: 587, Security: upstream.SecurityStartTLS},
			POP: upstream.POPServer{
				Server:   upstream.Server{Host: "2001:db8::1", Port: 995, Security: upstream.SecurityTLS},
				Username: "taro tanaka", Password: upstream.SecretRef{Command: []string{"pass", "show", "x"}},
			},
			PopBeforeSMTP: upstream.PopBeforeSMTP{Window: 10 * time.Minute, Finish: "quit", Settle: 1500 * time.Millisecond},
			Trust: upstream.Trust{
				CA: filepath.Join(dir, "ca.pem"), Pins: []string{"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
				ServerName: "a_b.例え.example", LegacyTLS: true,
			},
			AllowPlaintext: true, EnvelopeFromAccount: true, Fallback: []string{"other"}, Connections: 8,
		}, {
			Name: "other", Address: "jiro@[192.0.2.1]", Username: "jiro@[192.0.2.1]",
			Password: upstream.SecretRef{File: filepath.Join(home, "secret")}, Auth: upstream.AuthAuto,
			SMTP: upstream.Server{Host: "localhost", Security: upstream.SecurityAuto},
			POP: upstream.POPServer{
				Server:   upstream.Server{Host: "pop.b.example", Security: upstream.SecurityAuto},
				Username: "jiro@[192.0.2.1]", Password: upstream.SecretRef{File: filepath.Join(home, "secret")},
			},
			PopBeforeSMTP: upstream.PopBeforeSMTP{Window: 5 * time.Minute, Finish: "login"},
			OAuth: upstream.OAuth{
				Provider: "example", ClientID: "1", ClientSecret: upstream.SecretRef{File: filepath.Join(filepath.Dir(dir), "s")},
				Tenant: "t", Scopes: []string{"a", "b"}, AuthURL: "https://x.example/a", TokenURL: "http://127.0.0.1:8080/t", DeviceURL: "http://[::1]/d",
			},
		}, last},
		Default: "home",
		Networks: []Network{{
			Name: "hotel", Subnets: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("2001:db8::/64")},
			Gateways: []netip.Addr{netip.MustParseAddr("10.20.0.1")}, SSIDs: []string{"HKO*"}, Interfaces: []string{"wlan*"},
		}},
		Routes: []Route{
			{From: "*@work.example", To: "*", Network: "hotel", Account: "other"},
			{To: "a@b.example", Account: "home"},
		},
		Delivery: DeliveryQueue,
		Outbox:   Outbox{Retry: []time.Duration{30 * time.Second, time.Hour}, Expire: 48 * time.Hour},
		Log:      Log{Level: "trace", File: filepath.Join(dir, "melon.log")},
		Language: "ja",
	}
	c.uses = nil
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// TestGood is what must be taken although it is unusual.
func TestGood(t *testing.T) {
	t.Parallel()
	const account = "{address: a@a.example, smtp: {host: h}"
	for name, data := range map[string]string{
		"nothing":                          "",
		"remarks alone":                    "# x\n\n   # y\n",
		"a document mark":                  "---\nlanguage: en\n...\n",
		"null":                             "~\n",
		"a mark of UTF-8":                  "\ufefflanguage: en\n",
		"CRLF":                             "listen:\r\n  starttls: true\r\n",
		"all commented out":                "listen:\n  # smtp: []\ncontrol:\naccounts:\nnetworks:\nroutes:\noutbox:\nlog:\n",
		"no listener":                      "listen: {smtp: [], smtps: []}\n",
		"tabs behind values":               "language: en\t# x\n",
		"web with a free port":             "control: {web: '[::1]:0'}\n",
		"names":                            "accounts: {自宅: " + account + "}, taro@a.example: " + account + "}, 'on': " + account + "}, 1: " + account + "}}\ndefault: 1\n",
		"no password":                      "accounts: {a: " + account + "}}",
		"POP opens a clear SMTP":           "accounts: {a: {address: a@a.example, smtp: {host: h, security: none}, pop: {host: p}, password: {keyring: x}}}",
		"SMTP in clear without a password": "accounts: {a: {address: a@a.example, smtp: {host: h, security: none}}}",
		"scram in clear":                   "accounts: {a: {address: a@a.example, smtp: {host: h, security: none}, auth: scram-sha-256, password: {keyring: x}}}",
		"POP by sign-in":                   "accounts: {a: " + account + ", pop: {host: p}, oauth: {provider: Google}}}",
		"a token":                          "accounts: {a: " + account + ", auth: xoauth2, password: {command: [token]}}}",
		"sizes":                            "listen: {max_message: 1000000}\n",
		"a match-all route":                "accounts: {a: " + account + "}}\nroutes: [{from: '*', account: a}]\n",
		"zero settle":                      "accounts: {a: " + account + ", pop: {host: p}, password: {env: X}, pop_before_smtp: {settle: 0s}}}",
		"beyond loopback":                  "listen: {smtps: ['0.0.0.0:465'], login: required, password: {keyring: x}}\n",
	} {
		if _, err := Parse("config.yaml", []byte(data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, err := Parse("", nil)
	if err != nil || !reflect.DeepEqual(c, Defaults()) {
		t.Errorf("got %+v, %v", c, err)
	}
	want := Listen{
		SMTP: []string{"127.0.0.1:2525", "[::1]:2525"}, SMTPDefault: true,
		Login: LoginOptional, Allow: AllowSameUser, MaxMessage: 100_000_000,
	}
	if !reflect.DeepEqual(c.Listen, want) || c.Control.Web != "127.0.0.1:2580" || c.Delivery != DeliveryLive ||
		c.Outbox.Expire != 120*time.Hour || c.Outbox.History != 1000 || len(c.Outbox.Retry) != 6 || c.Log.Level != "info" || c.Language != "auto" {
		t.Errorf("got %+v", c)
	}
}

func TestWithFallback(t *testing.T) {
	t.Parallel()
	c, err := Parse("c", []byte(`accounts:
  a: {address: a@a.example, smtp: {host: h}, fallback: [c, b]}
  b: {address: b@a.example, smtp: {host: h}, fallback: [a]}
  c: {address: c@a.example, smtp: {host: h}}
`))
	if err != nil {
		t.Fatal(err)
	}
	names := func(all []upstream.Account) string {
		s := ""
		for _, a := range all {
			s += a.Name
		}
		return s
	}
	for name, want := range map[string]string{"A": "acb", "b": "ba", "c": "c", "d": "", "": ""} {
		if got := names(c.WithFallback(name)); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestTooManyProblems(t *testing.T) {
	t.Parallel()
	_, err := Parse("c", []byte(strings.Repeat("x: 1\n", 5000)))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != maxProblems || problems[maxProblems-1].Sentence != "4901 more problems: mend those above first" {
		t.Errorf("%d problems, the last %v", len(problems), problems[len(problems)-1])
	}
}

func TestManyAccounts(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("accounts:\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "  a%d: {address: a@a.example, smtp: {host: h}}\n", i)
	}
	_, err := Parse("c", []byte(b.String()))
	if err == nil || err.Error() != "c:502:3: more than 500 accounts are here: take out this one and all below" {
		t.Errorf("got %v", err)
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"smtp", "smtps", "starttls", "username", "password", "to", "from", "pop_before_smtp"}
	for in, want := range map[string]string{
		"SMTP": "smtp", "stmp": "smtp", "smtpss": "smtps", "starttl": "starttls", "user": "username", "pasword": "password",
		"pasworrd": "password", "pwd": "", "x": "", "t": "to", "form": "from", "pop-before-smtp": "pop_before_smtp",
		"popbeforesmtp": "pop_before_smtp", "": "", strings.Repeat("a", 1000): "",
	} {
		if got := nearest(in, known); got != want {
			t.Errorf("nearest(%.20q) = %q, want %q", in, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"メロン", "メロ", 1}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// FuzzParse holds that any file ends in a Config or in problems with places.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "testdata/whole.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("c", data)
		var problems Problems
		switch {
		case err == nil && c != nil:
			for _, a := range c.Accounts {
				if a.Username == "" || a.SMTP.Host == "" || len(c.WithFallback(a.Name)) != 1+len(a.Fallback) {
					t.Errorf("not filled in: %+v", a)
				}
			}
		case !errors.As(err, &problems) || len(problems) == 0 || c != nil:
			t.Fatalf("%v, %v", c, err)
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines || p.Column < 1 || strings.ContainsAny(p.Sentence, "\n\r\x00") {
				t.Errorf("%+v of %d lines", p, lines)
			}
		}
	})
}

func TestShortDuration(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0s": 0, "10m": 10 * time.Minute, "2h": 2 * time.Hour, "1h30m": 90 * time.Minute, "1h0m5s": time.Hour + 5*time.Second,
		"20m": 20 * time.Minute, "100h": 100 * time.Hour, "1.5s": 1500 * time.Millisecond, "10s": 10 * time.Second,
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if again, err := parseDuration(want); err != nil || again != d {
			t.Errorf("%s is read as %v, %v", want, again, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:25": true, "127.9.9.9:0": true, "[::1]:25": true, "localhost:25": true, "[::ffff:127.0.0.1]:25": true,
		":25": false, "0.0.0.0:25": false, "[::]:25": false, "192.0.2.1:25": false, "localhost.example:25": false, "127.0.0.1": false, "": false,
	} {
		if got := Loopback(address); got != want {
			t.Errorf("Loopback(%q) = %v", address, got)
		}
	}
}
func TestFreeName(t *testing.T) {
	t.Parallel()
	cfg := Defaults()
	for _, want := range []string{"provider-a", "provider-a-2", "provider-a-3"} {
		got := cfg.FreeName("taro@provider-a.example")
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
		cfg.Accounts = append(cfg.Accounts, upstream.Account{Name: got})
	}
	for in, want := range map[string]string{"x@例え.example": "account", "x": "account", "x@-a.example": "a", "x@A1.example": "a1"} {
		if got := Defaults().FreeName(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
