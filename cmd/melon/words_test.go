package main

import (
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"

	"melon/proxy/control/api"
	"melon/proxy/words"
)

// TestEverySentenceIsTranslated: whatever the commands say is in the table, and
// whatever is in the table is said, in both languages.
func TestEverySentenceIsTranslated(t *testing.T) {
	t.Parallel()
	problems, err := words.Check(table, ".", []string{"say", "Say", "fail", "Row", "row"}, []string{"help.", "usage.", "state."})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	w := words.In(table, "ja")
	for _, s := range []api.State{api.StateIdle, api.StateSending, api.StateWaiting, api.StateAttention, api.StateOffline, api.StatePaused} {
		if !w.Has("state." + string(s)) {
			t.Errorf("no word for the state %s", s)
		}
	}
	for _, s := range []api.AccountState{api.AccountReady, api.AccountSending, api.AccountAttention, api.AccountUnknown} {
		if !w.Has("state." + string(s)) {
			t.Errorf("no word for the account state %s", s)
		}
	}
}

// TestEveryCommandIsDescribed: each command has a row, and each row a command.
func TestEveryCommandIsDescribed(t *testing.T) {
	t.Parallel()
	c := &cli{getenv: func(string) string { return "" }}
	root := c.root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	w := words.In(table, "ja")
	described := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if w.Has("help." + cmd.CommandPath()) {
			described++
		} else if cmd.Parent().Name() != "completion" { // a shell a command, by cobra
			t.Errorf("%s is not described", cmd.CommandPath())
		}
		if cmd.Short == "" {
			t.Errorf("%s has no short description", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if rows := strings.Count(table, "\nhelp."); rows != described {
		t.Errorf("%d rows for %d commands", rows, described)
	}
}

// japanese reports a text with kana or kanji.
func japanese(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.In(r, unicode.Hiragana, unicode.Katakana, unicode.Han) })
}

// TestHelpInJapanese: descriptions and headings, by flag, whatever stands first.
func TestHelpInJapanese(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	for _, args := range [][]string{{"--lang", "ja"}, {"help", "--lang", "ja"}, {"account", "--help", "--lang", "ja"}} {
		out, errs, status := h.run(args...)
		if status != 0 || errs != "" {
			t.Errorf("%q: %d, %s", args, status, errs)
		}
		for _, want := range []string{"使い方:", "コマンド:", "オプション:", "melon", "示し"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q does not have %q:\n%s", args, want, out)
			}
		}
		for _, no := range []string{"Usage:", "Available Commands:", "Flags:", "for more information"} {
			if strings.Contains(out, no) {
				t.Errorf("%q has %q:\n%s", args, no, out)
			}
		}
	}
	out, _, _ := h.run("help", "doctor", "--lang", "ja")
	if first, rest, _ := strings.Cut(out, "\n"); !japanese(first) || !strings.Contains(rest, "Looks, side by side") {
		t.Errorf("help doctor:\n%s", out)
	}
	if out, _, _ := h.run("help"); japanese(out) || !strings.Contains(out, "Usage:") || !strings.Contains(out, "say what the relay is doing") {
		t.Errorf("in English:\n%s", out)
	}
}
