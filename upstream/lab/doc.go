// Package lab is a mail provider in a box: a POP3 server and an SMTP server on
// loopback, with every rule by which real providers refuse to relay, and faults
// at every step of both conversations. Tests and `melon demo` run it.
//
// Life of a provider:
//
//  1. Start makes a certificate authority and certificates (cert.go), listens
//     on the same free ports of every address in Options.Hosts: SMTP plain and
//     implicit TLS, POP3 plain and implicit TLS (provider.go).
//  2. Each connection gets a number and a goroutine, speaks through conn
//     (conn.go), which reads lines, collects replies and writes them when all
//     that the client sent is read (RFC 2920 section 3.2), and counts round
//     trips (meter.go, where the rule is).
//  3. A POP3 session (pop.go, popauth.go) that gets as far as
//     Rules.OpensAt puts the client's address on the list (window.go).
//  4. An SMTP session (smtp.go, smtpauth.go, transaction.go) asks the list and
//     the other rules at Rules.Check (rules.go), and records what it accepts.
//  5. Faults strike where they are scripted (fault.go). Everything that
//     happened is a Command, a Message or a counter in Stats (record.go).
//  6. Close ends every connection and waits for every goroutine.
//
// The SMTP server is the lab's own and not go-smtp's: go-smtp flushes each
// reply by itself, hides what was pipelined, checks the order of commands and
// owns the connection, while the lab must break any single reply, drop
// between any two octets, punish pipelining, and know exactly which input was
// pending when a reply left.
//
// Beside the two servers stand Net, a network in memory with an exact delay
// for tests in a synctest bubble (net.go), Options.Delay, a delay in real time
// (delay.go), an OAuth 2.0 server (oauth.go) and an autoconfig host
// (autoconfig.go).
//
// Nothing sleeps: a stall waits for the client to leave, for Release or for
// Close. All that a client sends is bounded.
package lab
