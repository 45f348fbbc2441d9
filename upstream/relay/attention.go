package relay

import (
	"time"

	"melon/upstream"
)

// liveEvery is how often a live message may try an account that is in attention.
const liveEvery = 5 * time.Minute

// State is how an account does.
type State string

// The values of AccountStatus.State.
const (
	StateUnknown   State = "unknown"   // not used yet, or its settings are new
	StateReady     State = "ready"     // the last attempt went well, or failed for no fault of the account's
	StateSending   State = "sending"   // a transaction is under way
	StateAttention State = "attention" // the person has to do something
)

// AccountStatus is what is known about an account.
type AccountStatus struct {
	State          State
	Auth           string          // the method last used, "" when none was yet
	RelayOpenUntil *time.Time      // end of the POP window on this network, nil when shut
	LastError      *upstream.Error // of the last attempt, nil after a success
}

// gate is an account's state between attempts. account.mu guards it.
type gate struct {
	mem  accountMemory
	last *upstream.Error // of the last attempt
	shut int             // counts refusals that stop attempts
}

// gate returns the state as it was stored.
func (s *store) gate(name, print string) gate {
	m := s.account(name, print)
	return gate{mem: m, last: m.Attention}
}

// admit decides whether a transaction may try the account. The error is why it
// asks for attention: what the provider said then. The number tells shutSince
// when that was.
func (a *account) admit(live bool) (int, *upstream.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.gate.mem.Attention
	if e == nil || !e.Class.StopsAttempts() {
		return a.gate.shut, nil
	}
	now := a.r.o.Now()
	since := now.Sub(a.gate.mem.LastTry)
	if live && (since >= liveEvery || since < 0) {
		a.gate.mem.LastTry = now.Round(0)
		a.saveLocked()
		return a.gate.shut, nil
	}
	copied := *e
	return 0, &copied
}

// shut notes a refusal after which the account makes no attempts of its own.
func (a *account) shut(e *upstream.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gate.shut++
	a.noteLocked(e)
}

// shutSince returns the refusal that shut the gate after a transaction was
// admitted, or nil.
func (a *account) shutSince(admitted int) *upstream.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gate.shut == admitted || a.gate.mem.Attention == nil {
		return nil
	}
	copied := *a.gate.mem.Attention
	return &copied
}

// note records how an attempt ended; e is nil after a success.
func (a *account) note(e *upstream.Error, auth string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if auth != "" {
		a.gate.mem.Auth = auth
	}
	a.noteLocked(e)
}

func (a *account) noteLocked(e *upstream.Error) {
	switch {
	case e == nil:
		a.gate.mem.Attention, a.gate.mem.LastTry, a.gate.mem.Ready = nil, time.Time{}, true
		a.gate.last = nil
	case e.Kind() == upstream.KindPerson:
		copied := *e
		copied.Err = nil // a cause cannot be stored, and may hold paths
		a.gate.mem.Attention, a.gate.mem.LastTry = &copied, a.r.o.Now().Round(0)
		a.gate.last = e
	case e.Kind() == upstream.KindMessage:
		a.gate.mem.Ready = true // the account itself works
		a.gate.last = nil
	default:
		a.gate.last = e
	}
	a.saveLocked()
}

func (a *account) saveLocked() { a.r.store.setAccount(a.settings.Name, a.gate.mem) }

// Clear ends the named account's attention: the next transaction tries it.
func (r *Relay) Clear(name string) {
	r.mu.Lock()
	a := r.accounts[name]
	r.mu.Unlock()
	if a == nil {
		r.store.clear(name)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gate.mem.Attention, a.gate.mem.LastTry, a.gate.last = nil, time.Time{}, nil
	a.saveLocked()
}

// clear ends the attention of an account that was not used since the start.
func (s *store) clear(name string) {
	s.mu.Lock()
	m, ok := s.m.Accounts[name]
	s.mu.Unlock()
	if ok {
		m.Attention, m.LastTry = nil, time.Time{}
		s.setAccount(name, m)
	}
}

// Status returns what is known about the named account.
func (r *Relay) Status(name string) AccountStatus {
	r.mu.Lock()
	a := r.accounts[name]
	r.mu.Unlock()
	if a == nil {
		r.store.mu.Lock()
		m := r.store.m.Accounts[name]
		r.store.mu.Unlock()
		return status(gate{mem: m, last: m.Attention})
	}
	a.mu.Lock()
	s := status(a.gate)
	running, win := a.running > 0, a.win
	a.mu.Unlock()
	if running {
		s.State = StateSending
	}
	if win != nil && win.key == r.networkKey() {
		if until, open := win.openUntil(); open {
			s.RelayOpenUntil = &until
		}
	}
	return s
}

func status(g gate) AccountStatus {
	s := AccountStatus{State: StateUnknown, Auth: g.mem.Auth, LastError: g.last}
	switch {
	case g.mem.Attention != nil:
		s.State = StateAttention
	case g.mem.Ready:
		s.State = StateReady
	}
	return s
}
