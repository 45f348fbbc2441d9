package upstream

// Phase names the step of a conversation in which something happened. The
// values are part of the command line's contract: they are stored in the
// outbox, shown to people and accepted by `melon explain --phase`.
type Phase string

// The phases, in the order in which a message meets them. "connect" covers
// name resolution, the TCP connection, implicit TLS and the SMTP greeting;
// "data" the DATA or BDAT command and the body; "data-end" the wait for the
// reply to the final dot or to BDAT LAST, the only step whose outcome can stay
// unknown.
const (
	PhaseConnect  Phase = "connect"
	PhaseEHLO     Phase = "ehlo"
	PhaseStartTLS Phase = "starttls"
	PhaseAuth     Phase = "auth"
	PhaseMail     Phase = "mail"
	PhaseRcpt     Phase = "rcpt"
	PhaseData     Phase = "data"
	PhaseDataEnd  Phase = "data-end"

	PhasePOPGreeting Phase = "pop-greeting" // connect, TLS, greeting, CAPA and STLS of the POP3 server
	PhasePOPUser     Phase = "pop-user"     // USER
	PhasePOPPass     Phase = "pop-pass"     // PASS, APOP, AUTH, and what follows them
)

// Phases lists every phase, in order.
func Phases() []Phase {
	return []Phase{
		PhaseConnect, PhaseEHLO, PhaseStartTLS, PhaseAuth,
		PhaseMail, PhaseRcpt, PhaseData, PhaseDataEnd,
		PhasePOPGreeting, PhasePOPUser, PhasePOPPass,
	}
}

// Valid reports whether p is one of the listed phases.
func (p Phase) Valid() bool {
	for _, q := range Phases() {
		if p == q {
			return true
		}
	}
	return false
}

// IsPOP reports whether p belongs to the POP3 conversation, where a refusal is
// "-ERR" instead of a reply code.
func (p Phase) IsPOP() bool {
	return p == PhasePOPGreeting || p == PhasePOPUser || p == PhasePOPPass
}

// InTransaction reports whether p is at or after MAIL, where a permanent reply
// is about the message and not about the connection (RFC 5321 section 3.3).
func (p Phase) InTransaction() bool {
	switch p {
	case PhaseMail, PhaseRcpt, PhaseData, PhaseDataEnd:
		return true
	}
	return false
}
