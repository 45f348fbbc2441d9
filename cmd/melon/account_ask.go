package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxTyped bounds a line that a person types, in octets.
const maxTyped = 4096

// terminal is a person at a keyboard.
type terminal struct {
	in  *os.File
	out io.Writer
}

// terminal returns the one that standard input is, or nil.
func (c *cli) terminal() *terminal {
	f, ok := c.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &terminal{in: f, out: c.stderr}
}

// errInput says that standard input ended before an answer.
var errInput = errors.New("nothing was typed")

// line asks for one line.
func (t *terminal) line(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(t.out, prompt+" ")
	s, err := t.wait(ctx, func() (string, error) { return typedLine(t.in, maxTyped) })
	return strings.TrimSpace(s), err
}

// errInterrupted says that the person pressed Ctrl-C.
var errInterrupted = errors.New("interrupted; nothing was saved")

// secret asks for a password. The echo is off before the prompt shows, so that
// not even a quick typist sees a letter of it.
func (t *terminal) secret(ctx context.Context, prompt string) (string, error) {
	fd := int(t.in.Fd())
	s, err := t.wait(ctx, func() (string, error) {
		before, err := term.MakeRaw(fd)
		if err != nil {
			return "", err
		}
		defer term.Restore(fd, before)
		return term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{t.in, t.out}, "").ReadPassword(prompt + " ")
	})
	if errors.Is(err, io.EOF) { // Ctrl-C and Ctrl-D
		err = errInterrupted
	}
	return s, err
}

// confirm asks a question that yes or no answers; Enter is usual.
func (t *terminal) confirm(ctx context.Context, question string, usual bool) (bool, error) {
	choice := "[y/N]"
	if usual {
		choice = "[Y/n]"
	}
	for {
		s, err := t.line(ctx, question+" "+choice)
		if err != nil {
			return false, err
		}
		switch strings.ToLower(s) {
		case "":
			return usual, nil
		case "y", "yes", "はい":
			return true, nil
		case "n", "no", "いいえ":
			return false, nil
		}
	}
}

// wait runs read until ctx ends, as it does on Ctrl-C; the terminal is then as it
// was before. A read from a terminal cannot be cut: its goroutine ends with the
// process, which is about to.
func (t *terminal) wait(ctx context.Context, read func() (string, error)) (string, error) {
	fd := int(t.in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type typed struct {
		s   string
		err error
	}
	done := make(chan typed, 1)
	go func() {
		s, err := read()
		done <- typed{s, err}
	}()
	select {
	case got := <-done:
		return got.s, got.err
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		fmt.Fprintln(t.out)
		return "", errInterrupted
	}
}

// typedLine reads one line octet by octet, so that nothing behind it is taken
// away. Its line end is dropped; the last line may have none.
func typedLine(r io.Reader, limit int) (string, error) {
	var line []byte
	var b [1]byte
	for len(line) <= limit {
		n, err := r.Read(b[:])
		if n == 1 {
			if b[0] == '\n' {
				return strings.TrimSuffix(string(line), "\r"), nil
			}
			line = append(line, b[0])
			continue
		}
		if err == io.EOF && len(line) > 0 {
			return string(line), nil
		}
		if err == io.EOF {
			return "", errInput
		}
		if err != nil {
			return "", err
		}
	}
	return "", errors.New("the line is too long")
}
