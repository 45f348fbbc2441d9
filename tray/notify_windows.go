package tray

import (
	"context"
	"os"
	"path/filepath"

	"git.sr.ht/~jackmordaunt/go-toast/v2"
)

// toastNotifier shows Windows' toasts.
type toastNotifier struct{ err error }

// toastClass names this program to Windows for clicks on its toasts.
const toastClass = "{7F6A1C66-0C0E-4F4B-9B60-2E9A3C1D5E11}"

// NewNotifier returns the platform's notifications. click is called with the
// page of one that was clicked while this program runs.
func NewNotifier(_ string, click func(page string)) Notifier {
	self, err := os.Executable()
	if err == nil {
		err = toast.SetAppData(toast.AppData{AppID: "Melon", GUID: toastClass, ActivationExe: self,
			IconPath: filepath.Join(filepath.Dir(self), "melon.ico")})
	}
	if err == nil {
		toast.SetActivationCallback(func(args string, _ []toast.UserData) { click(args) })
	}
	return toastNotifier{err}
}

// Show shows a notice. Windows has no way here to put it in another's place, so
// what only says more is left out.
func (t toastNotifier) Show(_ context.Context, n Notice) error {
	if t.err != nil || n.Update {
		return t.err
	}
	note := toast.Notification{AppID: "Melon", Title: n.Title, Body: n.Body, ActivationArguments: n.Page}
	return note.Push()
}

func (toastNotifier) Close() {}
