package outbox

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// Errors as a relay reports them.
var (
	unreachable = &upstream.Error{Account: "home", Phase: upstream.PhaseConnect,
		Class: upstream.ClassServerUnreachable, Sentence: "The server cannot be reached."}
	wrongPassword = &upstream.Error{Account: "home", Phase: upstream.PhaseAuth, Class: upstream.ClassCredentialsRejected,
		Reply: upstream.Reply{Code: 535, Enhanced: upstream.EnhancedCode{5, 7, 8}, Lines: []string{"Bad credentials"}}}
	noSuchUser = &upstream.Error{Account: "home", Host: "smtp.provider-a.example:465", Phase: upstream.PhaseRcpt,
		Class: upstream.ClassRecipientUnknown,
		Reply: upstream.Reply{Code: 550, Enhanced: upstream.EnhancedCode{5, 1, 1}, Lines: []string{"No such user here"}}}
	relayDenied = &upstream.Error{Account: "home", Phase: upstream.PhaseRcpt, Class: upstream.ClassRelayDeniedIP,
		Reply: upstream.Reply{Code: 554, Enhanced: upstream.EnhancedCode{5, 7, 1}, Lines: []string{"Relay access denied"}}}
	greylisted = &upstream.Error{Account: "home", Phase: upstream.PhaseRcpt, Class: upstream.ClassGreylisted,
		Reply: upstream.Reply{Code: 450, Enhanced: upstream.EnhancedCode{4, 2, 0}, Lines: []string{"Greylisted"}}}
	lostReply = &upstream.Error{Account: "home", Phase: upstream.PhaseDataEnd, Class: upstream.ClassServerBroken,
		Ambiguous: true, Sentence: "The server hung up before it answered."}
)

// attemptSeen is one call of a Sender.
type attemptSeen struct {
	id string
	to []string
	at time.Time
}

// rig is an outbox whose provider is a function. Its clock is the bubble's plus
// an offset, as a laptop's wall clock is to the time it was awake.
type rig struct {
	*Outbox
	t      *testing.T
	dir    string
	opts   Options
	mu     sync.Mutex
	offset time.Duration
	reads  int // of the clock
	reply  func(e Entry) upstream.Result
	seen   []attemptSeen
	bodies map[string]string
	events []Event
}

// newRig opens an outbox in a new directory. It must run in a synctest bubble.
func newRig(t *testing.T, opts Options) *rig {
	t.Helper()
	r := &rig{t: t, dir: filepath.Join(t.TempDir(), "outbox"), opts: opts, bodies: make(map[string]string)}
	r.answer(nil)
	r.open()
	t.Cleanup(func() { r.Close() })
	return r
}

func (r *rig) open() {
	r.t.Helper()
	o := r.opts
	o.Sender, o.OnEvent = r, func(e Event) {
		r.mu.Lock()
		r.events = append(r.events, e)
		r.mu.Unlock()
	}
	o.Now = func() time.Time {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reads++
		return time.Now().Add(r.offset)
	}
	if o.Jitter == nil {
		o.Jitter = func() float64 { return 0 }
	}
	if o.Owns == nil {
		o.Owns = func(account, address string) bool { return address == "taro@provider-a.example" }
	}
	var err error
	if r.Outbox, err = Open(r.dir, o); err != nil {
		r.t.Fatal(err)
	}
}

// reopen closes the outbox and opens it again.
func (r *rig) reopen() {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open()
}

// Send implements Sender.
func (r *rig) Send(ctx context.Context, e Entry, body upstream.Body) upstream.Result {
	rd, err := body.Open()
	if err != nil {
		r.t.Error(err)
		return upstream.Result{Err: unreachable}
	}
	data, err := io.ReadAll(rd)
	rd.Close()
	if err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	r.seen = append(r.seen, attemptSeen{e.ID, e.To(), time.Now().Add(r.offset)})
	r.bodies[e.ID] = string(data)
	reply := r.reply
	r.mu.Unlock()
	return reply(e)
}

// answer makes every attempt end in err.
func (r *rig) answer(err *upstream.Error) {
	r.script(func(Entry) upstream.Result { return upstream.Result{Err: err} })
}

func (r *rig) script(reply func(Entry) upstream.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reply = reply
}

// shift moves the wall clock without time passing, as sleep and date(1) do.
func (r *rig) shift(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offset += d
}

// attempts returns what was tried since the last call.
func (r *rig) attempts() []attemptSeen {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.seen
	r.seen = nil
	return seen
}

// types lists the events so far.
func (r *rig) types() (types []EventType) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		types = append(types, e.Type)
	}
	return types
}

// spool returns a complete spool of a small message.
func (r *rig) spool(subject string) *Spool {
	r.t.Helper()
	return spoolOf(r.t, r.Outbox, subject)
}

func spoolOf(t *testing.T, o *Outbox, subject string) *Spool {
	t.Helper()
	sp := o.NewSpool()
	fmt.Fprintf(sp, "Message-ID: <%s@provider-a.example>\r\nSubject: %s\r\n\r\nhello\r\n", subject, subject)
	if err := sp.Finish(); err != nil {
		t.Fatal(err)
	}
	return sp
}

// entry is an envelope of the account home.
func entry(to ...string) Entry {
	e := Entry{Account: "home", Envelope: upstream.Envelope{From: "taro@provider-a.example"}}
	if len(to) == 0 {
		to = []string{"hanako@provider-b.example"}
	}
	for _, a := range to {
		e.Envelope.Recipients = append(e.Envelope.Recipients, upstream.Recipient{Address: a})
	}
	return e
}

// keep keeps a message and returns its ID.
func (r *rig) keep(subject string, e Entry, k KeepOptions) string {
	r.t.Helper()
	sp := r.spool(subject)
	defer sp.Discard()
	id, err := r.Keep(r.t.Context(), sp, e, k)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// keepN keeps n messages in a row.
func (r *rig) keepN(n int) (ids []string) {
	r.t.Helper()
	for i := range n {
		ids = append(ids, r.keep(fmt.Sprint("m", i), entry(), KeepOptions{}))
	}
	return ids
}

// states returns what the list shows, by ID.
func (r *rig) states() map[string]State {
	r.t.Helper()
	synctest.Wait()
	entries, err := r.List()
	if err != nil {
		r.t.Fatal(err)
	}
	m := make(map[string]State)
	for _, e := range entries {
		m[e.ID] = e.State
	}
	return m
}

// show returns one entry as the list shows it.
func (r *rig) show(id string) Entry {
	r.t.Helper()
	synctest.Wait()
	e, err := r.Show(id)
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

func idsSeen(seen []attemptSeen) (ids []string) {
	for _, s := range seen {
		ids = append(ids, s.id)
	}
	return ids
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}

// memFS is a file system in memory that knows what a loss of power would leave:
// names as of the last directory sync, content as of the last file sync. It
// records every call and can be told to let one fail.
type memFS struct {
	mu      sync.Mutex
	now     map[string]*memFile // what programs see
	durable map[string]*memFile
	log     []string
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
	if m.step != nil {
		return m.step(op)
	}
	return nil
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
	h.f.synced, h.f.pending = slices.Clone(h.f.data), nil
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

// full is what a disk without room answers.
func full(op string) error { return &os.PathError{Op: op, Path: "/x", Err: syscall.ENOSPC} }

// stoppedClock is a clock that stands still.
func stoppedClock() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// private reports whether a file has these permissions, where there are such.
func private(fi fs.FileInfo, perm fs.FileMode) bool {
	return fi != nil && (runtime.GOOS == "windows" || fi.Mode().Perm() == perm)
}
