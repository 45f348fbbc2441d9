package sendmail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"melon/proxy/config"
	"melon/proxy/control/api"
	"melon/proxy/control/client"
)

// The exit statuses of sendmail(8), from sysexits.h.
const (
	ExUsage       = 64 // the command line is wrong
	ExDataErr     = 65 // the message cannot be read
	ExNoUser      = 67 // the server does not know the recipient
	ExNoHost      = 68 // the recipient's domain does not exist
	ExUnavailable = 69 // refused for good, or nothing is running to ask
	ExCantCreate  = 73 // the message can neither be sent nor kept
	ExTempFail    = 75 // try again later
	ExNoPerm      = 77 // the provider does not let this account send
	ExConfig      = 78 // the configuration is wrong
)

// Error is what ends a call, with its exit status.
type Error struct {
	Status int
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// withStatus gives an error without an exit status one of its own.
func withStatus(err error) error {
	if _, ok := errors.AsType[*Error](err); ok || err == nil {
		return err
	}
	return &Error{ExTempFail, err}
}

// Call is one call of the program: its streams and its surroundings.
type Call struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Paths          config.Paths
	// Sockets are the places where this user's relay may answer, the likeliest
	// first.
	Sockets []string
	// List writes the messages that wait, for -bp.
	List func(io.Writer, []api.Entry) error
}

// Run carries out what the options ask for. Its error, if any, is an *Error.
func (c *Call) Run(ctx context.Context, o Options) error {
	r := c.findRelay(ctx)
	if r != nil {
		defer r.Close()
	}
	switch o.mode {
	case 'i': // newaliases: there are none
		return nil
	case 'p':
		return withStatus(c.mailq(ctx, r))
	case 'q':
		return withStatus(sendWaiting(ctx, r))
	case 's':
		return withStatus(c.speakSMTP(ctx, r))
	}
	return withStatus(c.sendMessage(ctx, o, r))
}

// relay is a running relay and what it said of itself.
type relay struct {
	*client.Client
	status api.Status
}

// findRelay returns this user's running relay, or nil.
func (c *Call) findRelay(ctx context.Context) *relay {
	for _, s := range slices.Compact(slices.Clone(c.Sockets)) {
		cl := client.New(s)
		if status, err := cl.Status(ctx); err == nil {
			return &relay{cl, status}
		}
		cl.Close()
	}
	return nil
}

// plainAddress is the first listener that needs no TLS, or "".
func (r *relay) plainAddress() string {
	for _, l := range r.status.Listeners {
		if l.Kind == "smtp" && config.Loopback(l.Address) {
			return l.Address
		}
	}
	return ""
}

// sendWaiting has the relay try what waits, the drop directory included.
func sendWaiting(ctx context.Context, r *relay) error {
	if r == nil {
		return &Error{ExUnavailable, client.ErrNotRunning}
	}
	err := r.Collect(ctx)
	_, sendErr := r.Do(ctx, "send", nil)
	return errors.Join(err, sendErr)
}

// mailq lists what waits.
func (c *Call) mailq(ctx context.Context, r *relay) error {
	left, err := dropped(c.Paths.State)
	if err != nil {
		return err
	}
	for _, name := range left {
		fmt.Fprintf(c.Stdout, "waits for melon run: %s\n", name)
	}
	if r == nil {
		return &Error{ExUnavailable, client.ErrNotRunning}
	}
	entries, err := r.Outbox(ctx)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return c.List(c.Stdout, entries)
	}
	if len(left) == 0 {
		_, err = fmt.Fprintln(c.Stdout, "Mail queue is empty")
	}
	return err
}
