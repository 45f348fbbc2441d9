package outbox

import (
	"errors"
	"fmt"
	"io/fs"

	"melon/upstream"
)

// Errors that the outbox's commands return; match them with errors.Is.
var (
	// ErrUnknownID: no entry has that ID or prefix.
	ErrUnknownID = errors.New("no such message in the outbox")
	// ErrAmbiguousID: several entries begin with that prefix.
	ErrAmbiguousID = errors.New("more than one message in the outbox begins so")
	// ErrBusy: the entry is being sent or changed at this moment.
	ErrBusy = errors.New("the message is being sent at this moment")
	// ErrPaused: everything is due, but sending is paused.
	ErrPaused = errors.New("sending is paused")
	// ErrClosed: the outbox was closed.
	ErrClosed = errors.New("the outbox is closed")
	// ErrNewerState: a newer version of Melon wrote the directory.
	ErrNewerState = errors.New("the outbox was written by a newer version of Melon; use that version, or move the directory away")
	// ErrLocked: another process has the directory open.
	ErrLocked = errors.New("another Melon uses this state directory")
)

// IDError is ErrUnknownID or ErrAmbiguousID with the ID that was asked for.
type IDError struct {
	ID  string
	Err error
}

func (e *IDError) Error() string { return e.ID + ": " + e.Err.Error() }

// Unwrap returns ErrUnknownID or ErrAmbiguousID.
func (e *IDError) Unwrap() error { return e.Err }

// StoreError is a failure of the disk or of the outbox directory. The message
// was not kept, and nothing of it is left. errors.As turns it into an
// *upstream.Error whose reply is 452 4.3.1 as well.
type StoreError struct {
	Op  string // what was being done: "write", "sync", …
	Err error  // may hold paths; for logs only
}

func (e *StoreError) Error() string { return fmt.Sprintf("outbox: %s: %v", e.Op, e.Err) }

// Unwrap returns the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// Sentence says what is wrong in plain words, without paths.
func (e *StoreError) Sentence() string {
	switch {
	case errors.Is(e.Err, errOutboxFull):
		return "The outbox is full: it takes more when messages in it have gone or are removed."
	case diskFull(e.Err):
		return "The disk is full: the message could not be kept."
	case errors.Is(e.Err, fs.ErrNotExist):
		return "The outbox directory is gone: the message could not be kept."
	case errors.Is(e.Err, fs.ErrPermission), readOnly(e.Err):
		return "The outbox directory cannot be written: the message could not be kept."
	}
	return "The outbox could not be written: the message could not be kept."
}

// As lets errors.As find the *upstream.Error that the app is answered with.
func (e *StoreError) As(target any) bool {
	t, ok := target.(**upstream.Error)
	if !ok {
		return false
	}
	*t = &upstream.Error{
		Phase:    upstream.PhaseData,
		Class:    upstream.ClassTemporaryLocalProblem,
		Reply:    upstream.Reply{Code: 452, Enhanced: upstream.EnhancedCode{4, 3, 1}, Lines: []string{e.Sentence()}},
		Sentence: e.Sentence(),
		Err:      e,
	}
	return true
}

// storeError wraps err, nil included.
func storeError(op string, err error) error {
	if err == nil {
		return nil
	}
	var se *StoreError
	if errors.As(err, &se) {
		return err
	}
	return &StoreError{Op: op, Err: err}
}
