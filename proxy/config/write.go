package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// errChanged says that the file is no longer what the change was made from.
var errChanged = errors.New("the configuration was changed by somebody else in the meantime: try again")

// replaceFile puts data in the place of the file at path, whole or not at all,
// also if the power fails. It refuses if the file is no longer old.
func replaceFile(path string, old, data []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the directory of the configuration cannot be made: %w", err)
	}
	f, err := os.CreateTemp(dir, ".config-*.tmp") // mode 0600
	if err != nil {
		return fmt.Errorf("the configuration cannot be written: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if e := f.Chmod(mode); err == nil && !errors.Is(e, errors.ErrUnsupported) {
		err = e
	}
	if e := f.Sync(); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e // closed before the rename, as Windows wants it
	}
	if err != nil {
		return fmt.Errorf("the configuration cannot be written: %w", err)
	}
	now, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		now, err = nil, nil
	}
	if err != nil {
		return fmt.Errorf("the configuration cannot be read: %w", err)
	}
	if !bytes.Equal(now, old) {
		return errChanged
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("the configuration cannot be replaced: %w", err)
	}
	return syncDir(dir)
}
