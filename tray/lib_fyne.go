//go:build linux && !gtk

package tray

import (
	"strings"

	"fyne.io/systray"
)

// NewDriver returns the Driver of this build: fyne.io/systray, which speaks to
// the panel over the session bus and needs no C library. Build with `-tags gtk`
// for getlantern/systray, which old panels understand as well.
func NewDriver() Driver {
	lib := library{
		prepare: prepareDesktop, release: releaseDesktop,
		run: systray.Run, quit: systray.Quit,
		setIcon: func(p picture) { systray.SetIcon(p.regular) },
		add: func(parent nativeItem, it Item) nativeItem {
			label := nativeLabel(it.Label)
			switch {
			case parent == nil && it.Checkable:
				return fyneItem{systray.AddMenuItemCheckbox(label, "", it.Checked)}
			case parent == nil:
				return fyneItem{systray.AddMenuItem(label, "")}
			case it.Checkable:
				return fyneItem{parent.(fyneItem).AddSubMenuItemCheckbox(label, "", it.Checked)}
			}
			return fyneItem{parent.(fyneItem).AddSubMenuItem(label, "")}
		},
		setTooltip: func(s string) { systray.SetTitle("Melon"); systray.SetTooltip(s) },
		separator:  systray.AddSeparator,
	}
	return newDriver(lib, pictures(), func(n nativeItem) chan struct{} {
		ch := make(chan struct{}, clickQueue)
		n.(fyneItem).ClickedCh = ch
		return ch
	})
}

// fyneItem writes labels as the bus protocol wants them.
type fyneItem struct{ *systray.MenuItem }

func (i fyneItem) SetTitle(s string) { i.MenuItem.SetTitle(nativeLabel(s)) }

// nativeLabel keeps an underscore from marking an access key.
func nativeLabel(s string) string { return strings.ReplaceAll(s, "_", "__") }
