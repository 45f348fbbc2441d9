//go:build !linux

package tray

import (
	"context"
	"errors"
)

// startService has no service manager to ask here.
func startService(context.Context) error { return errors.New("no service manager") }
