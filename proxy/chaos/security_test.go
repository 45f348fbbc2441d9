package chaos

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPageNamesRealTests: every test that SECURITY.md names is in the
// file that it names with it, and each part of the page names some.
func TestSecurityPageNamesRealTests(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(page), "\n## ")[1:] {
		title, text, _ := strings.Cut(part, "\n")
		for problem := range checkTests(root, text) {
			t.Errorf("%s: %s", title, problem)
		}
		if want := len(testName.FindAllString(text, -1)); want == 0 && !strings.Contains(title, "curious") {
			t.Errorf("%s: no test is named", title)
		}
	}
}

var (
	testName = regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w*`)
	fileName = regexp.MustCompile("`([a-z0-9_/]+_test\\.go)`")
)

// checkTests yields what is wrong with the tests that a text names. In a table a
// file comes before its tests, in a sentence behind them, after "in".
func checkTests(root, text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, sentence := range claims(text) {
			file := fileName.FindStringSubmatch(sentence)
			names := testName.FindAllString(sentence, -1)
			if len(names) == 0 {
				continue
			}
			if file == nil {
				if !yield("no file is named with " + strings.Join(names, ", ")) {
					return
				}
				continue
			}
			source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file[1])))
			if err != nil && !yield(err.Error()) {
				return
			}
			for _, n := range names {
				if !strings.Contains(string(source), "\nfunc "+n+"(") && !yield(file[1]+" has no "+n) {
					return
				}
			}
		}
	}
}

// claims cuts a text into pieces of one file and its tests each.
func claims(text string) (pieces []string) {
	var prose []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "|") {
			prose = append(prose, strings.TrimSpace(line))
			continue
		}
		at := fileName.FindAllStringIndex(line, -1)
		for i, a := range at {
			to := len(line)
			if i+1 < len(at) {
				to = at[i+1][0]
			}
			pieces = append(pieces, line[a[0]:to])
		}
	}
	whole, from := strings.Join(prose, " "), 0
	for _, a := range fileName.FindAllStringIndex(whole, -1) {
		pieces = append(pieces, whole[from:a[1]])
		from = a[1]
	}
	return append(pieces, whole[from:])
}

// TestSecurityCheckNotices keeps the check itself honest.
func TestSecurityCheckNotices(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	for text, want := range map[string]string{
		"| x | y | `proxy/chaos/security_test.go` TestNoSuchThing |\n":      "has no TestNoSuchThing",
		"| x | y | `proxy/chaos/none_test.go` TestSecurityCheckNotices |\n": "none_test.go",
		"(TestNoSuchThing in\n`proxy/chaos/security_test.go`)":              "has no TestNoSuchThing",
		"(TestSecurityCheckNotices)":                                        "no file is named",
		"(TestSecurityCheckNotices in `proxy/chaos/security_test.go`)":      "",
		"| `proxy/chaos/security_test.go` TestSecurityPageNamesRealTests |": "",
	} {
		got := ""
		for p := range checkTests(root, text) {
			got += p
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
