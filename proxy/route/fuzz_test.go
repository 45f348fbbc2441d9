package route

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"melon/proxy/config"
	"melon/upstream"
)

// FuzzMatch compares patterns with regular expressions, and holds that an address
// is owned in either spelling of its domain, and by a pattern only where that says
// something.
func FuzzMatch(f *testing.F) {
	for _, p := range []string{"*", "*@work.example", "a*b*c", "**a**", "", "taro", "*@*", "A@XN--R8JZ45G.EXAMPLE", "*@例え.example", "+*"} {
		for _, s := range []string{"", "taro@work.example", "aXbXbXc", "a@例え.example", "a@xn--r8jz45g.example", "*", "TARO@WORK.example"} {
			f.Add(p, s)
		}
	}
	f.Add(strings.Repeat("*a", 30), strings.Repeat("a", 200)+"b")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(s) {
			return
		}
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want := regexp.MustCompile(`(?s)\A` + strings.Join(parts, ".*") + `\z`).MatchString(s)
		if got := match(pattern, s); got != want {
			t.Errorf("match(%q, %q) = %v", pattern, s, got)
		}
		if again := fold(fold(s)); again != fold(s) {
			t.Errorf("%q folds to %q, and that to %q", s, fold(s), again)
		}
		cfg := config.Defaults()
		cfg.Accounts = []upstream.Account{{Name: "home", Address: "me@here.example", Senders: []string{pattern}}}
		owns := New(cfg).Owns("home", s)
		if owns && (s == "" || strings.Trim(fold(pattern), "*@") == "" && fold(s) != "me@here.example") {
			t.Errorf("%q owns %q", pattern, s)
		}
		if owns != New(cfg).Owns("home", fold(s)) || New(cfg).Owns("other", s) {
			t.Errorf("%q and %q are not the same to %q", s, fold(s), pattern)
		}
	})
}
