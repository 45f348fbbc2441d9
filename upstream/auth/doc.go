// Package auth proves to a provider who is asking, and keeps the secrets that
// the proof needs.
//
// One login reads like this:
//
//  1. Choose turns what the server offers (the EHLO or CAPA line) and what the
//     account allows into the mechanisms to try, strongest first. Nothing is
//     chosen that would put a password on an unencrypted connection.
//  2. Secrets.Get fetches the password from where the person put it: the system
//     keyring, a command, a 0600 file or the environment. OAuth.Token fetches an
//     access token instead, and refreshes it when it has run out.
//  3. NewExchange makes the client side of one SASL exchange (RFC 4422). The
//     caller carries its octets: Start, then Next for each challenge, then Done
//     when the server reports success. Done is where a SCRAM server that skipped
//     its own proof is found out.
//  4. Upon a refusal the caller asks NextMechanism what may still be tried, and
//     for OAuth tells OAuth.Reject which access token the server did not want.
//
// # Errors
//
// Everything that crosses the package's edge is an *upstream.Error of phase
// "auth" whose sentence is fit for people, around one of the sentinels below.
// Its Kind follows from its class: a secret that is not there, a sign-in that
// was withdrawn or a server that offers nothing usable is the person's; a locked
// keyring, a token endpoint that is down, a server that talks nonsense or cannot
// prove itself is temporary. No error ever holds a secret or what a command
// printed.
package auth
