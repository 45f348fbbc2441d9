package outbox

import (
	"container/heap"
	"slices"
	"strings"
	"time"

	"melon/upstream"
)

// index is what the outbox knows of every entry without reading the disk: at
// most some 200 octets each. The guard lets one goroutine at a time touch it. What it
// holds of an entry (state, attempts, times) rules over what the disk says.
type index struct {
	items map[string]*item
	lanes map[string]*lane
	// joinable finds entries of unknown outcome by fingerprint.
	joinable map[string]string
	// inflight has the entries that a live transaction works on.
	inflight map[string]mark
	octets   int64 // of all messages
	paused   bool
	closing  bool
	// wakes counts networks, sleeps and clock jumps: what failed before the last
	// one says nothing about the time after it.
	wakes   int
	batches uint32 // how many batches there were
	// last and awake are the wall clock and the monotonic one, which stands still
	// during sleep, when they were last looked at.
	last, awake time.Time
}

// item is one entry in the index. Times are Unix nanoseconds.
type item struct {
	id       string
	lane     *lane
	size     int64 // octets
	since    int64 // expiry counts from here
	next     int64 // next attempt, for waiting and unconfirmed; the lane's gate may be later
	attempts int32
	step     int32 // place in the list of retry delays: failures since the last wake-up
	pos      int32 // in its heap
	heap     *queue
	state    stateNumber
	cause    causeNumber
	bounce   bool
	busy     bool   // its files are being changed by somebody
	batch    uint32 // number of the batch with which a runner recorded an attempt and will get to it; 0: none
}

// stateNumber and causeNumber are State and cause in one octet.
type (
	stateNumber uint8
	causeNumber uint8
)

const (
	waiting stateNumber = iota
	sending
	attention
	unconfirmed
	held
	states // how many there are
)

var stateNames = [states]State{Waiting, Sending, Attention, Unconfirmed, Held}

func numberOf(s State) stateNumber {
	return stateNumber(max(0, slices.Index(stateNames[:], s)))
}

var causeNames = [...]cause{"", causeAccount, causeRelay, causePerson, causeMessage, causeExpired}

func numberOfCause(c cause) causeNumber {
	return causeNumber(max(0, slices.Index(causeNames[:], c)))
}

// scheduled reports whether the entry goes by itself.
func (it *item) scheduled() bool { return it.state == waiting || it.state == unconfirmed }

// lane is all entries of one account. It is tried as a whole: while gate is in
// the future nothing is attempted, and then one entry goes first.
type lane struct {
	account string
	ready   queue // due, by ID: oldest first
	later   queue // by time
	running int   // runners at work
	healthy bool  // the last attempt reached the provider
	pace    *pace
	// failures counts attempts in a row that did not get as far as the message;
	// lost counts conversations in a row that broke off in the middle.
	failures, lost int
	gate           int64
	// blocked: the account waits for the person; err says why.
	blocked bool
	err     *upstream.Error
	clears  int // how often the attention ended
	count   [states]int
	bounces int
}

func newIndex() *index {
	return &index{
		items: make(map[string]*item), lanes: make(map[string]*lane),
		joinable: make(map[string]string), inflight: make(map[string]mark),
	}
}

// lane returns the account's lane.
func (x *index) lane(account string) *lane {
	l := x.lanes[account]
	if l == nil {
		l = &lane{account: strings.Clone(account), pace: new(pace)}
		l.ready.less = func(a, b *item) bool { return a.id < b.id }
		l.later.less = func(a, b *item) bool { return a.next < b.next || a.next == b.next && a.id < b.id }
		x.lanes[l.account] = l
	}
	return l
}

// add puts an entry into the index.
func (x *index) add(e Entry) *item {
	it := &item{id: strings.Clone(e.ID), lane: x.lane(e.Account), bounce: e.Bounce, size: e.Size}
	x.items[it.id] = it
	x.octets += it.size
	x.count(it, 1)
	x.set(it, e)
	return it
}

// set takes over what an entry has become.
func (x *index) set(it *item, e Entry) {
	x.count(it, -1)
	it.state, it.cause = numberOf(e.State), numberOfCause(e.record.cause)
	it.since, it.next = e.expirySince().UnixNano(), 0
	if !e.NextAttempt.IsZero() {
		it.next = e.NextAttempt.UnixNano()
	}
	it.attempts, it.step = int32(e.Attempts), int32(e.record.step)
	it.batch = 0
	x.count(it, 1)
	x.place(it)
	if it.state == sending || it.state == unconfirmed {
		x.joinable[e.Fingerprint] = it.id
	} else if x.joinable[e.Fingerprint] == it.id {
		delete(x.joinable, e.Fingerprint)
	}
}

// overlay writes what the index knows into an entry read from the disk.
func (it *item) overlay(e *Entry) {
	e.State, e.record.cause = stateNames[it.state], causeNames[it.cause]
	e.record.maybe = e.record.maybe || it.state == unconfirmed // since a crash, perhaps
	e.Attempts, e.record.step = int(it.attempts), int(it.step)
	e.NextAttempt = time.Time{}
	if it.next != 0 && it.state != held && it.state != attention {
		e.NextAttempt = time.Unix(0, it.next)
	}
}

// show is overlay as people see it: with the lane's state.
func (x *index) show(it *item, e *Entry) {
	it.overlay(e)
	l := it.lane
	switch {
	case !it.scheduled():
	case l.blocked:
		if it.state == waiting {
			e.State = Attention
		}
		e.NextAttempt = time.Time{}
		if e.LastError == nil {
			e.LastError = l.err
		}
	case l.gate > it.next:
		e.NextAttempt = time.Unix(0, l.gate)
	}
}

// remove takes an entry out of the index.
func (x *index) remove(it *item, fingerprint string) {
	x.unplace(it)
	x.count(it, -1)
	delete(x.items, it.id)
	x.octets -= it.size
	if x.joinable[fingerprint] == it.id {
		delete(x.joinable, fingerprint)
	}
	x.tidy(it.lane)
}

// tidy forgets a lane, failures and all, that nothing is known or wanted of.
func (x *index) tidy(l *lane) {
	total := l.bounces
	for _, n := range l.count {
		total += n
	}
	if total == 0 && l.running == 0 {
		delete(x.lanes, l.account)
	}
}

// count keeps the lane's counts by state; bounces count by themselves.
func (x *index) count(it *item, n int) {
	if it.bounce {
		it.lane.bounces += n
		return
	}
	it.lane.count[it.state] += n
}

// place puts a scheduled entry into the queue of what is due later; schedule
// moves it on. Others are in no queue.
func (x *index) place(it *item) {
	x.unplace(it)
	if it.scheduled() && !it.busy && it.batch == 0 && x.items[it.id] == it {
		it.lane.later.push(it)
	}
}

// unplace takes an entry out of the queue that it is in, if any.
func (x *index) unplace(it *item) {
	if it.heap != nil {
		it.heap.take(it)
	}
}

// due makes a scheduled entry due at once.
func (x *index) due(it *item, now time.Time) {
	it.next, it.step = now.UnixNano(), 0
	x.place(it)
}

// open lets a lane try at once.
func (l *lane) open() { l.gate, l.failures, l.lost = 0, 0, 0 }

// clear ends the account's attention.
func (l *lane) clear() {
	l.open()
	l.blocked, l.err = false, nil
	l.clears++
}

// wake makes everything that waits due at once.
func (x *index) wake(now time.Time) {
	x.wakes++
	for _, l := range x.lanes {
		l.open()
	}
	for _, it := range x.items {
		if it.scheduled() {
			x.due(it, now)
		}
	}
}

// find resolves an ID or a unique prefix of one.
func (x *index) find(id string) (*item, error) {
	if it := x.items[id]; it != nil {
		return it, nil
	}
	var found *item
	if id != "" {
		for _, it := range x.items {
			if strings.HasPrefix(it.id, id) {
				if found != nil {
					return nil, &IDError{ID: id, Err: ErrAmbiguousID}
				}
				found = it
			}
		}
	}
	if found == nil {
		return nil, &IDError{ID: id, Err: ErrUnknownID}
	}
	return found, nil
}

// expired lists the other entries of a lane that have waited since before t.
func (x *index) expired(probe *item, t time.Time) (ids []string) {
	for _, it := range x.items {
		if it.lane == probe.lane && it != probe && it.scheduled() && !it.busy && it.batch == 0 && it.since <= t.UnixNano() {
			ids = append(ids, it.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// snapshot counts.
func (x *index) snapshot() Snapshot {
	s := Snapshot{Paused: x.paused, Total: len(x.items)}
	var next int64
	for _, l := range x.lanes {
		if l.blocked {
			s.Attention += l.count[waiting]
		} else {
			s.Waiting += l.count[waiting]
		}
		s.Unconfirmed += l.count[unconfirmed]
		s.Sending += l.count[sending]
		s.Attention += l.count[attention]
		s.Held += l.count[held]
		s.Bounces += l.bounces
		if t, ok := l.nextAttempt(); ok && !x.paused && (next == 0 || t < next) {
			next = t
		}
	}
	if next != 0 {
		s.Next = time.Unix(0, next)
	}
	return s
}

// troubled reports a lane that is blocked, or waits after a failure.
func (l *lane) troubled() bool { return l.blocked || l.gate != 0 }

// troubled reports whether any lane is.
func (x *index) troubled() bool {
	for _, l := range x.lanes {
		if l.troubled() {
			return true
		}
	}
	return false
}

// nextAttempt is when the lane wants to try next; ok is false when it does not.
func (l *lane) nextAttempt() (t int64, ok bool) {
	if l.blocked || len(l.ready.items)+len(l.later.items) == 0 {
		return 0, false
	}
	if len(l.later.items) > 0 {
		t = l.later.items[0].next
	}
	if len(l.ready.items) > 0 {
		t = l.ready.first().next // any of them is due
	}
	return max(t, l.gate), true
}

// queue is a heap of items that know their place in it, so that any of them can
// be taken out in logarithmic time.
type queue struct {
	items []*item
	less  func(a, b *item) bool
}

func (q *queue) push(it *item) { heap.Push((*heapOf)(q), it) }
func (q *queue) pop() *item    { return heap.Pop((*heapOf)(q)).(*item) }
func (q *queue) take(it *item) { heap.Remove((*heapOf)(q), int(it.pos)) }
func (q *queue) first() *item  { return q.items[0] }

// heapOf is a queue as container/heap wants it.
type heapOf queue

func (h *heapOf) Len() int           { return len(h.items) }
func (h *heapOf) Less(i, j int) bool { return h.less(h.items[i], h.items[j]) }

func (h *heapOf) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].pos, h.items[j].pos = int32(i), int32(j)
}

func (h *heapOf) Push(x any) {
	it := x.(*item)
	it.pos, it.heap = int32(len(h.items)), (*queue)(h)
	h.items = append(h.items, it)
}

func (h *heapOf) Pop() any {
	n := len(h.items) - 1
	it := h.items[n]
	h.items[n] = nil
	h.items = h.items[:n]
	it.heap = nil
	return it
}
