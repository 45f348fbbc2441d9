package autostart

import "strings"

// runKeyName is the name of the value in the Run key.
const runKeyName = "Melon"

// RunKey is the command line of the Run key. Windows opens a console window for
// a console program, so that the icon, which has none and starts the relay
// unseen, stands for both where there is one.
func (p Plan) RunKey() string {
	args := append([]string{p.Tray}, p.Flags...)
	if p.Tray == "" {
		args = append(append([]string{p.Melon}, p.Flags...), "run")
	}
	for i, a := range args {
		args[i] = quoteWindows(a)
	}
	return strings.Join(args, " ")
}

// quoteWindows quotes an argument for CommandLineToArgvW.
func quoteWindows(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\"") {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for _, r := range s {
		switch r {
		case '\\':
			slashes++
			continue
		case '"':
			b.WriteString(strings.Repeat(`\`, 2*slashes+1))
		default:
			b.WriteString(strings.Repeat(`\`, slashes))
		}
		slashes = 0
		b.WriteRune(r)
	}
	b.WriteString(strings.Repeat(`\`, 2*slashes) + `"`)
	return b.String()
}

// splitWindows undoes RunKey: the words of a command line.
func splitWindows(s string) []string {
	var words []string
	for s = strings.TrimLeft(s, " \t"); s != ""; s = strings.TrimLeft(s, " \t") {
		var b strings.Builder
		quoted := false
		i := 0
		for ; i < len(s) && (quoted || s[i] != ' ' && s[i] != '\t'); i++ {
			n := 0
			for i+n < len(s) && s[i+n] == '\\' {
				n++
			}
			if n > 0 && i+n < len(s) && s[i+n] == '"' {
				b.WriteString(strings.Repeat(`\`, n/2))
				if i += n; n%2 == 1 {
					b.WriteByte('"')
				} else {
					i--
				}
				continue
			}
			if s[i] == '"' {
				quoted = !quoted
				continue
			}
			b.WriteByte(s[i])
		}
		words = append(words, b.String())
		s = s[i:]
	}
	return words
}
