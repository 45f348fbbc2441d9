// Package route chooses the account that carries a message to one recipient:
//
//  1. the first route of the configuration that matches sender, recipient and
//     network,
//  2. else the account that the app logged in as,
//  3. else the account that claims the envelope sender: by its address, or by
//     a pattern of its `senders`,
//  4. else the same by the header From,
//  5. else the default account,
//  6. else none: the message is refused with the reason.
//
// At MAIL not all of this is known yet. Answer.Needs says what could still
// change the choice, so that a connection is opened as early as it is certain.
package route

import (
	"melon/proxy/config"
	"melon/upstream"
)

// Question is what is known about one message and one recipient.
type Question struct {
	Login       string   // the name the app logged in as; "" when it did not
	From        string   // envelope sender; "" is the empty sender
	HeaderFrom  []string // addresses of the header From, as from HeaderFrom
	HeaderKnown bool     // HeaderFrom is what the message has, and not just unread
	Recipient   string   // "" while unknown
}

// Needs is what has to be known before a choice is certain.
type Needs uint8

// The things that a choice may need; they may be combined.
const (
	NeedRecipient Needs = 1 << iota
	NeedHeader
)

// Answer is the choice.
type Answer struct {
	// Account is the account's name. It is only a guess while Needs is not 0.
	// It is "" together with a nil Err when no account is configured at all:
	// the message is then kept for the account that is yet to come.
	Account string
	By      string // "route", "login", "sender", "header", "default" or "": what decided
	Needs   Needs  // 0: nothing that is yet to be known changes this answer
	// Err says that no account carries the message; it is 550 5.7.1.
	Err *upstream.Error
}

// Certain reports whether the answer is final.
func (a Answer) Certain() bool { return a.Needs == 0 }

// Router chooses by one configuration. It is never changed and may be used by
// any goroutine; a reload makes another.
type Router struct{ cfg *config.Config }

// New returns a Router for c.
func New(c *config.Config) *Router { return &Router{cfg: c} }

// Choose answers q.
func (r *Router) Choose(q Question) Answer { return Answer{} }

// HeaderFrom returns the addresses of the header From in the first octets of a
// message, in lower case where that is no loss; nil when there are none.
func HeaderFrom(message []byte) []string { return nil }
