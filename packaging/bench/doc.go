//go:build linux

// The bench measures Melon beside what a person would run instead, in one run
// on one machine, so that what counts are the ratios:
//
//	go run ./packaging/bench [-quick]      (make bench)
//
// The provider is the lab, in this process: SMTP with implicit TLS and AUTH, or
// POP before SMTP in clear, at a chosen round-trip time, the TCP handshake's
// included. In front of it stand, one after the other,
//
//   - a plain mail app's conversation (app.go): one command at a time, a new
//     connection for each message;
//   - Melon, as `melon run` built from this checkout (melon.go);
//   - Postfix, Exim, OpenSMTPD, msmtp and nullmailer from Debian's packages
//     (peers.go): downloaded and unpacked, not installed, and run by chroot(2)
//     in a directory of their own. It takes root, or a user namespace with
//     subordinate uids (subuid(5)). A peer that cannot be had or run is listed as
//     absent, with the reason;
//   - the limit: the round trips that the protocols need.
//
// What it does, in order (main.go): time against round trip (latency.go), rate
// against connections (rate.go), memory (memory.go), idleness and start
// (start.go). It writes results.md and the pictures beside this file.
package main
