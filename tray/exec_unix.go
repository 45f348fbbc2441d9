//go:build unix

package tray

import (
	"os/exec"
	"syscall"
)

// unseen makes a command run without a window; here none has one.
func unseen(*exec.Cmd) {}

// detached makes a command outlive this process: a session of its own, which no
// signal to this one's group or terminal reaches.
func detached(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// inWindow makes a terminal program outlive this process.
func inWindow(cmd *exec.Cmd) { detached(cmd) }
