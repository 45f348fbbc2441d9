// Package submit is one SMTP conversation, as a client (RFC 5321), over a
// connection that somebody else made.
//
//  1. Open reads the greeting and says EHLO with the address literal of the
//     connection's own address (HELO where EHLO is not known).
//  2. StartTLS encrypts; nothing that was read before survives it.
//  3. Auth carries one SASL exchange (RFC 4954).
//  4. Transact carries one message: MAIL and RCPT in one flight where the
//     server pipelines (RFC 2920), one by one where not; the body by BDAT
//     (RFC 3030) where the server takes it, else by DATA, in the same flight
//     where that is allowed; each recipient's reply is handed on as it comes.
//     Begin and Run do the same in steps, for who waits only so long.
//  5. Watch waits on an idle connection; Quit and Close end it.
//
// Each command belongs to a phase; the phase table (phase.go) has its name,
// its time-out and what a failure in it means for the message: nothing was sent
// (safe), it may have been taken (ambiguous), it is over (done). Only the wait
// for the reply to the last byte is ambiguous.
//
// After any I/O error, time-out or malformed reply a conversation is botched:
// it is never used again.
package submit
