package main

import (
	"runtime/debug"
	"sync"
	"time"
)

// restAfter is how long nothing has to happen before memory is given back.
const restAfter = 5 * time.Second

// memory gives what the start or a burst of messages took back to the system,
// once, when everything has been quiet for a while: the heap that is free, and
// the code that ran. Nothing ticks: the one timer is set by
// what happens.
type memory struct {
	free  func() // giveBack when nil
	mu    sync.Mutex
	timer *time.Timer
	ended bool
}

// touch notes that something happened.
func (m *memory) touch() {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ended:
	case m.timer != nil:
		m.timer.Reset(restAfter)
	case m.free != nil:
		m.timer = time.AfterFunc(restAfter, m.free)
	default:
		m.timer = time.AfterFunc(restAfter, giveBack)
	}
}

// giveBack does it. The code goes first: what giving back itself runs is what is
// resident at rest.
func giveBack() {
	releaseCode()
	debug.FreeOSMemory()
}

// stop ends it.
func (m *memory) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	if m.timer != nil {
		m.timer.Stop()
	}
}
