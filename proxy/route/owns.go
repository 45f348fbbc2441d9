package route

import (
	"slices"
	"strings"
)

// Owns reports whether an account claims the address as one of its own, by its
// address or by a pattern of its `senders`. A pattern that claims every address
// there is owns none: a bounce must not go to a stranger.
func (r *Router) Owns(account, address string) bool {
	address = fold(address)
	for _, c := range r.accounts {
		if c.name != account {
			continue
		}
		return address != "" && (c.address == address || slices.ContainsFunc(c.patterns, func(p string) bool {
			return strings.Trim(p, "*@") != "" && match(p, address)
		}))
	}
	return false
}
