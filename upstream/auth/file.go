package auth

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"melon/upstream"
)

// A secret's file is private when it is a regular file of this user's that
// nobody else may open: mode 0600 or less, on Windows an access list that names
// nobody but this user, the system and the administrators. Anything else is not
// read at all, as what is in it must be taken for known to others.

// fileProblem says why a secret cannot be read, twice: for people far away,
// without the path, and for the one who edits the configuration.
type fileProblem struct {
	err      error  // a sentinel, or the operating system's error
	sentence string // without path
	advice   string // with path, and what to type
}

func (p *fileProblem) Error() string { return p.advice }
func (p *fileProblem) Unwrap() error { return p.err }

// class is temporary for a failing disk, and otherwise the person's.
func (p *fileProblem) class() upstream.Class {
	if errors.Is(p.err, ErrMissing) || errors.Is(p.err, ErrUnsafe) {
		return upstream.ClassCredentialsRejected
	}
	return upstream.ClassTemporaryLocalProblem
}

// readPrivate reads a file that nobody else may read. It opens first and then
// asks the open file, so that nothing can be put in its place in between; a
// symbolic link counts as what it leads to, and a FIFO is not waited for.
func readPrivate(path string) ([]byte, *fileProblem) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, openProblem(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, openProblem(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, notSafe(path, "is no regular file", "name a file that holds the secret")
	}
	if why, advice := notPrivate(f, info); why != "" {
		return nil, notSafe(path, why, advice)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return nil, openProblem(path, err)
	case len(data) > maxSecret:
		return nil, notSafe(path, "is too long for a secret", "name a file that holds the secret and nothing else")
	}
	return data, nil
}

// notSafe is a file that is there and not as it has to be.
func notSafe(path, why, advice string) *fileProblem {
	return &fileProblem{
		err:      fmt.Errorf("%w: it %s", ErrUnsafe, why),
		sentence: "The file with the account's secret " + why + "; it was not used: correct that and try again.",
		advice:   fmt.Sprintf("the secret file %s %s; %s", path, why, advice),
	}
}

// openProblem is a file that cannot be read.
func openProblem(path string, err error) *fileProblem {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return notSafe(path, "may not be read by this user", "make yourself its owner")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNotDir):
		return &fileProblem{
			err:      ErrMissing,
			sentence: "The file with the account's secret is not there; store the secret again.",
			advice:   fmt.Sprintf("there is no secret file %s; write the secret into it, readable by you alone (mode 0600)", path),
		}
	}
	return &fileProblem{
		err:      err,
		sentence: "The file with the account's secret could not be read.",
		advice:   fmt.Sprintf("the secret file %s could not be read: %v", path, err),
	}
}

// writePrivate replaces the file as a whole: after a crash it holds the old
// secret or the new one. Data, name and directory are on disk when it returns.
// Where path is a symbolic link, what it leads to is replaced.
func writePrivate(path string, data []byte) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".melon-secret-*") // mode 0600, O_EXCL
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := makePrivate(f); err != nil { // before the secret is in it
		return err
	}
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil { // Windows renames no open file
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// removePrivate removes the file durably: it does not come back after a crash. The link goes, not what it leads to.
func removePrivate(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
