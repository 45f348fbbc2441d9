package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxFile bounds the configuration file, in octets.
const MaxFile = 1 << 20

// maxProblems bounds what one file is told about.
const maxProblems = 100

// Load reads and checks the file. The error is Problems when the file has
// faults, that others may write it among them, and wraps fs.ErrNotExist when
// there is no such file.
func Load(path string) (*Config, error) {
	c, problems, err := load(path)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, problems.sorted()
	}
	return c, nil
}

// LoadOrDefault is Load for the file of p, but a missing file that the person
// did not name is an empty one: File then says where it would be.
func LoadOrDefault(p Paths) (*Config, error) {
	c, err := Load(p.Config)
	if errors.Is(err, fs.ErrNotExist) && !p.ConfigGiven {
		c = Defaults()
		c.File = p.Config
		return c, nil
	}
	return c, err
}

// Check is Load for `config check`: secrets that are not there or not private
// are among the Problems too.
func Check(path string) error {
	c, problems, err := load(path)
	if err != nil {
		return err
	}
	for _, p := range c.SecretProblems() {
		problems = append(problems, p.Problem)
	}
	if len(problems) > 0 {
		return problems.sorted()
	}
	return nil
}

// Parse checks data as the configuration file of this name. Relative paths in
// it are taken from the name's directory. It looks at no file; the error is
// Problems.
func Parse(name string, data []byte) (*Config, error) {
	c, problems := parse(name, data)
	if len(problems) > 0 {
		return nil, problems.sorted()
	}
	return c, nil
}

// load returns the Config even when it has problems, so that Check can look at
// its secrets.
func load(path string) (*Config, Problems, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the configuration %s cannot be read: %w", path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	c, problems := parse(path, data)
	if why := writableByOthers(info); why != "" {
		problems = append(problems, Problem{path, 1, 1, why})
	}
	return c, append(problems, c.pairProblems()...), nil
}

// parse never returns a nil Config.
func parse(name string, data []byte) (*Config, Problems) {
	home, _ := os.UserHomeDir() // without one, "~/" is refused where it stands
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		dir = filepath.Dir(name)
	}
	d := &decoder{name: name, dir: dir, home: home}
	c := Defaults()
	c.File = name
	if root := d.document(data); root != nil {
		d.file(root, c)
	}
	c.uses = d.uses
	if len(d.problems) > maxProblems {
		more := len(d.problems) - maxProblems
		d.problems = d.problems.sorted()[:maxProblems]
		last := d.problems[maxProblems-1]
		last.Sentence = fmt.Sprintf("%d more problems: mend those above first", more+1)
		d.problems[maxProblems-1] = last
	}
	return c, d.problems
}

// document returns the mapping that the file is, or nil when it is empty or
// not readable as YAML.
func (d *decoder) document(data []byte) *yaml.Node {
	if len(data) > MaxFile {
		d.fail(&yaml.Node{}, "the file is larger than 1 MB: that is no configuration")
		return nil
	}
	before := len(d.problems)
	d.checkText(data)
	if len(d.problems) > before {
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := decodeNode(dec, &doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		d.syntaxError(data, err)
		return nil
	}
	if err := decodeNode(dec, &second); !errors.Is(err, io.EOF) {
		line := max(second.Line, 1)
		if err != nil {
			d.syntaxError(data, err)
			return nil
		}
		d.fail(&yaml.Node{Line: line, Column: 1}, "a second document begins here: take out the line --- in front of it")
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil
	}
	d.refuseAnchors(&doc)
	return doc.Content[0]
}

// decodeNode turns a panic of the YAML library over hostile input into an error.
func decodeNode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return dec.Decode(n)
}

// refuseAnchors refuses what would make one piece of the text mean two things:
// anchors, aliases, merge keys and tags. Settings could no longer be changed
// one at a time, and a small file could stand for an endless one.
func (d *decoder) refuseAnchors(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		d.fail(n, "a value that begins with * must be in quotes (aliases are not supported)")
		return
	case n.Anchor != "":
		d.fail(n, "a value that begins with & must be in quotes (anchors are not supported)")
	case n.Tag == "!!merge":
		d.fail(n, "merge keys (<<) are not supported: write the settings out")
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(n, "a value that begins with ! must be in quotes (tags are not supported)")
	}
	for _, c := range n.Content {
		d.refuseAnchors(c)
	}
}

// checkText refuses what no configuration has, before YAML is asked: so the
// sentence is about the character and not about what YAML made of it.
func (d *decoder) checkText(data []byte) {
	if bytes.HasPrefix(data, []byte{0xff, 0xfe}) || bytes.HasPrefix(data, []byte{0xfe, 0xff}) {
		d.fail(&yaml.Node{}, "the file is in UTF-16: save it as UTF-8")
		return
	}
	text := string(bytes.TrimPrefix(data, []byte("\ufeff")))
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		at := func(octets int) *yaml.Node {
			return &yaml.Node{Line: i + 1, Column: utf8.RuneCountInString(line[:octets]) + 1}
		}
		if k := invalidUTF8(line); k >= 0 {
			d.fail(at(k), "a character here is not UTF-8: save the file as UTF-8")
			return
		}
		odd := strings.IndexFunc(line, func(r rune) bool { return r != '\t' && hasControl(string(r)) || r == '\ufeff' })
		if odd >= 0 {
			d.fail(at(odd), "a control character is here: take it out")
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
			d.fail(at(tab), "a tab indents this line: use blanks")
		}
	}
}

// invalidUTF8 returns where s stops being UTF-8, or -1.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}
