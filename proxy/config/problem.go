package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one fault of the file: where, and what to write instead.
type Problem struct {
	File     string // as given
	Line     int    // from 1
	Column   int    // from 1, in characters
	Sentence string // without a secret, ever
}

// Error returns "FILE:LINE:COLUMN: sentence".
func (p Problem) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Sentence)
}

// Problems is every fault of a file, in the order of the file; never empty
// where it is returned as an error.
type Problems []Problem

// Error returns one line a problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, q := range p {
		lines[i] = q.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the problems in the order of the file, each once.
func (p Problems) sorted() Problems {
	p = slices.Clone(p)
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(p)
}

// SecretProblem is a secret that cannot be had as things are: its file is not
// there or readable by others, its environment variable is not set. The
// configuration is otherwise good.
type SecretProblem struct {
	// Account is the one that cannot be used; "" for listen.password.
	Account string
	Problem
}
