package sendmail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"melon/upstream"
)

// Outbox keeps a message for good.
type Outbox interface {
	Queue(ctx context.Context, env upstream.Envelope, body io.Reader) (upstream.Reply, error)
}

// Collector takes what was left in the drop directory into a relay's outbox.
type Collector struct {
	state  string
	outbox Outbox
	log    *slog.Logger

	collecting sync.Mutex // held while messages are taken in

	mu   sync.Mutex
	last string // what went wrong the last time; guarded by mu
}

// NewCollector returns the collector of a state directory.
func NewCollector(state string, o Outbox, log *slog.Logger) *Collector {
	return &Collector{state: state, outbox: o, log: log}
}

// Collect takes in all that is there. What cannot be taken stays and is a problem
// that status shows. A process that ends between the outbox's sync and the removal
// sends a message twice: that is the better of the two mistakes.
func (c *Collector) Collect(ctx context.Context) error {
	c.collecting.Lock()
	defer c.collecting.Unlock()
	names, err := dropped(c.state)
	if err != nil {
		return err
	}
	var problems []error
	for _, name := range names {
		if err := c.collect(ctx, name); err != nil {
			problems = append(problems, fmt.Errorf("the message in %s was not collected: %w", name, err))
			c.log.Error("a message that sendmail left was not collected", "file", name, "error", err)
		}
	}
	err = errors.Join(problems...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last = ""; err != nil {
		c.last = err.Error()
	}
	return err
}

// Problems is for the status: what went wrong the last time, one sentence or none.
func (c *Collector) Problems() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == "" {
		return nil
	}
	return []string{c.last}
}

// collect takes one file into the outbox.
func (c *Collector) collect(ctx context.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	env, body, err := readDropped(f)
	if err != nil {
		return err
	}
	if _, err := c.outbox.Queue(ctx, env, body); err != nil {
		return err
	}
	f.Close() // before it is removed (Windows)
	return os.Remove(name)
}
