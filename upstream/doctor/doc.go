// Package doctor finds out why mail can or cannot be sent here and now, and what
// to do about it. It sends no message.
//
// Run examines one account, several things side by side, and is over within
// Limit whatever the network does:
//
//  1. network.go: the interface and the route of the moment.
//  2. portal.go: one HTTP request to an address whose answer is known, and the
//     portal that DHCP announced (RFC 8910) where the system keeps that.
//  3. names.go: the addresses of the servers, and of a name that nobody has.
//  4. route.go: the interface and local address towards each server; a tunnel
//     among them is a VPN.
//  5. ports.go: each port of the servers: time, greeting, TLS, certificate, and
//     whether the one who answers is who he should be (identity.go).
//  6. login.go: the login by POP and by SMTP, in the order in which Melon needs
//     them, then MAIL and RCPT to an outside address, RSET and QUIT.
//  7. clock.go: the wall clock against the dates that the others heard.
//
// verdict.go reads the findings in a fixed order of causes and names the first
// that holds. The order is that of the way a message goes, so that nothing is
// blamed for what happened before it; a password comes last but for the relay
// itself:
//
//	offline, captive-portal, dns-failure, dns-hijacked, clock-wrong, vpn-route,
//	smtp-intercepted, starttls-stripped, certificate-invalid, port-blocked,
//	server-unreachable, server-broken, then what the servers said to the login
//	by POP, the login by SMTP, and the envelope
//
// A provider that would take a message overrules them all, but for two: somebody
// else's server may take it as well, and a server on this machine says nothing
// about the network.
package doctor
