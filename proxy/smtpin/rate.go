package smtpin

import (
	"sync"

	"golang.org/x/time/rate"
)

// restraint slows down who asks for too much: refused logins by address, messages
// by user. Its zero value is ready.
type restraint struct {
	logins logins
	rates  rates
}

// rates counts the messages of users other than Melon's own, who could otherwise
// spend the provider's patience, and the person's good name, in a minute. What the
// person's own programs send is nobody's to ration but the provider's. Its zero
// value is ready.
type rates struct {
	mu     sync.Mutex
	byUser map[string]*rate.Limiter
}

// allow reports whether a user may begin another message: perMinute of them at
// once, and as many in each minute after.
func (r *rates) allow(user string, perMinute int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.byUser[user]
	if l == nil {
		r.forget()
		l = rate.NewLimiter(rate.Limit(perMinute)/60, perMinute)
		r.byUser[user] = l
	}
	return l.Allow()
}

// forget makes room for a user: those who have been quiet for long are as new.
func (r *rates) forget() {
	if r.byUser == nil {
		r.byUser = make(map[string]*rate.Limiter)
	}
	if len(r.byUser) < maxRemembered {
		return
	}
	for user, l := range r.byUser {
		if l.Tokens() >= float64(l.Burst()) {
			delete(r.byUser, user)
		}
	}
	if len(r.byUser) >= maxRemembered {
		clear(r.byUser)
	}
}
