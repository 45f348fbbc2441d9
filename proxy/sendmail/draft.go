package sendmail

import (
	"bytes"
	"cmp"
	"io"
	"os"
	"slices"
)

// draft holds a message while it is read: in memory, a long one in a
// file that has no name any more where that can be. Close frees it.
type draft struct {
	memory bytes.Buffer
	file   *os.File
	size   int64
	eight  bool // it has octets beyond ASCII
}

// draftMemory is how much of a message stays in memory.
const draftMemory = 1 << 20

func (m *draft) Write(p []byte) (int, error) {
	m.eight = m.eight || slices.ContainsFunc(p, func(b byte) bool { return b > 0x7f })
	m.size += int64(len(p))
	if m.file == nil && m.memory.Len()+len(p) > draftMemory {
		f, err := os.CreateTemp("", "melon-sendmail-")
		if err != nil {
			return 0, err
		}
		m.file = f
		if _, err := m.memory.WriteTo(f); err != nil {
			return 0, err
		}
	}
	if m.file != nil {
		return m.file.Write(p)
	}
	return m.memory.Write(p)
}

// open returns a reader from the start. Only one is used at a time.
func (m *draft) open() (io.Reader, error) {
	if m.file == nil {
		return bytes.NewReader(m.memory.Bytes()), nil
	}
	_, err := m.file.Seek(0, io.SeekStart)
	return m.file, err
}

func (m *draft) Close() error {
	if m.file == nil {
		return nil
	}
	return cmp.Or(m.file.Close(), os.Remove(m.file.Name()))
}
