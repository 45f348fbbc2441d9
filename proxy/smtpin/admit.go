package smtpin

import (
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// The life of a connection before go-smtp sees it:
//
//  1. accept takes it and gives it a goroutine (serve);
//  2. vet decides whether its peer may be there at all;
//  3. add counts it, and ends an idle one when there are too many;
//  4. on an smtps door TLS begins;
//  5. handOn gives it to go-smtp, whose goroutine it then lives in.

// accept takes connections from one door until it is closed.
func (s *Server) accept(d *door) {
	defer s.tasks.Done()
	var pause time.Duration
	for {
		raw, err := d.ln.Accept()
		if err == nil {
			pause = 0
			s.tasks.Add(1)
			go func() {
				defer s.tasks.Done()
				s.serve(d, raw)
			}()
			continue
		}
		if s.doorClosed(d) {
			return
		}
		// Out of file descriptors, or a connection that went away: it gets
		// better by itself.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.log.Warn("a connection cannot be accepted", "addr", d.ln.Addr().String(), "err", err)
		select {
		case <-time.After(pause):
		case <-s.base.Done():
			return
		}
	}
}

// serve admits one connection or turns it away.
func (s *Server) serve(d *door, raw net.Conn) {
	set := s.set.Load()
	w := who{door: d, Client: Client{Peer: addrPort(raw.RemoteAddr()), ID: s.newID()}}
	reason, text := s.vet(set, &w, raw)
	if reason != "" {
		s.turnAway(w, raw, reason, text)
		return
	}
	c := newConn(s, set, raw, w)
	if reason := s.makeRoom(c); reason != "" {
		c.cancel()
		s.turnAway(w, raw, reason, "421 4.3.2 Melon takes no connection at the moment; please try again later")
		return
	}
	if d.kind == "smtps" {
		secure := tls.Server(raw, set.tls)
		err := c.handshake(secure)
		if err != nil {
			s.refused(w, "TLS handshake: "+err.Error())
			c.Close()
			return
		}
		w.TLS = true
		next := newConn(s, set, secure, w)
		s.replace(c, next)
		c.next = next
		c.Close()
		return
	}
	s.handOn(c)
}

// vet finds out who the peer is and decides whether it may be at this door. It
// returns the reason for which it may not, and what it is told.
func (s *Server) vet(set *settings, w *who, raw net.Conn) (reason, text string) {
	local, remote := addrPort(raw.LocalAddr()), addrPort(raw.RemoteAddr())
	here := remote.Addr().IsLoopback() || remote.Addr() == local.Addr()
	switch {
	case !w.door.remote && !remote.Addr().IsLoopback():
		// A router or a wrong route must not make a loopback address more.
		return "a peer beyond loopback at a loopback address", ""
	case !here:
		w.user, w.other = remote.Addr().String(), true
		return "", ""
	case !set.peers.Enforced():
		return "", ""
	}
	same, user, err := set.peers.SameUser(local, remote)
	w.user, w.other = user, !same || err != nil
	switch {
	case set.allow == AllowAnyLocal:
		return "", "" // who it is counts for the limits alone
	case err != nil:
		return "the peer's user cannot be found out: " + err.Error(),
			"554 5.7.1 Melon could not find out which user this program belongs to (listen.allow: any-local does without)"
	case !same:
		return "a process of another user: " + user,
			"554 5.7.1 This Melon takes mail from its own user's programs only (see listen.allow)"
	}
	return "", ""
}

// turnAway closes a connection that was not admitted, with one operator line.
func (s *Server) turnAway(w who, raw net.Conn, reason, text string) {
	s.refused(w, reason)
	if text != "" && w.door.kind == "smtp" {
		raw.SetWriteDeadline(time.Now().Add(time.Second))
		fmt.Fprintf(raw, "%s\r\n", text)
	}
	raw.Close()
}

// refused writes the operator line of a refused connection.
func (s *Server) refused(w who, reason string) {
	if reason == "" {
		return
	}
	s.log.Warn("connection refused", "conn", w.ID, "peer", w.Peer.String(), "addr", w.door.ln.Addr().String(), "reason", reason)
}

// In a crowd that has just come in nobody idles yet: a new connection then
// waits some moments for room.
const (
	roomWait  = 50 * time.Millisecond
	roomTries = 40
)

// makeRoom adds c, or returns the reason why that cannot be.
func (s *Server) makeRoom(c *conn) (reason string) {
	for range roomTries {
		if reason = s.add(c); reason == "" || reason == goingDown {
			return reason
		}
		t := time.NewTimer(roomWait)
		select {
		case <-t.C:
		case <-s.base.Done():
			t.Stop()
			return goingDown
		}
	}
	return reason
}

const goingDown = "shutting down"

// add counts a connection in, or returns the reason why not. Where there are
// too many, the one that has waited longest without a transaction makes room;
// failing that, one that has left a transaction open for a while.
func (s *Server) add(c *conn) (reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return goingDown
	}
	total, own := 0, 0
	for o := range s.conns {
		if o.evicted() {
			continue
		}
		total++
		if o.who.user == c.who.user {
			own++
		}
	}
	switch limits := c.set.limits; {
	case own >= limits.ConnectionsUser && !s.evictLocked(c.who.user, true):
		return "too many connections of one user"
	case own < limits.ConnectionsUser && total >= limits.Connections && !s.evictLocked("", false):
		return "too many connections"
	}
	s.conns[c] = struct{}{}
	s.open.Add(1)
	return ""
}

// openTransaction is how long a transaction may wait for its next command
// before it may have to make room.
const openTransaction = 10 * time.Second

// evictLocked ends one idle connection, of one user if so asked, and reports
// whether there was one.
func (s *Server) evictLocked(user string, ofUser bool) bool {
	var idlest *conn
	var since time.Time
	var sinceBusy bool
	for c := range s.conns {
		if ofUser && c.who.user != user {
			continue
		}
		t, waiting, busy := c.resting()
		if !waiting || busy && time.Since(t) < openTransaction {
			continue
		}
		better := idlest == nil || sinceBusy && !busy || sinceBusy == busy && t.Before(since)
		if better {
			idlest, since, sinceBusy = c, t, busy
		}
	}
	if idlest == nil {
		return false
	}
	idlest.wake(evicted)
	return true
}

// remove counts a connection out.
func (s *Server) remove(c *conn) {
	s.mu.Lock()
	_, ok := s.conns[c]
	delete(s.conns, c)
	s.mu.Unlock()
	if ok {
		s.open.Done()
	}
}

// replace puts the conn above TLS in the place of the one below.
func (s *Server) replace(old, next *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, old)
	s.conns[next] = struct{}{}
	if f := old.farewell(); f != nil {
		next.wake(f)
	}
	if s.killed {
		next.kill()
	}
}
