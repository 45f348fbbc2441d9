package autostart

import (
	"fmt"
	"strings"
)

// DesktopMelon starts the relay in a desktop that has no user manager (Desktop
// Application Autostart Specification). A session that systemd manages skips it
// in favour of the units.
func (p Plan) DesktopMelon() string {
	return p.desktop("Melon", "A local mail relay", desktopExec(p.Melon, append(append([]string{}, p.Flags...), "run")), "")
}

// DesktopTray starts the icon. Where there is a unit for it as well, sessions
// that systemd manages start that one, and all others this.
func (p Plan) DesktopTray(unit bool) string {
	skip := ""
	if unit {
		skip = "X-systemd-skip=true\n"
	}
	return p.desktop("Melon's icon", "Shows what the local mail relay does", desktopExec(p.Tray, p.Flags), skip)
}

func (p Plan) desktop(name, comment, exec, more string) string {
	return fmt.Sprintf(`# %s
[Desktop Entry]
Type=Application
Version=1.4
Name=%s
Comment=%s
Exec=%s
Icon=melon
Terminal=false
NoDisplay=true
Categories=Network;Email;
%s`, p.record(), name, comment, exec, more)
}

// desktopExec is the value of Exec (Desktop Entry Specification, "The Exec key"):
// each argument in quotes, with the characters that mean something there behind
// a backslash, and, as it is a string value, each backslash doubled; a percent
// sign doubled.
func desktopExec(program string, args []string) string {
	var words []string
	for _, w := range append([]string{program}, args...) {
		w = strings.ReplaceAll(w, "%", "%%")
		if strings.ContainsAny(w, " \t\n\"'\\><~|&;$*?#()`") || w == "" {
			w = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", "$", `\$`).Replace(w)
			w = `"` + strings.ReplaceAll(w, `\`, `\\`) + `"`
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}
