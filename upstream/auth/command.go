package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"melon/upstream"
)

// fromCommand runs a program, without a shell, and returns the first line that
// it prints. Its input is empty and what it says on standard error is dropped:
// it may quote the secret. Program and children are killed when time is over.
//
// A command that fails is temporary: it may be a password manager that is still
// locked. One that is not there at all is the person's to mend.
func (s *Secrets) fromCommand(ctx context.Context, argv []string) (string, error) {
	limit := s.CommandTimeout
	if limit <= 0 {
		limit = commandTimeout
	}
	runCtx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	var out head
	cmd := exec.CommandContext(runCtx, argv[0], argv[1:]...)
	cmd.Stdout = &out
	// A child that was left running may hold standard output open (an agent that
	// the program started): it is not waited for, and lives on.
	cmd.WaitDelay = time.Second
	killWithChildren(cmd)
	err := cmd.Run()
	switch {
	case runCtx.Err() != nil && err != nil:
		return "", fail(upstream.ClassTemporaryLocalProblem,
			"The command that prints the account's secret took too long and was stopped.", fmt.Errorf("%w: %w", ErrCommand, runCtx.Err()))
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return "", fail(upstream.ClassCredentialsRejected,
			"The command that prints the account's secret is not installed or may not be run; install it, or correct the configuration.", fmt.Errorf("%w: %w", ErrMissing, err))
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", fail(upstream.ClassTemporaryLocalProblem,
			"The command that prints the account's secret failed; run it in a terminal to see why.", fmt.Errorf("%w: %w", ErrCommand, err))
	}
	line, _, _ := strings.Cut(string(out.data), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

// head keeps the first maxSecret octets of what is written to it and takes the
// rest, so that the program does not block.
type head struct{ data []byte }

func (h *head) Write(p []byte) (int, error) {
	h.data = append(h.data, p[:min(len(p), maxSecret-len(h.data))]...)
	return len(p), nil
}
