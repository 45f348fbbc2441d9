package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"melon/upstream"
)

// hand is a file as a person keeps it: remarks everywhere, odd spacing, flow
// and block mixed.
const hand = `# My mail.   Do not touch!

listen:   # apps
  smtp: [ "127.0.0.1:0" ,   # any
          "[::1]:0" ]

# ---- accounts ----
accounts:
  # the old one
  home:             # since 1999
    address:   taro@a.example   # mine
    senders: ['it''s@a.example', "b\"@a.example"]
    password: {keyring: home}
    # smtp is slow in the evening
    smtp: {host: smtp.a.example, port: 0}   # port 0: any
    pop:
      host: pop.a.example
      # port: 110

      security: auto
    # pop_before_smtp: {window: 10m}

  # the new one
  work:
    address: taro@work.example
    password: {keyring: work}
    smtp: {host: smtp.work.example}
    fallback: [home]
    # that is all of work

# ---- the rest ----
default: home   # for now

routes:
- {from: "*@work.example", account: work}

# the end
`

func TestEdit(t *testing.T) {
	t.Parallel()
	third := upstream.Account{
		Name: "third", Address: "jiro@c.example", Password: upstream.SecretRef{Keyring: "third"},
		SMTP: upstream.Server{Host: "smtp.c.example", Port: 587},
	}
	const thirdLines = "  third:\n    address: jiro@c.example\n    password: {keyring: third}\n    smtp: {host: smtp.c.example, port: 587}\n"
	type swap struct{ old, new string }
	for _, c := range []struct {
		name, before string
		do           func(path string) error
		swaps        []swap // what changes in before, and nothing else
	}{
		{"scalar", hand, set("home", Field{"address", "taro@b.example"}), []swap{{"taro@a.example   # mine", "taro@b.example   # mine"}}},
		{"scalar in flow", hand, set("home", Field{"smtp.port", 465}), []swap{{"port: 0}   #", "port: 465}   #"}}},
		{"scalar in block", hand, set("home", Field{"pop.security", upstream.SecurityTLS}), []swap{{"      security: auto\n", "      security: tls\n"}}},
		{"quoted list", hand, set("HOME", Field{"senders", []string{"*@b.example", "x@b.example"}}),
			[]swap{{`['it''s@a.example', "b\"@a.example"]`, `["*@b.example", x@b.example]`}}},
		{"new in flow", hand, set("home", Field{"smtp.security", "tls"}), []swap{{"port: 0}   #", "port: 0, security: tls}   #"}}},
		{"new in block", hand, set("home", Field{"pop.username", "taro"}),
			[]swap{{"      security: auto\n", "      security: auto\n      username: taro\n"}}},
		{"new at the end of an account", hand, set("work", Field{"allow_plaintext", true}),
			[]swap{{"    fallback: [home]\n", "    fallback: [home]\n    allow_plaintext: true\n"}}},
		{"new section", hand, set("home", Field{"pop_before_smtp.window", 90 * time.Minute}),
			[]swap{{"      security: auto\n", "      security: auto\n    pop_before_smtp: {window: 1h30m}\n"}}},
		{"section in place of one", hand, set("work", Field{"smtp", "x"}), nil},
		{"several", hand, set("work", Field{"auth", "plain"}, Field{"fallback", nil}, Field{"password", upstream.SecretRef{Command: []string{"pass", "show", "a b"}}}),
			[]swap{{"    fallback: [home]\n", "    auth: plain\n"}, {"{keyring: work}", `{command: [pass, show, "a b"]}`}}},
		{"take out of flow, last", hand, set("home", Field{"smtp.port", nil}), []swap{{", port: 0}", "}"}}},
		{"take out of block", hand, set("home", Field{"pop.security", nil}), []swap{{"      security: auto\n", ""}}},
		{"take out a section", hand, set("home", Field{"pop", nil}),
			[]swap{{"    pop:\n      host: pop.a.example\n      # port: 110\n\n      security: auto\n", ""}}},
		{"take out what is not there", hand, set("home", Field{"oauth.tenant", nil}, Field{"trust", nil}), nil},
		{"default", hand, func(p string) error { return SetDefault(p, "work") }, []swap{{"default: home   #", "default: work   #"}}},
		{"no default", hand, func(p string) error { return SetDefault(p, "") }, []swap{{"default: home   # for now\n", ""}}},
		{"add", hand, func(p string) error { return AddAccount(p, third) },
			[]swap{{"    # that is all of work\n", "    # that is all of work\n\n" + thirdLines}}},
		{"remove", hand, func(p string) error { return RemoveAccount(p, "Home") }, []swap{
			{hand[strings.Index(hand, "  home: "):strings.Index(hand, "\n  # the new one")], ""},
			{"    fallback: [home]\n", ""}, {"default: home   # for now\n", ""}}},
		{"add to nothing", "", func(p string) error { return AddAccount(p, third) }, []swap{{"", "accounts:\n" + thirdLines}}},
		{"add to remarks", "# mine", func(p string) error { return AddAccount(p, third) }, []swap{{"# mine", "# mine\naccounts:\n" + thirdLines}}},
		{"add to an empty section", "accounts:   # none\n# x\nlanguage: en\n", func(p string) error { return AddAccount(p, third) },
			[]swap{{"# none\n", "# none\n" + thirdLines}}},
		{"add to empty brackets", "accounts: {}\n", func(p string) error { return AddAccount(p, third) },
			[]swap{{"{}", "{third: {address: jiro@c.example, password: {keyring: third}, smtp: {host: smtp.c.example, port: 587}}}"}}},
		{"add behind other settings, no line end", "language: en", func(p string) error { return AddAccount(p, third) },
			[]swap{{"en", "en\naccounts:\n" + thirdLines}}},
		{"add with CRLF", "language: en\r\n# x\r\n", func(p string) error { return AddAccount(p, third) },
			[]swap{{"en\r\n", "en\r\n" + strings.ReplaceAll("accounts:\n"+thirdLines, "\n", "\r\n")}}},
		{"add with a mark of UTF-8", "\ufefflanguage: en\n", func(p string) error { return AddAccount(p, third) },
			[]swap{{"en\n", "en\naccounts:\n" + thirdLines}}},
		{"all in brackets", "{language: en, accounts: {a: {address: a@a.example, smtp: {host: h},}, }, default: a}",
			func(p string) error { return errors.Join(AddAccount(p, third), RemoveAccount(p, "a")) },
			[]swap{{"{language: en, accounts: {a: {address: a@a.example, smtp: {host: h},}, }, default: a}",
				"{language: en, accounts: {third: {address: jiro@c.example, password: {keyring: third}, smtp: {host: smtp.c.example, port: 587}}, }}"}}},
		{"remove the only one", "accounts:\n  third: {address: a@a.example, smtp: {host: h}}\n# x\n", func(p string) error { return RemoveAccount(p, "third") },
			[]swap{{"  third: {address: a@a.example, smtp: {host: h}}\n", ""}}},
		{"a value of two lines", "accounts:\n  a:\n    address: a@a.example\n    smtp: {host: \"h\\\n       h\"}\n", set("a", Field{"smtp.host", "x"}),
			[]swap{{"\"h\\\n       h\"", "x"}}},
		{"wide characters in front", "accounts: {メロン: {address: あ@a.example, smtp: {host: h}}}\n", set("メロン", Field{"smtp.host", "x.example"}),
			[]swap{{"host: h", "host: x.example"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, c.before)
			err := c.do(path)
			want := c.before
			for _, s := range c.swaps {
				if strings.Count(want, s.old) != 1 && s.old != "" {
					t.Fatalf("%q is not there once", s.old)
				}
				want = strings.Replace(want, s.old, s.new, 1)
			}
			if (err != nil) != (c.name == "section in place of one") {
				t.Fatal(err)
			}
			if got := read(t, path); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if _, err := Load(path); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEditRefused holds that nothing is written when an edit is refused.
func TestEditRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, before string
		do           func(path string) error
		want         string
	}{
		{"a value that is wrong", hand, set("home", Field{"smtp.port", 70000}), "write a whole number"},
		{"a setting that there is not", hand, set("home", Field{"pasword", "x"}), "did you mean password"},
		{"a secret in clear", hand, set("home", Field{"password", "hunter2"}), "must not be in this file itself"},
		{"a line end", hand, set("home", Field{"smtp.host", "a\nb"}), "control character"},
		{"bytes", hand, set("home", Field{"username", "\xff"}), "not UTF-8"},
		{"a value of no kind", hand, set("home", Field{"username", 1.5}), "has no place in the file"},
		{"no secret", hand, set("home", Field{"password", upstream.SecretRef{}}), "names no place"},
		{"an account that a route needs", hand, func(p string) error { return RemoveAccount(p, "work") }, `routes.account names the account "work"`},
		{"an unknown account", hand, set("hom", Field{"auth", "plain"}), `there is no account "hom": there are home, work`},
		{"an unknown account to remove", "", func(p string) error { return RemoveAccount(p, "x") }, "there is none at all"},
		{"an unknown default", hand, func(p string) error { return SetDefault(p, "x") }, "there is no account"},
		{"an account that is there", hand, func(p string) error { return AddAccount(p, upstream.Account{Name: "Home"}) }, "there is an account home already"},
		{"an account without a server", hand, func(p string) error {
			return AddAccount(p, upstream.Account{Name: "x", Address: "a@a.example"})
		}, "has no server to send by"},
		{"a name with a blank", hand, func(p string) error { return AddAccount(p, upstream.Account{Name: "a: b"}) }, "the name of an account cannot be"},
		{"a file with faults", "lisen: {}\n", func(p string) error { return AddAccount(p, upstream.Account{Name: "x"}) }, "did you mean listen"},
		{"a block of text", "log:\n  level: |-\n    info\ndefault: home\naccounts: {home: {address: a@a.example, smtp: {host: h}, username: x}}\n",
			func(p string) error { return SetDefault(p, "") }, ""},
		{"a value that goes on", "accounts:\n  a:\n    address: a@a.example\n    username: taro\n      tanaka\n    smtp: {host: h}\n", set("a", Field{"username", "x"}),
			"change it by hand"},
		{"a question mark", "? accounts\n: home: {address: a@a.example, smtp: {host: h}}\n", func(p string) error {
			return RemoveAccount(p, "home")
		}, "change it by hand"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := write(t, c.before)
			err := c.do(path)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if got := read(t, path); got != c.before {
				t.Errorf("the file was changed:\n%s", got)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// TestAddAccountTellsAll holds that an account with every setting is the same
// once it was written and read.
func TestAddAccountTellsAll(t *testing.T) {
	t.Parallel()
	full := upstream.Account{
		Name: "full", Address: "taro@a.example", Senders: []string{"*@a.example", "jiro@b.example"},
		Username: "007", Password: upstream.SecretRef{File: filepath.Join(t.TempDir(), "a b")}, Auth: upstream.AuthLogin,
		SMTP: upstream.Server{Host: "2001:db8::1", Port: 2525, Security: upstream.SecurityStartTLS},
		POP: upstream.POPServer{
			Server:   upstream.Server{Host: "pop.a.example", Port: 110, Security: upstream.SecurityTLS},
			Username: "true", Password: upstream.SecretRef{Command: []string{"pass", "show", "#x: {y}"}},
		},
		PopBeforeSMTP:  upstream.PopBeforeSMTP{Window: 10 * time.Minute, Finish: "stat", Hold: true, Settle: 1500 * time.Millisecond},
		Trust:          upstream.Trust{CA: filepath.Join(t.TempDir(), "ca.pem"), Pins: []string{"sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, ServerName: "x.example", LegacyTLS: true},
		AllowPlaintext: true, EnvelopeFromAccount: true, Fallback: []string{"small"},
		OAuth: upstream.OAuth{
			Provider: "mine", ClientID: "1.0", ClientSecret: upstream.SecretRef{Env: "X"}, Tenant: "common", Scopes: []string{"https://x.example/", "offline"},
			AuthURL: "https://x.example/a", TokenURL: "https://x.example/t", DeviceURL: "https://x.example/d",
		},
	}
	small := defaultAccount("small")
	small.Address, small.Username, small.SMTP.Host = "s@a.example", "s@a.example", "h"
	path := filepath.Join(t.TempDir(), "new", "dir", "config.yaml")
	for _, a := range []upstream.Account{small, full} {
		if err := AddAccount(path, a); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := []upstream.Account{small, full}; !reflect.DeepEqual(c.Accounts, want) {
		t.Errorf("got  %+v\nwant %+v", c.Accounts, want)
	}
	if runtime.GOOS != "windows" {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	}
}

func TestReplaceFileSeesOthers(t *testing.T) {
	t.Parallel()
	path := write(t, "language: ja\n")
	if err := replaceFile(path, []byte("language: en\n"), []byte("x"), 0o600); !errors.Is(err, errChanged) {
		t.Errorf("got %v", err)
	}
	if got := read(t, path); got != "language: ja\n" {
		t.Errorf("got %q", got)
	}
}

// FuzzEdit holds that an edit of any file that loads is refused or changes what
// it should and nothing else (which splice itself verifies), and loads.
func FuzzEdit(f *testing.F) {
	f.Add(hand, "x.example")
	f.Add("accounts:\n  home: {address: a@a.example, smtp: {host: h, }, }\n", "h2")
	f.Add("{accounts: {home: {smtp: {'host': \"h\" }, address: a@a.example}}}", "[x]")
	f.Add("accounts:\n home:\n  smtp:\n   host: h # x\n  address: 'a@a.example'\n\n#x\n", "é")
	f.Fuzz(func(t *testing.T, file, host string) {
		c, err := Parse("config.yaml", []byte(file))
		if err != nil {
			return
		}
		text, err := render(host)
		if err != nil {
			return
		}
		if _, err := Parse("x", []byte("accounts: {a: {address: a@a.example, smtp: {host: "+text+"}}}")); err != nil {
			return // no host
		}
		changes := []change{{path: []string{"log", "level"}, to: piece{text: "debug"}}, {path: []string{"default"}}}
		for _, a := range c.Accounts {
			changes = append(changes, change{path: []string{"accounts", a.Name, "smtp", "host"}, to: piece{text: text}})
		}
		out, err := splice("config.yaml", []byte(file), changes)
		if err != nil {
			return
		}
		after, err := Parse("config.yaml", out)
		if err != nil {
			t.Fatalf("%v\n%s\nbecame\n%s", err, file, out)
		}
		for _, a := range after.Accounts {
			if a.SMTP.Host != host {
				t.Errorf("host %q, want %q", a.SMTP.Host, host)
			}
		}
		if after.Log.Level != "debug" || after.Default != "" || len(after.Accounts) != len(c.Accounts) {
			t.Errorf("%+v", after)
		}
		for _, line := range strings.Split(file, "\n") {
			if strings.HasPrefix(line, "#") && !strings.Contains(string(out), line) && !strings.Contains(file, "default") {
				t.Errorf("the remark %q is gone", line)
			}
		}
	})
}

func set(name string, fields ...Field) func(string) error {
	return func(path string) error { return SetAccount(path, name, fields...) }
}

// write makes a configuration file for one test.
func write(t *testing.T, data string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
