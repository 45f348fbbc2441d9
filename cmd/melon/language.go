package main

import (
	_ "embed"
	"strings"

	"github.com/spf13/cobra"

	"melon/proxy/words"
)

//go:embed words.tsv
var table string

// say is a text of the table in the person's language.
func (c *cli) say(key string, args ...any) string { return c.inLanguage().Say(key, args...) }

// fail is an error that reads as a text of the table; cause may be nil.
func (c *cli) fail(cause error, key string, args ...any) error {
	return c.inLanguage().Error(cause, key, args...)
}

// inLanguage reads the table once: the command line is parsed when it is called.
func (c *cli) inLanguage() *words.Words {
	if c.words == nil {
		w := words.In(table, c.explainLanguage())
		c.words = &w
	}
	return c.words
}

// explainLanguage does without a configuration that cannot be read: the
// command is for people in trouble.
func (c *cli) explainLanguage() string {
	configured := ""
	if p, err := c.paths(); err == nil {
		if cfg, err := c.loadConfig(p); err == nil {
			configured = cfg.Language
		}
	}
	return c.language(configured)
}

// describe gives the commands their short descriptions: in English, which manual
// pages and completions have, and in the person's language when help is asked for.
func (c *cli) describe(root *cobra.Command) {
	describeAll(root, words.In(table, "en"))
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		w := *c.inLanguage()
		describeAll(root, w)
		headings := strings.NewReplacer(translations(w, "usage.headings", "usage.more")...)
		root.SetUsageTemplate(headings.Replace(root.UsageTemplate()))
		help(cmd, args)
	})
}

// describeAll describes a command and those below it. A long description, which
// there is in English alone, has the short one above it where that is not its
// language.
func describeAll(cmd *cobra.Command, w words.Words) {
	if key := "help." + cmd.CommandPath(); w.Has(key) {
		before := cmd.Short
		cmd.Short = w.Say(key)
		if cmd.Long != "" && before != "" && before != cmd.Short {
			cmd.Long = cmd.Short + "\n\n" + cmd.Long
		}
	}
	if !cmd.HasParent() {
		cmd.Long = w.Say("overview")
	}
	for _, sub := range cmd.Commands() {
		describeAll(sub, w)
	}
}

// translations are pairs of an English text and the one of w, of rows whose parts
// are between bars.
func translations(w words.Words, keys ...string) (pairs []string) {
	english := words.In(table, "en")
	for _, key := range keys {
		to := strings.Split(w.Say(key), "|")
		for i, from := range strings.Split(english.Say(key), "|") {
			pairs = append(pairs, from, to[i])
		}
	}
	return pairs
}
