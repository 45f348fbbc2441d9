// Package discover turns a mail address into servers.
//
// Discover asks these sources side by side and returns what they know, the most
// trustworthy first:
//
//  1. preset: the table of providers (providers.yaml), by the address's domain.
//     What it knows needs no network, so nothing else is asked then.
//  2. autoconfig: the provider's own config-v1.1.xml, at both well-known places,
//     by HTTPS; by HTTP (without the address in the request) only where HTTPS
//     gives nothing.
//  3. mx: the table again, by where the domain's mail is hosted.
//  4. ispdb: Thunderbird's public database, when the person allows it. It learns
//     the domain.
//  5. srv: RFC 6186 and RFC 8314 records.
//  6. guess: smtp., mail. and pop. under the domain, if a server answers there
//     with TLS and a good certificate for that name.
//
// Nothing secret is sent anywhere. What came in clear (HTTP) or from the DNS
// could have been put there by the network of the moment; a server outside of
// the address's own domain that is known from nowhere else is marked with
// Candidate.Foreign, and a password must not go there before the person agreed
// (RFC 6186 section 6).
package discover
