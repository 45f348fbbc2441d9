package outbox

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// filler lets a journal fill up with entries that are gone at once.
type filler struct {
	*store
	t *testing.T
	m *memFS
}

func newFiller(t *testing.T) *filler {
	t.Helper()
	m := newMemFS()
	f := &filler{newStore("/outbox", &moved{m}, stoppedClock), t, m}
	t.Cleanup(f.close)
	return f
}

// add adds an entry; with primed its first attempt is recorded with it.
func (f *filler) add(message []byte, primed bool) Entry {
	f.t.Helper()
	e := entry()
	e.ID, e.State, e.Size, e.QueuedAt = f.newID(), Waiting, int64(len(message)), stoppedClock()
	recorded := e
	if primed {
		recorded.State, recorded.Attempts = Sending, 1
	}
	sp := newSpool(f.store)
	defer sp.Discard()
	sp.Write(message)
	sp.Finish()
	if done, err := f.journal.add(e, recorded, sp, nil); !done || err != nil {
		f.t.Fatalf("%v, %v", done, err)
	}
	return e
}

// fill adds entries until the current segment has been used up to an octet.
func (f *filler) fill(to int64) {
	f.t.Helper()
	content := bytes.Repeat([]byte("0123456789abcdef"), 3700)
	s := f.journal.file
	for generation := s.newest; s.newest == generation && s.parts[s.cur].used < to; {
		if err := f.journal.gone(f.add(content, false).ID, false); err != nil {
			f.t.Fatal(err)
		}
	}
}

// TestCarryAtEachStep: entries that take their time are written once more into
// the segment that follows, as they were recorded, and a crash at any call finds
// them there once, or where they were.
func TestCarryAtEachStep(t *testing.T) {
	t.Parallel()
	f := newFiller(t)
	long := bytes.Repeat([]byte("long"), 10<<10)
	want := map[string]State{f.add([]byte("primed"), true).ID: Sending, f.add([]byte("waits"), false).ID: Waiting}
	messages := map[string][]byte{}
	tried := f.add(long, false)
	tried.State, tried.Attempts, tried.record.batch = Sending, 1, tried.ID
	if err := f.journal.attempt([]Entry{tried}); err != nil {
		t.Fatal(err)
	}
	want[tried.ID] = Sending
	for id := range want {
		messages[id], _ = f.journal.content(id)
	}
	k := f.journal.live[tried.ID]
	k.message, f.journal.held = nil, f.journal.held-tried.Size // to be read back
	look := func(op string) error {
		for _, mode := range crashModes {
			f.check(fmt.Sprintf("%s at %q", mode, op), f.m.crash(mode), want, messages)
		}
		return nil
	}
	s := f.journal.file
	for round := range 2 { // the second carries what was carried
		f.fill(segmentSize)
		f.fill(segmentSize/2 - 60<<10)
		old := s.parts[1-s.cur].live
		f.m.step = look
		f.fill(segmentSize/2 + 60<<10)
		if now := s.parts[1-s.cur].live; old != 3 || now != 0 || s.parts[s.cur].live != 3 {
			t.Fatalf("round %d: %d were in the old segment, %d are", round, old, now)
		}
		f.m.step = nil
		f.fill(segmentSize - 60<<10)
		f.m.step = look
		f.fill(segmentSize) // and a little of the next, which writes over the old frames
		f.m.step = nil
	}
	for id, message := range messages {
		if got, err := f.journal.content(id); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%s: %d octets, %v", id, len(got), err)
		}
	}
}

// check replays the journal that a crash left.
func (f *filler) check(what string, disk *memFS, want map[string]State, messages map[string][]byte) {
	f.t.Helper()
	s := &segments{file: &memHandle{fs: disk, f: disk.now["/outbox/"+journalName], name: journalName}}
	parts, err := s.read()
	if err != nil {
		f.t.Fatal(err)
	}
	r, err := replay(parts)
	if err != nil || r.damaged {
		f.t.Fatalf("%s: damaged %v, %v", what, r.damaged, err)
	}
	for id, state := range want {
		k := r.live[id]
		if k == nil {
			f.t.Fatalf("%s: an entry is lost", what)
		}
		message := make([]byte, k.entry.Size)
		if _, err := s.file.ReadAt(message, k.offset); err != nil && err != io.EOF {
			f.t.Fatal(err)
		}
		if k.entry.State != state || !bytes.Equal(message, messages[id]) {
			f.t.Fatalf("%s: %s, %q", what, k.entry.State, message[:6])
		}
	}
}

// TestCarryLeavesBe what files were begun for, what is too much, and everything
// when the disk fails.
func TestCarryLeavesBe(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(f *filler, id string){
		"files begun": func(f *filler, id string) { f.journal.filing(id) },
		"too much":    func(f *filler, _ string) { f.journal.file.parts[0].held += carryOctets },
		"a full disk": func(f *filler, _ string) {
			f.m.step = func(op string) error {
				if op == "write "+journalName {
					return full(op)
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFiller(t)
			e := f.add([]byte("stays"), false)
			f.fill(segmentSize)
			f.fill(segmentSize/2 - 100<<10)
			spoil(f, e.ID)
			j := f.journal
			j.mu.Lock()
			defer j.mu.Unlock()
			j.file.parts[1].used = segmentSize / 2
			j.carry()
			if k := j.live[e.ID]; k.part != 0 || j.file.parts[0].live != 1 {
				t.Errorf("it was carried: %+v", k)
			}
			if message, err := j.message(e.ID, j.live[e.ID]); err != nil || string(message) != "stays" {
				t.Errorf("%q, %v", message, err)
			}
		})
	}
}
