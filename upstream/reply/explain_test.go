package reply

import (
	"strings"
	"testing"
	"unicode/utf8"

	"melon/upstream"
)

func allClasses() []upstream.Class {
	return append(upstream.ReplyClasses(), upstream.NetworkClasses()...)
}

// TestExplanationsAreWhole names every cell of the table that is missing or
// breaks its rules.
func TestExplanationsAreWhole(t *testing.T) {
	t.Parallel()
	retries := map[string]bool{RetryNever: true, RetryAfterPOP: true, RetryAfterAuth: true, RetryLater: true, RetryOtherAccount: true, RetryOtherPort: true}
	seen := map[upstream.Class]int{}
	for _, e := range explanations {
		seen[e.class]++
		if !retries[e.retry] {
			t.Errorf("%s: retry %q", e.class, e.retry)
		}
		if len(e.text) != len(Languages()) {
			t.Errorf("%s: %d languages, want %d", e.class, len(e.text), len(Languages()))
		}
		for _, lang := range Languages() {
			cell := e.text[lang]
			if len(cell.advice) == 0 {
				t.Errorf("%s, %s: no advice", e.class, lang)
			}
			for _, s := range append([]string{cell.summary}, cell.advice...) {
				checkSentence(t, e.class, lang, s)
			}
		}
		if n := len(e.text["en"].advice); n != len(e.text["ja"].advice) {
			t.Errorf("%s: %d pieces of advice in English, %d in Japanese", e.class, n, len(e.text["ja"].advice))
		}
	}
	for _, c := range allClasses() {
		if seen[c] != 1 {
			t.Errorf("%s has %d rows", c, seen[c])
		}
	}
	if len(explanations) != len(allClasses()) {
		t.Errorf("%d rows for %d classes", len(explanations), len(allClasses()))
	}
}

func checkSentence(t *testing.T, class upstream.Class, lang, s string) {
	t.Helper()
	switch {
	case s == "" || strings.TrimSpace(s) != s || strings.Contains(s, "\n"):
		t.Errorf("%s, %s: %q is no sentence", class, lang, s)
	case lang == "en" && !isASCII(s):
		t.Errorf("%s: %q is not ASCII", class, s)
	case lang == "en" && !strings.HasSuffix(s, "."):
		t.Errorf("%s: %q has no full stop", class, s)
	case lang == "ja" && (!strings.HasSuffix(s, "。") || !hasUnspaced(s)):
		t.Errorf("%s: %q is no Japanese sentence", class, s)
	case utf8.RuneCountInString(s) > maxLine:
		t.Errorf("%s, %s: %q is too long", class, lang, s)
	}
}

// TestNoPasswordIsBlamedForTheNetwork holds the promise in the table's own
// words: a password is named only where the server judged one.
func TestNoPasswordIsBlamedForTheNetwork(t *testing.T) {
	t.Parallel()
	about := map[upstream.Class]bool{
		upstream.ClassAuthRequired: true, upstream.ClassCredentialsRejected: true,
		upstream.ClassAppPasswordOrOAuthRequired: true, upstream.ClassPOPCredentialsRejected: true,
	}
	for _, c := range allClasses() {
		if about[c] {
			continue
		}
		for lang, word := range map[string]string{"en": "password", "ja": "パスワード"} {
			x := Explain(c, lang)
			all := strings.ToLower(x.Summary + " " + strings.Join(x.Advice, " "))
			for _, denial := range []string{"and your password are not the reason", "no password was given to it", "パスワードが原因ではありません"} {
				all = strings.ReplaceAll(all, denial, "")
			}
			if strings.Contains(all, word) {
				t.Errorf("%s, %s speaks of a password: %s", c, lang, all)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	en, ja := Explain(upstream.ClassGreylisted, "en"), Explain(upstream.ClassGreylisted, "ja")
	if en.Summary == ja.Summary || en.Retry != RetryLater || ja.Retry != RetryLater {
		t.Errorf("English %+v, Japanese %+v", en, ja)
	}
	for _, lang := range []string{"ja_JP.UTF-8", "JA", "ja-JP"} {
		if got := Explain(upstream.ClassGreylisted, lang).Summary; got != ja.Summary {
			t.Errorf("%q is explained as %q", lang, got)
		}
	}
	for _, lang := range []string{"", "auto", "fr", "C"} {
		if got := Explain(upstream.ClassGreylisted, lang).Summary; got != en.Summary {
			t.Errorf("%q is explained as %q", lang, got)
		}
	}
	if got, want := Explain("no-such-class", "en").Summary, Explain(upstream.ClassOther, "en").Summary; got != want {
		t.Errorf("an unknown class is explained as %q, want %q", got, want)
	}
	en.Advice[0] = "changed"
	if Explain(upstream.ClassGreylisted, "en").Advice[0] == "changed" {
		t.Error("the caller's change reached the table")
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	for _, c := range allClasses() {
		for _, lang := range Languages() {
			got := Line(&upstream.Error{Class: c}, lang)
			if none := c == upstream.ClassOther || c == upstream.ClassOK; (got == "") != none {
				t.Errorf("%s, %s: %q", c, lang, got)
			}
			if utf8.RuneCountInString(got) > maxLine || strings.ContainsAny(got, "\r\n") || lang == "en" && !isASCII(got) {
				t.Errorf("%s, %s: %q does not fit a reply line", c, lang, got)
			}
		}
	}
	if got := Line(nil, "en") + Line(&upstream.Error{}, "en"); got != "" {
		t.Errorf("nothing is explained as %q", got)
	}
	if got := Line(&upstream.Error{Class: upstream.ClassGreylisted}, "en"); !strings.Contains(got, Explain(upstream.ClassGreylisted, "en").Advice[0]) {
		t.Errorf("%q lacks the advice that fits", got)
	}
}
