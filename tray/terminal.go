package tray

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// errNoTerminal is why a command that asks for something cannot be run.
var errNoTerminal = errors.New("there is neither a web page (control.web) nor a terminal program to open")

// keepOpen runs its arguments and waits for Enter, so that what they say can be
// read.
const keepOpen = `"$@"; printf '\n[Enter] '; read _`

// terminals are the programs that open a window for a command, by name, with
// what stands between them and the command. The first that is there is taken.
func terminals() [][]string {
	return [][]string{
		{"x-terminal-emulator", "-e"}, {"gnome-terminal", "--"}, {"kgx", "--"}, {"konsole", "-e"}, {"xfce4-terminal", "-x"},
		{"kitty"}, {"alacritty", "-e"}, {"foot"}, {"xterm", "-e"},
	}
}

// terminalCommand is the command line that runs argv in a window of its own.
// look is exec.LookPath.
func terminalCommand(goos string, argv []string, look func(string) (string, error)) ([]string, error) {
	switch goos {
	case "darwin":
		quoted := make([]string, len(argv))
		for i, a := range argv {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		return []string{"osascript", "-e", "on run argv", "-e", `tell application "Terminal" to do script (item 1 of argv)`,
			"-e", `tell application "Terminal" to activate`, "-e", "end run", "--", strings.Join(quoted, " ")}, nil
	case "windows":
		for _, a := range argv[1:] {
			if strings.ContainsAny(a, "&|<>^%\"!\r\n") { // cmd would read more into it
				return nil, errors.New("this cannot be given to a command window: " + a)
			}
		}
		return append([]string{"cmd.exe", "/k"}, argv...), nil
	}
	for _, t := range terminals() {
		path, err := look(t[0])
		if err != nil {
			continue
		}
		line := append([]string{path}, t[1:]...)
		return append(append(line, "sh", "-c", keepOpen, "sh"), argv...), nil
	}
	return nil, errNoTerminal
}

// Terminal runs a command of melon in a window of its own and does not wait for it.
func (m Melon) Terminal(args ...string) error {
	line, err := terminalCommand(runtime.GOOS, append(append([]string{m.Path}, m.Flags...), args...), exec.LookPath)
	if err != nil {
		return err
	}
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Dir, _ = os.UserHomeDir() // anywhere else will do as well
	inWindow(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // reaps it; it may outlive this program
	return nil
}
