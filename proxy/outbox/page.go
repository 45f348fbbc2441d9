package outbox

import "slices"

// Page returns the entries at offset, at most limit of them, of those in state
// ("" is any), oldest first, and how many there are in all. Only the entries
// that are returned are read from the disk.
func (o *Outbox) Page(state State, offset, limit int) (entries []Entry, total int, err error) {
	var ids []string
	if !o.do(func(x *index) {
		for id, it := range x.items {
			if state == "" || x.shownState(it) == state {
				ids = append(ids, id)
			}
		}
	}) {
		return nil, 0, ErrClosed
	}
	slices.Sort(ids)
	total = len(ids)
	from := min(max(offset, 0), total)
	to := min(from+max(limit, 0), total)
	return o.read(ids[from:to]), total, nil
}

// shownState is the state that show gives an entry.
func (x *index) shownState(it *item) State {
	if it.lane.blocked && it.state == waiting {
		return Attention
	}
	return stateNames[it.state]
}
