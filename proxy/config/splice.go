package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// text is a YAML text with its nodes, for replacing single pieces of it. The
// YAML library tells where a node begins but not where it ends, and would lay
// out everything anew if it wrote the file. So ends are found here, from the
// nodes that are inside and the few characters between them; a way of writing
// that is not understood is an error, never a guess.
type text struct {
	data  []byte
	bom   []byte
	lines []int // where each line begins
	root  *yaml.Node
	eol   string
}

func newText(data []byte) (*text, error) {
	t := &text{data: data, eol: "\n"}
	if rest, ok := bytes.CutPrefix(data, []byte("\ufeff")); ok {
		t.bom, t.data = data[:len(data)-len(rest)], rest
	}
	if i := bytes.IndexByte(t.data, '\n'); i > 0 && t.data[i-1] == '\r' {
		t.eol = "\r\n"
	}
	t.lines = []int{0}
	for i, b := range t.data {
		if b == '\n' {
			t.lines = append(t.lines, i+1)
		}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(t.data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) > 0 && !isNull(doc.Content[0]) {
		t.root = doc.Content[0]
	}
	return t, nil
}

// apply returns the whole text with one change made.
func (t *text) apply(c change) ([]byte, error) {
	var err error
	switch {
	case c.to.text == "":
		err = t.remove(t.root, c.path)
	case t.root == nil: // nothing but remarks
		t.insertLines(len(t.data), 0, entryLines(c.path, c.to))
	default:
		err = t.set(t.root, c.path, c.to)
	}
	return append(bytes.Clone(t.bom), t.data...), err
}

// set puts a value at path below the mapping m.
func (t *text) set(m *yaml.Node, path []string, to piece) error {
	key, val := find(m, path[0])
	switch {
	case m.Kind != yaml.MappingNode:
		return fmt.Errorf("line %d holds no settings", m.Line)
	case key == nil:
		return t.insert(m, path, to)
	case isNull(val) && val.Value == "" && (len(path) > 1 && len(to.lines) > 0):
		// "accounts:" and no more: the account follows below it.
		t.insertLines(t.nextLine(t.offset(val)), key.Column+1, entryLines(path[1:], to))
		return nil
	case isNull(val):
		return t.replaceValue(val, flow(path[1:], to.text))
	case len(path) > 1:
		return t.set(val, path[1:], to)
	}
	return t.replaceValue(val, to.text)
}

func (t *text) replaceValue(val *yaml.Node, with string) error {
	from := t.offset(val)
	to, err := t.end(val)
	if err != nil {
		return err
	}
	if from == to { // an empty value stands right behind its colon
		with = " " + with
	}
	t.replace(from, to, with)
	return nil
}

// insert adds an entry behind the last of the mapping m.
func (t *text) insert(m *yaml.Node, path []string, to piece) error {
	line := entryFlow(path, to.text)
	if t.isFlow(m) {
		if len(m.Content) == 0 {
			at := t.offset(m) + 1
			t.replace(at, at, line)
			return nil
		}
		at, err := t.end(m.Content[len(m.Content)-1])
		if err != nil {
			return err
		}
		t.replace(at, at, ", "+line)
		return nil
	}
	end, err := t.end(m)
	if err != nil {
		return err
	}
	first, last := m.Content[0], m.Content[len(m.Content)-2]
	indent := first.Column - 1
	lines := entryLines(path, to)
	if len(to.lines) > 0 && last != first && t.blankAbove(last.Line) {
		lines = append([]string{""}, lines...)
	}
	t.insertLines(t.skipRemarks(t.nextLine(end), indent), indent, lines)
	return nil
}

// remove takes the entry at path out of the mapping m, with the remarks on and
// inside it. What is not there needs no removal.
func (t *text) remove(m *yaml.Node, path []string) error {
	if m == nil || m.Kind != yaml.MappingNode {
		return nil
	}
	key, val := find(m, path[0])
	if key == nil {
		return nil
	}
	if len(path) > 1 {
		return t.remove(val, path[1:])
	}
	from := t.offset(key)
	to, err := t.end(val)
	if err != nil {
		return err
	}
	if !t.isFlow(m) {
		begin := t.lines[key.Line-1]
		if strings.Trim(string(t.data[begin:from]), " ") != "" {
			return fmt.Errorf("line %d has more than this setting", key.Line)
		}
		t.replace(begin, t.skipRemarks(t.nextLine(to), key.Column-1), "")
		return nil
	}
	for i := 0; i < len(m.Content); i += 2 {
		switch {
		case m.Content[i] != key:
		case i+2 < len(m.Content):
			to = t.offset(m.Content[i+2])
		case i > 0:
			if from, err = t.end(m.Content[i-1]); err != nil {
				return err
			}
		}
	}
	t.replace(from, to, "")
	return nil
}

// end returns the offset behind the last octet of a node.
func (t *text) end(n *yaml.Node) (int, error) {
	at := t.offset(n)
	if n.Kind == yaml.ScalarNode {
		return t.scalarEnd(n, at)
	}
	if n.Kind != yaml.MappingNode && n.Kind != yaml.SequenceNode {
		return 0, fmt.Errorf("line %d", n.Line)
	}
	last := at + 1 // behind the opening bracket
	if len(n.Content) > 0 {
		var err error
		if last, err = t.end(n.Content[len(n.Content)-1]); err != nil {
			return 0, err
		}
	}
	if n.Style&yaml.FlowStyle == 0 {
		return last, nil
	}
	if !t.isFlow(n) {
		return 0, fmt.Errorf("line %d", n.Line)
	}
	for last < len(t.data) { // only blanks, commas and remarks are in between
		switch t.data[last] {
		case ' ', '\t', '\r', '\n', ',':
			last++
		case '#':
			last = t.nextLine(last)
		case '}', ']':
			return last + 1, nil
		default:
			return 0, fmt.Errorf("line %d", n.Line)
		}
	}
	return 0, fmt.Errorf("line %d", n.Line)
}

func (t *text) scalarEnd(n *yaml.Node, at int) (int, error) {
	rest := t.data[at:]
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
	case n.Style&yaml.SingleQuotedStyle != 0 && bytes.HasPrefix(rest, []byte("'")):
		for i := 1; i < len(rest); i++ {
			if rest[i] != '\'' {
				continue
			}
			if i+1 < len(rest) && rest[i+1] == '\'' {
				i++
				continue
			}
			return at + i + 1, nil
		}
	case n.Style&yaml.DoubleQuotedStyle != 0 && bytes.HasPrefix(rest, []byte(`"`)):
		for i := 1; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return at + i + 1, nil
			}
		}
	case n.Style == 0 && bytes.HasPrefix(rest, []byte(n.Value)):
		return at + len(n.Value), nil
	}
	return 0, fmt.Errorf("line %d goes on in a way of its own", n.Line)
}

// offset returns where a node begins.
func (t *text) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(t.lines) {
		return len(t.data)
	}
	at := t.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(t.data[at:])
		at += size
	}
	return at
}

// isFlow reports whether a mapping or sequence is written in brackets.
func (t *text) isFlow(n *yaml.Node) bool {
	at := t.offset(n)
	return at < len(t.data) && (t.data[at] == '{' || t.data[at] == '[') && n.Style&yaml.FlowStyle != 0
}

// nextLine returns where the line behind the one of at begins.
func (t *text) nextLine(at int) int {
	if i := bytes.IndexByte(t.data[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(t.data)
}

// skipRemarks moves at, the begin of a line, behind the remarks that are
// indented deeper than indent: they belong to the entry above them.
func (t *text) skipRemarks(at, indent int) int {
	for at < len(t.data) {
		line := string(t.data[at:t.nextLine(at)])
		rest := strings.TrimLeft(line, " ")
		if !strings.HasPrefix(rest, "#") || len(line)-len(rest) <= indent {
			break
		}
		at = t.nextLine(at)
	}
	return at
}

// blankAbove reports whether a blank line separates a line, and the remarks on
// top of it, from what is above.
func (t *text) blankAbove(line int) bool {
	for i := line - 2; i >= 0; i-- {
		s := strings.TrimSpace(string(t.data[t.lines[i]:t.nextLine(t.lines[i])]))
		if !strings.HasPrefix(s, "#") {
			return s == ""
		}
	}
	return false
}

// insertLines puts lines, indented, in front of the line that begins at at.
func (t *text) insertLines(at, indent int, lines []string) {
	var b strings.Builder
	if at > 0 && t.data[at-1] != '\n' { // the last line has no end
		b.WriteString(t.eol)
	}
	for _, line := range lines {
		if line != "" {
			b.WriteString(strings.Repeat(" ", indent) + line)
		}
		b.WriteString(t.eol)
	}
	t.replace(at, at, b.String())
}

func (t *text) replace(from, to int, with string) {
	t.data = bytes.Join([][]byte{t.data[:from], []byte(with), t.data[to:]}, nil)
}

// find returns key and value nodes of an entry, or nil.
func find(m *yaml.Node, name string) (key, val *yaml.Node) {
	for i := 0; m.Kind == yaml.MappingNode && i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i], m.Content[i+1]
		}
	}
	return nil, nil
}

// flow nests a value in one-line sections for what is left of a path.
func flow(path []string, value string) string {
	if len(path) == 0 {
		return value
	}
	return "{" + entryFlow(path, value) + "}"
}

func entryFlow(path []string, value string) string {
	return keyText(path[0]) + ": " + flow(path[1:], value)
}

// entryLines writes an entry with a line for each step of its path, if its
// value has lines of its own, and on one line otherwise.
func entryLines(path []string, to piece) []string {
	if len(to.lines) == 0 {
		return []string{entryFlow(path, to.text)}
	}
	var lines []string
	indent := ""
	for _, key := range path {
		lines = append(lines, indent+keyText(key)+":")
		indent += "  "
	}
	for _, line := range to.lines {
		lines = append(lines, indent+line)
	}
	return lines
}

// keyText writes a key; every name that parseName lets pass can be written.
func keyText(key string) string {
	s, err := render(key)
	if err != nil {
		return `""`
	}
	return s
}
