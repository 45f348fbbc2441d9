// Package setup takes a mail address to an account that works and is saved. The
// command line and the web page set accounts up by the same means.
//
// Setup.Add goes all the way with a Person who answers questions (add.go):
//
//  1. find: the servers of the address, from what was wished for or from what
//     discover knows, shown with their source and agreed to (find.go). A password
//     never goes unasked to a host that somebody on the way may have named.
//  2. settle: method, user name, OAuth client, the place where the secret will be
//     kept; the configuration looks at the account before anybody types a password.
//  3. prove: the secret is typed, or the person signs in (signin.go), and the
//     account is tested by a real login, as often as the person likes (try.go); a
//     message to the account itself is sent if that is wanted (message.go). Until
//     then the secret is held in memory alone (secret.go).
//  4. save: the secret is stored, then the account (keep.go). When either fails,
//     nothing stays behind.
//
// The web page, whose visitor fills in a form in place of an answer at a time,
// takes the steps one by one: Look, Try, Keep. Both sides of the person's
// questions are the Person interface; where nobody answers, ErrNobody decides.
//
// The package knows the configuration file and the provider's side, nothing of the
// running relay: Parts.Reload tells it.
package setup
