package relay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/google/renameio/v2/maybe"

	"melon/upstream"
	"melon/upstream/pop"
)

// facts is what was learned about an account's provider on one network. The zero
// value is that nothing is known. What proves wrong is forgotten at once; what
// cannot be proved wrong is forgotten after factsLast.
type facts struct {
	Learned     time.Time         `json:"learned"`                // when the first of them was
	Port        int               `json:"port,omitempty"`         // of the ladder, that worked
	Mechanism   string            `json:"mechanism,omitempty"`    // SASL mechanism that worked
	NeedPOP     bool              `json:"need_pop,omitempty"`     // the relay opens by a POP login
	Sequence    bool              `json:"sequence,omitempty"`     // connect only after the login is over
	Settle      time.Duration     `json:"settle,omitempty"`       // pause after the login, nanoseconds
	Window      time.Duration     `json:"window,omitempty"`       // the window that held, where it is shorter than configured
	Lockstep    bool              `json:"lockstep,omitempty"`     // pipelining breaks the server
	NoChunking  bool              `json:"no_chunking,omitempty"`  // BDAT is offered and refused
	MaxMessages int               `json:"max_messages,omitempty"` // then the server ends a connection
	POP         *pop.Capabilities `json:"pop,omitempty"`
	TLS         bool              `json:"tls,omitempty"` // encryption was there once; kept under everywhere, for good
}

// everywhere is the network key of facts that hold on all networks.
const everywhere = "*"

// factsLast is how long what was learned on a network is believed.
const factsLast = 30 * 24 * time.Hour

// maxNetworks bounds how many networks are remembered for one account.
const maxNetworks = 64

// memory is the file's content.
type memory struct {
	Version  int                         `json:"version"`
	Facts    map[string]map[string]facts `json:"facts"` // by settings, then network
	Accounts map[string]accountMemory    `json:"accounts"`
}

// accountMemory is what survives a restart about an account's state.
type accountMemory struct {
	Settings  string          `json:"settings"` // fingerprint
	Auth      string          `json:"auth,omitempty"`
	Ready     bool            `json:"ready,omitempty"`
	Attention *upstream.Error `json:"attention,omitempty"`
	LastTry   time.Time       `json:"last_try,omitzero"` // the last one that attention let through
}

// store keeps memory, in a file that is replaced as a whole or in memory alone.
type store struct {
	mu   sync.Mutex
	path string // "" keeps nothing
	now  func() time.Time
	m    memory
	err  error // of the last write
}

const memoryVersion = 1

// factsFile is the memory's file in the state directory.
const factsFile = "learned.json"

// openStore reads dir's file. One that cannot be understood is renamed.
func openStore(dir string, now func() time.Time) (*store, error) {
	s := &store{now: now}
	if dir != "" {
		s.path = filepath.Join(dir, factsFile)
		b, err := os.ReadFile(s.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("relay: %w", err)
		default:
			if json.Unmarshal(b, &s.m) != nil || s.m.Version != memoryVersion {
				s.m = memory{}
				if err := os.Rename(s.path, s.path+".bad"); err != nil {
					return nil, fmt.Errorf("relay: %w", err)
				}
			}
		}
	}
	s.m.Version = memoryVersion
	if s.m.Facts == nil {
		s.m.Facts = map[string]map[string]facts{}
	}
	if s.m.Accounts == nil {
		s.m.Accounts = map[string]accountMemory{}
	}
	return s, nil
}

// get returns what is known; print is the settings' fingerprint.
func (s *store) get(print, network string) facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.getLocked(print, network)
}

func (s *store) getLocked(print, network string) facts {
	f := s.m.Facts[print][network]
	if age := s.now().Sub(f.Learned); network != everywhere && (age > factsLast || age < -24*time.Hour) {
		return facts{}
	}
	return f.believable()
}

// believable leaves out what cannot have been learned: a file that was damaged
// or edited must not keep mail waiting.
func (f facts) believable() facts {
	if f.Port < 0 || f.Port > 65535 {
		f.Port = 0
	}
	f.Settle = min(max(f.Settle, 0), longestSettle)
	f.Window = max(f.Window, 0)
	f.MaxMessages = max(f.MaxMessages, 0)
	return f
}

// update changes what is known, and writes the file when that made a difference.
func (s *store) update(print, network string, change func(*facts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.getLocked(print, network)
	f := old
	change(&f)
	if f == old || reflect.DeepEqual(&f, &old) {
		return
	}
	if old.Learned.IsZero() {
		f.Learned = s.now().Round(0)
	}
	if s.m.Facts[print] == nil {
		s.m.Facts[print] = map[string]facts{}
	}
	s.m.Facts[print][network] = f
	s.trimLocked(s.m.Facts[print])
	s.writeLocked()
}

// trimLocked forgets the networks that were learned longest ago.
func (s *store) trimLocked(m map[string]facts) {
	for len(m) > maxNetworks {
		oldest := ""
		for k, f := range m {
			if k != everywhere && (oldest == "" || f.Learned.Before(m[oldest].Learned)) {
				oldest = k
			}
		}
		delete(m, oldest)
	}
}

// account returns what is known about the named account if its settings are the
// same still.
func (s *store) account(name, print string) accountMemory {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.m.Accounts[name]; m.Settings == print {
		return m
	}
	return accountMemory{Settings: print}
}

// setAccount remembers an account's state.
func (s *store) setAccount(name string, m accountMemory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.m.Accounts[name]
	if before == m || reflect.DeepEqual(&before, &m) {
		return
	}
	if old := before.Settings; old != "" && old != m.Settings {
		delete(s.m.Facts, old)
	}
	s.m.Accounts[name] = m
	s.writeLocked()
}

// writeLocked replaces the file. A disk that is full costs no mail: what was
// learned is still in memory.
func (s *store) writeLocked() {
	if s.path == "" {
		return
	}
	b, err := json.MarshalIndent(s.m, "", " ")
	if err == nil {
		err = maybe.WriteFile(s.path, append(b, '\n'), 0o600)
	}
	s.err = err
}
