//go:build !unix

package config

import "io/fs"

// Where files have no mode, the profile directory's access list keeps others out.
func writableByOthers(fs.FileInfo) string { return "" }

func readableByOthers(fs.FileInfo) bool { return false }

// syncDir has nothing to do where directories cannot be synced.
func syncDir(string) error { return nil }
