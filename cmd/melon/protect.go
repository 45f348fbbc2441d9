package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ownState makes the state directory this user's alone, creating it when it is
// missing, and refuses one that could be somebody else's doing: a directory of
// another user's, or one with a symbolic link in place of one of Melon's files.
// Nobody can put anything there once it is closed to others, so that looking
// once, at the start, is enough.
func ownState(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the state directory: %w", err)
	}
	if err := closeToOthers(dir); err != nil {
		return err
	}
	return noLinks(dir)
}

// noLinks refuses symbolic links in the state directory and in the outbox's.
// Entries of the outbox that are links are set aside by the outbox itself.
func noLinks(dir string) error {
	for _, d := range []string{dir, filepath.Join(dir, "outbox")} {
		names, err := os.ReadDir(d)
		if err != nil {
			continue // its owner says what is wrong with it
		}
		for _, n := range names {
			entry := d != dir && (strings.HasSuffix(n.Name(), ".eml") || strings.HasSuffix(n.Name(), ".json"))
			if n.Type()&fs.ModeSymlink != 0 && !entry {
				return fmt.Errorf("%s is a symbolic link, and Melon follows none in its state directory: "+
					"put what it leads to in its place, or remove it", filepath.Join(d, n.Name()))
			}
		}
	}
	return nil
}
