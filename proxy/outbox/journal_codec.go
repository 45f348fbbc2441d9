package outbox

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
)

// A frame of the journal: a header of frameHeader octets, numbers little-endian,
// and a payload.
//
//	 0  4  frameMagic
//	 4  4  CRC-32C of all that follows, payload included, from the journal's salt
//	 8  4  generation of the segment: what is left of an earlier one is no frame of this
//	12  4  length of the payload
//	16  4  how much of the segment was durable when the frame was written
//	20  1  kind
//	21  1  0
//	22 10  ID of the entry
//
// The salt is a random number that the first frame of each segment holds: what a
// message holds, whoever wrote it, is never taken for a frame.
const (
	frameHeader = 32
	frameMagic  = "Mjr\x01" // the last octet is the version of the journal
)

// maxFrame bounds a frame in octets; an entry that needs more is kept in files.
const maxFrame = 256 << 10

// frameKind says what a frame records.
type frameKind uint8

// The kinds of frames and their payloads.
const (
	frameStart   frameKind = 1 + iota // begins a segment: start, 4 octets each; its own salt is 0
	frameAdded                        // an entry: length of the state (4 octets), the state, the message
	frameAttempt                      // an attempt begins: attempt as JSON
	frameUpdated                      // a new state, the message stays: the state
	frameGone                         // the entry was delivered, or is in its files now: nothing
)

// frame is one record of the journal.
type frame struct {
	generation uint32
	durable    uint32
	kind       frameKind
	id         string
	payload    []byte // part of what it was read from
}

// castagnoli continues a CRC-32C, which processors have an instruction for.
func castagnoli(salt uint32, p []byte) uint32 {
	return crc32.Update(salt, crc32.MakeTable(crc32.Castagnoli), p)
}

// errNoFrame says that there is no sound frame at that place.
var errNoFrame = errors.New("no frame")

// beginFrame returns a buffer for a frame with room for a payload of n octets,
// to append the payload to. sealFrame completes it.
func beginFrame(n int) []byte { return make([]byte, frameHeader, frameHeader+n) }

// sealFrame fills in the header of a frame from beginFrame.
func sealFrame(b []byte, salt uint32, f frame) {
	copy(b, frameMagic)
	binary.LittleEndian.PutUint32(b[8:], f.generation)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(b)-frameHeader))
	binary.LittleEndian.PutUint32(b[16:], f.durable)
	b[20], b[21] = byte(f.kind), 0
	copy(b[22:frameHeader], f.id)
	binary.LittleEndian.PutUint32(b[4:], castagnoli(salt, b[8:]))
}

// readFrame reads the frame at the beginning of b, of whatever generation. n is
// its length.
func readFrame(b []byte, salt uint32) (f frame, n int, err error) {
	if len(b) < frameHeader || string(b[:4]) != frameMagic {
		return frame{}, 0, errNoFrame
	}
	size := binary.LittleEndian.Uint32(b[12:])
	if size > maxFrame || int(size) > len(b)-frameHeader {
		return frame{}, 0, errNoFrame
	}
	n = frameHeader + int(size)
	if castagnoli(salt, b[8:n]) != binary.LittleEndian.Uint32(b[4:]) {
		return frame{}, 0, errNoFrame
	}
	return frame{
		generation: binary.LittleEndian.Uint32(b[8:]),
		durable:    binary.LittleEndian.Uint32(b[16:]),
		kind:       frameKind(b[20]),
		id:         string(bytes.TrimRight(b[22:frameHeader], "\x00")),
		payload:    b[frameHeader:n],
	}, n, nil
}

// nextFrame finds the first sound frame of a generation in b. It returns -1 when
// there is none.
func nextFrame(b []byte, salt, generation uint32) int {
	for off := 0; ; off++ {
		i := bytes.Index(b[off:], []byte(frameMagic))
		if i < 0 {
			return -1
		}
		off += i
		// The generation first: it is not known to who writes messages, who so
		// cannot make this slow.
		if len(b)-off < frameHeader || binary.LittleEndian.Uint32(b[off+8:]) != generation {
			continue
		}
		if _, _, err := readFrame(b[off:], salt); err == nil {
			return off
		}
	}
}

// start is the payload of a segment's first frame.
type start struct {
	salt   uint32
	floor  uint32 // entries of generations before this one are gone
	before uint32 // how long the other segment was, all of it durable
}

// startSize is the length of the frame that begins a segment.
const startSize = frameHeader + 12

// startFrame begins a segment.
func startFrame(generation uint32, s start) []byte {
	b := beginFrame(startSize - frameHeader)
	b = binary.LittleEndian.AppendUint32(b, s.salt)
	b = binary.LittleEndian.AppendUint32(b, s.floor)
	b = binary.LittleEndian.AppendUint32(b, s.before)
	sealFrame(b, 0, frame{generation: generation, kind: frameStart})
	return b
}

// readStart reads the first frame of a segment. A segment that was never used is
// errNoFrame, as is one that cannot be read; ErrNewerState is a newer version's.
func readStart(b []byte) (generation uint32, s start, err error) {
	if len(b) > 3 && string(b[:3]) == frameMagic[:3] && b[3] > frameMagic[3] {
		return 0, start{}, ErrNewerState
	}
	f, n, err := readFrame(b, 0)
	if err != nil || f.kind != frameStart || n != startSize || f.generation == 0 {
		return 0, start{}, errNoFrame
	}
	return f.generation, start{
		binary.LittleEndian.Uint32(f.payload), binary.LittleEndian.Uint32(f.payload[4:]), binary.LittleEndian.Uint32(f.payload[8:]),
	}, nil
}

// addedFrame returns an unsealed frame of the entry, without its message, which
// is to be appended.
func addedFrame(e Entry) ([]byte, error) {
	state, err := json.Marshal(storedOf(e))
	if err != nil {
		return nil, err
	}
	b := beginFrame(4 + len(state) + int(e.Size))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(state)))
	return append(b, state...), nil
}

// splitAdded takes the payload of an added frame apart.
func splitAdded(payload []byte) (state, message []byte, ok bool) {
	if len(payload) < 4 {
		return nil, nil, false
	}
	n := binary.LittleEndian.Uint32(payload)
	payload = payload[4:]
	if uint64(n) > uint64(len(payload)) {
		return nil, nil, false
	}
	return payload[:n], payload[n:], true
}
