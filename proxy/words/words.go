// Package words holds what a person reads in one table a package, a row a text
// and a column a language, so that whoever translates needs no Go:
//
//	found.nothing	No servers were found for %[1]s.	%[1]s のサーバーは見つかりませんでした。
//
// The columns are key, English and Japanese, with a tab between them; \n is a line
// end; lines that begin with # are remarks. Check is for the tests of a package
// that has a table: no text lacks its translation, and every key that the code
// names is there.
package words

import (
	"fmt"
	"strings"
)

// Columns of a table.
const (
	columnKey = iota
	columnEnglish
	columnJapanese
	columns
)

// Words are the texts of one table in one language.
type Words struct{ texts map[string]string }

// In reads a table for "ja", or in English for anything else.
func In(table, lang string) Words {
	column := columnEnglish
	if lang == "ja" {
		column = columnJapanese
	}
	w := Words{map[string]string{}}
	for line := range strings.Lines(table) {
		if row, ok := cells(line); ok && len(row) == columns {
			w.texts[row[columnKey]] = row[column]
		}
	}
	return w
}

// cells returns the cells of a line that has any.
func cells(line string) ([]string, bool) {
	line = strings.TrimRight(line, "\r\n")
	if line == "" || line[0] == '#' {
		return nil, false
	}
	return strings.Split(strings.ReplaceAll(line, `\n`, "\n"), "\t"), true
}

// Say returns the text of a key with its %[1]s and the like filled in. A key that
// the table lacks stands for itself.
func (w Words) Say(key string, args ...any) string {
	text, ok := w.texts[key]
	if !ok {
		text = key
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// Error is an error that reads as the text of a key; cause, which may be nil, stands
// behind it.
func (w Words) Error(cause error, key string, args ...any) error {
	return &worded{w.Say(key, args...), cause}
}

type worded struct {
	text  string
	cause error
}

func (w *worded) Error() string { return w.text }

func (w *worded) Unwrap() error { return w.cause }

// Has reports whether the table has a key.
func (w Words) Has(key string) bool {
	_, ok := w.texts[key]
	return ok
}

// Row is a line of a report: what it is about, in a column of its own, and value.
func (w Words) Row(key, value string) string { return "  " + Pad(w.Say(key), 10) + " " + value + "\n" }

// Pad fills a text with blanks to a width in columns of a terminal, in which a
// letter of Japanese takes two.
func Pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-Width(s)))
}

// Columns are rows with each cell but the last padded to the widest of its column
// and two blanks.
func Columns(rows [][]string) string {
	var widest []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widest) {
				widest = append(widest, 0)
			}
			widest[i] = max(widest[i], Width(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			b.WriteString(Pad(cell, widest[i]+2))
		}
		b.WriteString(row[len(row)-1] + "\n")
	}
	return b.String()
}

// Width is how many columns a text takes. It knows the letters that Japanese texts
// are written with, and takes all others for narrow.
func Width(s string) (n int) {
	for _, r := range s {
		n++
		if r >= 0x2e80 && r <= 0xd7ff || r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe4f || r >= 0xff01 && r <= 0xff60 || r >= 0x20000 {
			n++
		}
	}
	return n
}
