package main

import (
	"runtime/debug"
	"sync"
	"time"
)

// restAfter is how long nothing has to happen before memory is given back.
const restAfter = 5 * time.Second

// memory gives what a burst of messages took back to the system, once, when
// everything has been quiet for a while. Nothing ticks: the one timer is set by
// what happens.
type memory struct {
	free  func() // debug.FreeOSMemory when nil
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
		m.timer = time.AfterFunc(restAfter, debug.FreeOSMemory)
	}
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
