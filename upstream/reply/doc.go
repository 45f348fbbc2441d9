// Package reply says what a server's words mean: which of the contract's
// classes a refusal belongs to, what that means to a person, what to do next,
// and when another attempt makes sense.
//
// A text goes through four steps:
//
//  1. Parse takes any text (a reply off the wire, a mail app's error box, a
//     bounce) apart into reply code, enhanced status code and lines.
//  2. The words are normalised once (normalise.go): lower case, full-width
//     letters folded, addresses, hosts and queue ids dropped, so that an
//     address such as password@example.net says nothing about passwords.
//  3. An ordered table of rules over phase, code, enhanced code and words is
//     read from the top; the first rule that fits decides (rules.go tells the
//     order and how it resolves ambiguity; table_*.go hold the rules, words.go
//     the groups of words that mean the same to them, in several languages).
//  4. Explain turns the class into sentences (explanations.go holds them, a
//     column a language).
//
// The package does no I/O, keeps no state and is safe for concurrent use.
package reply
