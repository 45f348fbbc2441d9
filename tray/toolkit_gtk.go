//go:build linux && gtk

package tray

/*
#cgo pkg-config: gtk+-3.0 x11 ayatana-appindicator3-0.1
#include "toolkit_gtk.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"
)

var errNoDisplay = errors.New("there is no display (DISPLAY and WAYLAND_DISPLAY are not set, or nothing answers there), so no panel can show an icon")

// iconDir is where getlantern/systray puts its icon files. The name is fixed,
// so that what a killed process left is removed by the next one.
func iconDir() string {
	base := os.Getenv("XDG_RUNTIME_DIR")
	if base == "" {
		base = os.TempDir()
	}
	return filepath.Join(base, fmt.Sprintf("melon-tray-%d", os.Getuid()))
}

// prepareToolkit starts GTK without letting it end the process: gtk_init would.
func prepareToolkit() error {
	dir := iconDir()
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("the directory for icon files: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("the directory for icon files: %w", err)
	}
	probe := filepath.Join(dir, "probe")
	if err := os.WriteFile(probe, []byte("probe"), 0o600); err != nil {
		return fmt.Errorf("the directory for icon files: %w", err)
	}
	if err := os.Remove(probe); err != nil {
		return err
	}
	if err := os.Setenv("TMPDIR", dir); err != nil {
		return err
	}
	c := C.CString(dir)
	defer C.free(unsafe.Pointer(c))
	if C.melon_gtk_start(c) == 0 {
		os.RemoveAll(dir)
		return errNoDisplay
	}
	return nil
}

func releaseDesktop() { os.RemoveAll(iconDir()) }

// toolkitHost reports whether a panel of the old kind, which the library falls
// back to, is there.
func toolkitHost() bool { return C.melon_xembed_tray() != 0 }

// nativeLabel keeps an underscore from marking an access key: GTK takes the label
// as it is, and the panel at the other end of the bus reads one in it.
func nativeLabel(s string) string { return strings.ReplaceAll(s, "_", "__") }
