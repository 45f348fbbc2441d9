package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"melon/upstream"
)

// The names in the outbox directory, beside ID.eml and ID.json.
const (
	temporary  = ".json.tmp"  // suffix of a state that is being written
	unreadable = "unreadable" // folder for what could not be read
)

// store is the outbox directory: it makes names, writes files and commits
// entries. It knows nothing of schedules. An entry is changed by one goroutine
// at a time; the index sees to that.
type store struct {
	dir     string
	fs      FS
	now     func() time.Time
	buffers buffers
	syncs   *dirSync
	journal *journal
	slots   chan struct{} // bounds the files written at once in bulk

	mu    sync.Mutex
	last  int64    // number of the newest ID
	sick  *Problem // set while the directory cannot be written
	found []Problem
	owed  map[string]Entry // outcomes that are not on the disk yet; see owe
}

func newStore(dir string, fsys FS, now func() time.Time) *store {
	s := &store{dir: dir, fs: fsys, now: now, slots: make(chan struct{}, 32), owed: make(map[string]Entry)}
	s.syncs = newDirSync(func() error { return fsys.SyncDir(dir) })
	s.journal = newJournal(fsys, dir)
	s.journal.tender.aside = s.setAsideJournal
	return s
}

// newID returns an ID that sorts after every earlier one, whatever the clock does.
func (s *store) newID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last+1, idNumber(s.now()))
	return encodeID(s.last)
}

// seen tells of an ID that exists, so that no later one sorts before it.
func (s *store) seen(id string) {
	if n, ok := decodeID(id); ok {
		s.mu.Lock()
		s.last = max(s.last, n)
		s.mu.Unlock()
	}
}

// message is the path of an entry's message file.
func (s *store) message(id string) string { return filepath.Join(s.dir, id+".eml") }

// state is the path of an entry's state file.
func (s *store) state(id string) string { return filepath.Join(s.dir, id+".json") }

// add makes the spool's content the entry e and returns when that is durable.
// With a place it goes to the journal, if it fits, recorded as recorded. When add
// fails, nothing of the entry is left.
func (s *store) add(ctx context.Context, sp *Spool, e Entry, p *place, recorded Entry) (err error) {
	defer func() { s.note(err) }()
	if err := ctx.Err(); err != nil {
		s.journal.vacate(p)
		return err
	}
	if p != nil {
		if done, err := s.journal.add(e, recorded, sp, p); done || err != nil {
			return err
		}
	}
	content, own, err := s.content(sp, e.ID)
	if err != nil {
		return err
	}
	return s.commit(ctx, e, content, own)
}

// move puts an entry of the journal into files, with the state e.
func (s *store) move(ctx context.Context, e Entry) (err error) {
	defer func() { s.note(err) }()
	message, err := s.journal.content(e.ID)
	if err != nil {
		return err
	}
	s.journal.filing(e.ID)
	s.fs.Remove(s.state(e.ID)) // of an earlier try
	f, err := s.create(e.ID, bytes.NewReader(message), int64(len(message)))
	if err == nil {
		err = s.commit(ctx, e, f, true)
	}
	if err == nil {
		// A journal that does not take that is given up, and removed when nothing
		// in it is alive; after a crash before that the files rule.
		s.note(s.journal.gone(e.ID, true))
	}
	return err
}

// commit makes the entry e of its message file, in this order: the content, the
// state under its temporary name and the directory with both names are synced,
// side by side, then the state gets its name, then the directory is synced again. When it fails, what it made
// is removed; a file that the spool made (own is false) stays the spool's.
func (s *store) commit(ctx context.Context, e Entry, content File, own bool) (err error) {
	tmp, committed := "", false
	var names ticket // when both files had their names
	defer func() {
		if err == nil {
			return
		}
		if committed {
			s.fs.Remove(s.state(e.ID))
		}
		if tmp != "" {
			s.fs.Remove(tmp)
		}
		if own {
			s.fs.Remove(s.message(e.ID))
		}
	}()
	// Both files are in the page cache before either is synced: file systems
	// with a journal write them out in one go.
	var state File
	state, err = s.writeState(e)
	if err == nil {
		tmp = filepath.Join(s.dir, e.ID+temporary)
		// The directory with both names is synced side by side with them.
		names = s.syncs.now()
		dir := s.syncs.start(change{act: func() error { return nil }})
		err = syncAll(content, state)
		err = firstError(err, <-dir) // a failed sync is not made good by a later one
	}
	if own {
		err = firstError(err, storeError("close", content.Close()))
	}
	if state != nil {
		err = firstError(err, storeError("close", state.Close())) // before the rename (Windows)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	return s.syncs.do(change{before: names, act: func() error {
		if err := s.fs.Rename(tmp, s.state(e.ID)); err != nil {
			return storeError("rename", err)
		}
		committed = true
		return nil
	}})
}

// content returns the open message file of the entry. The spool's own file is
// taken once; further entries of one spool, and those in memory, are written
// here. own says that the caller closes the file, and removes it on failure.
func (s *store) content(sp *Spool, id string) (f File, own bool, err error) {
	sp.mu.Lock()
	file := sp.file
	mine := file != nil && sp.id == id
	size := sp.size
	sp.mu.Unlock()
	if mine {
		return file, false, nil
	}
	r, err := sp.Open()
	if err != nil {
		return nil, false, storeError("write", err)
	}
	defer r.Close()
	f, err = s.create(id, r, size)
	return f, true, err
}

// create writes a message file. On failure it leaves nothing behind.
func (s *store) create(id string, r io.Reader, size int64) (File, error) {
	f, err := s.fs.Create(s.message(id))
	if errors.Is(err, fs.ErrExist) { // left by a failure, or a crash, before it was committed
		s.fs.Remove(s.message(id))
		f, err = s.fs.Create(s.message(id))
	}
	if err != nil {
		return nil, storeError("create", err)
	}
	_, err = io.CopyBuffer(onlyWriter{f}, plainReader{r}, make([]byte, max(1, min(size, 32<<10))))
	if err != nil {
		f.Close()
		s.fs.Remove(s.message(id))
		return nil, storeError("write", err)
	}
	return f, nil
}

// plainReader hides what else a reader can do, so that it is read piece by piece.
type plainReader struct{ io.Reader }

// onlyWriter hides what else a file can do, so that every write passes the FS.
type onlyWriter struct{ io.Writer }

// writeState writes the state under its temporary name, not yet synced. On
// failure it leaves nothing behind.
func (s *store) writeState(e Entry) (File, error) {
	data, err := encode(e)
	if err != nil {
		return nil, storeError("encode", err)
	}
	tmp := filepath.Join(s.dir, e.ID+temporary)
	f, err := s.fs.Create(tmp)
	if errors.Is(err, fs.ErrExist) { // left by a failure whose removal failed too
		s.fs.Remove(tmp)
		f, err = s.fs.Create(tmp)
	}
	if err != nil {
		return nil, storeError("create", err)
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		s.fs.Remove(tmp)
		return nil, storeError("write", err)
	}
	return f, nil
}

// update replaces the state of an entry durably. When it fails, the old state
// stands, or (after a failed directory sync) either of the two.
func (s *store) update(e Entry) (err error) {
	if s.journal.has(e.ID) {
		return s.updateJournaled(e)
	}
	defer func() { s.note(err) }()
	f, err := s.writeState(e)
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			s.paid(e.ID)
		}
	}()
	tmp := filepath.Join(s.dir, e.ID+temporary)
	err = storeError("sync", f.Sync())
	err = firstError(err, storeError("close", f.Close()))
	if err != nil {
		s.fs.Remove(tmp)
		return err
	}
	return s.syncs.do(change{act: func() error {
		err := storeError("rename", s.fs.Rename(tmp, s.state(e.ID)))
		if err != nil {
			s.fs.Remove(tmp)
		}
		return err
	}})
}

// updateJournaled is update for an entry of the journal: it has to wait, so it is
// moved to files. When these cannot be made, the journal takes the new state.
func (s *store) updateJournaled(e Entry) error {
	err := s.move(context.Background(), e)
	if err != nil && s.journal.has(e.ID) {
		err = s.journal.update(e)
	}
	if err == nil {
		s.paid(e.ID)
	}
	return err
}

// attempt records durably what is new in an entry that is about to be attempted.
// When it fails, the old state stands, or the new one if the sync failed.
func (s *store) attempt(e Entry) (err error) {
	if _, owed := s.owes(e.ID); owed {
		return s.update(e) // a line behind the old state would not do
	}
	defer func() { s.note(err) }()
	line, err := encodeAttempt(e)
	if err != nil {
		return storeError("encode", err)
	}
	f, err := s.fs.Append(s.state(e.ID))
	if err != nil {
		return storeError("open", err)
	}
	_, err = f.Write(line)
	err = storeError("write", err)
	if err == nil {
		err = storeError("sync", f.Sync())
	}
	return firstError(err, storeError("close", f.Close()))
}

// attemptAll is attempt for several entries; those in the journal share one sync.
func (s *store) attemptAll(entries []Entry) (errs []error) {
	var journaled []Entry
	for _, e := range entries {
		if s.journal.has(e.ID) {
			journaled = append(journaled, e)
		}
	}
	if len(journaled) == 0 {
		return s.each(len(entries), nil, func(i int) error { return s.attempt(entries[i]) })
	}
	failed := s.journal.attempt(journaled)
	if failed == nil {
		s.note(nil)
	}
	return s.each(len(entries), nil, func(i int) error {
		switch e := entries[i]; {
		case !s.journal.has(e.ID):
			return s.attempt(e)
		case failed != nil:
			return s.updateJournaled(e) // out of a journal that takes no more
		}
		return nil
	})
}

// updateAll is update for several entries, whose syncs are shared; those with an
// error in skip (which may be nil) are left alone. errs has one place for each.
func (s *store) updateAll(entries []Entry, skip []error) (errs []error) {
	return s.each(len(entries), skip, func(i int) error { return s.update(entries[i]) })
}

// removeAll is remove for several entries, and returns when that is durable.
func (s *store) removeAll(entries []Entry, skip []error) (errs []error) {
	errs = s.each(len(entries), skip, func(i int) error { return s.remove(entries[i].ID) })
	// A failure is noted elsewhere: for this process the entries are gone.
	s.note(firstError(s.journal.settle(), s.syncs.do(change{act: func() error { return nil }})))
	return errs
}

// loadAll reads several entries.
func (s *store) loadAll(ids []string) (entries []Entry, errs []error) {
	entries = make([]Entry, len(ids))
	errs = s.each(len(ids), nil, func(i int) (err error) {
		entries[i], err = s.load(ids[i])
		return err
	})
	return entries, errs
}

// each calls fn for 0 to n-1, a bounded number at once.
func (s *store) each(n int, skip []error, fn func(i int) error) (errs []error) {
	errs = make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		if skip != nil && skip[i] != nil {
			continue
		}
		if n == 1 {
			errs[i] = fn(i)
			continue
		}
		s.slots <- struct{}{}
		wg.Go(func() {
			errs[i] = fn(i)
			<-s.slots
		})
	}
	wg.Wait()
	return errs
}

// remove deletes an entry: the state first, so that the message file is never
// missed. It returns when the entry is gone for this process; the directory sync
// that makes it so for good follows.
func (s *store) remove(id string) (err error) {
	if filed := s.journal.filed(id); s.journal.has(id) {
		err := s.journal.gone(id, false)
		s.paid(id)
		if !filed {
			s.note(err)
			return nil // gone it is, and a journal that did not take that will go as well
		}
	}
	defer func() { s.note(err) }()
	if err := s.fs.Remove(s.state(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storeError("remove", err)
	}
	s.paid(id)
	s.syncs.later(change{act: func() error { return nil }, after: func() {
		s.fs.Remove(s.message(id)) // what stays goes at the next start
	}})
	return nil
}

// load reads one entry from the disk; the index may know better (overlay). An error that is ErrNotExist says that it is gone.
func (s *store) load(id string) (Entry, error) {
	if e, ok := s.journal.get(id); ok {
		if owed, ok := s.owes(id); ok {
			return owed, nil
		}
		return e, nil
	}
	return s.loadFiles(id)
}

// loadFiles is load for an entry in files.
func (s *store) loadFiles(id string) (Entry, error) {
	data, err := readFile(s.fs, s.state(id), maxStateFile)
	if err != nil {
		return Entry{}, err
	}
	if e, ok := s.owes(id); ok {
		return e, nil
	}
	return decode(id, data)
}

// body returns the message of an entry, after a look at its length: a message
// that was cut short must not be sent.
func (s *store) body(e Entry) (upstream.Body, error) {
	if s.journal.has(e.ID) {
		if _, err := s.journal.content(e.ID); err != nil {
			return nil, err
		}
		return &journalBody{j: s.journal, id: e.ID, size: e.Size}, nil
	}
	return s.bodyFile(e)
}

// bodyFile is body for an entry in files.
func (s *store) bodyFile(e Entry) (upstream.Body, error) {
	f, err := s.fs.Open(s.message(e.ID))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() != e.Size {
		return nil, fmt.Errorf("%s: %d octets instead of %d", s.message(e.ID), fi.Size(), e.Size)
	}
	return &fileBody{fs: s.fs, name: s.message(e.ID), size: e.Size}, nil
}

// fileBody is the body of a kept entry.
type fileBody struct {
	fs   FS
	name string
	size int64
}

// Open implements upstream.Body.
func (b *fileBody) Open() (io.ReadCloser, error) { return b.fs.Open(b.name) }

// Size implements upstream.Body.
func (b *fileBody) Size() (int64, bool) { return b.size, true }

// firstError returns a when it is an error, else b.
func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
