package outbox

import (
	"io"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// memFS is a file system in memory that knows what a loss of power would leave:
// names as of the last directory sync, content as of the last file sync. It
// records every call and can be told to let one fail.
type memFS struct {
	mu      sync.Mutex
	now     map[string]*memFile // what programs see
	durable map[string]*memFile
	log     []string
	size    int64                 // octets that there is room for; 0: no end
	step    func(op string) error // called before each change, in order; may be nil
}

// memFile is one file's content.
type memFile struct {
	data    []byte
	synced  []byte
	pending []memWrite // since the last sync
}

// memWrite is one write that is not durable yet.
type memWrite struct {
	off  int
	data []byte
}

// write puts p at an octet of the file.
func (f *memFile) write(p []byte, off int) {
	f.data = patch(f.data, p, off)
	f.pending = append(f.pending, memWrite{off, slices.Clone(p)})
}

// patch writes p into data at off.
func patch(data, p []byte, off int) []byte {
	if n := off + len(p); n > len(data) {
		data = append(data, make([]byte, n-len(data))...)
	}
	copy(data[off:], p)
	return data
}

// crashMode is what is left after a crash.
type crashMode string

const (
	killed   crashMode = "killed"           // all that was written
	powerOff crashMode = "power lost"       // what was synced
	lastOnly crashMode = "last write alone" // and of what was not, each file's last write
	allHalf  crashMode = "half of each"     // and of each write that was not, the first half of its sectors
)

var crashModes = []crashMode{killed, powerOff, lastOnly, allHalf}

// left is what a crash leaves of the file.
func (f *memFile) left(mode crashMode) []byte {
	data := slices.Clone(f.synced)
	switch mode {
	case killed:
		return slices.Clone(f.data)
	case lastOnly:
		if n := len(f.pending); n > 0 {
			data = patch(data, f.pending[n-1].data, f.pending[n-1].off)
		}
	case allHalf:
		for _, w := range f.pending {
			half := (w.off+len(w.data)/2)/512*512 - w.off // a sector is written whole or not at all
			data = patch(data, w.data[:max(half, 0)], w.off)
		}
	}
	return data
}

func newMemFS() *memFS {
	return &memFS{now: make(map[string]*memFile), durable: make(map[string]*memFile)}
}

// do records a change and lets it fail.
func (m *memFS) do(op, name string) error {
	op += " " + filepath.Base(name)
	m.log = append(m.log, op)
	if strings.HasPrefix(op, "write") || strings.HasPrefix(op, "create") {
		if m.size != 0 && m.used() >= m.size {
			return full(op)
		}
	}
	if m.step != nil {
		return m.step(op)
	}
	return nil
}

// used is how many octets all files have, each a block at least.
func (m *memFS) used() (n int64) {
	for _, f := range m.now {
		n += int64(len(f.data)+4096) / 4096 * 4096
	}
	return n
}

// Free implements FS.
func (m *memFS) Free(string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.size == 0 {
		return math.MaxInt64, nil
	}
	return max(0, m.size-m.used()), nil
}

// crash returns the file system after a crash; names are what they were at the
// last directory sync, unless the process was merely killed.
func (m *memFS) crash(mode crashMode) *memFS {
	c := newMemFS()
	from := m.now
	if mode != killed {
		from = m.durable
	}
	for name, f := range from {
		data := f.left(mode)
		g := &memFile{data: data, synced: slices.Clone(data)}
		c.now[name], c.durable[name] = g, g
	}
	return c
}

func (m *memFS) Mkdir(string) error { return nil }

func (m *memFS) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now[name] != nil {
		return nil, fs.ErrExist
	}
	if err := m.do("create", name); err != nil {
		return nil, err
	}
	f := new(memFile)
	m.now[name] = f
	return &memHandle{fs: m, f: f, name: name}, nil
}

func (m *memFS) Append(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now[name] == nil {
		m.now[name] = new(memFile)
	}
	return &memHandle{fs: m, f: m.now[name], name: name}, nil
}

func (m *memFS) Change(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now[name] == nil {
		if err := m.do("create", name); err != nil {
			return nil, err
		}
		m.now[name] = new(memFile)
	}
	return &memHandle{fs: m, f: m.now[name], name: name}, nil
}

func (m *memFS) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.now[name]
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memHandle{fs: m, f: f, name: name}, nil
}

func (m *memFS) ReadDir(dir string) (entries []fs.DirEntry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(m.now)) {
		if filepath.Dir(name) == dir {
			entries = append(entries, fs.FileInfoToDirEntry(memInfo{name: filepath.Base(name)}))
		}
	}
	return entries, nil
}

func (m *memFS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.now[from]
	if f == nil {
		return fs.ErrNotExist
	}
	if err := m.do("rename", to); err != nil {
		return err
	}
	delete(m.now, from)
	m.now[to] = f
	return nil
}

func (m *memFS) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now[name] == nil {
		return fs.ErrNotExist
	}
	if err := m.do("remove", name); err != nil {
		return err
	}
	delete(m.now, name)
	return nil
}

func (m *memFS) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.do("syncdir", "."); err != nil {
		return err
	}
	m.durable = maps.Clone(m.now)
	return nil
}

// memHandle is an open memFile.
type memHandle struct {
	fs   *memFS
	f    *memFile
	name string
	off  int
}

func (h *memHandle) Write(p []byte) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.fs.do("write", h.name); err != nil {
		return 0, err
	}
	h.f.write(p, len(h.f.data))
	return len(p), nil
}

func (h *memHandle) WriteAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.fs.do("write", h.name); err != nil {
		return 0, err
	}
	h.f.write(p, int(off))
	return len(p), nil
}

func (h *memHandle) SyncData() error { return h.Sync() }

func (h *memHandle) Sync() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.fs.do("sync", h.name); err != nil {
		return err
	}
	for _, w := range h.f.pending {
		h.f.synced = patch(h.f.synced, w.data, w.off)
	}
	h.f.pending = nil
	return nil
}

func (h *memHandle) Read(p []byte) (int, error) {
	n, err := h.ReadAt(p, int64(h.off))
	h.off += n
	if n > 0 {
		err = nil
	}
	return n, err
}

func (h *memHandle) ReadAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if off >= int64(len(h.f.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memHandle) Close() error { return nil }

func (h *memHandle) Stat() (fs.FileInfo, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	return memInfo{filepath.Base(h.name), int64(len(h.f.data))}, nil
}

type memInfo struct {
	name string
	size int64
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return 0o600 }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return false }
func (i memInfo) Sys() any           { return nil }

// slow lets the calls that is chooses take a time, while others go on. In a bubble
// that waits for whoever else is at work.
func (m *memFS) slow(d time.Duration, is func(op string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.step = func(op string) error {
		if is(op) {
			m.mu.Unlock()
			time.Sleep(d)
			m.mu.Lock()
		}
		return nil
	}
}
