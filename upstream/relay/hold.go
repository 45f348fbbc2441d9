package relay

import (
	"sync"
	"time"
)

// envelopeWait is how long an envelope waits for its message at least, and half
// of how long it does at most, where both can leave in one flight.
const envelopeWait = 10 * time.Millisecond

// holder ends the wait of envelopes for their messages. An app that sends one
// command at a time has its message ready a moment after its recipient: sent
// together they cost one write and one wake-up, here and at the provider. One
// timer serves all transactions, as most of them are over when it fires.
type holder struct {
	mu         sync.Mutex
	timer      *time.Timer // nil until the first use
	running    bool
	stopped    bool
	young, old []*Transaction // since the last tick, and since the one before
}

// add has t released after envelopeWait, or twice that at most. It reports whether
// it will: not after stop.
func (h *holder) add(t *Transaction) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return false
	}
	h.young = append(h.young, t)
	switch {
	case h.running:
		return true
	case h.timer == nil:
		h.timer = time.AfterFunc(envelopeWait, h.tick)
	default:
		h.timer.Reset(envelopeWait)
	}
	h.running = true
	return true
}

func (h *holder) tick() {
	h.mu.Lock()
	due := h.old
	h.old, h.young = h.young, nil
	if h.running = len(h.old) > 0; h.running {
		h.timer.Reset(envelopeWait)
	}
	h.mu.Unlock()
	for _, t := range due {
		t.release()
	}
}

// stop ends the timer and releases those that wait.
func (h *holder) stop() {
	h.mu.Lock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
	due := append(h.old, h.young...)
	h.young, h.old = nil, nil
	h.mu.Unlock()
	for _, t := range due {
		t.release()
	}
}

// together is whether envelope and message leave in one flight; the
// transaction's mu guards it.
type together struct {
	possible bool // the line of the attempt of the moment allows it
	held     bool // the envelope waits, or has waited
	released bool // it waits no more
}

// holdLocked reports whether the envelope waits for the message: there is one
// recipient, and the message is not there yet.
func (t *Transaction) holdLocked() bool {
	g := &t.together
	if !g.possible || g.released || len(t.rcpts) != 1 || t.body != nil || t.cancelled {
		return false
	}
	if !g.held {
		g.held = true
		return t.r.holder.add(t)
	}
	return true
}

// release has the transaction carried if it waits for its message before it begins,
// and sends the envelope without the message if that still waits.
func (t *Transaction) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.begun:
		t.together.released = len(t.rcpts) > 0
		t.beginLocked()
	case !t.together.released && t.body == nil && !t.over():
		t.together.released = true
		t.wakeLocked()
	}
}
