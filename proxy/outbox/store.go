package outbox

import (
	"path/filepath"
	"sync"
	"time"
)

// store is the outbox directory: it makes names, writes files and commits
// entries. It knows nothing of schedules.
type store struct {
	dir     string
	fs      FS
	now     func() time.Time
	buffers buffers

	mu   sync.Mutex
	last int64 // number of the newest ID
}

// newID returns an ID that sorts after every earlier one, whatever the clock does.
func (s *store) newID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last+1, idNumber(s.now()))
	return encodeID(s.last)
}

// message is the path of an entry's message file.
func (s *store) message(id string) string { return filepath.Join(s.dir, id+".eml") }

// state is the path of an entry's state file.
func (s *store) state(id string) string { return filepath.Join(s.dir, id+".json") }
