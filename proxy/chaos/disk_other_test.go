//go:build unix && !linux

package chaos

import (
	"context"
	"testing"
)

// mountSmallDisk: there is no disk to fill here without touching the machine's.
func mountSmallDisk(t testing.TB, _ *site) { t.Log("no full disk on this platform") }

func (w *world) diskFull(context.Context) {}
