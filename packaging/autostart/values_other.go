//go:build !windows

package autostart

// systemValues is for Windows alone.
func systemValues() Values { return nil }
