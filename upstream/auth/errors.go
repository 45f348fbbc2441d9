package auth

import (
	"errors"

	"melon/upstream"
)

// The causes that errors.Is finds in this package's errors.
var (
	// ErrServerSignature: the server took the login but could not prove that it
	// knows the password (RFC 5802 section 3): somebody is in between. It is
	// temporary, and no other mechanism may be tried on such a server.
	ErrServerSignature = errors.New("the server's SCRAM signature is wrong or missing")
	// ErrChallenge: a challenge that the mechanism does not allow, or one beyond
	// the bounds for hostile servers.
	ErrChallenge = errors.New("unexpected challenge")
	// ErrCredentials: user name, password or token cannot be expressed in the
	// mechanism (empty, a NUL, a control character).
	ErrCredentials = errors.New("unusable credentials")

	// ErrMissing: there is no secret where the configuration says it is.
	ErrMissing = errors.New("secret not found")
	// ErrEmpty: the secret is there and has no octets.
	ErrEmpty = errors.New("secret is empty")
	// ErrUnsafe: the secret's file may be read by others, belongs to somebody
	// else or is no regular file.
	ErrUnsafe = errors.New("secret file is not private")
	// ErrKeyring: the keyring is locked, absent or does not answer. Temporary:
	// the item may well be there.
	ErrKeyring = errors.New("keyring is locked or does not answer")
	// ErrCommand: the command failed or took too long. Temporary.
	ErrCommand = errors.New("secret command failed")
	// ErrReadOnly: a command or an environment variable cannot be written.
	ErrReadOnly = errors.New("secret cannot be stored there")

	// ErrSignIn: the provider wants the person to sign in (again): there is no
	// grant, or it expired or was withdrawn (invalid_grant, RFC 6749 section 5.2).
	ErrSignIn = errors.New("sign-in needed")
	// ErrTokenEndpoint: the authorization server did not give a usable answer.
	// Temporary; nothing that is stored has changed.
	ErrTokenEndpoint = errors.New("authorization server gave no usable answer")
	// ErrNoClient: the account's OAuth settings are incomplete or unusable.
	ErrNoClient = errors.New("no usable oauth client")
)

// fail builds the package's one kind of error.
func fail(class upstream.Class, sentence string, err error) *upstream.Error {
	return &upstream.Error{Phase: upstream.PhaseAuth, Class: class, Sentence: sentence, Err: err}
}
