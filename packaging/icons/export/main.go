// Export writes the icon files that the packages ship: go run ./packaging/icons/export
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"melon/packaging/icons"
)

func main() {
	if err := export("packaging/icons/files"); err != nil {
		fmt.Fprintln(os.Stderr, "export:", err)
		os.Exit(1)
	}
}

func export(dir string) error {
	files, err := icons.Files()
	if err != nil {
		return err
	}
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
