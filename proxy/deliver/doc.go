// Package deliver decides what the app hears: it takes each message from the
// listener, hands it to the provider, and keeps it when there is no verdict.
//
// With `delivery: live`, the provider's own verdict is the app's:
//
//  1. Begin (MAIL): as soon as route is certain of the account, a transaction
//     with the provider begins in the background.
//  2. Rcpt: the first recipient is answered 250 at once, its verdict comes with
//     the last reply; each further one is answered with its own verdict. A
//     recipient that a route sends by another account is carried by the outbox.
//  3. Data: the content goes through the canonicalizer into a spool, and from
//     there to the provider at the same time, as soon as the app pauses or the
//     message is long: a short one is handed over whole. Where the account
//     depends on the header From, the provider's part begins when the header
//     is complete.
//  4. The end: the provider's 250 is the app's, its 5xx as well (then nothing is
//     kept); anything else, and silence beyond the app's patience, is kept in
//     the outbox and answered `250 2.0.0 kept as ID`. Patience ends the app's
//     wait and never the provider's work: a goroutine of the Deliverer settles
//     the entry with the outcome that comes later.
//
// `queue` goes to the outbox at once; `pass` never does: there the app hears
// 4xx and tries again itself.
package deliver
