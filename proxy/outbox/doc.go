// Package outbox keeps the messages that wait, and sends them.
//
// One message is one entry: two files in the outbox directory, ID.eml, the
// message as any mail app opens it, and ID.json, its envelope and state. The
// life of an entry:
//
//  1. A Spool takes the content while the app sends it: in memory first, in
//     ID.eml when it grows. Its readers follow the writer, so that the provider
//     gets the bytes at the same time. What never becomes an entry leaves no
//     file behind.
//  2. Keep makes it durable: ID.eml, the new state and the directory are synced,
//     side by side, the state is renamed to ID.json (this is the commit) and the
//     directory synced again. Only then does Keep return, and only then may the
//     app hear 250. Messages that arrive together share their directory syncs.
//  3. The loop, one goroutine, owns the index and the clock. It groups entries
//     into one lane an account and starts a runner for each lane with something
//     due: oldest first, so that one connection and one login serve all.
//  4. The runner records the attempt and the next time durably, as a line behind
//     the state: one sync of one file. Then it calls the Sender, then records
//     the outcome: delivered recipients leave the entry, refused ones wait for
//     the person (and are bounced where that is allowed), the rest waits for its
//     next time.
//  5. A lane whose account cannot be reached is tried with one message for all.
//
// What cannot be read is set aside and reported, never deleted. A message file
// without a state was never acknowledged: it is removed at the next start.
package outbox
