package outbox

import (
	"maps"
	"slices"
)

// An outcome that the disk did not take, because it is full, counts all the
// same: the recipients that have the message must not get it again. It is kept
// in memory, stands for the entry's state in every use, and is written with the
// entry's next change, after the next outcome that the disk takes, or at the
// end. Only when the process is killed before that is it forgotten.

// owe remembers an outcome that could not be written.
func (s *store) owe(e Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed[e.ID] = e
}

// owes returns the state that an entry should have, if the disk has an older one.
func (s *store) owes(id string) (Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.owed[id]
	e.Envelope.Recipients, e.Refused = slices.Clone(e.Envelope.Recipients), slices.Clone(e.Refused)
	e.record.bounced = slices.Clone(e.record.bounced)
	return e, ok
}

// paid forgets what is on the disk, or gone.
func (s *store) paid(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.owed, id)
}

// debts lists the entries whose outcome is not on the disk.
func (s *store) debts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.owed))
}

// settleDebts writes what it can; nobody else uses the entries any more.
func (s *store) settleDebts() {
	for _, id := range s.debts() {
		if e, ok := s.owes(id); ok && s.update(e) != nil {
			return // noted, and the rest would fare no better
		}
	}
}

// pay writes outcomes that are owed, of entries that nobody is busy with.
func (o *Outbox) pay() {
	if ids := o.store.debts(); len(ids) > 0 {
		_ = o.change(ids, "", func(*Entry) {}) // what fails is owed still, and noted
	}
}
