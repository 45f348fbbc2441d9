//go:build !linux

package main

// releaseCode does nothing: the system decides what of the program's file stays
// in memory.
func releaseCode() {}
