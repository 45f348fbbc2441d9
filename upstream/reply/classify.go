package reply

import (
	"strings"

	"melon/upstream"
)

// Classify says what r, heard in phase, means. An empty phase means that it is
// not known; it is then guessed from code and words. The answer is always one
// of upstream.ReplyClasses.
func Classify(phase upstream.Phase, r upstream.Reply) upstream.Class {
	t := strings.ToLower(r.Text())
	switch {
	case strings.Contains(t, "pop"):
		return upstream.ClassPOPBeforeSMTPRequired
	case strings.Contains(t, "relay"):
		return upstream.ClassRelayDeniedIP
	case phase.IsPOP():
		return upstream.ClassPOPCredentialsRejected
	case phase == upstream.PhaseAuth:
		return upstream.ClassCredentialsRejected
	case r.Temporary():
		return upstream.ClassTemporaryLocalProblem
	}
	return upstream.ClassOther
}

// ClassifyText is Classify for a text that is not a parsed reply: a line off
// the wire, a mail app's error box, a bounce. An empty phase means unknown.
func ClassifyText(phase upstream.Phase, text string) upstream.Class {
	return Classify(phase, Parse(text))
}
