package lab

import (
	"net"
	"sync"
)

// Trips is how many round trips a connection took. One round trip is the time
// for an octet to go to the provider and for one to come back.
//
// The rule, seen from below TLS, on the provider's side:
//
//   - The TCP handshake is 1.
//   - A flight is what the client sends without waiting for a reply. It ends
//     when the provider has read all that was pending and replies; the first
//     input after that begins the next flight. Each flight is 1.
//   - The provider's greeting on a connection without implicit TLS answers the
//     last packet of the TCP handshake: that is a flight too, though empty.
//   - TLS handshakes are flights like any other: TLS 1.3 takes ClientHello 1,
//     and the client's Finished travels with the flight that follows (with
//     implicit TLS: alone, answered by the greeting); TLS 1.2 takes 1 more.
//   - A reply that leaves while part of a command has arrived (a chunk that
//     is still being read) ends no flight.
//
// So a plain connection has taken 2 when the greeting arrives and 3 when the
// reply to EHLO does; with implicit TLS 1.3 it is 3 and 4.
//
// The count is exact for a client that writes each flight with one Write, or
// that waits for no reply in between. A client that writes one flight piecemeal
// may be seen as several flights when the provider is fast enough to reply in
// between; Net with a virtual clock has no such doubt.
type Trips struct {
	Total int // of the connection so far
	// Message is Total at the reply to this message less Total at the reply to
	// the one before it on this connection (0 for the first). It is 0 in what
	// Provider.Trips returns.
	Message int
}

// meter counts the round trips of one connection. It wraps the connection
// below TLS.
type meter struct {
	net.Conn
	mu      sync.Mutex
	trips   int
	replied bool // output has left since the last input
	fresh   bool // neither input nor output yet
	partial bool // the next output does not end the flight
}

func newMeter(c net.Conn) *meter {
	return &meter{Conn: c, trips: 1, replied: true, fresh: true}
}

// Read counts a new flight when something was written since the last input.
func (m *meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	if n > 0 {
		m.mu.Lock()
		if m.replied {
			m.trips++
		}
		m.replied, m.fresh = false, false
		m.mu.Unlock()
	}
	return n, err
}

// Write notes that the flight has been answered.
func (m *meter) Write(b []byte) (int, error) {
	m.mu.Lock()
	if m.fresh {
		m.trips++ // a greeting: it answers the handshake's last packet
		m.fresh = false
	}
	if !m.partial {
		m.replied = true
	}
	m.mu.Unlock()
	return m.Conn.Write(b)
}

// setPartial says whether output from now on leaves in the middle of a command.
func (m *meter) setPartial(p bool) {
	m.mu.Lock()
	m.partial = p
	m.mu.Unlock()
}

// total returns the round trips so far.
func (m *meter) total() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.trips
}
