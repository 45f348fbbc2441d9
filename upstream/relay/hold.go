package relay

import (
	"sync"
	"time"

	"melon/upstream"
)

// envelopeWait is how long an envelope waits for its message at least, and half
// of how long it does at most, where both can leave in one flight.
const envelopeWait = 10 * time.Millisecond

// holder ends the wait of transactions for their messages. An app that sends one
// command at a time has its message ready a moment after sender and recipient:
// sent together they cost one write and one wake-up, here and at the provider.
// One timer serves all transactions, as most of them are over when it fires.
type holder struct {
	mu         sync.Mutex
	timer      *time.Timer // nil until the first use
	running    bool
	young, old []*Transaction // since the last tick, and since the one before
}

// add has t released after envelopeWait, or twice that at most.
func (h *holder) add(t *Transaction) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.young = append(h.young, t)
	switch {
	case h.running:
		return
	case h.timer == nil:
		h.timer = time.AfterFunc(envelopeWait, h.tick)
	default:
		h.timer.Reset(envelopeWait)
	}
	h.running = true
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

// stop ends the timer, and the wait of all.
func (h *holder) stop() {
	h.mu.Lock()
	due := append(h.old, h.young...)
	h.young, h.old = nil, nil
	if h.timer != nil {
		h.timer.Stop()
	}
	h.running = false
	h.mu.Unlock()
	for _, t := range due {
		t.release()
	}
}

// together is how far a transaction waits for its message, so that all of it
// leaves in one flight; the transaction's mu guards it.
type together struct {
	started  bool     // its goroutine is at work
	possible bool     // the line of the attempt of the moment allows it, or the one expected does
	held     bool     // the holder has it
	released bool     // no envelope waits any more
	expects  *account // where it was put off; not changed after Begin
}

// deferLocked reports whether the transaction need not start before there is
// something to send: a connection lies there that was in use a moment ago.
func (t *Transaction) deferLocked() bool {
	if len(t.accounts) == 0 {
		return false
	}
	a := t.r.account(&t.accounts[0])
	if !a.expect(t.r.networkKey()) {
		return false
	}
	t.together.expects, t.together.possible = a, true
	t.heldLocked()
	return true
}

// heldLocked has the holder end the wait.
func (t *Transaction) heldLocked() {
	if !t.together.held {
		t.together.held = true
		t.r.holder.add(t)
	}
}

// startLocked starts the transaction's goroutine, once. After the relay's end the
// transaction is over at once.
func (t *Transaction) startLocked() {
	g := &t.together
	if g.started {
		return
	}
	g.started = true
	if g.expects != nil {
		g.expects.unexpect()
	}
	if len(t.accounts) > 0 && t.r.goIfOpen(t.run) {
		return
	}
	t.finishLocked(&upstream.Error{
		Phase: upstream.PhaseConnect, Class: upstream.ClassTemporaryLocalProblem,
		Sentence: "There is no account to send with, or Melon is about to end.",
	}, upstream.Reply{})
	t.span.end()
}

// holdLocked reports whether the envelope waits for the message: there is one
// recipient, and the message is not there yet.
func (t *Transaction) holdLocked() bool {
	g := &t.together
	if !g.possible || g.released || len(t.rcpts) != 1 || t.body != nil || t.cancelled {
		return false
	}
	t.heldLocked()
	return true
}

// release ends the wait: the transaction starts, or its envelope leaves without
// the message.
func (t *Transaction) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := &t.together
	g.held = false
	if t.body != nil || t.overLocked() {
		return
	}
	g.released = len(t.rcpts) > 0
	t.wakeLocked()
}
