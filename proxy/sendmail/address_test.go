package sendmail

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"testing"
)

func TestAddressList(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"":                                   nil,
		"a@b.example":                        {"a@b.example"},
		" a@b.example , , c@d.example;":      {"a@b.example", "c@d.example"},
		"root":                               {"root"},
		"Taro Yamada <taro@a.example>":       {"taro@a.example"},
		`"a, b <x@y>" <c@d.example>`:         {"c@d.example"},
		`"a b"@c.example`:                    {`"a b"@c.example`},
		"a@b.example (comment, (nested) <>)": {"a@b.example"},
		"(c) a@[IPv6:::1]":                   {"a@[IPv6:::1]"},
		"g: a@b.example, c <d@e.example>;, f@g.example": {"a@b.example", "d@e.example", "f@g.example"},
		"undisclosed-recipients:;":                      nil,
		"<@relay.example,@b.example:c@d.example>":       {"c@d.example"},
		"<>":                               nil,
		`"quo\"ted, x" <a@b.example>`:      {"a@b.example"},
		"=?utf-8?q?a=2C_b?= <a@b.example>": {"a@b.example"},
		"日本@例え.example":                    {"日本@例え.example"},
	} {
		got, err := addressList(in)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"a b@c.example", "@b.example", "a@", "<a@b.example", `"a@b.example`, "(a@b.example", "a@b c", "a\r\nb@c", "/etc/passwd",
		"a@b.example c@d.example", "a@b@c.example", "x\x00@y", "\xff@y", "<a@:>", "<a@b:25>", "a@[1.2.3.4", "a@b]", strings.Repeat("x", maxAddress) + "@y.example"} {
		if got, err := addressList(in); err == nil {
			t.Errorf("%q: %q, want an error", in, got)
		}
	}
}

// FuzzAddressList compares with net/mail: what both read, they read alike, and
// no address could end a command line.
func FuzzAddressList(f *testing.F) {
	for _, s := range []string{"a@b.example", `"x, y" <a@b.example>, c@d.example`, "g: a@b.example;", "(c(d)) a@b", `"a\"b" <c@d>`, "a@[1.2.3.4]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		got, err := addressList(list)
		if err != nil {
			return
		}
		for _, a := range got {
			if strings.ContainsAny(a, "\r\n\x00") || a == "" {
				t.Fatalf("%q: %q", list, a)
			}
			if again, err := addressList(a); err != nil || len(again) != 1 || again[0] != a {
				t.Fatalf("%q reads as %q, %v", a, again, err)
			}
		}
		want, err := mail.ParseAddressList(list)
		if err != nil || strings.ContainsAny(list, `"\()=`) { // those net/mail rewrites
			return
		}
		var plain []string
		for _, w := range want {
			plain = append(plain, w.Address)
		}
		if fmt.Sprint(got) != fmt.Sprint(plain) {
			t.Fatalf("%q: %q, net/mail says %q", list, got, plain)
		}
	})
}
