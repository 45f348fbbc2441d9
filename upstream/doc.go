// Package upstream holds the plain types that everything on the provider's
// side of Melon shares: an Account, an Envelope, the Phase of a conversation, a
// server's Reply, the Error that a failed attempt ends in and the Result of a
// whole transaction.
//
// It imports nothing of Melon and does no I/O. The rooms below it do the work:
//
//	dial      a connection: address family, local address, TLS, deadlines
//	network   which network the machine is on, and when that changes
//	pop       the POP3 login that opens the relay
//	auth      SASL mechanisms, secrets
//	submit    one SMTP conversation
//	relay     the order of steps: window, login, conversation, retries
//	reply     what a server's words mean
//	doctor    checks, and a verdict
//	discover  an address in, servers out
//	lab       a provider in a box, for tests and the demo
package upstream
