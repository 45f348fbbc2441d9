package outbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
)

// scribe writes the image of a segment as a journal does, and knows what it says
// up to each frame.
type scribe struct {
	image []byte
	ends  []int               // of each frame
	says  []map[string]string // after each frame: the live entries, in short
}

const scribeSalt = 0x5a17

func newScribe() *scribe {
	return &scribe{
		image: startFrame(1, start{salt: scribeSalt}), ends: []int{startSize}, says: []map[string]string{{}},
	}
}

// put appends a frame; what it makes of an entry, "" for gone.
func (s *scribe) put(kind frameKind, id string, payload []byte, becomes string) {
	b := append(beginFrame(len(payload)), payload...)
	sealFrame(b, scribeSalt, frame{generation: 1, durable: uint32(len(s.image)), kind: kind, id: id})
	s.image = append(s.image, b...)
	now := maps.Clone(s.says[len(s.says)-1])
	if becomes == "" {
		delete(now, id)
	} else if _, there := now[id]; there || kind == frameAdded {
		now[id] = becomes
	}
	s.ends, s.says = append(s.ends, len(s.image)), append(s.says, now)
}

// write appends what a script says: an octet for what to do with which entry,
// and for a new one its message.
func (s *scribe) write(t *testing.T, script []byte) {
	for step := 0; len(script) > 0 && len(s.image) < 16<<10; step++ {
		id := encodeID(int64(script[0] >> 2 & 7))
		what := script[0] & 3
		script = script[1:]
		e := entry()
		e.ID, e.State, e.Attempts = id, Waiting, step
		switch what {
		case 0:
			n := 0
			if len(script) > 0 {
				n = min(int(script[0]), len(script)-1)
				script = script[1:]
			}
			e.Size = int64(n)
			b, err := addedFrame(e)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, script[:n]...)
			s.put(frameAdded, id, b[frameHeader:], inShort(Waiting, step, castagnoli(0, script[:n])))
			script = script[n:]
		case 1, 2:
			old, there := s.says[len(s.says)-1][id]
			if !there {
				continue
			}
			var state State
			var attempts int
			var sum uint32
			fmt.Sscan(old, &state, &attempts, &sum)
			e.State = Sending
			payload, _ := json.Marshal(attemptOf(e))
			s.put(frameAttempt, id, payload, inShort(Sending, step, sum))
		case 3:
			s.put(frameGone, id, nil, "")
		}
	}
}

// inShort is an entry in one line.
func inShort(s State, attempts int, sum uint32) string { return fmt.Sprintln(s, attempts, sum) }

// says is what a replay says, in the words of a scribe.
func says(r *replayed) map[string]string {
	m := make(map[string]string)
	for id, k := range r.live {
		m[id] = inShort(k.entry.State, k.entry.Attempts, k.sum)
	}
	return m
}

// FuzzJournal: what was written is read back; an end that is cut off, or an
// octet that has changed, costs no record before it, and damage is told from an
// end that a crash cut off; of anything else a replay makes something bounded.
func FuzzJournal(f *testing.F) {
	f.Add([]byte("\x00\x05hello\x01\x03"), uint(3), byte(0))
	f.Add([]byte("\x00\x05hello\x04\x03abc\x01\x05\x03\x08\x00\x09"), uint(120), byte(1))
	f.Add([]byte("\x00\x20Mjr\x01aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x04\x01x\x01\x01\x01\x07"), uint(300), byte(255))
	f.Fuzz(func(t *testing.T, script []byte, place uint, flip byte) {
		anything, err := replay([2][]byte{script, bytes.Clone(script)})
		if err == nil && len(anything.live) > len(script) {
			t.Errorf("%d entries of %d octets", len(anything.live), len(script))
		}
		s := newScribe()
		s.write(t, script)
		r, err := replay([2][]byte{append(bytes.Clone(s.image), make([]byte, 100)...), nil})
		if last := s.says[len(s.says)-1]; err != nil || r.damaged || !maps.Equal(says(r), last) {
			t.Fatalf("whole: %v, damaged %v\n got %v\nwant %v", err, r.damaged, says(r), last)
		}
		if len(s.ends) < 2 {
			return
		}
		at := startSize + int(place%uint(len(s.image)-startSize))
		frame := 0 // that holds the place
		for s.ends[frame] <= at {
			frame++
		}
		image := bytes.Clone(s.image)
		clear(image[at:])
		r, _ = replay([2][]byte{image, nil})
		if got := says(r); r.damaged || !maps.Equal(got, s.says[frame-1]) && !maps.Equal(got, s.says[frame]) { // zeros may have been there
			t.Errorf("cut at %d: damaged %v\n got %v\nwant %v", at, r.damaged, got, s.says[frame-1])
		}
		if flip == 0 {
			return
		}
		image = bytes.Clone(s.image)
		image[at] ^= flip
		r, _ = replay([2][]byte{image, nil})
		if r.damaged != (frame < len(s.ends)-1) {
			t.Errorf("octet %d of frame %d of %d: damaged %v", at, frame, len(s.ends)-1, r.damaged)
		}
		got := says(r)
		for id, want := range s.says[frame-1] {
			untouched := true
			for i := frame; i < len(s.says); i++ {
				untouched = untouched && s.says[i][id] == want
			}
			if untouched && got[id] != want {
				t.Errorf("octet %d: %s is %q, want %q", at, id, got[id], want)
			}
		}
	})
}
