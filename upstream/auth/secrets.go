package auth

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"melon/upstream"
)

// Service is the name under which Melon's items stand in the system keyring.
const Service = "melon"

// Bounds for secrets.
const (
	maxSecret      = 64 << 10 // octets of a file, or of a command's output
	keyringTimeout = 5 * time.Second
	commandTimeout = 10 * time.Second
)

// Secrets reads and writes secrets where the configuration says they are. It
// never falls back from one store to another. The zero value works, on the
// system's keyring. Safe for concurrent use; do not copy.
type Secrets struct {
	Keyring        Keyring                     // the system's when nil
	KeyringTimeout time.Duration               // how long a caller waits for the keyring; 5 s when 0
	CommandTimeout time.Duration               // how long a command may run; 10 s when 0
	LookupEnv      func(string) (string, bool) // os.LookupEnv when nil

	calls keyringCalls
}

// Get returns the secret that ref names, without its one trailing line end; of
// a command the first line. Errors are *upstream.Error: of the person's kind
// around ErrMissing, ErrEmpty or ErrUnsafe, temporary around ErrKeyring or
// ErrCommand or a failing disk. The zero ref is ErrMissing.
func (s *Secrets) Get(ctx context.Context, ref upstream.SecretRef) (string, error) {
	secret, err := s.read(ctx, ref)
	if err != nil {
		return "", err
	}
	if secret = trimLineEnd(secret); secret == "" {
		return "", fail(upstream.ClassCredentialsRejected,
			"The account's secret ("+place(ref)+") is empty; store it again.", ErrEmpty)
	}
	return secret, nil
}

// read fetches the secret as it is stored.
func (s *Secrets) read(ctx context.Context, ref upstream.SecretRef) (string, error) {
	switch {
	case ref.Keyring != "":
		return s.fromKeyring(ctx, ref.Keyring)
	case len(ref.Command) > 0:
		return s.fromCommand(ctx, ref.Command)
	case ref.File != "":
		data, problem := readPrivate(ref.File)
		if problem != nil {
			return "", fail(problem.class(), problem.sentence, problem)
		}
		return string(data), nil
	case ref.Env != "":
		return s.fromEnv(ref.Env)
	}
	return "", fail(upstream.ClassCredentialsRejected,
		"The account has no password set; store one with melon account edit.", ErrMissing)
}

// fromEnv reads an environment variable.
func (s *Secrets) fromEnv(name string) (string, error) {
	lookup := s.LookupEnv
	if lookup == nil {
		lookup = os.LookupEnv
	}
	secret, ok := lookup(name)
	if !ok {
		return "", fail(upstream.ClassCredentialsRejected,
			"The environment variable "+upstream.CleanLine(name)+" with the account's secret is not set; set it where Melon is started.", ErrMissing)
	}
	return secret, nil
}

// Set stores secret where ref says: a keyring item, or a file that is replaced
// as a whole, mode 0600, on disk when Set returns. Commands and environment
// variables are ErrReadOnly. An empty secret is ErrEmpty.
func (s *Secrets) Set(ctx context.Context, ref upstream.SecretRef, secret string) error {
	if secret == "" {
		return fail(upstream.ClassCredentialsRejected, "An empty secret is not stored.", ErrEmpty)
	}
	if strings.HasSuffix(secret, "\n") {
		secret += "\n" // Get takes one off
	}
	switch {
	case len(secret) > maxSecret:
		return fail(upstream.ClassCredentialsRejected, "The secret is too long to be stored.", ErrCredentials)
	case ref.Keyring != "":
		return s.toKeyring(ctx, ref.Keyring, secret)
	case ref.File != "":
		if err := writePrivate(ref.File, []byte(secret)); err != nil {
			return fail(upstream.ClassTemporaryLocalProblem, "The account's secret could not be written to its file.", err)
		}
		return nil
	}
	return readOnly(ref)
}

// Delete removes the secret that ref names. One that is not there is no error.
func (s *Secrets) Delete(ctx context.Context, ref upstream.SecretRef) error {
	switch {
	case ref.Keyring != "":
		return s.dropKeyring(ctx, ref.Keyring)
	case ref.File != "":
		if err := removePrivate(ref.File); err != nil {
			return fail(upstream.ClassTemporaryLocalProblem, "The account's secret could not be removed from its file.", err)
		}
		return nil
	}
	return readOnly(ref)
}

// readOnly refuses to change what is not Melon's to change.
func readOnly(ref upstream.SecretRef) error {
	return fail(upstream.ClassCredentialsRejected,
		"The account's secret ("+place(ref)+") is not kept by Melon; change it where it comes from.", ErrReadOnly)
}

// Check says, without starting or asking anything, whether the secret can be
// there: a file must exist, be private and not be empty, an environment variable
// be set and not be empty. Keyring items and commands are taken on trust. Its
// error is for the person who edits the configuration: one sentence, with the
// path and what to type; ErrMissing, ErrEmpty or ErrUnsafe in its chain.
func (s *Secrets) Check(ref upstream.SecretRef) error {
	switch {
	case ref.File != "":
		data, problem := readPrivate(ref.File)
		if problem != nil {
			return problem
		}
		if trimLineEnd(string(data)) == "" {
			return &fileProblem{err: ErrEmpty, advice: fmt.Sprintf("the secret file %s is empty; write the secret into it", ref.File)}
		}
	case ref.Env != "":
		secret, err := s.fromEnv(ref.Env)
		if err != nil {
			return &fileProblem{err: ErrMissing, advice: fmt.Sprintf("the environment variable %s is not set", ref.Env)}
		}
		if trimLineEnd(secret) == "" {
			return &fileProblem{err: ErrEmpty, advice: fmt.Sprintf("the environment variable %s is empty", ref.Env)}
		}
	case ref.IsZero():
		return &fileProblem{err: ErrMissing, advice: "no secret is configured; give one as keyring, command, file or env"}
	}
	return nil
}

// trimLineEnd takes one line end off the end.
func trimLineEnd(s string) string {
	if t, ok := strings.CutSuffix(s, "\n"); ok {
		return strings.TrimSuffix(t, "\r")
	}
	return s
}

// place says where a secret is, for a sentence: its store, and the name of a
// keyring item or variable, but no path and no command.
func place(ref upstream.SecretRef) string {
	switch {
	case ref.Keyring != "":
		return "keyring item " + upstream.CleanLine(ref.Keyring)
	case len(ref.Command) == 0 && ref.File == "" && ref.Env != "":
		return "environment variable " + upstream.CleanLine(ref.Env)
	}
	return ref.Source()
}
