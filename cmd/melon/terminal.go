package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"melon/proxy/setup"
)

// maxTyped bounds a line that a person types, in octets.
const maxTyped = 4096

// person is whoever answers questions on this command line. With the password on
// standard input it is not for questions, whatever it is.
func (c *cli) person(passwordStdin bool) (p setup.Person, attended bool) {
	if t := c.terminal(); t != nil && !passwordStdin {
		return t, true
	}
	return &script{in: c.stdin, out: c.stderr, password: passwordStdin}, false
}

// script is nobody: it answers no question, but may hand in a password.
type script struct {
	in       io.Reader
	out      io.Writer
	password bool // in is one
}

// Tell implements setup.Person.
func (s *script) Tell(text string) { fmt.Fprint(s.out, text) }

// Confirm implements setup.Person.
func (s *script) Confirm(context.Context, string, bool) (bool, error) {
	return false, setup.ErrNobody
}

// Type implements setup.Person.
func (s *script) Type(_ context.Context, _ string, secret bool) (string, error) {
	if !secret || !s.password {
		return "", setup.ErrNobody
	}
	typed, err := typedLine(s.in, maxTyped)
	if err == nil && typed == "" {
		err = setup.ErrNothingTyped
	}
	return typed, err
}

// terminal is a person at a keyboard.
type terminal struct {
	in  *os.File
	out io.Writer
	// interrupted says that the person pressed Ctrl-C.
	interrupted error
}

// terminal returns the one that standard input is, or nil.
func (c *cli) terminal() *terminal {
	f, ok := c.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &terminal{in: f, out: c.stderr, interrupted: c.fail(nil, "typed.interrupted")}
}

// Tell implements setup.Person.
func (t *terminal) Tell(text string) { fmt.Fprint(t.out, text) }

// Type implements setup.Person.
func (t *terminal) Type(ctx context.Context, prompt string, secret bool) (string, error) {
	if secret {
		return t.secret(ctx, prompt)
	}
	return t.line(ctx, prompt)
}

// line asks for one line.
func (t *terminal) line(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(t.out, prompt+" ")
	s, err := t.wait(ctx, func() (string, error) { return typedLine(t.in, maxTyped) })
	return strings.TrimSpace(s), err
}

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
		err = t.interrupted
	}
	return s, err
}

// Confirm implements setup.Person: Enter is the usual answer.
func (t *terminal) Confirm(ctx context.Context, question string, usual bool) (bool, error) {
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
		return "", t.interrupted
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
			return "", setup.ErrNothingTyped
		}
		if err != nil {
			return "", err
		}
	}
	return "", errors.New("the line is too long")
}
