package relay

import "time"

// limitLast is how long a provider's limit on connections is believed.
const limitLast = 10 * time.Minute

// slots counts an account's connections. account.mu guards it.
type slots struct {
	open  int           // connections that are made, in use or warm
	limit int           // as many the provider allows at once; 0 is not known
	until time.Time     // when the limit is forgotten
	freed chan struct{} // closed and replaced when a connection is parked or closed
}

// reserve takes a slot for a new connection. Where the provider's limit is
// reached it drops one that is warm and of no use, or returns a channel that is
// closed when trying again makes sense.
func (a *account) reserve() (freed <-chan struct{}, ok bool) {
	a.mu.Lock()
	s := &a.slots
	if s.limit == 0 || s.open < s.limit || a.r.o.Now().After(s.until) {
		s.open++
		a.mu.Unlock()
		return nil, true
	}
	if s.freed == nil {
		s.freed = make(chan struct{})
	}
	freed = s.freed
	var old *line
	if len(a.warm) > 0 {
		old, a.warm = a.warm[0], a.warm[1:]
	}
	a.mu.Unlock()
	if old != nil {
		old.drop()
	}
	return freed, false
}

// giveBack frees the slot of a connection that is closed.
func (a *account) giveBack() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slots.open--
	a.wakeLocked()
}

// wakeLocked wakes those who wait for a slot or a warm connection.
func (a *account) wakeLocked() {
	if a.slots.freed != nil {
		close(a.slots.freed)
		a.slots.freed = nil
	}
}

// crowded notes that the provider refused a connection as one too many. It
// reports false when no other message is under way: the reason is another one
// then.
func (a *account) crowded() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.running < 2 {
		return false
	}
	a.slots.limit, a.slots.until = max(a.slots.open, 1), a.r.o.Now().Add(limitLast)
	return true
}
