package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// replayed is what a journal says.
type replayed struct {
	live    map[string]*journaled
	salt    uint32
	damaged bool
	newer   bool // a state in it is a newer version's
	parts   [2]replayedPart
}

// replayedPart is one segment.
type replayedPart struct {
	start
	sound      bool // start could be read
	generation uint32
	used       int64 // up to the end of the last sound frame
}

// replay reads a journal: both segments, the older one first. What is damaged is
// skipped; what a crash cut off at the end was never acknowledged. ErrNewerState
// is its only error.
func replay(parts [2][]byte) (*replayed, error) {
	r := &replayed{live: make(map[string]*journaled)}
	var floor uint32
	for i, b := range parts {
		p := &r.parts[i]
		var err error
		if p.generation, p.start, err = readStart(b); errors.Is(err, ErrNewerState) {
			return nil, err
		}
		if err == nil {
			p.sound, r.salt, floor = true, p.salt, max(floor, p.floor)
		}
	}
	for i, b := range parts {
		if p := &r.parts[i]; p.generation == 0 && !blank(b) {
			r.damaged = true
			p.generation = guess(b, r.salt)
		}
	}
	older := 0
	if r.parts[0].generation > r.parts[1].generation {
		older = 1
	}
	if g := r.parts[older].generation; g != 0 && g >= floor {
		r.segment(older, parts[older], int64(r.parts[1-older].before))
	}
	r.segment(1-older, parts[1-older], 0)
	if r.newer {
		return nil, ErrNewerState
	}
	return r, nil
}

// blank reports a segment that was never used, or wiped.
func blank(b []byte) bool {
	for _, c := range b[:min(len(b), startSize)] {
		if c != 0 {
			return false
		}
	}
	return true
}

// guess finds the generation of a segment whose first frame is lost.
func guess(b []byte, salt uint32) (generation uint32) {
	for len(b) > 0 {
		f, n, err := readFrame(b, salt)
		if err != nil {
			n = 1
		}
		generation = max(generation, f.generation)
		b = b[n:]
	}
	return generation
}

// segment replays one segment, of which at least the first octets, as many as
// durable says, were durable.
func (r *replayed) segment(part int, b []byte, durable int64) {
	p := &r.parts[part]
	if p.generation == 0 {
		return
	}
	if p.sound {
		p.used = startSize
	}
	for off := p.used; off < int64(len(b)); off = p.used {
		f, n, err := readFrame(b[off:], r.salt)
		if err != nil || f.generation != p.generation {
			// What follows counts when it was written after this place was durable:
			// then something is damaged that was acknowledged. Otherwise this is
			// the end, and what lies behind it never got there as a whole.
			skip := resume(b[off:], r.salt, p.generation, off, durable)
			if skip < 0 {
				break
			}
			r.damaged = true
			p.used += skip
			continue
		}
		r.frame(f, part, segmentAt(part)+off)
		p.used += int64(n)
	}
	r.damaged = r.damaged || p.used < durable
}

// resume finds the next frame in b, which begins at end, if that place and more
// was durable.
func resume(b []byte, salt, generation uint32, end, durable int64) int64 {
	first := -1
	for off := 0; ; {
		i := nextFrame(b[off:], salt, generation)
		if i < 0 {
			return -1
		}
		off += i
		f, n, _ := readFrame(b[off:], salt)
		if first < 0 {
			first = off
		}
		if max(int64(f.durable), durable) > end {
			return int64(first)
		}
		off += n
	}
}

// frame replays one frame, which begins at an octet of the file.
func (r *replayed) frame(f frame, part int, offset int64) {
	k := r.live[f.id]
	if f.kind != frameAdded && k == nil {
		return
	}
	switch f.kind {
	case frameAdded:
		state, message, ok := splitAdded(f.payload)
		if !ok {
			r.damaged = true
			return
		}
		e, err := decode(f.id, state)
		r.newer = r.newer || errors.Is(err, ErrNewerState)
		if _, good := decodeID(f.id); err != nil || !good || e.Size != int64(len(message)) {
			r.damaged = true
			return
		}
		r.live[f.id] = &journaled{
			entry: e, recorded: e, part: part, since: time.Now(), sum: castagnoli(0, message),
			length: frameHeader + int64(len(f.payload)),
			offset: offset + frameHeader + int64(len(f.payload)-len(message)),
		}
	case frameAttempt:
		var a attempt
		if json.Unmarshal(f.payload, &a) != nil || !a.State.Valid() {
			r.damaged = true
			return
		}
		k.entry.attempted(a)
		k.recorded.attempted(a)
	case frameUpdated:
		e, err := decode(f.id, f.payload)
		if err != nil || e.Size != k.entry.Size {
			r.damaged = true
			return
		}
		k.entry, k.recorded, k.filed = e, e, true
	case frameGone:
		delete(r.live, f.id)
	}
}

// open replays the file that an earlier process left, and takes it into use.
func (j *journal) open() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.file
	fi, err := s.fs.Open(s.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		fi.Close()
		s.file, err = s.fs.Change(s.name)
	}
	if err != nil {
		j.off = true
		return err
	}
	parts, err := s.read()
	if err == nil {
		var r *replayed
		if r, err = replay(parts); err == nil {
			return j.take(r)
		}
	}
	s.file.Close()
	s.file, j.off = nil, true
	return err
}

// take continues a journal.
func (j *journal) take(r *replayed) error {
	s := j.file
	j.live, j.damaged, s.salt = r.live, r.damaged, r.salt
	for i := range s.parts {
		s.parts[i].used = r.parts[i].used
		s.newest = max(s.newest, r.parts[i].generation)
	}
	if r.parts[1].generation > r.parts[0].generation {
		s.cur = 1
	}
	for _, k := range j.live {
		s.parts[k.part].add(k)
	}
	// What a crash cut off must not be continued by chance.
	p := &s.parts[s.cur]
	s.began, s.written, s.durable = 0, p.used, p.used
	if s.salt == 0 {
		s.salt = newSalt()
	}
	if p.used == 0 && !j.damaged {
		if p.room < startSize {
			room, op, err := s.extend(s.cur, p.room, startSize)
			if p.room = room; err != nil {
				return s.failed(op, err)
			}
		}
		return s.begin(s.cur, s.newest+1)
	}
	if j.damaged || p.old <= p.used {
		return nil
	}
	if err := s.zero(segmentAt(s.cur)+p.used, segmentAt(s.cur)+p.old); err != nil {
		return s.failed("write", err)
	}
	p.old = p.used
	s.written++
	s.began++
	return s.settled()
}

// read returns both segments of the file. One that was wiped is not read whole.
func (s *segments) read() (parts [2][]byte, err error) {
	fi, err := s.file.Stat()
	if err != nil {
		return parts, err
	}
	for i := range parts {
		p := &s.parts[i]
		p.room = min(max(fi.Size()-segmentAt(i), 0), segmentSize)
		n := p.room
		if head := make([]byte, startSize+frameHeader); n >= int64(len(head)) {
			if _, err := s.file.ReadAt(head, segmentAt(i)); err != nil {
				return parts, err
			}
			if wiped(head) {
				n = startSize
			}
		}
		p.old = n
		parts[i] = make([]byte, n)
		if got, err := s.file.ReadAt(parts[i], segmentAt(i)); got < len(parts[i]) && err != io.EOF {
			return parts, err
		}
	}
	return parts, nil
}

// wiped reports that a segment that begins so holds nothing.
func wiped(head []byte) bool {
	_, _, err := readStart(head)
	return blank(head[startSize:]) && (err == nil || blank(head))
}

// damagedJournal is what a person hears of a journal that cannot be read.
const damagedJournal = "A part of the outbox's journal could not be read; it was set aside in the folder \"" + unreadable + "\" of the outbox."

// openJournal takes over what an earlier process left in the journal, each entry
// into files of its own. What the disk does not take stays there, and is sent from there.
func (s *store) openJournal() error {
	err := s.journal.open()
	switch {
	case errors.Is(err, ErrNewerState), tooManyFiles(err):
		return err
	case err != nil:
		s.report(Problem{Time: s.now(), Err: fmt.Errorf("journal: %w", err),
			Sentence: "The outbox's journal could not be read; messages in it are not sent."})
		return nil
	}
	ids := s.journal.ids()
	s.each(len(ids), nil, func(i int) error {
		s.seen(ids[i])
		e, err := s.loadFiles(ids[i])
		if err == nil {
			_, err = s.bodyFile(e)
		}
		switch {
		case err == nil: // it was moved, and is newer
			return s.journal.gone(ids[i], true)
		case !errors.Is(err, fs.ErrNotExist):
			s.setAsideFiles(ids[i], err) // the journal has it still
		}
		e, _ = s.journal.get(ids[i])
		return s.move(context.Background(), e)
	})
	s.journal.mu.Lock()
	damaged := s.journal.damaged
	if len(s.journal.live) == 0 {
		s.journal.empty()
	}
	s.journal.mu.Unlock()
	if damaged {
		s.report(Problem{Time: s.now(), Err: errors.New("a part of the journal is damaged"),
			Sentence: damagedJournal})
	}
	return nil
}

// journaledHeaders returns what the index needs of the entries that stayed in the
// journal.
func (s *store) journaledHeaders() (headers []header) {
	for _, id := range s.journal.ids() {
		if e, ok := s.journal.get(id); ok {
			headers = append(headers, storedOf(e).header)
		}
	}
	return headers
}

// moveAll moves what is left in the journal to files; nobody else uses the
// entries any more. What the disk does not take stays, for the next start.
func (s *store) moveAll() {
	ids := s.journal.ids()
	s.each(len(ids), nil, func(i int) error {
		e, ok := s.journal.get(ids[i])
		if !ok {
			return nil
		}
		return s.move(context.Background(), e)
	})
}
