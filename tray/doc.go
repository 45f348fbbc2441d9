// Package tray is Melon's icon in a panel. It is a client of the control API and
// a process of its own: no message depends on it, and closing it stops none.
//
// The story of a change:
//
//  1. Run follows /v1/status and /v1/events (follow.go) and starts `melon run`
//     when nothing answers (daemon.go).
//  2. Build (model.go) turns what is known into a View: icon, tooltip and menu.
//     It is a pure function, and nearly everything that can be wrong with a tray
//     is tested there, without a desktop.
//  3. A driver (driver.go) shows the View. It alone touches systray: one
//     goroutine makes every call, lists are fixed pools of slots, and a click
//     counts only if the View on show accepts it. What each platform calls is in
//     lib_*.go: getlantern/systray on Windows, macOS and, with the build tag
//     `gtk`, Linux; fyne.io/systray on a Linux build with Go alone.
//  4. A click becomes an Action (action.go): a call of the control API, a page of
//     the web page, or a command in a terminal where there is no page.
//  5. Notices (notice.go) is what is worth a notification: mail kept for later,
//     sent after all, needs attention; each cause once.
//
// The icons are drawn in Go (icon.go) from one description.
package tray
