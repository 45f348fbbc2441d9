//go:build !linux

package outbox

import "os"

// syncData makes the content durable.
func syncData(f *os.File) error { return f.Sync() }
