//go:build unix

package auth

import (
	"os/exec"
	"syscall"
)

// killWithChildren gives the command a process group of its own, which is
// killed as a whole.
func killWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
