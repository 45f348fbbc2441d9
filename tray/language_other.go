//go:build !windows

package tray

import (
	"os/exec"
	"runtime"
)

// systemLanguage is the language of the user's desktop where the environment
// does not tell, "" when unknown: a program that macOS starts has no LANG.
func systemLanguage() string {
	if runtime.GOOS != "darwin" {
		return ""
	}
	out, err := exec.Command("defaults", "read", "-g", "AppleLocale").Output()
	if err != nil {
		return ""
	}
	return string(out)
}
