// Package relay carries messages to a provider: it knows the order of the
// steps, keeps the POP window, logs in as the account wants it, tries again
// where that makes sense, keeps connections warm and remembers per account and
// network what worked.
//
// A transaction lives in one goroutine (transaction.go). It asks for a line, an
// SMTP connection on which a message can be sent at once (line.go: a warm one,
// or a new one, dialled on the ports that the account allows, encrypted,
// logged in), has the relay opened when the account needs that (window.go: one
// POP login however many messages wait for it), and lets package submit carry
// the envelope and the body. A refusal to relay is answered with a POP login
// and another line (refusal.go); what still stands then is the verdict.
//
// What was learned is kept by account settings and network (facts.go) and
// forgotten as soon as it proves wrong.
package relay
