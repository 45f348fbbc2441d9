package lab

import (
	"time"

	"melon/upstream"
)

// Kind is what a Fault does.
type Kind int

// The faults. "Reply" is the provider's answer to the command of the phase; at
// PhaseConnect and PhasePOPGreeting it is the greeting.
const (
	// Drop ends the connection instead of replying. At PhaseData it does so
	// when Fault.After octets of the body have come.
	Drop Kind = iota
	// Reset is Drop with a TCP reset where the network can.
	Reset
	// Stall does not reply until Provider.Release, and then does. At PhaseTLS
	// the handshake is stalled; at PhaseData the body is not read.
	Stall
	// WrongReply replies Fault.Text instead of doing what was asked.
	WrongReply
	// Early421 replies 421 4.3.2 (or Text; POP3: "-ERR [SYS/TEMP]") and ends the connection.
	Early421
	// LostReply does what was asked, then drops before the reply.
	LostReply
	// HalfReply does what was asked, sends half of the reply and drops.
	HalfReply
	// Garbage replies with octets that are no reply (or Text).
	Garbage
	// EndlessLine replies with a line without end, until the client leaves.
	EndlessLine
	// EndlessReply replies with continuation lines without end, as an endless
	// EHLO; for POP3 it is an endless multi-line answer.
	EndlessReply
	// SlowBytes sends the reply octet by octet, one each Fault.Every (5 ms
	// when 0). With Every a minute it is a byte a minute.
	SlowBytes
	// InjectStartTLS appends Text (or a forged reply) in clear behind the reply
	// to STARTTLS or STLS, before the handshake (CVE-2011-0411).
	InjectStartTLS
	// StripStartTLS leaves STARTTLS out of EHLO's answer (STLS out of CAPA's).
	StripStartTLS
	// PlainTLS answers a ClientHello in clear (PhaseTLS).
	PlainTLS
	// DropAfter does what was asked, replies and then ends the connection: a
	// warm connection that dies.
	DropAfter
	// SplitReply sends the reply's octets in two writes.
	SplitReply
	// ExtraReply sends one reply more than was asked for (Text or "250 2.0.0 Ok").
	ExtraReply
)

// Fault is one scripted fault.
type Fault struct {
	Phase upstream.Phase // one of package upstream's or of the lab's
	// Attempt is the how-manieth time, counted from 1 since the fault was set,
	// that a client reaches the phase; 0 is each time.
	Attempt int
	Kind    Kind
	Text    string        // reply lines without CRLF, joined by "\n"
	After   int64         // octets of a body (PhaseData)
	Every   time.Duration // SlowBytes
	Proto   Proto         // PhaseTLS alone is met on both servers; "" is either
}

// faults is the script and how often each entry's phase was met.
type faults struct {
	list []Fault
	met  []int
}

// hit notes that a client reached the phase and returns the fault that strikes.
func (f *faults) hit(proto Proto, phase upstream.Phase) *Fault {
	var struck *Fault
	for i := range f.list {
		e := &f.list[i]
		if e.Phase != phase || e.Proto != "" && e.Proto != proto {
			continue
		}
		f.met[i]++
		if struck == nil && (e.Attempt == 0 || e.Attempt == f.met[i]) {
			c := *e
			struck = &c
		}
	}
	return struck
}
