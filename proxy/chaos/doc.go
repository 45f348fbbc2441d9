// Package chaos holds the tests that treat Melon badly, and no code: the real
// program, built once, between mail apps and a provider that misbehave, and a
// ledger that has to balance afterwards.
//
// How a run goes:
//
//  1. A world (world_test.go) starts two providers in a box, one that wants AUTH
//     over TLS and takes BDAT, one that wants a POP login and takes DATA, each
//     behind a wire (wire_test.go): a forwarder with random latency that can be
//     cut, held up or taken down, and knows which connections it cut.
//  2. Apps of several kinds (app_test.go) hand in messages, each with a token and
//     its own checksum, and write into the ledger what they were told.
//  3. The weather (weather_test.go) makes things go wrong at random: faults at
//     every phase, cuts, outages, reloads, a full disk (disk_linux_test.go),
//     SIGKILLs. After each kill, before the restart, the outbox directory is read:
//     it proves what the program had and had not recorded.
//  4. The weather clears up, everything that waits is sent, and the ledger
//     (ledger_test.go) is balanced: each message for each recipient was refused to
//     the app, delivered, or is in the outbox; none is lost, none is corrupt, none
//     arrived that was refused, and each copy too many has a cause that is proved:
//     the last reply did not reach the program, or it was killed before the record.
//
// The choices come from a seed that is printed; MELON_SEED sets it. What the
// machine makes of them in time is its own affair.
//
//	make crash CRASH_KILLS=200   SIGKILLs under load (tag crash)
//	make chaos DURATION=10m      all of it (tag chaos)
//	make soak DURATION=10m       steady traffic: nothing may grow (tag soak)
//
// A short run of each kind is part of `go test`. Beside these are the simulated
// day (day_test.go), the floods of a hostile provider (flood_test.go), the attacks
// as the attacker (attack_linux_test.go; as another user: attack_user_test.go, tag
// desktop) and the check that every
// test SECURITY.md names is there (security_test.go).
package chaos
