package outbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// setAside moves an entry that cannot be read out of the way, both files as far
// as they are there, and reports it. Nothing is deleted; a link is moved, not
// what it points to.
func (s *store) setAside(id string, cause error) Problem {
	if s.journal.lost(id) {
		p := Problem{Time: s.now(), ID: id, Err: cause, Sentence: damagedJournal}
		s.report(p)
		return p
	}
	return s.setAsideFiles(id, cause)
}

// setAsideFiles is setAside for an entry in files.
func (s *store) setAsideFiles(id string, cause error) Problem {
	folder := filepath.Join(s.dir, unreadable)
	err := s.fs.Mkdir(folder)
	for _, name := range []string{s.state(id), s.message(id)} {
		if err == nil {
			err = s.fs.Rename(name, filepath.Join(folder, filepath.Base(name)))
			if errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		}
	}
	p := Problem{Time: s.now(), ID: id, Err: errors.Join(cause, err),
		Sentence: "A kept message could not be read; its files were set aside in the folder \"" + unreadable + "\" of the outbox."}
	if err != nil {
		p.Sentence = "A kept message could not be read; its files are still in the outbox directory."
	}
	s.report(p)
	return p
}

// reportSetAside says that earlier runs set something aside that is still there.
func (s *store) reportSetAside() {
	names, err := s.fs.ReadDir(filepath.Join(s.dir, unreadable))
	if err != nil || len(names) == 0 {
		return
	}
	s.report(Problem{Time: s.now(), Sentence: fmt.Sprintf(
		"There are %d files of messages that could not be read in the folder %q of the outbox.", len(names), unreadable)})
}

// scan reads the directory: it returns the headers of all entries in no order,
// removes what was never committed and sets aside what cannot be read.
func (s *store) scan() ([]header, error) {
	names, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	// What is not named as an entry is a person's own, and left alone.
	messages := make(map[string]bool)
	var states, leftovers []string
	links := make(map[string]bool)
	for _, n := range names {
		id, ext, _ := strings.Cut(n.Name(), ".")
		if _, ok := decodeID(id); !ok || n.IsDir() {
			continue
		}
		s.seen(id)
		links[id] = links[id] || n.Type()&fs.ModeSymlink != 0
		switch "." + ext {
		case ".eml":
			messages[id] = true
		case ".json":
			states = append(states, id)
		case temporary:
			leftovers = append(leftovers, n.Name())
		}
	}
	headers, bad, err := s.readHeaders(states)
	if err != nil {
		return nil, err
	}
	good := headers[:0]
	for _, h := range headers {
		switch {
		case bad[h.ID] != nil:
		case links[h.ID]:
			bad[h.ID] = errors.New("it is a symbolic link")
		case !messages[h.ID]:
			bad[h.ID] = errors.New("its message file is missing")
		default:
			good = append(good, h)
		}
	}
	for _, id := range states {
		delete(messages, id)
	}
	for id := range messages { // never committed, so never acknowledged
		leftovers = append(leftovers, id+".eml")
	}
	for _, name := range leftovers {
		s.fs.Remove(filepath.Join(s.dir, name))
	}
	s.reportSetAside()
	for id, err := range bad {
		s.setAside(id, err)
	}
	return good, nil
}

// readHeaders reads all states, several at once, as a start is mostly waiting for
// the disk. bad has those that cannot be read; the error is for what stops the
// whole: a newer version's state, or a shortage that is none of the entries' doing.
func (s *store) readHeaders(ids []string) (headers []header, bad map[string]error, err error) {
	headers = make([]header, len(ids))
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	workers := 2 * runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(ids); i += workers {
				data, err := readFile(s.fs, s.state(ids[i]), maxStateFile)
				if err == nil {
					headers[i], err = decodeHeader(ids[i], data)
				}
				headers[i].ID, errs[i] = ids[i], err
			}
		})
	}
	wg.Wait()
	bad = make(map[string]error)
	for i, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, ErrNewerState), tooManyFiles(err):
			return nil, nil, err
		default:
			bad[ids[i]] = err
		}
	}
	return headers, bad, nil
}

// prepare makes the directory, or checks that it is one and makes it the user's
// alone.
func (s *store) prepare() error {
	fi, err := os.Lstat(s.dir)
	switch {
	case err != nil:
		return s.fs.Mkdir(s.dir)
	case !fi.IsDir():
		return fmt.Errorf("%s is not a directory (symbolic links are not followed)", s.dir)
	case fi.Mode().Perm()&0o077 != 0:
		return os.Chmod(s.dir, 0o700)
	}
	return nil
}

// tooManyFiles reports a shortage of this process or machine, which says nothing
// about the file.
func tooManyFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}
