package words

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const table = "# remark\na\tOne %[1]s\\nof %[2]d\t%[2]d 個のうち\\n%[1]s\n\nb\tTwo\t二\n"

func TestSay(t *testing.T) {
	t.Parallel()
	for lang, want := range map[string]string{"en": "One x\nof 3", "ja": "3 個のうち\nx", "fr": "One x\nof 3"} {
		w := In(table, lang)
		if got := w.Say("a", "x", 3); got != want {
			t.Errorf("%s: %q", lang, got)
		}
		if got := w.Say("none"); got != "none" || w.Has("none") || !w.Has("b") {
			t.Errorf("%s: %q", lang, got)
		}
	}
}

func TestErrorsKeepTheirCause(t *testing.T) {
	t.Parallel()
	w := In(table, "ja")
	if err := w.Error(os.ErrNotExist, "b"); err.Error() != "二" || !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := w.Error(nil, "b"); err.Error() != "二" || errors.Unwrap(err) != nil {
		t.Error(err)
	}
}

func TestRow(t *testing.T) {
	t.Parallel()
	for lang, want := range map[string]string{"en": "  Two        x\n", "ja": "  二         x\n"} {
		if got := In(table, lang).Row("b", "x"); got != want {
			t.Errorf("%s: %q", lang, got)
		}
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	got := Columns([][]string{{"NAME", "STATE"}, {"a（既定）", "停止中"}, {"b", "x"}})
	if want := "NAME       STATE\na（既定）  停止中\nb          x\n"; got != want {
		t.Errorf("%q", got)
	}
}

func TestPad(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"a": "a   |", "送信": "送信|", "送": "送  |", "アカウント": "アカウント|", "": "    |"} {
		if got := Pad(in, 4) + "|"; got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestCheckFindsEachFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src := "package x\nfunc f() { say(\"a\"); w.Say(\"missing\"); other(\"b\") }\n"
	if err := os.WriteFile(filepath.Join(dir, "x.go"), []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		table string
		want  []string // part of each problem, in order
	}{
		{table, []string{`nothing says "b"`, `no "missing"`}},
		{"a\tx\t\nmissing\tx\tエ\n", []string{"an empty one"}},
		{"a\tx %[1]s\tエ\nmissing\tx\tエ\n", []string{"fill in"}},
		{"a\tx %s\tエ %s\nmissing\tx\tエ\n", []string{"none of"}},
		{"a\tx\\n\tエ\nmissing\tx\tエ\n", []string{"line end"}},
		{"a\tsame\tsame\nmissing\tx\tエ\n", []string{"not translated"}},
		{"a\tx\tエ\na\tx\tエ\nmissing\tx\tエ\n", []string{"already"}},
		{"a\tx\tエ\nmissing\tx\tエ\nput.one\tx\tエ\n", nil},
	} {
		got, err := Check(c.table, dir, []string{"say", "Say"}, []string{"put."})
		if err != nil {
			t.Fatal(err)
		}
		ok := len(got) == len(c.want)
		for _, want := range c.want {
			ok = ok && slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, want) })
		}
		if !ok {
			t.Errorf("%q: %q, want %q", c.table, got, c.want)
		}
	}
}
