package outbox

// carryOctets bounds what carry writes at a time.
const carryOctets = segmentSize / 8

// carry keeps an entry that takes its time from holding a whole segment: when the
// current one is half full and little of the other one is alive, that is written
// once more, as it stands, into the current one. The old frames are in place until
// the new ones are durable, as a segment is begun when everything is; of two
// frames of one entry the later one counts.
func (j *journal) carry() {
	s := j.file
	if !j.carries() || s.reserve(s.parts[1-s.cur].held+int64(len(j.live)+1)*frameReserve) != nil || !j.carries() {
		return
	}
	j.carried = s.newest
	var frames []sealed
	var entries []*journaled
	n := int64(0)
	for id, k := range j.live {
		if k.part == s.cur {
			continue
		}
		b, err := addedFrame(k.recorded)
		if err != nil || k.filed { // that files were begun is no part of the frame
			return
		}
		message, err := j.message(id, k)
		if err != nil || len(b)+len(message) > maxFrame {
			return
		}
		b = append(b, message...)
		frames, entries = append(frames, sealed{frameAdded, id, b}), append(entries, k)
		n += int64(len(b))
	}
	p := &s.parts[s.cur]
	at := segmentAt(s.cur) + p.used
	if p.used+n > p.room {
		return
	}
	if _, err := s.put(frames...); err != nil {
		return // met again by whoever writes next
	}
	for i, k := range entries {
		s.parts[k.part].remove(k)
		at += int64(len(frames[i].data))
		k.part, k.offset, k.length = s.cur, at-k.entry.Size, int64(len(frames[i].data))
		p.add(k)
	}
}

// carries reports whether it is time to carry, which is tried once a segment.
func (j *journal) carries() bool {
	s := j.file
	old := s.parts[1-s.cur]
	return !j.off && !j.damaged && s.file != nil && s.err == nil && old.live > 0 && old.held <= carryOctets &&
		s.parts[s.cur].used >= segmentSize/2 && j.carried != s.newest
}
