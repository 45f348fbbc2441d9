package outbox

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io/fs"
	"sync"
)

// The journal's file. It never grows beyond two segments.
const (
	segmentSize = 4 << 20   // octets
	segmentStep = 256 << 10 // a segment grows by this much, of zeros, and never shrinks
)

// errNoRoom says that a segment is full and the other one still in use.
var errNoRoom = errors.New("the journal is full")

// segments is the file of the journal: two halves that are written in turn, each
// from its start to its end, over blocks that were there before, so that a sync
// has nothing to do but the content. A half is begun again when none of its
// entries is alive. Its methods are called under the lock of more.
type segments struct {
	fs        FS
	dir, name string
	file      File // nil until it is needed
	parts     [2]segment
	cur       int // the part that is written
	salt      uint32
	newest    uint32 // generation of the current part

	more    sync.Cond // broadcast when a sync has ended
	syncing bool
	waiting int // commits that are on their way
	// written counts the octets appended, durable those of them that are synced,
	// began those that were appended before the current part.
	written, durable, began int64
	err                     error // set when the file is given up
}

// segment is one half.
type segment struct {
	used int64 // octets of sound frames
	room int64 // octets that the file has for it
	old  int64 // up to here it is not all zeros
	live int   // entries that are alive
	held int64 // octets of their frames
}

func (p *segment) add(k *journaled)    { p.live++; p.held += k.length }
func (p *segment) remove(k *journaled) { p.live--; p.held -= k.length }

// segmentAt is where a part begins in the file.
func segmentAt(part int) int64 { return int64(part) * segmentSize }

// put seals the frames and appends them with one write. The ticket is for commit.
func (s *segments) put(frames ...sealed) (ticket int64, err error) {
	p := &s.parts[s.cur]
	var b []byte
	for _, f := range frames {
		sealFrame(f.data, s.salt, frame{
			generation: s.newest, durable: uint32(max(0, s.durable-s.began)), kind: f.kind, id: f.id,
		})
		if len(frames) == 1 {
			b = f.data
		} else {
			b = append(b, f.data...)
		}
	}
	if s.err != nil {
		return 0, s.err
	}
	if _, err := s.file.WriteAt(b, segmentAt(s.cur)+p.used); err != nil {
		return 0, s.failed("write", err) // what was written of it will be overwritten
	}
	p.used += int64(len(b))
	p.old = max(p.old, p.used)
	s.written += int64(len(b))
	return s.written, nil
}

// cancel writes that an entry is gone behind one whose sync failed, for the case
// that it has reached the disk all the same. The file is given up already.
func (s *segments) cancel(id string) {
	b := beginFrame(0)
	sealFrame(b, s.salt, frame{generation: s.newest, kind: frameGone, id: id})
	p := &s.parts[s.cur]
	if s.file == nil || p.used+frameHeader > p.room {
		return
	}
	if _, err := s.file.WriteAt(b, segmentAt(s.cur)+p.used); err == nil {
		p.used += frameHeader
	}
}

// sealed is a frame that put seals.
type sealed struct {
	kind frameKind
	id   string
	data []byte // from beginFrame
}

// failed wraps an error of the disk. Unless the disk is merely full the file is
// given up: a later sync does not make good what one could not write.
func (s *segments) failed(op string, err error) error {
	err = storeError(op, err)
	if s.err == nil && (op == "sync" || !diskFull(err)) {
		s.err = err
	}
	return err
}

// commit returns when what put had written is durable. Whoever comes while a
// sync runs waits for the next one, which one of them does for all.
func (s *segments) commit(ticket int64) error {
	s.waiting++
	defer func() { s.waiting-- }()
	for s.durable < ticket {
		switch {
		case s.err != nil:
			return s.err
		case s.syncing:
			s.more.Wait()
		default:
			s.sync()
		}
	}
	return nil
}

// sync makes all that was written durable, without the lock meanwhile.
func (s *segments) sync() {
	s.syncing = true
	written, file := s.written, s.file
	s.more.L.Unlock()
	err := file.SyncData()
	s.more.L.Lock()
	s.syncing = false
	if err != nil {
		s.failed("sync", err)
	} else {
		s.durable = max(s.durable, written)
	}
	s.more.Broadcast()
}

// settled waits until all that was written is durable and nobody syncs.
func (s *segments) settled() error {
	for s.err == nil && (s.syncing || s.durable < s.written) {
		if s.syncing {
			s.more.Wait()
		} else {
			s.sync()
		}
	}
	return s.err
}

// reserve sees to it that the current part has room for n octets, beginning the
// other one if need be; errNoRoom when that is in use. It may let go of the lock
// for a while.
func (s *segments) reserve(n int64) error {
	for {
		if err := s.open(); err != nil {
			return err
		}
		cur, p, other := s.cur, &s.parts[s.cur], &s.parts[1-s.cur]
		var err error
		switch {
		case p.used+n <= p.room:
			return nil
		case p.used+n <= segmentSize:
			err = s.grow(cur, p.used+n)
		case other.live > 0 || startSize+n > segmentSize:
			return errNoRoom
		case other.room < startSize:
			err = s.grow(1-cur, startSize)
		case s.syncing || s.durable < s.written:
			err = s.settled()
		default:
			err = s.begin(1-cur, 0)
		}
		if err != nil {
			return err
		}
	}
}

// open opens the file, and creates it when it is missing.
func (s *segments) open() error {
	if s.err != nil {
		return s.err
	}
	if s.file != nil {
		// A file whose name somebody took away keeps nothing.
		if fi, err := s.file.Stat(); err == nil && unlinked(fi) {
			return s.failed("open", fs.ErrNotExist)
		}
		return nil
	}
	f, err := s.fs.Change(s.name)
	if err != nil {
		return storeError("create", err)
	}
	s.file, s.parts, s.cur, s.salt = f, [2]segment{}, 0, newSalt()
	if s.newest == 0 {
		s.newest = newSalt() >> 1 // half of all numbers are left to count up
	}
	room, op, err := s.extend(0, 0, startSize)
	if s.parts[0].room = room; err != nil {
		err = storeError(op, err)
	} else if err = s.begin(0, s.newest+1); err == nil {
		err = storeError("sync directory", s.fs.SyncDir(s.dir))
	}
	if err != nil {
		s.file = nil
		f.Close()
		s.fs.Remove(s.name)
		s.err = nil // there will be another file
	}
	return err
}

// newSalt returns a number that nobody outside knows.
func newSalt() uint32 {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint32(b[:])
}

// grow gives a part room up to its octet n, without the lock meanwhile: what has
// room already is not kept waiting. Afterwards all may be different.
func (s *segments) grow(part int, n int64) error {
	if s.syncing {
		s.more.Wait()
		return s.err
	}
	from := s.parts[part].room
	s.syncing = true
	s.more.L.Unlock()
	room, op, err := s.extend(part, from, n)
	s.more.L.Lock()
	s.syncing = false
	s.more.Broadcast()
	if err != nil {
		return s.failed(op, err)
	}
	s.parts[part].room = room
	return nil
}

// extend writes zeros behind the room of a part, durably.
func (s *segments) extend(part int, from, n int64) (room int64, op string, err error) {
	room = min(segmentSize, (n+segmentStep-1)/segmentStep*segmentStep)
	if err := s.zero(segmentAt(part)+from, segmentAt(part)+room); err != nil {
		return from, "write", err
	}
	return room, "sync", s.file.Sync() // with the length
}

// zero writes zeros from one octet of the file to another.
func (s *segments) zero(from, to int64) error {
	zeros := make([]byte, min(64<<10, to-from))
	for from < to {
		n, err := s.file.WriteAt(zeros[:min(int64(len(zeros)), to-from)], from)
		if err != nil {
			return err
		}
		from += int64(n)
	}
	return nil
}

// begin makes a part the current one, with a new generation, and returns when
// that is durable. It has room, nothing of it is alive, nothing waits for a sync.
func (s *segments) begin(part int, floor uint32) error {
	first := start{salt: s.salt, floor: floor}
	if part != s.cur {
		first.before = uint32(s.parts[s.cur].used)
	}
	if _, err := s.file.WriteAt(startFrame(s.newest+1, first), segmentAt(part)); err != nil {
		return s.failed("write", err)
	}
	if err := s.file.SyncData(); err != nil {
		return s.failed("sync", err)
	}
	s.newest++
	s.cur, s.began = part, s.written-startSize
	p := &s.parts[part]
	p.used, p.old = startSize, max(p.old, startSize)
	return nil
}

// clean reports that the file holds nothing that ever was of an entry.
func (s *segments) clean() bool {
	for i, p := range s.parts {
		if i == s.cur && p.old > startSize || i != s.cur && p.old > 0 {
			return false
		}
	}
	return true
}

// wipe says that no entry is alive, durably, and overwrites what is left of the
// old ones, a piece at a time: others may append in between.
func (s *segments) wipe() error {
	if s.file == nil || s.clean() {
		return nil
	}
	if err := s.settled(); err != nil {
		return err
	}
	if s.parts[0].live+s.parts[1].live > 0 {
		return nil // meanwhile
	}
	if err := s.begin(s.cur, s.newest+1); err != nil {
		return err
	}
	for i := range s.parts {
		for s.overwrite(i) {
			s.more.L.Unlock()
			s.more.L.Lock()
			if s.err != nil {
				return s.err
			}
		}
	}
	return s.settled()
}

// overwrite writes zeros over a piece of what is left behind the frames of a
// part, from its end. It returns false when nothing is left, or the disk failed.
func (s *segments) overwrite(part int) bool {
	p := &s.parts[part]
	low := int64(0)
	if part == s.cur {
		low = p.used
	}
	if p.live > 0 && part != s.cur || p.old <= low {
		return false
	}
	from := max(low, p.old-256<<10)
	if err := s.zero(segmentAt(part)+from, segmentAt(part)+p.old); err != nil {
		s.failed("write", err)
		return false
	}
	p.old = from
	s.written++ // counts as something to be made durable
	s.began++
	if part != s.cur {
		p.used = min(p.used, from)
	}
	return from > low
}

// giveUp closes the file. What becomes of its name is the caller's business.
func (s *segments) giveUp() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file, s.err, s.parts, s.cur = nil, nil, [2]segment{}, 0
	s.durable = s.written
	return err
}
