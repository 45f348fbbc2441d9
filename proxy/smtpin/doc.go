// Package smtpin is the door of Melon: the SMTP listeners that the person's
// mail app hands its mail to. It decides who may come in, keeps every app
// within bounds, and gives whole, well-formed transactions to a Handler.
//
// # A connection's way
//
//  1. Server.accept takes it from a listener (listen.go) and serve gives it a
//     goroutine (admit.go).
//  2. vet asks who is at the other end: a process of this user at a loopback
//     address, by an exact question to the system (peer_linux.go,
//     peer_windows.go). Another user is told 554 and gone. add counts the
//     connection and, when there are too many, ends the one that idles longest.
//  3. go-smtp gets it, wrapped in a conn (conn.go). go-smtp knows the grammar of
//     commands and the order they come in; conn owns the framing. go-smtp is
//     given one command line at a time, bounded and checked (line.go,
//     command.go), and hands every reply back to conn.
//  4. A verb that go-smtp understood becomes a method of session (session.go),
//     which checks state and arguments and hands on to the Handler. AUTH stays
//     here (auth.go): it is about Melon's own password and no provider's.
//  5. At DATA or BDAT the session opens a body (body.go) and gives it to the
//     Transaction. Its reader ends with io.EOF for a complete message only.
//  6. Whatever the Handler answers goes through words.smtpError (reply.go), the
//     one place where an error becomes a reply.
//
// # Why go-smtp does not read the content
//
// go-smtp's own reader of DATA takes a dot after CR CR LF for content, where
// an app that wrote this meant the end, and loses a CR behind a dot; its BDAT takes a
// connection that broke inside the last chunk for a complete message, runs the
// session in a second goroutine, and reads a size over 32 bits as a mistake
// without skipping the chunk, which would then be read as commands. It has one
// limit for lines of commands and of content, and keeps what it knew when TLS
// begins. So conn shows it DATA for a BDAT, an empty content, and a new
// connection after STARTTLS.
//
// # What holds whatever an app sends
//
//   - One message in is one message out: content ends at CRLF "." CRLF, or with
//     the octets that BDAT announced, and at nothing else.
//   - A Transaction that was begun is reset, once, and nobody is told 250 for a
//     message that was not read to its end.
//   - No address, name or parameter that is handed on holds a control character.
//   - Every wait has an end: for a command, for content, for a reply to be taken,
//     for a handshake.
//   - 535 is said about the local password alone.
package smtpin
