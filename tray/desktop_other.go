//go:build windows || (darwin && cgo)

package tray

import (
	"context"
	"runtime"
	"strings"
)

// prepareDesktop has nothing to make ready: the desktop is always there.
func prepareDesktop(context.Context) (<-chan error, error) { return nil, nil }

func releaseDesktop() {}

// nativeLabel keeps an ampersand from marking an access key.
func nativeLabel(s string) string {
	if runtime.GOOS == "windows" {
		return strings.ReplaceAll(s, "&", "&&")
	}
	return s
}
