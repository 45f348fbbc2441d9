package outbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// journalName is the journal's file in the outbox directory.
const journalName = "journal"

const (
	// maxContent bounds, in octets, how much of messages the journal holds in
	// memory; the rest is read back.
	maxContent = 4 << 20
	// frameReserve is the room, in octets, that is kept for what will happen to
	// each entry: two attempts and its end.
	frameReserve = 768
)

// journal is where small messages are that go at once: one file that is only
// ever appended to, so that one sync serves whoever arrives, begins an attempt
// or is done at that moment. An entry is here until it is delivered, or moved to
// files of its own when it has to wait. Its methods may be called from any
// goroutine; one entry is changed by one at a time.
type journal struct {
	mu   sync.Mutex
	file *segments
	live map[string]*journaled
	// shares are what the accounts have of it, those that use it.
	shares map[string]*share
	held   int64 // octets of messages in memory
	// damaged: the file is to be set aside as soon as nothing in it is alive.
	damaged bool
	off     bool   // the file is not ours to write
	carried uint32 // generation of the segment in which carry was tried

	tender tender
}

// journaled is an entry that is alive in the journal.
type journaled struct {
	entry Entry
	// recorded is the state that the file has, which for a primed entry is ahead.
	recorded Entry
	place    *place // nil: taken over from an earlier process
	part     int    // where its message is
	offset   int64  // of the message in the file
	length   int64  // of its frame
	sum      uint32 // of the message
	message  []byte // nil: to be read back
	since    time.Time
	primed   bool // its first attempt is on the disk already
	looked   bool // it was found to be here for long, and stays
	filed    bool // files were begun for it
}

func newJournal(fsys FS, dir string) *journal {
	j := &journal{live: make(map[string]*journaled), shares: make(map[string]*share)}
	j.file = &segments{fs: fsys, dir: dir, name: filepath.Join(dir, journalName)}
	j.file.more.L = &j.mu
	j.tender.init()
	return j
}

// add makes the spool's content the entry e and returns when that is durable. On
// the disk it is as recorded, which may already be its first attempt. done is
// false when the entry has to go into files instead: it is too large, or there is
// no room. The place, which may be nil, is the entry's if it is done, else given
// back.
func (j *journal) add(e, recorded Entry, sp *Spool, p *place) (done bool, err error) {
	defer func() {
		if !done {
			j.vacate(p)
		}
	}()
	b, err := addedFrame(recorded)
	if err != nil {
		return false, storeError("encode", err)
	}
	head := len(b)
	b, small := sp.appendTo(b)
	if !small || len(b) > maxFrame {
		return false, nil
	}
	k := &journaled{
		entry: e, recorded: recorded, place: p, length: int64(len(b)),
		primed: recorded.State == Sending, since: time.Now(), sum: castagnoli(0, b[head:]),
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.carry()
	if j.off || j.damaged || j.file.err != nil {
		return false, nil
	}
	switch err := j.file.reserve(int64(len(b)) + int64(len(j.live)+1)*frameReserve); {
	case err == errNoRoom:
		return false, nil
	case err != nil:
		return false, err
	}
	cur := j.file.cur
	k.part, k.offset = cur, segmentAt(cur)+j.file.parts[cur].used+int64(head)
	ticket, err := j.file.put(sealed{frameAdded, e.ID, b})
	if err != nil {
		return false, err
	}
	if j.held+e.Size <= maxContent {
		k.message = b[head:]
		j.held += e.Size
	}
	j.live[e.ID] = k
	j.file.parts[cur].add(k)
	if err := j.file.commit(ticket); err != nil {
		j.file.cancel(e.ID)
		k.place = nil // given back as no entry's
		j.forget(e.ID)
		return false, err
	}
	j.arm()
	return true, nil
}

// forget takes an entry out of what is alive.
func (j *journal) forget(id string) {
	k := j.live[id]
	if k == nil {
		return
	}
	delete(j.live, id)
	j.file.parts[k.part].remove(k)
	j.leave(k.place)
	if k.message != nil {
		j.held -= k.entry.Size
	}
	j.arm()
}

// get returns an entry that is alive in the journal.
func (j *journal) get(id string) (e Entry, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	k := j.live[id]
	if k == nil {
		return Entry{}, false
	}
	e = k.entry
	e.Envelope.Recipients, e.Refused = slices.Clip(e.Envelope.Recipients), slices.Clip(e.Refused)
	e.record.bounced = slices.Clip(e.record.bounced)
	return e, true
}

// has reports whether an entry is alive in the journal.
func (j *journal) has(id string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.live[id] != nil
}

// ids lists what is alive, oldest first.
func (j *journal) ids() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	ids := make([]string, 0, len(j.live))
	for id := range j.live {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// content returns the message of an entry. The caller does not change it.
func (j *journal) content(id string) ([]byte, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	k := j.live[id]
	if k == nil {
		return nil, &IDError{ID: id, Err: ErrUnknownID}
	}
	return j.message(id, k)
}

// message is content under the lock, so that the place in the file is not written
// over meanwhile; the page cache makes that short.
func (j *journal) message(id string, k *journaled) ([]byte, error) {
	if k.message != nil {
		return k.message, nil
	}
	b := make([]byte, k.entry.Size)
	if n, err := j.file.file.ReadAt(b, k.offset); n < len(b) {
		return nil, fmt.Errorf("%d octets of %d in the journal: %w", n, len(b), err)
	}
	if castagnoli(0, b) != k.sum {
		return nil, fmt.Errorf("the message of %s in the journal has changed", id)
	}
	return b, nil
}

// attempt records durably that entries are about to be attempted, with one write
// and one sync; none for first attempts that are recorded already.
func (j *journal) attempt(entries []Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var frames []sealed
	attempts := make(map[string]attempt)
	n := 0
	for _, e := range entries {
		if k := j.live[e.ID]; k == nil || k.primed && e.Attempts == 1 {
			continue
		}
		attempts[e.ID] = attemptOf(e)
		payload, err := json.Marshal(attempts[e.ID])
		if err != nil {
			return storeError("encode", err)
		}
		frames = append(frames, sealed{frameAttempt, e.ID, append(beginFrame(len(payload)), payload...)})
		n += frameHeader + len(payload)
	}
	if n > 0 {
		if err := j.record(int64(n), func() {
			for id, a := range attempts {
				if k := j.live[id]; k != nil {
					k.recorded.attempted(a)
				}
			}
		}, frames...); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if k := j.live[e.ID]; k != nil {
			k.entry, k.primed = e, false
		}
	}
	return nil
}

// update records durably what became of an entry that cannot be moved to files.
func (j *journal) update(e Entry) error {
	payload, err := json.Marshal(storedOf(e))
	if err != nil {
		return storeError("encode", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	k := j.live[e.ID]
	if k == nil || len(payload) > maxFrame-frameHeader {
		return errNoRoom
	}
	f := sealed{frameUpdated, e.ID, append(beginFrame(len(payload)), payload...)}
	if err := j.record(int64(len(f.data)), func() { k.recorded, k.filed = e, true }, f); err != nil {
		return err
	}
	k.entry = e
	return nil
}

// record appends frames of n octets together and makes them durable; noted is
// called in between.
func (j *journal) record(n int64, noted func(), frames ...sealed) error {
	if err := j.file.reserve(n); err != nil {
		return storeError("write", err)
	}
	ticket, err := j.file.put(frames...)
	if err != nil {
		return err
	}
	noted()
	return j.file.commit(ticket)
}

// gone says that an entry was delivered or is in files now. For this process,
// and after a kill, it is so at once; sync makes it so for good.
func (j *journal) gone(id string, sync bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.live[id] == nil {
		return nil
	}
	var ticket int64
	err := j.file.reserve(frameHeader)
	if err == nil {
		ticket, err = j.file.put(sealed{frameGone, id, beginFrame(0)})
	}
	if err != nil && j.file.err == nil {
		j.file.err = storeError("write", err) // what is over must not come back: the file has to go
	}
	j.forget(id)
	if err == nil && sync {
		err = j.file.commit(ticket)
	}
	return err
}

// settle makes durable what was written.
func (j *journal) settle() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file.file == nil {
		return nil
	}
	return j.file.commit(j.file.written)
}

// lost says that the message of an entry cannot be read. The file stays, aside.
func (j *journal) lost(id string) (was bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.live[id] == nil {
		return false
	}
	j.damaged = true
	j.forget(id)
	return true
}

// filed reports whether files were begun for an entry, which its end has to
// remove.
func (j *journal) filed(id string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	k := j.live[id]
	return k != nil && k.filed
}

// filing says that files are begun for an entry.
func (j *journal) filing(id string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if k := j.live[id]; k != nil {
		k.filed = true
	}
}

// journalBody is the message of an entry in the journal.
type journalBody struct {
	j    *journal
	id   string
	size int64
}

// Open implements upstream.Body.
func (b *journalBody) Open() (io.ReadCloser, error) {
	content, err := b.j.content(b.id)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// Size implements upstream.Body.
func (b *journalBody) Size() (int64, bool) { return b.size, true }
