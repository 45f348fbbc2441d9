package outbox

import (
	"io"
	"io/fs"
	"os"
)

// FS is the file system as the outbox uses it. Names are full paths. The real
// one is OS; tests put one in its place that fails and records the order of
// calls.
type FS interface {
	// Mkdir creates a directory and its parents with mode 0700; it is no error
	// when it is there.
	Mkdir(name string) error
	// Create makes a new file with mode 0600 for writing and reading; it fails
	// when the name exists.
	Create(name string) (File, error)
	// Append opens a file for appending and creates it with mode 0600.
	Append(name string) (File, error)
	// Change opens a file for reading and for writing in place, and creates it
	// with mode 0600.
	Change(name string) (File, error)
	// Open opens a file for reading; it never follows a symbolic link.
	Open(name string) (File, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	// Rename replaces newname. Neither file may be open (Windows).
	Rename(oldname, newname string) error
	Remove(name string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// Free is how many octets this user may still write in a directory; as many
	// as there are numbers where that cannot be known.
	Free(name string) (int64, error)
}

// File is an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Closer
	Sync() error
	// SyncData makes the content durable, as far as it can without the times.
	SyncData() error
	Stat() (fs.FileInfo, error)
}

// OS is the file system of the machine.
type OS struct{}

// Mkdir implements FS.
func (OS) Mkdir(name string) error { return os.MkdirAll(name, 0o700) }

// Create implements FS.
func (OS) Create(name string) (File, error) {
	return file(os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o600))
}

// Append implements FS.
func (OS) Append(name string) (File, error) {
	return file(os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND|noFollow, 0o600))
}

// Change implements FS.
func (OS) Change(name string) (File, error) {
	return file(os.OpenFile(name, os.O_RDWR|os.O_CREATE|noFollow, 0o600))
}

// Open implements FS.
func (OS) Open(name string) (File, error) {
	return file(os.OpenFile(name, os.O_RDONLY|noFollow, 0))
}

// ReadDir implements FS.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// file keeps a nil *os.File from becoming a File that is not nil.
func file(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// osFile is a file of the machine.
type osFile struct{ *os.File }

// SyncData implements File.
func (f osFile) SyncData() error { return syncData(f.File) }

// readFile reads a whole file of at most limit octets.
func readFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}
