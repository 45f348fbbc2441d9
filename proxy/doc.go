// Package proxy is the daemon: what stands between the mail app on this machine
// and the provider's servers. Its rooms are packages of their own.
//
// # The life of a message
//
// The app connects to a loopback port. smtpin looks at who it is (a process of
// this user?), at the first bytes (a mail app, or a browser?), and keeps the
// limits on connections, lines and idle time. One Session per connection, one
// method per verb; a Session validates and hands on.
//
// At MAIL, deliver asks route which account carries the message. The answer
// may be certain at once (the app logged in as an account, or the sender is
// an account's), may need the recipient (a route looks at it), or the header
// (nobody claims the envelope sender). As soon as it is certain a transaction
// begins upstream, in the background: a warm connection, or a new one, for POP
// before SMTP with a login when the window is shut.
//
// The first RCPT is answered 250 at once; its verdict travels with the final
// one. From the second on each is answered with the provider's own verdict.
//
// At DATA the bytes go to a spool and to the provider at once. The provider's
// 250 is the app's 250, and the spool is gone; its 5xx is the app's 5xx. When
// there is no verdict (no network, a 4xx, silence) the message is synced and
// committed, in files of its own or, when it goes at once, in the outbox's
// journal, and only then the app hears "250 2.0.0 kept as ID". The outbox owns the message from there: it is sent
// when the network changes and on a schedule, and shown until it is gone.
//
// An app that goes away in the middle leaves nothing: the conversation upstream
// is cut without the final dot.
//
// control shows all of it to the command line, the tray and the web page.
package proxy
