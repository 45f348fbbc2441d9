package auth

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
)

// killWithChildren opens no console window for the command. Windows has no
// process groups to kill; WaitDelay ends the wait for what a child holds open.
func killWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW}
}
