package setup

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"melon/proxy/config"
	"melon/proxy/words"
	"melon/upstream"
	"melon/upstream/auth"
	"melon/upstream/dial"
	"melon/upstream/discover"
)

// Bounds of the steps that wait for others.
const (
	findTime   = 6 * time.Second
	testTime   = 12 * time.Second
	signInTime = 10 * time.Minute
)

// defaultWindow is how long a POP login opens a relay, as far as nobody says
// otherwise.
const defaultWindow = 5 * time.Minute

// Person is whoever sets an account up: at a terminal, at the web page, or a
// script that has nobody behind it.
type Person interface {
	// Tell shows a text, which ends in a line end.
	Tell(text string)
	// Confirm asks what yes or no answers; usual is the likely answer.
	Confirm(ctx context.Context, question string, usual bool) (bool, error)
	// Type asks for a line; for a secret one nothing of it is shown.
	Type(ctx context.Context, prompt string, secret bool) (string, error)
}

// ErrNobody is a Person's error for a question that nobody is there to answer.
var ErrNobody = errors.New("there is nobody to ask")

// ErrNothingTyped is a Person's error for an answer that did not come.
var ErrNothingTyped = errors.New("nothing was typed")

// UsageError is what cannot be as it was wished for: the wish has to change.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

func (e *UsageError) Unwrap() error { return e.Err }

func usage(err error) error { return &UsageError{err} }

// Parts is what a set-up works with.
type Parts struct {
	Paths   config.Paths
	Lang    string        // "en" or "ja"
	Secrets *auth.Secrets // the stores; nil: the system's
	Dialer  *dial.Dialer  // nil: a plain one
	// Find looks for servers; nil: discover.Discover.
	Find func(context.Context, discover.Options, string) ([]discover.Candidate, error)
	// Browse shows a page in the person's own browser; for SignIn and Add alone.
	Browse func(ctx context.Context, url string) error
	// Reload tells a running relay that the configuration changed; for Add alone.
	Reload func(context.Context) error
}

// Setup sets accounts up. It holds nothing open.
type Setup struct {
	Parts
	words words.Words
}

//go:embed words.tsv
var table string

// New returns a set-up.
func New(p Parts) *Setup {
	if p.Secrets == nil {
		p.Secrets = &auth.Secrets{}
	}
	if p.Dialer == nil {
		p.Dialer = &dial.Dialer{}
	}
	if p.Find == nil {
		p.Find = discover.Discover
	}
	return &Setup{p, words.In(table, p.Lang)}
}

// say is a text of the table in the person's language.
func (s *Setup) say(key string, args ...any) string { return s.words.Say(key, args...) }

// fail is an error that reads as a text of the table.
func (s *Setup) fail(key string, args ...any) error { return s.words.Error(nil, key, args...) }

// misuse is fail for what has to be wished for otherwise.
func (s *Setup) misuse(key string, args ...any) error { return usage(s.fail(key, args...)) }

// Wishes are what a person says of an account beforehand. The zero value leaves
// everything to be found out.
type Wishes struct {
	Servers ServerWishes
	SignIn  SignInWishes

	Name, Username, Auth string
	Store                string // "keyring", "file", or ""
	CA                   string // a PEM file to trust

	Plaintext bool // the password may be sent over an unencrypted connection
	ISPDB     bool // Thunderbird's public database may be asked
	Yes       bool // what is found is right, whoever says so
	NoTest    bool
	SendTest  bool // the test sends a message
	// Unattended says that nobody is there: a sign-in has no more time than the
	// rest.
	Unattended bool
}

// ServerWishes name the servers, as HOST[:PORT].
type ServerWishes struct{ SMTP, Security, POP, POPSecurity string }

// SignInWishes say how to sign in with OAuth 2.0.
type SignInWishes struct {
	OAuth             upstream.OAuth
	ClientSecretFile  string
	Device, NoBrowser bool
}

// Sentence is what a person reads of an error.
func Sentence(err error) string {
	if e, ok := errors.AsType[*upstream.Error](err); ok && e.Sentence != "" {
		return e.Sentence
	}
	return err.Error()
}
