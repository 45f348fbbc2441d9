package submit

import (
	"time"

	"melon/upstream"
)

// Retry says what a failure in a phase means for the message.
type Retry int

// The values of Retry.
const (
	Safe      Retry = iota + 1 // nothing of the message can have been taken
	Ambiguous                  // the server may have taken it
	Done                       // the message's fate is known
)

// row is what the phase table says about one phase.
type row struct {
	wire    string        // the command on the wire, for logs
	timeout time.Duration // longest wait for one reply, or for one write
	retry   Retry
}

// The phases of this package that no failure of a message is reported in.
const (
	phaseReset upstream.Phase = "rset"
	phaseQuit  upstream.Phase = "quit"
	phaseBlock upstream.Phase = "block" // one write of the body
)

// table returns the phase's row. The time-outs are those of RFC 5321 section
// 4.5.3.2; those it does not name are like that of MAIL. Only data-end is
// ambiguous.
func table(p upstream.Phase) row {
	switch p {
	case upstream.PhaseConnect:
		return row{"greeting", 5 * time.Minute, Safe}
	case upstream.PhaseEHLO:
		return row{"EHLO", 5 * time.Minute, Safe}
	case upstream.PhaseStartTLS:
		return row{"STARTTLS", 2 * time.Minute, Safe}
	case upstream.PhaseAuth:
		return row{"AUTH", 5 * time.Minute, Safe}
	case upstream.PhaseMail:
		return row{"MAIL", 5 * time.Minute, Safe}
	case upstream.PhaseRcpt:
		return row{"RCPT", 5 * time.Minute, Safe}
	case upstream.PhaseData:
		return row{"DATA", 2 * time.Minute, Safe}
	case phaseBlock:
		return row{"body", 3 * time.Minute, Safe}
	case upstream.PhaseDataEnd:
		return row{".", 10 * time.Minute, Ambiguous}
	case phaseReset:
		return row{"RSET", time.Minute, Done}
	case phaseQuit:
		return row{"QUIT", 5 * time.Second, Done}
	}
	return row{string(p), 5 * time.Minute, Safe}
}

// Timeout returns how long a reply in phase p is waited for by default.
func Timeout(p upstream.Phase) time.Duration { return table(p).timeout }
