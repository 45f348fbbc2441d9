package outbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"sync"
)

// historyName is the file of the history in the outbox directory: one Record a
// line, the newest last.
const historyName = "history.jsonl"

// maxHistoryFile bounds, in octets, what is read of it.
const maxHistoryFile = 64 << 20

// history is the list of the last finished messages. The file grows to twice its
// length and is then cut. It is not synced: a crash of the machine may cost the
// last lines, never the file; a line that was cut short is skipped.
type history struct {
	fs   FS
	name string

	mu    sync.Mutex
	keep  int  // how many; less than 1: none
	lines int  // in the file
	file  File // nil until the first addition
}

func newHistory(fsys FS, name string, keep int) *history {
	return &history{fs: fsys, name: name, keep: keep}
}

// load counts the lines and tells of every ID in them: an ID is never used twice,
// as logs and people refer to it.
func (h *history) load(seen func(id string)) {
	records, err := h.read()
	if err != nil {
		return // there will be a new one
	}
	h.lines = len(records)
	for _, r := range records {
		seen(r.ID)
	}
}

// resize changes how many are kept, from the next addition on.
func (h *history) resize(keep int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep = keep
}

// add appends one record.
func (h *history) add(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keep < 1 {
		return nil
	}
	if h.lines >= 2*h.keep {
		if err := h.cutLocked(); err != nil {
			return err
		}
	}
	if h.file == nil {
		if h.file, err = h.fs.Append(h.name); err != nil {
			return storeError("history", err)
		}
		// Ends a line that a crash may have left without its end.
		if fi, err := h.file.Stat(); err == nil && fi.Size() > 0 {
			line = append([]byte("\n"), line...)
		}
	}
	if _, err := h.file.Write(append(line, '\n')); err != nil {
		return storeError("history", err)
	}
	h.lines++
	return nil
}

// cutLocked rewrites the file with the newest records: beside the old one, synced,
// then renamed, so that a crash leaves one of the two.
func (h *history) cutLocked() error {
	data, err := readFile(h.fs, h.name, maxHistoryFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	lines = slices.DeleteFunc(lines, func(l []byte) bool { return !wholeLine(l) })
	lines = lines[max(0, len(lines)-h.keep):]
	h.closeLocked() // before the rename (Windows)
	tmp := h.name + ".tmp"
	h.fs.Remove(tmp)
	f, err := h.fs.Create(tmp)
	if err != nil {
		return storeError("history", err)
	}
	_, err = f.Write(bytes.Join(lines, nil))
	err = firstError(firstError(err, f.Sync()), f.Close())
	if err == nil {
		err = h.fs.Rename(tmp, h.name)
	}
	if err != nil {
		h.fs.Remove(tmp)
		return storeError("history", err)
	}
	h.lines = len(lines)
	return nil
}

// wholeLine reports a line that was not cut short; what it says is for whoever
// reads the history.
func wholeLine(l []byte) bool {
	return bytes.HasPrefix(l, []byte("{")) && bytes.HasSuffix(l, []byte("}\n"))
}

// read returns the records, the newest first; none when there is no file. Lines
// that are no records are skipped.
func (h *history) read() ([]Record, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readLocked()
}

func (h *history) readLocked() ([]Record, error) {
	data, err := readFile(h.fs, h.name, maxHistoryFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var records []Record
	for line := range bytes.Lines(data) {
		var r Record
		if json.Unmarshal(line, &r) == nil {
			records = append(records, r)
		}
	}
	slices.Reverse(records)
	return records[:min(len(records), max(h.keep, 0))], nil
}

func (h *history) closeLocked() error {
	if h.file == nil {
		return nil
	}
	err := h.file.Close()
	h.file = nil
	return err
}

func (h *history) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closeLocked()
}
