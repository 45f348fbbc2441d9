package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// syntaxError notes what the YAML library said, in words that say what to
// write. Its line numbers are left out or off by one more often than not, so
// that the line is looked for: it is the first without which the file parses.
func (d *decoder) syntaxError(data []byte, err error) {
	lines := bytes.SplitAfter(data, []byte("\n"))
	n, sure := failingLine(lines)
	if m := reportedLine.FindStringSubmatch(err.Error()); m != nil && !sure {
		if k, e := strconv.Atoi(m[1]); e == nil && k >= 1 && k <= len(lines) {
			n = k - 1
		}
	}
	line := strings.TrimRight(string(lines[n]), "\r\n")
	sentence, at := explainSyntax(reportedLine.ReplaceAllString(err.Error(), ""), line)
	if at < 0 {
		at = len(line) - len(strings.TrimLeft(line, " "))
	}
	d.fail(&yaml.Node{Line: n + 1, Column: utf8.RuneCountInString(line[:at]) + 1}, "%s", sentence)
}

// failingLine returns the index of the line at which lines stop being YAML: of
// all prefixes that parse the longest ends before it. An open bracket or quote
// makes prefixes fail that go on to parse, so that a bisection may end too
// early; it is taken up again as long as one of the next lines mends it. The
// octets parsed are bounded; sure is false when they did not suffice.
func failingLine(lines [][]byte) (line int, sure bool) {
	const ahead, rounds = 40, 8
	budget := 4 << 20
	parses := func(n int) bool {
		prefix := bytes.Join(lines[:n], nil)
		if budget -= len(prefix); budget < 0 {
			return false
		}
		dec := yaml.NewDecoder(bytes.NewReader(prefix))
		for {
			var node yaml.Node
			switch err := decodeNode(dec, &node); {
			case errors.Is(err, io.EOF):
				return true
			case err != nil:
				return false
			}
		}
	}
	good := 0
	for range rounds {
		low, high := good, len(lines) // lines[:low] parse, lines[:high] do not
		for high-low > 1 {
			if mid := (low + high) / 2; parses(mid) {
				low = mid
			} else {
				high = mid
			}
		}
		good = low
		mended := false
		for n := low + 2; n <= min(low+ahead, len(lines)-1); n++ {
			if parses(n) {
				good, mended = n, true
				break
			}
		}
		if !mended {
			break
		}
	}
	return min(good, len(lines)-1), budget >= 0
}

var (
	reportedLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	beginsOddly  = regexp.MustCompile("(?:^|[:\\[,{-]) *([*&@%`!|>])")
	secondColon  = regexp.MustCompile(`: .*?(:)(?: |$)`)
)

// explainSyntax turns the library's message into a sentence, and the octet of
// the line to point at, or -1 for its first word. Nothing of the line is
// repeated, as it may hold a secret.
func explainSyntax(message, line string) (sentence string, at int) {
	find := func(re *regexp.Regexp) int {
		if m := re.FindStringSubmatchIndex(line); m != nil {
			return m[2]
		}
		return -1
	}
	has := func(s string) bool { return strings.Contains(message, s) }
	switch {
	case has("alphabetic or numeric character"), has("unknown anchor"):
		return `a value that begins with * or & must be in quotes, such as "*@work.example"`, find(beginsOddly)
	case has("cannot start any token"):
		return "a value that begins with @, %, ` or a tab must be in quotes", find(beginsOddly)
	case has("mapping values are not allowed"):
		return `a ":" is here where none can be: put the value in quotes, or give the key the same indentation as its neighbours`, find(secondColon)
	case has("could not find expected ':'"):
		return "this line is no setting: write KEY: VALUE, or # in front of a remark", -1
	case has("',' or ']'"):
		return `the list that is open here does not end: write "," between its values and "]" behind the last`, strings.IndexByte(line, '[')
	case has("',' or '}'"):
		return `the section that is open here does not end: write "," between its settings and "}" behind the last`, strings.IndexByte(line, '{')
	case has("unexpected end of stream"), has("document indicator"):
		return "the quotes that open here are not closed", strings.IndexAny(line, `"'`)
	case has("escape character"), has("hexdecimal"), has("Unicode character escape"):
		return `a \ in "…" begins an escape: use '…', or write \\`, strings.IndexByte(line, '\\')
	case has("block sequence entries"):
		return `a list cannot begin behind its key: put each "- VALUE" on a line of its own, or write [VALUE, VALUE]`, strings.Index(line, "- ")
	case has("node content"):
		return "a value is missing here: write it, or take out the comma or bracket", -1
	case has("tag"), has("'!'"), has("expected '>'"):
		return "a value that begins with ! must be in quotes", strings.IndexByte(line, '!')
	case has("directive"), has("digit"), has("YAML document"):
		return "a line that begins with % is for another program: take it out", -1
	case has("mapping keys are not allowed"):
		return "a value that begins with ? must be in quotes", strings.Index(line, "? ")
	case has("comment or line break"):
		return "a value that begins with | or > must be in quotes", find(beginsOddly)
	case has("'-' indicator"):
		return `this line does not belong to the list above it: begin it with "- ", or indent it less`, -1
	case has("expected key"), has("expected <document start>"), has("block end"), has("block mapping"):
		return "this line does not fit the one above: begin the keys of a section in the same column, and double a ' inside '…'", -1
	case has("exceeded max depth"):
		return "too many brackets are open here", -1
	}
	return "this is not YAML: " + show(message), -1
}
