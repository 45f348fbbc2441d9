package outbox

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// note remembers whether the directory can be written: the last attempt to write
// decides. Errors that are not the disk's change nothing.
func (s *store) note(err error) {
	var se *StoreError
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		s.sick = nil
	case errors.As(err, &se):
		s.sick = &Problem{Time: s.now(), Sentence: se.Sentence(), Err: err}
	}
}

// report adds a problem.
func (s *store) report(p Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.found) < maxProblems {
		s.found = append(s.found, p)
	}
}

// maxProblems bounds what is remembered; more than that is said no better.
const maxProblems = 100

// problems lists the present trouble, if any, and what was found.
func (s *store) problems() []Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ps []Problem
	if s.sick != nil {
		ps = append(ps, *s.sick)
	}
	return append(ps, s.found...)
}

// probe finds out whether the directory can be written.
func (s *store) probe() {
	name := filepath.Join(s.dir, "probe.tmp")
	s.fs.Remove(name)
	f, err := s.fs.Create(name)
	if err == nil {
		err = firstError(f.Close(), s.fs.Remove(name))
	}
	s.note(storeError("create", err))
}

// exists reports whether a file is there.
func (s *store) exists(name string) bool {
	f, err := s.fs.Open(filepath.Join(s.dir, name))
	if err == nil {
		f.Close()
	}
	return err == nil || !errors.Is(err, fs.ErrNotExist)
}

// flag makes an empty file exist, or not, durably.
func (s *store) flag(name string, on bool) (err error) {
	defer func() { s.note(err) }()
	name = filepath.Join(s.dir, name)
	if on {
		var f File
		f, err = s.fs.Create(name)
		if err == nil {
			err = f.Close()
		} else if errors.Is(err, fs.ErrExist) {
			err = nil
		}
	} else if err = s.fs.Remove(name); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return storeError("pause", err)
	}
	return s.syncs.do(change{act: func() error { return nil }})
}

// close ends the use of the journal and the store's goroutines.
func (s *store) close() {
	s.journal.close()
	s.syncs.close()
}
