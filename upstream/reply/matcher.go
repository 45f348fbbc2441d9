package reply

import (
	"strconv"
	"strings"
	"sync"

	"melon/upstream"
)

// where is a set of phases.
type where uint16

// One bit a phase, in the order of upstream.Phases.
const (
	connect where = 1 << iota
	ehlo
	starttls
	auth
	mail
	rcpt
	data
	dataEnd
	popGreeting
	popUser
	popPass
)

// The sets of phases that rules speak of.
const (
	smtp    = connect | ehlo | starttls | auth | mail | rcpt | data | dataEnd
	tx      = mail | rcpt | data | dataEnd
	body    = data | dataEnd
	pop     = popGreeting | popUser | popPass
	popAuth = popUser | popPass
)

// whereOf returns the bit of p, 0 for an unknown phase.
func whereOf(p upstream.Phase) where {
	for i, q := range upstream.Phases() {
		if p == q {
			return 1 << i
		}
	}
	return 0
}

// rule is one line of the table. A reply fits when its phase is in `in` and
// each of the fields that are not empty fits:
//
//	code  reply codes, parted by blanks, each a whole code or its first digits
//	      ("4", "53", "552"); "none" is a text without a code
//	enh   enhanced status codes, parted by blanks; x stands for any number
//	say   every entry must be found in the words; an entry is alternatives
//	      parted by "|"
//	not   alternatives of which none may be found
//
// An alternative is a run of whole words: "relay* denied" ("*" ends a word that
// may go on); ".." stands for up to six other words; "$name" for any word of
// that group (words.go). An alternative in a script without blanks is looked
// for anywhere in the text run together.
type rule struct {
	is   upstream.Class
	in   where
	code string
	enh  string
	say  []string
	not  string
}

// atom is a word of the table, numbered. The gap is no word.
type atom int16

const gap atom = -1

// maxGap is how many words ".." stands for at most.
const maxGap = 6

// phrase is one alternative: words, or a part of the text run together.
type phrase struct {
	atoms []atom
	part  string
}

type codeRange struct{ low, high int }

// compiled is a rule ready to be used.
type compiled struct {
	rule
	codes []codeRange
	enhs  [][3]int // -1 is any
	say   [][]phrase
	not   []phrase
}

// table is the whole list of rules and the words that it knows. A word may be
// several atoms: itself and each group that it belongs to.
type table struct {
	rules    []compiled
	exact    map[string][]atom
	prefix   map[string][]atom // words that may go on
	groups   map[string]atom
	atoms    int // how many there are
	shortest int // octets of the shortest prefix
}

// theTable compiles the rules at first use.
var theTable = sync.OnceValue(func() *table { return compile(allRules()) })

func compile(rules []rule) *table {
	t := &table{exact: map[string][]atom{}, prefix: map[string][]atom{}, groups: map[string]atom{}, shortest: 99}
	for _, r := range rules {
		c := compiled{rule: r, not: t.phrases(r.not)}
		for _, f := range strings.Fields(r.code) {
			c.codes = append(c.codes, parseRange(f))
		}
		for _, f := range strings.Fields(r.enh) {
			c.enhs = append(c.enhs, parseEnhancedPattern(f))
		}
		for _, s := range r.say {
			c.say = append(c.say, t.phrases(s))
		}
		t.rules = append(t.rules, c)
	}
	return t
}

// phrases reads alternatives.
func (t *table) phrases(s string) []phrase {
	var out []phrase
	for alternative := range strings.SplitSeq(s, "|") {
		if alternative = strings.TrimSpace(alternative); alternative == "" {
			continue
		}
		if hasUnspaced(alternative) {
			out = append(out, phrase{part: runTogether(alternative)})
			continue
		}
		var p phrase
		for _, w := range strings.Fields(alternative) {
			p.atoms = append(p.atoms, t.number(w))
		}
		out = append(out, p)
	}
	return out
}

// number returns the atom of one word of an alternative: of the word itself, or
// of the group it names, which is the first atom that stands for it.
func (t *table) number(w string) atom {
	if w == ".." {
		return gap
	}
	if name, ok := strings.CutPrefix(w, "$"); ok {
		return t.group(name)
	}
	words, key := t.lookUp(w)
	for _, a := range words[key] {
		if !t.isGroup(a) {
			return a
		}
	}
	return t.add(words, key, t.next())
}

// group returns the atom of a group; at the first mention all its words get it.
func (t *table) group(name string) atom {
	a, ok := t.groups[name]
	if !ok {
		a = t.next()
		t.groups[name] = a
		for _, w := range strings.Fields(groups[name]) {
			words, key := t.lookUp(w)
			t.add(words, key, a)
		}
	}
	return a
}

func (t *table) isGroup(a atom) bool {
	for _, g := range t.groups {
		if a == g {
			return true
		}
	}
	return false
}

func (t *table) next() atom {
	t.atoms++
	return atom(t.atoms - 1)
}

func (t *table) add(words map[string][]atom, key string, a atom) atom {
	words[key] = append(words[key], a)
	return a
}

// lookUp returns where the atoms of w stand, and under which key.
func (t *table) lookUp(w string) (words map[string][]atom, key string) {
	if stem, ok := strings.CutSuffix(w, "*"); ok {
		t.shortest = min(t.shortest, len(stem))
		return t.prefix, stem
	}
	return t.exact, w
}

func parseRange(s string) codeRange {
	if s == "none" {
		return codeRange{}
	}
	low, _ := strconv.Atoi(s)
	width := 1
	for low > 0 && low < 100 {
		low, width = low*10, width*10
	}
	return codeRange{low, low + width - 1}
}

func parseEnhancedPattern(s string) [3]int {
	e := [3]int{-1, -1, -1}
	for i, f := range strings.SplitN(s, ".", 3) {
		if n, err := strconv.Atoi(f); err == nil {
			e[i] = n
		}
	}
	return e
}

// subject is one reply as the rules see it.
type subject struct {
	in   where
	code int
	enh  upstream.EnhancedCode
	run  string
	at   [][]atom // the atoms of each word
	has  []uint64 // a bit for each atom that occurs
}

// subject numbers the words of n.
func (t *table) subject(n normal, in where, code int, enh upstream.EnhancedCode) *subject {
	s := &subject{in: in, code: code, enh: enh, run: n.run}
	s.has = make([]uint64, t.atoms/64+1)
	s.at = make([][]atom, len(n.words))
	all := make([]atom, 0, 2*len(n.words))
	for i, w := range n.words {
		start := len(all)
		all = append(all, t.exact[w]...)
		for k := t.shortest; k <= len(w); k++ {
			all = append(all, t.prefix[w[:k]]...)
		}
		s.at[i] = all[start:len(all):len(all)]
		for _, a := range s.at[i] {
			s.has[a/64] |= 1 << (a % 64)
		}
	}
	return s
}

// class returns the class of the first rule that fits, "" when none does.
func (t *table) class(s *subject) upstream.Class {
	for i := range t.rules {
		if t.rules[i].fits(s) {
			return t.rules[i].is
		}
	}
	return ""
}

func (c *compiled) fits(s *subject) bool {
	if c.in&s.in == 0 || !c.fitsCodes(s) {
		return false
	}
	for _, alternatives := range c.say {
		if !s.any(alternatives) {
			return false
		}
	}
	return !s.any(c.not)
}

func (c *compiled) fitsCodes(s *subject) bool {
	ok := len(c.codes) == 0
	for _, r := range c.codes {
		ok = ok || s.code >= r.low && s.code <= r.high
	}
	if !ok || len(c.enhs) == 0 {
		return ok
	}
	for _, e := range c.enhs {
		if !s.enh.IsZero() && (e[0] < 0 || e[0] == s.enh[0]) && (e[1] < 0 || e[1] == s.enh[1]) && (e[2] < 0 || e[2] == s.enh[2]) {
			return true
		}
	}
	return false
}

// any reports whether one of the alternatives occurs.
func (s *subject) any(alternatives []phrase) bool {
	for i := range alternatives {
		if s.contains(&alternatives[i]) {
			return true
		}
	}
	return false
}

func (s *subject) contains(p *phrase) bool {
	if p.part != "" {
		return s.run != "" && strings.Contains(s.run, p.part)
	}
	for _, a := range p.atoms {
		if a != gap && s.has[a/64]&(1<<(a%64)) == 0 {
			return false
		}
	}
	if len(p.atoms) == 1 {
		return true
	}
	for i := range s.at {
		if s.from(i, p.atoms) {
			return true
		}
	}
	return false
}

// from reports whether atoms occur from word i on.
func (s *subject) from(i int, atoms []atom) bool {
	for k, a := range atoms {
		if a == gap {
			for skip := range maxGap + 1 {
				if s.from(i+skip, atoms[k+1:]) {
					return true
				}
			}
			return false
		}
		if i >= len(s.at) || !s.is(i, a) {
			return false
		}
		i++
	}
	return true
}

// is reports whether word i is a.
func (s *subject) is(i int, a atom) bool {
	for _, b := range s.at[i] {
		if a == b {
			return true
		}
	}
	return false
}
