package auth

import (
	"context"
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

// Keyring is the system keyring. Calls may block for as long as a dialog is
// open. keyring.ErrNotFound says that there is no such item; any other error
// that the keyring cannot say.
type Keyring interface {
	Get(service, item string) (string, error)
	Set(service, item, secret string) error
	Delete(service, item string) error
}

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
// ErrCommand. The zero ref is ErrMissing.
func (s *Secrets) Get(ctx context.Context, ref upstream.SecretRef) (string, error) {
	return s.get(ctx, ref)
}

// Set stores secret where ref says: a keyring item, or a file that is replaced
// as a whole, mode 0600, on disk when Set returns. Commands and environment
// variables are ErrReadOnly.
func (s *Secrets) Set(ctx context.Context, ref upstream.SecretRef, secret string) error {
	return s.set(ctx, ref, secret)
}

// Delete removes the secret that ref names. One that is not there is no error.
func (s *Secrets) Delete(ctx context.Context, ref upstream.SecretRef) error {
	return s.delete(ctx, ref)
}

// Check says, without starting or asking anything, whether the secret can be
// there: a file must exist, be private and not be empty, an environment variable
// be set. Keyring items and commands are taken on trust. Its error is for the
// person who edits the configuration: one sentence, with the path and what to
// type; ErrMissing, ErrEmpty or ErrUnsafe in its chain.
func (s *Secrets) Check(ref upstream.SecretRef) error {
	return s.check(ref)
}
