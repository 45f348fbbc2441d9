package tray

// ActionKind says what a click is for.
type ActionKind int

// The kinds of an Action.
const (
	ActNone      ActionKind = iota
	ActPage                 // open Page; without a page run Command in a terminal
	ActCommand              // run Command in a terminal: it asks for something
	ActRun                  // run Command unseen
	ActAutostart            // run Command unseen, then ask how it is
	ActSendNow
	ActPause
	ActResume
	ActRetry    // end the attention of Account and try at once
	ActQuitIcon // the icon goes, mail goes on
	ActQuit     // the relay ends too; what waits is kept
)

// Action is what a click does.
type Action struct {
	Kind    ActionKind
	Page    string   // of the web page
	Command []string // arguments of melon
	Account string
}
