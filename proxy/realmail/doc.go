// Package realmail holds the tests of Melon against real mail software, and no
// code: Debian's Postfix and Dovecot as the provider, the mail clients that
// people use as the apps. They carry the build tag `realmail`; `make test` runs
// them, and
//
//	go test -tags realmail -run Real ./proxy/realmail
//
// runs them alone, on Debian or one of its relatives with the packages of
// .ci/packages.txt installed (Postfix 3.7 and 3.10, Dovecot 2.3 and 2.4 are
// known to do).
//
// How a provider comes to be, without touching a mail server of the machine:
//
//  1. The tests run as root: as they are, or in a user namespace where they
//     only seem to be (main_test.go). The first process keeps the second, which
//     runs the tests; when that one ends, however it ends, the first kills
//     what is left and removes the scratch directory.
//  2. .ci/realmail downloads the packages that the machine does not have;
//     they are unpacked into a small root directory of their own, together
//     with the machine's libraries that they need (image_test.go). It is kept
//     below /var/tmp for the next run.
//  3. A provider is a copy of that directory made of hard links, with its own
//     /etc/passwd, /etc/postfix and /etc/dovecot, in which Postfix and Dovecot run
//     by chroot(2), on free ports of a loopback address of their own
//     (provider_test.go, postfix_test.go, dovecot_test.go). No user is
//     created, no service started, nothing outside the scratch directory
//     written.
//
// POP before SMTP is done as administrators did it: a Dovecot post-login script
// touches a file named after the client's address; a Postfix policy service,
// asked at RCPT, permits when that file is younger than the window; everything
// else falls to reject_unauth_destination (pbs_test.go).
//
// What is compared: each client speaks to Melon through a tap that records what
// the client sent (tap_test.go). The message that the provider stored must be, in
// this order: Return-Path, X-Original-To, Delivered-To (written at delivery),
// one Received line of Postfix, one Received line of Melon, and then exactly the
// octets between the client's DATA and its lone dot, without the dots that the
// client doubled, and with LF for CRLF, as a Maildir has it (stored_test.go).
package realmail
