//go:build !linux && !windows

package tray

import (
	"context"
	"os/exec"
)

// scriptNotifier shows notifications of macOS through osascript, which needs no
// signed bundle; a click on them is the system's.
type scriptNotifier struct{}

// NewNotifier returns the platform's notifications.
func NewNotifier(string, func(page string)) Notifier { return scriptNotifier{} }

// Show shows a notice. The texts are arguments, not part of the script.
func (scriptNotifier) Show(ctx context.Context, n Notice) error {
	if n.Update {
		return nil
	}
	return exec.CommandContext(ctx, "osascript", "-e", "on run argv",
		"-e", "display notification (item 2 of argv) with title (item 1 of argv)", "-e", "end run", "--", n.Title, n.Body).Run()
}

func (scriptNotifier) Close() {}
