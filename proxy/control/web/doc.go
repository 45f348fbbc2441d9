// Package web is Melon's page in the person's own browser: what the command line
// and the tray do, for somebody who only wants the mail to go out.
//
// The page is plain HTML made on the server (templates), one style sheet and one
// small script (assets). Everything works without the script but live updates.
// Nothing is ever asked of another host.
//
// # Who may look
//
// The page can change accounts and read mail that waits, so every request is
// taken for hostile until four things hold (guard.go, one function each):
//
//  1. The connection comes from loopback, and from a process of this user where
//     the system tells (Options.SameUser).
//  2. Host names the address that is listened on. A name that an attacker points
//     at 127.0.0.1 (DNS rebinding) does not.
//  3. Origin and Sec-Fetch-Site, where the browser sends them, say that the
//     request comes from this page, and Sec-Fetch-Dest that it is in no frame.
//  4. The session's cookie is there, and a form or call that changes something
//     carries the token that belongs to it.
//
// # How a session begins, and how long it lasts
//
// `melon open` and the tray ask over the control socket for a link with a random
// token (Server.OpenLink). It works once and for a minute. It sets a cookie that
// scripts cannot read and that other sites' requests do not carry.
//
// The cookie is a random number, the time, and a code over both (HMAC) with a
// secret of this installation, 0600 in the state directory. So the session
// outlives the relay: a page that is open while the relay is restarted goes on by
// itself. It ends after a week, or when the person ends all sessions, which
// replaces the secret. The cookie's name holds the beginning of that secret's
// hash, so that two installations on one machine do not overwrite each other's.
//
// # Live
//
// A page carries the number of the newest event it shows. The script follows
// /v1/events from there and, when something happened, fetches the same page again
// and replaces what is marked live. So what is shown is always what the server
// would show, and nothing piles up in the browser. When the relay is gone the
// script says so, waits until it answers, and starts over. A hidden tab holds no
// connection.
//
// What takes some seconds (finding servers, testing an account, doctor, a
// sign-in) is a job with steps (job.go); its page follows /jobs/ID/events, or
// reloads itself every two seconds without the script.
package web
