//go:build windows || (darwin && cgo) || (linux && gtk)

package tray

import "github.com/getlantern/systray"

// NewDriver returns the Driver of this build: getlantern/systray.
func NewDriver() Driver {
	lib := library{
		prepare: prepareDesktop, release: releaseDesktop,
		run: systray.Run, quit: systray.Quit,
		setIcon: func(p picture) { systray.SetTemplateIcon(p.template, p.regular) },
		add: func(parent nativeItem, it Item) nativeItem {
			label := nativeLabel(it.Label)
			switch {
			case parent == nil && it.Checkable:
				return lanternItem{systray.AddMenuItemCheckbox(label, "", it.Checked)}
			case parent == nil:
				return lanternItem{systray.AddMenuItem(label, "")}
			case it.Checkable:
				return lanternItem{parent.(lanternItem).AddSubMenuItemCheckbox(label, "", it.Checked)}
			}
			return lanternItem{parent.(lanternItem).AddSubMenuItem(label, "")}
		},
		setTooltip: systray.SetTooltip,
		separator:  systray.AddSeparator,
	}
	return newDriver(lib, pictures(), func(n nativeItem) chan struct{} {
		ch := make(chan struct{}, clickQueue)
		n.(lanternItem).ClickedCh = ch
		return ch
	})
}

// lanternItem writes labels as the platform wants them.
type lanternItem struct{ *systray.MenuItem }

func (i lanternItem) SetTitle(s string) { i.MenuItem.SetTitle(nativeLabel(s)) }
