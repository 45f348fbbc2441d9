package smtpin

import (
	"context"
	"errors"
)

// Server is the set of listeners and their connections.
type Server struct{}

// New checks the options and binds every address; connections wait until
// Start. An error names the address and what to change.
func New(o Options) (*Server, error) { return nil, errors.New("smtpin: not built yet") }

// Addresses lists what is listened on, plain ones first, in the order given.
func (s *Server) Addresses() []Address { return nil }

// Enforced reports whether only this user's processes can connect: false with
// any-local, and where the platform cannot tell.
func (s *Server) Enforced() bool { return false }

// Start accepts connections until Shutdown.
func (s *Server) Start() {}

// Shutdown stops accepting, ends idle connections with 421 4.3.2, lets those in
// a transaction finish until ctx ends, then cuts them. It returns when every
// goroutine has ended: nil when all finished, else ctx's error.
func (s *Server) Shutdown(ctx context.Context) error { return nil }
