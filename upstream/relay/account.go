package relay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
)

const (
	// maxWarm is how many idle connections of one account are kept for long.
	maxWarm = 4
	// maxIdle bounds those that are kept at all: the ones beyond maxWarm for a
	// moment, so that many apps that send at once find one each time.
	maxIdle = 64
)

// account is what the relay knows about one account with certain settings.
type account struct {
	r        *Relay
	settings upstream.Account
	print    string
	// proving is held by the one login that finds out whether the password is
	// right; the others wait for it, so that a wrong one is tried once.
	proving chan struct{}

	mu      sync.Mutex
	pin     *dial.Pin
	proven  bool
	warm    []*line // the most recently used last
	minding bool    // mind is running
	win     *window
	running int
	gate    gate
	slots   slots
	busy    map[*line]context.CancelCauseFunc // connections in use, and what cuts them
}

// fingerprint identifies settings that matter to connecting and logging in.
func fingerprint(a upstream.Account) string {
	a.Senders, a.Fallback, a.Connections, a.EnvelopeFromAccount = nil, nil, 0, false
	b, err := json.Marshal(a)
	if err != nil { // plain data always marshals
		b = fmt.Append(nil, a)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// sameSettings reports whether a and b have one fingerprint, without making it: each
// message asks.
func sameSettings(a, b *upstream.Account) bool {
	return a.Name == b.Name && a.Address == b.Address && a.Username == b.Username && a.Auth == b.Auth &&
		a.SMTP == b.SMTP && a.POP.Server == b.POP.Server && a.POP.Username == b.POP.Username &&
		sameSecret(&a.Password, &b.Password) && sameSecret(&a.POP.Password, &b.POP.Password) &&
		a.PopBeforeSMTP == b.PopBeforeSMTP && a.AllowPlaintext == b.AllowPlaintext &&
		sameTrust(&a.Trust, &b.Trust) && sameOAuth(&a.OAuth, &b.OAuth)
}

func sameSecret(a, b *upstream.SecretRef) bool {
	return a.Keyring == b.Keyring && slices.Equal(a.Command, b.Command) && a.File == b.File && a.Env == b.Env
}

func sameTrust(a, b *upstream.Trust) bool {
	return a.CA == b.CA && slices.Equal(a.Pins, b.Pins) && a.ServerName == b.ServerName &&
		a.LegacyTLS == b.LegacyTLS && a.Insecure == b.Insecure
}

func sameOAuth(a, b *upstream.OAuth) bool {
	return a.Provider == b.Provider && a.ClientID == b.ClientID && sameSecret(&a.ClientSecret, &b.ClientSecret) &&
		a.Tenant == b.Tenant && slices.Equal(a.Scopes, b.Scopes) &&
		a.AuthURL == b.AuthURL && a.TokenURL == b.TokenURL && a.DeviceURL == b.DeviceURL
}

func newAccount(r *Relay, a upstream.Account, print string) *account {
	n := &account{r: r, settings: a, print: print, proving: make(chan struct{}, 1), busy: map[*line]context.CancelCauseFunc{}}
	n.pin = n.newPin()
	n.gate = r.store.gate(a.Name, print)
	return n
}

func (a *account) newPin() *dial.Pin {
	hosts := []string{a.settings.SMTP.Host}
	if a.settings.POP.Host != "" {
		hosts = append(hosts, a.settings.POP.Host)
	}
	return dial.NewPin(hosts...)
}

// resetPin lets the next connection choose its address anew, after a server could
// not be reached, unless something depends on the choice.
func (a *account) resetPin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.warm) == 0 && a.running <= 1 && (a.win == nil || !a.win.open()) {
		a.pin.Reset()
	}
}

// window returns the POP window on the given network. A window on another one
// is void from then on.
func (a *account) window(key string) *window {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.win == nil || a.win.key != key {
		if a.win != nil {
			a.win.void()
			a.pin.Reset()
		}
		a.win = &window{a: a, key: key}
	}
	return a.win
}

// dropAll shuts the window and closes the warm connections.
func (a *account) dropAll() {
	a.mu.Lock()
	if a.win != nil {
		a.win.void()
		a.win = nil
	}
	a.pin.Reset()
	lines := a.warm
	a.warm = nil
	a.mu.Unlock()
	for _, l := range lines {
		l.drop()
	}
}

// use notes that l is in use until the function it returns is called.
func (a *account) use(l *line, cut context.CancelCauseFunc) (done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy[l] = cut
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.busy, l)
	}
}

// cutGone cuts the connections in use whose local address is not among have.
func (a *account) cutGone(have []net.Addr) {
	local := map[netip.Addr]bool{}
	for _, addr := range have {
		if p, err := netip.ParsePrefix(addr.String()); err == nil {
			local[p.Addr().Unmap().WithZone("")] = true
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for l, cut := range a.busy {
		if ip := l.client.LocalIP(); ip.IsValid() && !ip.IsLoopback() && !local[ip] {
			cut(errMoved)
		}
	}
}

// prompt reports whether a message would find a warm connection, on which it can
// leave in one flight.
func (a *account) prompt() bool {
	key, now := a.r.networkKey(), time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range slices.Backward(a.warm) {
		if l.key == key {
			return now.Before(l.prompt)
		}
	}
	return false
}

// takeWarm returns a warm connection on this network that is younger than the
// tick, or nil.
func (a *account) takeWarm(key string, after int64) *line {
	for {
		a.mu.Lock()
		var l *line
		for i := len(a.warm) - 1; i >= 0; i-- {
			if w := a.warm[i]; w.key == key && w.tick > after {
				l = w
				a.warm = append(a.warm[:i], a.warm[i+1:]...)
				break
			}
		}
		a.mu.Unlock()
		if l == nil || l.take() {
			return l
		}
	}
}

// park keeps a connection for the next message, for a while. In a series of
// messages that comes at once: nobody is set to watch it before it has rested.
func (a *account) park(l *line) {
	if !l.client.Usable() || l.key != a.r.networkKey() {
		l.close()
		return
	}
	l.client.Idle()
	l.reused, l.watched = true, false
	l.prompt = time.Time{}
	if l.client.InOneFlight(oneFlight) {
		l.prompt = l.client.Heard().Add(oneFlight)
	}
	a.mu.Lock()
	l.until = time.Now().Add(keepWarm)
	if len(a.warm) >= maxWarm {
		l.until = time.Now().Add(keepSpare)
	}
	a.warm = append(a.warm, l)
	a.wakeLocked()
	var old *line
	if len(a.warm) > maxIdle {
		old, a.warm = a.warm[0], a.warm[1:]
	}
	if !a.minding {
		a.minding = a.r.goIfOpen(a.mind)
	}
	closed := !a.minding
	a.mu.Unlock()
	if closed {
		a.dropWarm()
	}
	if old != nil && !a.r.goIfOpen(func() {
		if old.take() {
			old.quit()
		}
	}) {
		old.drop()
	}
}

// mind sets somebody to watch each parked line that has rested, until none is
// left without.
func (a *account) mind() {
	timer := time.NewTimer(restFirst)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			if !a.watchRested() {
				return
			}
			timer.Reset(restFirst)
		case <-a.r.ctx.Done():
			a.dropWarm()
			return
		}
	}
}

// watchRested is a round of mind. It reports whether there is to be another.
func (a *account) watchRested() bool {
	awake := a.r.awakeContext()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.minding = false
	for _, l := range a.warm {
		switch {
		case l.watched:
		case time.Since(l.client.Heard()) < restFirst:
			a.minding = true
		default:
			ctx, cancel := context.WithDeadline(awake, l.until)
			l.parked, l.wake = make(chan error, 1), cancel
			if l.watched = a.r.goIfOpen(func() { a.keep(ctx, l) }); !l.watched {
				cancel()
				a.minding = true // to see the end
			}
		}
	}
	return a.minding
}

// dropWarm closes the warm connections.
func (a *account) dropWarm() {
	a.mu.Lock()
	lines := a.warm
	a.warm, a.minding = nil, false
	a.mu.Unlock()
	for _, l := range lines {
		l.drop()
	}
}

// keep watches a parked connection until it is taken, dies, or has been idle for
// too long.
func (a *account) keep(ctx context.Context, l *line) {
	err := l.client.Watch(ctx)
	expired := ctx.Err() == context.DeadlineExceeded
	l.wake()
	if a.forget(l) { // nobody takes it any more
		if err == nil && expired {
			l.quit()
		} else {
			l.close()
		}
		return
	}
	l.parked <- err
}

// forget takes l out of the pool and reports whether it was in there.
func (a *account) forget(l *line) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, w := range a.warm {
		if w == l {
			a.warm = append(a.warm[:i], a.warm[i+1:]...)
			return true
		}
	}
	return false
}

// begin and end count the transactions under way, for the status.
func (a *account) begin() { a.mu.Lock(); a.running++; a.mu.Unlock() }
func (a *account) end()   { a.mu.Lock(); a.running--; a.mu.Unlock() }

const (
	// keepWarm is how long an idle connection is kept.
	keepWarm = 2 * time.Minute
	// keepSpare is how long one is kept beyond maxWarm.
	keepSpare = 2 * time.Second
	// restFirst is how long one rests before somebody watches it.
	restFirst = 500 * time.Millisecond
)
