package outbox

import (
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"os"
	"sync"

	"melon/upstream"
)

// spoolMemory is how much of a message a Spool holds in memory.
const spoolMemory = 64 << 10

// buffers holds the memory of spools for reuse.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() []byte {
	if p, ok := b.pool.Get().(*[spoolMemory]byte); ok {
		return p[:0]
	}
	return new([spoolMemory]byte)[:0]
}

func (b *buffers) put(s []byte) { b.pool.Put((*[spoolMemory]byte)(s[:spoolMemory])) }

// Spool takes the content of one message while it arrives. It is an io.Writer
// for one goroutine and an upstream.Body for any number: readers follow the
// writer. The first 64 KiB stay in memory; a longer message goes to a file in
// the outbox directory, named as its entry will be.
//
// The writer ends it with Finish or Abort. Its owner calls Discard when nobody
// reads any more, kept or not, and before Settle.
type Spool struct {
	store *store

	mu     sync.Mutex
	more   sync.Cond // broadcast when anything below changes
	sum    hash.Hash // of what was written with Write
	memory []byte    // the content while file is nil
	file   File
	id     string // of the file and of the entry that it may become
	size   int64
	looked int64 // size when the room on the disk was looked at
	err    error // the first failure; stays
	state  spoolState
	taken  bool // the file is an entry's, or is about to be
}

// spoolState is how far a Spool is.
type spoolState int

const (
	spoolOpen spoolState = iota
	spoolComplete
	spoolAborted
	spoolDiscarded
)

func newSpool(s *store) *Spool {
	sp := &Spool{store: s, sum: sha256.New()}
	sp.more.L = &sp.mu
	return sp
}

// WritePrefix writes lines that do not count for the fingerprint: the Received
// line, which differs each time the app hands in the same message.
func (sp *Spool) WritePrefix(p []byte) error {
	_, err := sp.write(p, false)
	return err
}

// Write appends to the message. A failure of the disk is a *StoreError, returned
// by this and every later call.
func (sp *Spool) Write(p []byte) (int, error) { return sp.write(p, true) }

func (sp *Spool) write(p []byte, counts bool) (int, error) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.err != nil {
		return 0, sp.err
	}
	if sp.state != spoolOpen {
		return 0, errors.New("outbox: write to a spool that has ended")
	}
	if sp.file == nil && len(sp.memory)+len(p) > spoolMemory {
		if sp.err = sp.spillLocked(); sp.err != nil {
			sp.store.note(sp.err)
			sp.more.Broadcast()
			return 0, sp.err
		}
	}
	if sp.file != nil {
		err := sp.roomLocked()
		n := 0
		if err == nil {
			n, err = sp.file.Write(p)
			sp.size += int64(n)
		}
		if err != nil {
			sp.err = storeError("write", err)
			sp.store.note(sp.err)
			sp.more.Broadcast()
			return n, sp.err
		}
	} else {
		if sp.memory == nil {
			sp.memory = sp.store.buffers.get()
		}
		sp.memory = append(sp.memory, p...)
		sp.size += int64(len(p))
	}
	if counts {
		sp.sum.Write(p)
	}
	sp.more.Broadcast()
	return len(p), nil
}

// roomLocked looks now and then whether the disk has room for more.
func (sp *Spool) roomLocked() error {
	if sp.looked != 0 && sp.size < sp.looked+roomStep {
		return nil
	}
	sp.looked = max(sp.size, 1)
	return sp.store.room(roomStep)
}

// spillLocked moves the content from memory to a file.
func (sp *Spool) spillLocked() error {
	if sp.id == "" {
		sp.id = sp.store.newID()
	}
	f, err := sp.store.fs.Create(sp.store.message(sp.id))
	if err != nil {
		return storeError("create", err)
	}
	if _, err := f.Write(sp.memory); err != nil {
		f.Close()
		sp.store.fs.Remove(sp.store.message(sp.id))
		return storeError("write", err)
	}
	sp.file = f
	sp.freeLocked()
	return nil
}

// freeLocked gives the memory back. Readers copy under the lock, so none holds it.
func (sp *Spool) freeLocked() {
	if sp.memory != nil {
		sp.store.buffers.put(sp.memory)
		sp.memory = nil
	}
}

// Finish says that the message is complete. It fails when a Write failed.
func (sp *Spool) Finish() error {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.err != nil {
		return sp.err
	}
	if sp.state == spoolOpen {
		sp.state = spoolComplete
		sp.more.Broadcast()
	}
	return nil
}

// Abort says that the message will never be complete: readers get
// upstream.ErrBodyAborted. It does nothing after Finish.
func (sp *Spool) Abort() {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.state == spoolOpen {
		sp.state = spoolAborted
		sp.more.Broadcast()
	}
}

// Discard frees everything: the memory, the open file, and the file itself
// unless an entry was made of it. Readers that are still open fail. It may be
// called more than once, but not while Keep runs.
func (sp *Spool) Discard() {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.state == spoolDiscarded {
		return
	}
	sp.state = spoolDiscarded
	sp.freeLocked()
	if sp.file != nil {
		sp.file.Close()
		sp.file = nil
		if !sp.taken {
			// What stays behind has no state beside it: gone at the next start.
			sp.store.fs.Remove(sp.store.message(sp.id))
		}
	}
	sp.more.Broadcast()
}

// take returns the ID for an entry made of the spool: that of its file for the
// first one, a new one for others. The spool must be complete and sound.
func (sp *Spool) take() (id string, err error) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	switch {
	case sp.err != nil:
		return "", sp.err
	case sp.state != spoolComplete:
		return "", errors.New("outbox: the spool is not complete")
	case sp.file != nil && !sp.taken:
		sp.taken = true
		return sp.id, nil
	}
	return sp.store.newID(), nil
}

// giveBack undoes take after a failure.
func (sp *Spool) giveBack(id string) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.file != nil && sp.id == id {
		sp.taken = false
	}
}

// small reports whether the content is in memory.
func (sp *Spool) small() bool {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return sp.file == nil && sp.state != spoolDiscarded
}

// appendTo appends the content to b; ok is false when it is not in memory.
func (sp *Spool) appendTo(b []byte) (_ []byte, ok bool) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.file != nil || sp.state == spoolDiscarded {
		return b, false
	}
	return append(b, sp.memory...), true
}

// Size implements upstream.Body.
func (sp *Spool) Size() (n int64, complete bool) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	return sp.size, sp.state == spoolComplete
}

// Fingerprint is what Join looks for and an entry made of this spool will have.
// The spool is complete.
func (sp *Spool) Fingerprint(env upstream.Envelope) string {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	var sum [sha256.Size]byte
	sp.sum.Sum(sum[:0])
	return fingerprint(sum, env)
}

// Open implements upstream.Body.
func (sp *Spool) Open() (io.ReadCloser, error) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if sp.state == spoolDiscarded {
		return nil, os.ErrClosed
	}
	return &spoolReader{sp: sp}, nil
}

// spoolReader reads a Spool from the start, behind the writer.
type spoolReader struct {
	sp     *Spool
	off    int64 // used by the reading goroutine alone
	closed bool  // under sp.mu
}

// Read implements io.Reader as upstream.Body asks for.
func (r *spoolReader) Read(p []byte) (int, error) {
	sp := r.sp
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	for {
		switch {
		case r.closed, sp.state == spoolDiscarded:
			return 0, os.ErrClosed
		case sp.state == spoolAborted:
			return 0, upstream.ErrBodyAborted
		case sp.err != nil:
			return 0, upstream.ErrBodyAborted
		case r.off < sp.size:
			return r.copyLocked(p)
		case sp.state == spoolComplete:
			return 0, io.EOF
		}
		sp.more.Wait()
	}
}

// copyLocked copies what is there. The file is read under the lock, so that
// Discard cannot close it meanwhile; the page cache makes that short.
func (r *spoolReader) copyLocked(p []byte) (int, error) {
	if left := r.sp.size - r.off; int64(len(p)) > left {
		p = p[:left]
	}
	var n int
	var err error
	if r.sp.file == nil {
		n = copy(p, r.sp.memory[r.off:])
	} else {
		n, err = r.sp.file.ReadAt(p, r.off)
	}
	r.off += int64(n)
	return n, err
}

// Close ends a Read that waits.
func (r *spoolReader) Close() error {
	r.sp.mu.Lock()
	defer r.sp.mu.Unlock()
	r.closed = true
	r.sp.more.Broadcast()
	return nil
}
