package words

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Check says what is wrong with a table and with the calls in the Go files of dir
// (tests excepted) that take a key as their first argument, or as their second
// behind one that is no text: those of the named functions and methods. prefixes are of keys that are put together when they are
// asked for.
func Check(table, dir string, functions, prefixes []string) (problems []string, err error) {
	rows := map[string][]string{}
	n := 0
	for line := range strings.Lines(table) {
		n++
		row, ok := cells(line)
		if !ok {
			continue
		}
		if problem := checkRow(row, rows); problem != "" {
			problems = append(problems, fmt.Sprintf("line %d: %s", n, problem))
		}
		rows[row[columnKey]] = row
	}
	used, err := keysIn(dir, functions)
	if err != nil {
		return nil, err
	}
	for key, where := range used {
		if rows[key] == nil {
			problems = append(problems, fmt.Sprintf("%s: the table has no %q", where, key))
		}
	}
	for key := range rows {
		composed := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(key, p) })
		if used[key] == "" && !composed {
			problems = append(problems, fmt.Sprintf("nothing says %q", key))
		}
	}
	slices.Sort(problems)
	return problems, nil
}

// verb is what Sprintf fills in.
var verb = regexp.MustCompile(`%\[[0-9]+\][a-z]`)

func checkRow(row []string, seen map[string][]string) string {
	if len(row) != columns || slices.Contains(row, "") {
		return fmt.Sprintf("%d cells, or an empty one; there are %d", len(row), columns)
	}
	english, japanese := row[columnEnglish], row[columnJapanese]
	filled := func(s string) []string {
		all := verb.FindAllString(s, -1)
		slices.Sort(all)
		return slices.Compact(all)
	}
	switch {
	case seen[row[columnKey]] != nil:
		return row[columnKey] + " is there already"
	case !slices.Equal(filled(english), filled(japanese)):
		return fmt.Sprintf("%s: the languages fill in %q and %q", row[columnKey], filled(english), filled(japanese))
	case strings.Contains(verb.ReplaceAllString(english+japanese, ""), "%"):
		return row[columnKey] + ": a % that is none of %[1]s and the like"
	case strings.HasSuffix(english, "\n") != strings.HasSuffix(japanese, "\n"):
		return row[columnKey] + ": one of the languages ends in a line end"
	case len(japanese) > 1 && english == japanese && strings.ContainsFunc(verb.ReplaceAllString(english, ""), unicode.IsLetter):
		return row[columnKey] + " is not translated"
	}
	return ""
}

// keysIn finds the keys that Go files ask for, each with a place.
func keysIn(dir string, functions []string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	used := map[string]string{}
	set := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 || !slices.Contains(functions, called(call)) {
				return true
			}
			for _, arg := range call.Args[:min(2, len(call.Args))] {
				if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if key, err := strconv.Unquote(lit.Value); err == nil {
						used[key] = set.Position(lit.Pos()).String()
					}
					break
				}
			}
			return true
		})
	}
	return used, nil
}

// called is the last word of what a call calls.
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}
