//go:build linux && !gtk

package tray

// prepareToolkit has nothing to make ready: this build speaks to the bus alone.
func prepareToolkit() error { return nil }

func releaseDesktop() {}

// toolkitHost reports whether a panel of the old kind is there, which this build
// could not use.
func toolkitHost() bool { return false }
