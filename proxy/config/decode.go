package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"melon/upstream"
)

// maxShown bounds how much of a wrong value a sentence repeats.
const maxShown = 60

// decoder walks YAML nodes and collects problems; it never stops at one. Its
// methods that take a what name the setting by its whole path, such as
// "accounts.home.smtp.host".
type decoder struct {
	name     string // the file as given
	dir      string // where relative paths begin
	home     string // the home directory, "" when unknown
	problems Problems
	uses     []use
}

// fail notes a problem at n.
func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	d.problems = append(d.problems, d.problemAt(n, fmt.Sprintf(format, args...)))
}

func (d *decoder) problemAt(n *yaml.Node, sentence string) Problem {
	return Problem{File: d.name, Line: max(n.Line, 1), Column: max(n.Column, 1), Sentence: sentence}
}

// field is one key that a section may have, and what to do with its value.
type field struct {
	key string
	set func(n *yaml.Node)
}

// entry is one key of the file with its value.
type entry struct{ key, val *yaml.Node }

// section is what the file has of one mapping.
type section map[string]entry

// at returns the value of a key, or else the node to blame for its absence.
func (s section) at(key string, or *yaml.Node) *yaml.Node {
	if e, ok := s[key]; ok {
		return e.val
	}
	return or
}

func (s section) has(key string) bool { _, ok := s[key]; return ok }

// section reads a mapping whose keys are known. An empty value is an empty
// mapping: a section whose lines are all commented out.
func (d *decoder) section(n *yaml.Node, what string, known []field) section {
	set := make(map[string]func(*yaml.Node), len(known))
	names := make([]string, len(known))
	for i, f := range known {
		set[f.key], names[i] = f.set, f.key
	}
	return d.mapping(n, what, fmt.Sprintf("{%s: …}", names[0]), func(e entry) {
		if f, ok := set[e.key.Value]; ok {
			f(e.val)
			return
		}
		d.fail(e.key, "%s", unknownKey(e.key.Value, what, names))
	})
}

// mapping reads a mapping with any keys, once each.
func (d *decoder) mapping(n *yaml.Node, what, example string, each func(entry)) section {
	if isNull(n) || n.Kind == yaml.AliasNode {
		return section{}
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s must hold settings, such as %s, and not %s", orTop(what), example, kindOf(n))
		return section{}
	}
	s := section{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := entry{n.Content[i], n.Content[i+1]}
		switch first, twice := s[e.key.Value]; {
		case e.key.Kind == yaml.AliasNode || e.key.Tag == "!!merge":
			continue // reported by refuseAnchors
		case e.key.Kind != yaml.ScalarNode:
			d.fail(e.key, "a key must be a word, and not %s", kindOf(e.key))
			continue
		case twice:
			d.fail(e.key, "%s is here twice, first in line %d: take one out", show(e.key.Value), first.key.Line)
			continue
		}
		s[e.key.Value] = e
		each(e)
	}
	return s
}

// list reads a sequence; an empty value is an empty list.
func (d *decoder) list(n *yaml.Node, what, example string, each func(item *yaml.Node)) {
	if isNull(n) || n.Kind == yaml.AliasNode {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "%s must be a list, such as %s, and not %s", what, example, kindOf(n))
		return
	}
	for _, item := range n.Content {
		each(item)
	}
}

// scalar returns the text of a scalar as it was written: a user name of digits
// needs no quotes.
func (d *decoder) scalar(n *yaml.Node, what string) (string, bool) {
	switch {
	case n.Kind == yaml.AliasNode:
		return "", false
	case isNull(n):
		d.fail(n, "%s is empty: write a value, or take the line out", what)
		return "", false
	case n.Kind != yaml.ScalarNode:
		d.fail(n, "%s must be a single value, and not %s", what, kindOf(n))
		return "", false
	}
	return n.Value, true
}

// text is scalar for names and the like: not empty, no control characters.
func (d *decoder) text(n *yaml.Node, what string) (string, bool) {
	s, ok := d.scalar(n, what)
	if !ok {
		return "", false
	}
	switch {
	case n.Tag == "!!bool":
		d.fail(n, "%s must be a text, and not %s: put it in quotes if that is meant", what, n.Value)
	case strings.TrimSpace(s) == "":
		d.fail(n, "%s is empty: write a value, or take the line out", what)
	case hasControl(s):
		d.fail(n, "%s has a line end or another control character in it: take it out", what)
	case s != strings.TrimSpace(s):
		d.fail(n, "%s begins or ends with a blank: take it out", what)
	default:
		return s, true
	}
	return "", false
}

// value returns a setter that reads a text and puts what parse makes of it
// into to. The error of parse ends the sentence.
func value[T any](d *decoder, to *T, what string, parse func(string) (T, error)) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, ok := d.text(n, what)
		if !ok {
			return
		}
		v, err := parse(s)
		if err != nil {
			d.fail(n, "%s cannot be %s: %v", what, show(s), err)
			return
		}
		*to = v
	}
}

// values is value for each item of a list.
func values[T any](d *decoder, to *[]T, what, example string, parse func(string) (T, error)) func(*yaml.Node) {
	return func(n *yaml.Node) {
		var all []T
		d.list(n, what, example, func(item *yaml.Node) {
			var v T
			before := len(d.problems)
			value(d, &v, what, parse)(item)
			if len(d.problems) == before && item.Kind != yaml.AliasNode {
				all = append(all, v)
			}
		})
		*to = all
	}
}

// oneOf returns a setter for a setting with fixed values.
func oneOf[T ~string](d *decoder, to *T, what string, allowed ...T) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, ok := d.scalar(n, what)
		if !ok {
			return
		}
		if slices.Contains(allowed, T(s)) {
			*to = T(s)
			return
		}
		names := make([]string, len(allowed))
		for i, a := range allowed {
			names[i] = string(a)
		}
		hint := "write one of " + strings.Join(names, ", ")
		if near := nearest(s, names); near != "" {
			hint = fmt.Sprintf("did you mean %s? It may be %s", near, strings.Join(names, ", "))
		}
		d.fail(n, "%s cannot be %s: %s", what, show(s), hint)
	}
}

func (d *decoder) boolean(to *bool, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, ok := d.scalar(n, what)
		switch {
		case !ok:
		case n.Tag == "!!bool":
			*to = strings.EqualFold(s, "true")
		default:
			d.fail(n, "%s cannot be %s: write true or false", what, show(s))
		}
	}
}

// number reads a whole decimal number from least to most.
func (d *decoder) number(to *int, what string, least, most int) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, ok := d.scalar(n, what)
		if !ok {
			return
		}
		i, err := strconv.Atoi(s)
		if err != nil || n.Tag != "!!int" || i < least || i > most || strconv.Itoa(i) != s {
			d.fail(n, "%s cannot be %s: write a whole number from %d to %d, without quotes", what, show(s), least, most)
			return
		}
		*to = i
	}
}

// path reads a file's path and makes it absolute: "~/" is the home directory,
// and what is relative begins beside the configuration file.
func (d *decoder) path(to *string, what string) func(*yaml.Node) {
	return value(d, to, what, func(s string) (string, error) {
		switch rest, tilde := strings.CutPrefix(s, "~/"); {
		case tilde && d.home == "":
			return "", fmt.Errorf("the home directory is not known, write the whole path")
		case tilde:
			return filepath.Join(d.home, rest), nil
		case strings.HasPrefix(s, "~"):
			return "", fmt.Errorf("only ~/ stands for a home directory, write the whole path")
		case filepath.IsAbs(s):
			return filepath.Clean(s), nil
		}
		return filepath.Join(d.dir, s), nil
	})
}

// secret reads where a secret is kept. Nothing of a wrong value is repeated in
// the sentence, as it may be the secret itself.
func (d *decoder) secret(to *upstream.SecretRef, account, what string) func(*yaml.Node) {
	const ways = `{keyring: NAME}, {command: ["pass", "show", "NAME"]}, {file: PATH} or {env: NAME}`
	return func(n *yaml.Node) {
		switch {
		case n.Kind == yaml.AliasNode:
			return
		case isNull(n):
			d.fail(n, "%s is empty: say where the secret is kept, %s", what, ways)
			return
		case n.Kind != yaml.MappingNode:
			d.fail(n, "%s must not be in this file itself: say where it is kept, %s", what, ways)
			return
		}
		var ref upstream.SecretRef
		before := len(d.problems)
		s := d.section(n, what, []field{
			{"keyring", value(d, &ref.Keyring, what+".keyring", asIs)},
			{"command", values(d, &ref.Command, what+".command", `["pass", "show", "NAME"]`, asIs)},
			{"file", d.path(&ref.File, what+".file")},
			{"env", value(d, &ref.Env, what+".env", parseEnv)},
		})
		switch {
		case len(d.problems) > before:
		case len(s) > 1:
			d.fail(n, "%s names %d places: keep one", what, len(s))
		case ref.IsZero():
			d.fail(n, "%s names no place: say where the secret is kept, %s", what, ways)
		default:
			*to = ref
			d.uses = append(d.uses, use{account: account, what: what, ref: ref, at: d.problemAt(n, "")})
		}
	}
}

func asIs(s string) (string, error) { return s, nil }

// isNull reports a key without a value.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kindOf names a node's kind for people.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}

func orTop(what string) string {
	if what == "" {
		return "the file"
	}
	return what
}

// show quotes a value of the file for a sentence, cut and cleaned.
func show(s string) string {
	if r := []rune(s); len(r) > maxShown {
		s = string(r[:maxShown]) + "…"
	}
	return strconv.Quote(upstream.CleanLine(s))
}

// hasControl reports control characters, line ends, Unicode's among them, and
// what turns the direction of the text around it.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	})
}
