// Package autostart makes Melon start at login by the platform's own means, and
// undoes it:
//
//	systemd       user units, where a user manager runs
//	xdg           ~/.config/autostart/*.desktop on other Linux desktops and Unixes
//	launchagent   ~/Library/LaunchAgents/*.plist on macOS
//	run-key       HKCU\Software\Microsoft\Windows\CurrentVersion\Run on Windows
//
// What the files hold is decided by pure functions (systemd.go, desktop.go,
// launchd.go); Manager writes and removes them. Each file says in a comment of
// ours which program wrote it, so that nothing else is ever touched. Nothing is
// started or stopped: the next login is.
//
// With socket activation nothing runs until an app connects: systemd opens the
// addresses and starts Melon upon the first connection. Messages that wait are
// not sent before.
package autostart
