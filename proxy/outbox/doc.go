// Package outbox keeps the messages that wait, and sends them.
//
// One message that waits is one entry: two files in the outbox directory,
// ID.eml, the message as any mail app opens it, and ID.json, its envelope and
// state. One that goes at once is in the journal instead, a file that they all
// share. The life of an entry:
//
//  1. A Spool takes the content while the app sends it: in memory first, in
//     ID.eml when it grows. Its readers follow the writer, so that the provider
//     gets the bytes at the same time. What never becomes an entry leaves no
//     file behind.
//  2. Keep makes it durable, and only then may the app hear 250. A small message
//     that will be sent at once is appended to the journal: one write, and one
//     sync for whoever arrives, begins an attempt or is done at that moment. Any
//     other goes into files: ID.eml, the new state and the directory are synced,
//     side by side, the state is renamed to ID.json (this is the commit) and the
//     directory synced again. Messages that arrive together share their directory
//     syncs.
//  3. The index knows every entry, and groups them into one lane an account. It is
//     used by one goroutine at a time, which then starts a runner for each lane
//     with something due: oldest first, so that one connection and one login serve
//     all. A timer does so when nobody calls.
//  4. The runner records the attempt and the next time durably, in the journal or
//     as a line behind the state: one sync of one file. Then it calls the Sender,
//     then records the outcome: delivered recipients leave the entry, refused ones
//     wait for the person (and are bounced where that is allowed), the rest waits
//     for its next time. The end of an entry is written at once and synced within
//     idleDelay: a crash of the machine in between costs a second copy.
//  5. A lane whose account cannot be reached is tried with one message for all.
//
// # The journal
//
// It holds what is on its way, and only that: an entry whose first attempt left
// something to do is moved to files, and so is one that waits for moveDelay while
// its lane hardly moves, or whose lane stands still, all at a pause and at the end.
// Moving is making the files durable, then noting in the journal that the entry is
// gone from it; where both are found at a start, the files rule. What a crash left
// in the journal is moved to files before anything is sent.
//
// An account has a share of it. Who hands in faster than the account's connections
// carry waits for a place, a second at most, as long as the lane moves; where it
// does not, nobody waits, and the entry goes to files. More of those than it can
// send would slow a lane down for good, as they cost more than those in the journal.
//
// The file is two segments, written in turn over blocks that exist, so that a
// sync costs the content and nothing else. A segment is begun again when nothing
// in it is alive; the few that take their time are carried into the other one
// before. What was delivered is overwritten with zeros as soon as nothing goes.
// Each frame has a checksum, the generation of its segment and how much of it was
// durable then: so a start can tell an end that a crash cut off, which was never
// acknowledged, from damage, which is set aside and reported. A sync that fails is
// not made good by a later one: the journal is given up then, what was acknowledged
// is moved to files, and the file removed.
//
// # Room
//
// New messages leave freeMargin on the disk, so that what it takes to send those
// that wait (attempts, outcomes, moves out of the journal) can be written, and a
// disk that mail has filled empties itself. The outbox as a whole is bounded in
// messages and octets. What is refused for that hears 452 4.3.1.
//
// What cannot be read is set aside and reported, never deleted. A message file
// without a state was never acknowledged: it is removed at the next start.
package outbox
