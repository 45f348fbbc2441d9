//go:build !windows && !linux && !(darwin && cgo)

package tray

import (
	"context"
	"errors"
)

// NewDriver returns a Driver that says how to build one.
func NewDriver() Driver { return noDriver{} }

type noDriver struct{}

func (noDriver) Run(context.Context, View, <-chan View, chan<- ID) error {
	return errors.New("this melon-tray was built without a tray: on macOS build it with CGO_ENABLED=1 and Xcode's command line tools; " +
		"until then: melon open, melon status")
}
