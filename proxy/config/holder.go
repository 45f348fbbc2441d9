package config

import (
	"sync"
	"sync/atomic"
)

// Holder holds the configuration in use. Its methods may be called by any
// goroutine.
type Holder struct {
	reload  sync.Mutex // one reload at a time, so that the last one wins
	current atomic.Pointer[Config]
}

// NewHolder returns a Holder of c.
func NewHolder(c *Config) *Holder {
	h := &Holder{}
	h.current.Store(c)
	return h
}

// Config returns the configuration in use, never nil.
func (h *Holder) Config() *Config { return h.current.Load() }

// Reload puts the file's configuration in use. On any error, which is as
// Load's, the old one stays.
func (h *Holder) Reload(path string) error {
	h.reload.Lock()
	defer h.reload.Unlock()
	c, err := Load(path)
	if err != nil {
		return err
	}
	h.current.Store(c)
	return nil
}
