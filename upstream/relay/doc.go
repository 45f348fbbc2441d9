// Package relay carries messages to a provider: it knows the order of the
// steps, keeps the POP window, logs in as the account wants it, tries again
// where that makes sense, keeps connections warm and remembers per account and
// network what worked.
//
// A transaction is carried by one goroutine at a time (transaction.go): its own, or
// that of the app, for a short message that finds a warm connection (begin.go). It
// lets the accounts try one after the other, each by a carrier (carrier.go):
//
//  1. account.admit: an account that asks for attention is not tried
//     (attention.go).
//  2. carrier.ready: a line, that is an SMTP connection on which a message can be
//     sent at once: a warm one (account.go), or a new one that is dialled on the
//     ports the account allows, encrypted (line.go) and logged in (login.go), as
//     far as the provider's limit on connections allows (slots.go). Beside it the
//     POP window is opened where that is known to be needed: one login however
//     many messages wait for it (window.go).
//  3. A submit.Exchange carries envelope and body, in one flight where that
//     is safe: the envelope waits for the message some milliseconds then (hold.go).
//  4. carrier.next: a dead line is replaced, a server that chokes on pipelining or
//     BDAT is spoken to more simply, and a refusal to relay is answered by a POP
//     login and another line (refusal.go). What still stands then is the verdict.
//  5. carrier.learn: what worked is kept by account settings and network
//     (facts.go), and forgotten as soon as it proves wrong.
//
// A change of network or sleep begins anew what was not yet sent.
package relay
