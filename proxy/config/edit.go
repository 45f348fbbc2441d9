package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"melon/upstream"
)

// AddAccount adds a to the file, with the settings that differ from the
// defaults, and makes the file (mode 0600, its directory 0700) when there is
// none. Everything else in the file stays as it is, to the octet. The file is
// left alone when the result would not load; the error is then Problems, whose
// lines are those of the result.
func AddAccount(path string, a upstream.Account) error {
	return edit(path, func(c *Config) ([]change, error) {
		if old, ok := c.Account(a.Name); ok {
			return nil, fmt.Errorf("there is an account %s already", old.Name)
		}
		p, err := tree(accountFields(a))
		return []change{{path: []string{"accounts", a.Name}, to: p}}, err
	})
}

// SetAccount changes settings of one account. Errors are as for AddAccount.
func SetAccount(path, name string, fields ...Field) error {
	return edit(path, func(c *Config) ([]change, error) {
		a, err := c.mustAccount(name)
		if err != nil {
			return nil, err
		}
		var all []change
		for _, f := range fields {
			one := change{path: append([]string{"accounts", a.Name}, strings.Split(f.Key, ".")...)}
			if f.Value != nil {
				text, err := render(f.Value)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", f.Key, err)
				}
				one.to = piece{text: text}
			}
			all = append(all, one)
		}
		return all, nil
	})
}

// RemoveAccount takes an account out of the file, out of `default` and out of
// the other accounts' `fallback`. A route that names it is an error.
func RemoveAccount(path, name string) error {
	return edit(path, func(c *Config) ([]change, error) {
		a, err := c.mustAccount(name)
		if err != nil {
			return nil, err
		}
		all := []change{{path: []string{"accounts", a.Name}}}
		if c.Default == a.Name {
			all = append(all, change{path: []string{"default"}})
		}
		for _, other := range c.Accounts {
			var left []string
			for _, f := range other.Fallback {
				if f != a.Name {
					left = append(left, f)
				}
			}
			if len(left) == len(other.Fallback) || other.Name == a.Name {
				continue
			}
			one := change{path: []string{"accounts", other.Name, "fallback"}}
			if len(left) > 0 {
				text, err := render(left)
				if err != nil {
					return nil, err
				}
				one.to = piece{text: text}
			}
			all = append(all, one)
		}
		return all, nil
	})
}

// SetDefault makes name the default account; "" takes the setting out.
func SetDefault(path, name string) error {
	return edit(path, func(c *Config) ([]change, error) {
		one := change{path: []string{"default"}}
		if name != "" {
			a, err := c.mustAccount(name)
			if err != nil {
				return nil, err
			}
			if one.to.text, err = render(a.Name); err != nil {
				return nil, err
			}
		}
		return []change{one}, nil
	})
}

func (c *Config) mustAccount(name string) (upstream.Account, error) {
	if a, ok := c.Account(name); ok {
		return a, nil
	}
	names := make([]string, len(c.Accounts))
	for i, a := range c.Accounts {
		names[i] = a.Name
	}
	if len(names) == 0 {
		return upstream.Account{}, fmt.Errorf("there is no account %s: there is none at all", show(name))
	}
	return upstream.Account{}, fmt.Errorf("there is no account %s: there are %s", show(name), enumerate(names))
}

// change is one setting to put in or, with an empty piece, to take out.
type change struct {
	path []string
	to   piece
}

// edit is copy, change, verify, replace: the file is read, the changes that
// want makes of its Config are spliced into a copy, the copy must load and must
// say what the old said but for the changes, and then takes the file's place.
func edit(path string, want func(*Config) ([]change, error)) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link, into a collection of dot files, stays one
	}
	old, mode, err := readForEdit(path)
	if err != nil {
		return err
	}
	c, err := Parse(path, old)
	if err != nil {
		return err
	}
	changes, err := want(c)
	if err != nil {
		return err
	}
	text, err := splice(path, old, changes)
	if err != nil {
		return err
	}
	if _, err := Parse(path, text); err != nil {
		return err
	}
	return replaceFile(path, old, text, mode)
}

// readForEdit returns an empty file's content where there is none.
func readForEdit(path string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0o600, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	if why := writableByOthers(info); why != "" {
		return nil, 0, Problems{{path, 1, 1, why}}
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, 0, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	return data, info.Mode().Perm(), nil
}

// splice returns data with the changes made, verified against what they mean.
func splice(name string, data []byte, changes []change) ([]byte, error) {
	before, err := meaning(data)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		var now any
		if c.to.text != "" {
			if now, err = meaning([]byte(c.to.text)); err != nil {
				return nil, err
			}
		}
		before = with(before, c.path, now)
		t, err := newText(data)
		if err != nil {
			return nil, err
		}
		if data, err = t.apply(c); err != nil {
			return nil, fmt.Errorf("%s is written in a way that %s cannot be changed in it automatically: change it by hand (%w)",
				name, strings.Join(c.path, "."), err)
		}
	}
	after, err := meaning(data)
	if err != nil || !reflect.DeepEqual(prune(before), prune(after)) {
		return nil, fmt.Errorf("%s is written in a way that it cannot be changed automatically: change it by hand", name)
	}
	return data, nil
}

// meaning is what a YAML text says, without how it says it: nested
// map[string]any, []any and strings with their tags.
func meaning(data []byte) (any, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	return plain(doc.Content[0]), nil
}

func plain(n *yaml.Node) any {
	switch {
	case isNull(n):
		return nil
	case n.Kind == yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return m
	case n.Kind == yaml.SequenceNode:
		l := []any{}
		for _, c := range n.Content {
			l = append(l, plain(c))
		}
		return l
	}
	return n.Tag + " " + n.Value
}

// with returns the meaning with one setting changed, or taken out by nil.
func with(v any, path []string, to any) any {
	if len(path) == 0 {
		return to
	}
	m, ok := v.(map[string]any)
	if !ok {
		m = map[string]any{}
	}
	if m[path[0]] = with(m[path[0]], path[1:], to); m[path[0]] == nil {
		delete(m, path[0])
	}
	return m
}

// prune drops what is empty: a section without settings means the same as none.
func prune(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for k, e := range m {
		if m[k] = prune(e); m[k] == nil {
			delete(m, k)
		}
	}
	if len(m) == 0 {
		return nil
	}
	return m
}
