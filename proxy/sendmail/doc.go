// Package sendmail is the sendmail(8) command line: what git send-email, mutt,
// cron, PHP and scripts call to hand in a message.
//
// The life of a message here:
//
//  1. Parse reads the options as getopt(3) would (options.go).
//  2. Call.Run reads the message from standard input: the header field by field,
//     then the body line by line, to its end or a line with a single dot
//     (message.go, address.go).
//  3. person knows who sends: it gives the envelope a sender, a name without a
//     domain a mailbox, and the header what is missing (person.go).
//  4. The message is complete in a draft, in memory or in a file without a name
//     (draft.go), and handed to this user's running relay by SMTP; the relay's
//     last reply decides the exit status (submit.go).
//  5. When no relay answers, the message is synced into the drop directory
//     (drop.go). A relay takes it into its outbox when it starts, or when it is
//     told to: Collector (collect.go).
//
// With -bs the program speaks SMTP itself (smtp.go). Every error of Run and Parse
// is an *Error with an exit status of sysexits.h.
//
// The package reaches a relay through its doors alone, the SMTP listener and the
// control socket. Only Collector is a part of the relay.
package sendmail
