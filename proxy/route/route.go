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
	"fmt"
	"strings"

	"melon/proxy/config"
	"melon/upstream"
	"melon/upstream/network"
)

// Question is what is known about one message and one recipient.
type Question struct {
	Login       string   // the name the app logged in as; "" when it did not
	From        string   // envelope sender; "" is the empty sender
	HeaderFrom  []string // addresses of the header From, as HeaderFrom returns them
	HeaderKnown bool     // the header was read: HeaderFrom is all there is
	Recipient   string   // "" while unknown
	Network     network.State
}

// Needs is what has to be known before a choice is certain.
type Needs uint8

// The things that a choice may need; they may be combined.
const (
	NeedRecipient Needs = 1 << iota
	NeedHeader
)

// By says what decided.
type By string

// The steps that decide. Empty: no account carries the message.
const (
	ByRoute   By = "route"
	ByLogin   By = "login"
	BySender  By = "sender"
	ByHeader  By = "header"
	ByDefault By = "default"
)

// Answer is the choice.
type Answer struct {
	// Account is the account's name. While Needs is not 0 it is what would be
	// chosen if the rest told nothing new, and may be "".
	// It is "" together with Needs 0 and a nil Err when no account is
	// configured at all: the message is then kept for the account to come.
	Account string
	By      By
	Needs   Needs // 0: nothing that is yet to be known changes this answer
	// Err says that no account carries the message: 550 5.7.1. It is set only
	// when that is certain.
	Err *upstream.Error
}

// Certain reports whether the answer is final.
func (a Answer) Certain() bool { return a.Needs == 0 }

// Router chooses by one configuration. It is never changed and may be used by
// any goroutine; a reload makes another.
type Router struct {
	cfg      *config.Config
	accounts []claims
	routes   []route
}

// claims is what an account claims as its senders, folded.
type claims struct {
	name     string
	address  string
	patterns []string
}

// route is a config.Route with its patterns folded and its network found.
type route struct {
	from, to string // "" matches all
	network  *config.Network
	account  string
}

// New returns a Router for c.
func New(c *config.Config) *Router {
	r := &Router{cfg: c}
	for _, a := range c.Accounts {
		k := claims{name: a.Name, address: fold(a.Address)}
		for _, p := range a.Senders {
			k.patterns = append(k.patterns, fold(p))
		}
		r.accounts = append(r.accounts, k)
	}
	for _, w := range c.Routes {
		one := route{from: fold(w.From), to: fold(w.To), account: w.Account}
		if w.Network != "" {
			n, ok := c.Network(w.Network)
			if !ok {
				continue // a checked Config has none such
			}
			one.network = &n
		}
		r.routes = append(r.routes, one)
	}
	return r
}

// Choose answers q.
func (r *Router) Choose(q Question) Answer {
	if len(r.accounts) == 0 {
		return Answer{}
	}
	chosen, perhaps := r.byRoute(q)
	if chosen.By == "" {
		chosen = r.byOrder(q)
	}
	for _, account := range perhaps {
		if account != chosen.Account || chosen.Needs != 0 {
			chosen.Needs |= NeedRecipient
			break
		}
	}
	if chosen.By == "" && chosen.Certain() {
		chosen.Err = r.refusal(q)
	}
	return chosen
}

// byRoute returns the first route's choice that is sure to match, and the
// accounts of those in front of it that match for some recipients.
func (r *Router) byRoute(q Question) (sure Answer, perhaps []string) {
	from, to := fold(q.From), fold(q.Recipient)
	for _, w := range r.routes {
		switch {
		case w.from != "" && !match(w.from, from):
		case w.network != nil && !on(w.network, q.Network):
		case w.to == "" || strings.Trim(w.to, "*") == "" || q.Recipient != "" && match(w.to, to):
			return Answer{Account: w.account, By: ByRoute}, perhaps
		case q.Recipient == "":
			perhaps = append(perhaps, w.account)
		}
	}
	return Answer{}, perhaps
}

// byOrder chooses where no route does.
func (r *Router) byOrder(q Question) Answer {
	if a, ok := r.cfg.Account(q.Login); ok && q.Login != "" {
		return Answer{Account: a.Name, By: ByLogin}
	}
	if name := r.claimedBy(q.From); name != "" {
		return Answer{Account: name, By: BySender}
	}
	for _, address := range q.HeaderFrom {
		if name := r.claimedBy(address); name != "" {
			return Answer{Account: name, By: ByHeader}
		}
	}
	var a Answer
	if r.cfg.Default != "" {
		a = Answer{Account: r.cfg.Default, By: ByDefault}
	}
	// The header can only lead to another account, or from none to one.
	if !q.HeaderKnown && (a.By == "" || len(r.accounts) > 1) {
		a.Needs = NeedHeader
	}
	return a
}

// claimedBy returns the account that claims an address: the one whose own it
// is, else the first with a pattern for it, else "". The empty sender is
// nobody's.
func (r *Router) claimedBy(address string) string {
	if address == "" {
		return ""
	}
	address = fold(address)
	for _, a := range r.accounts {
		if a.address == address {
			return a.name
		}
	}
	for _, a := range r.accounts {
		for _, p := range a.patterns {
			if match(p, address) {
				return a.name
			}
		}
	}
	return ""
}

// maxNamed bounds how many accounts a refusal names.
const maxNamed = 10

// refusal says that no account carries the message. It is the person's
// business, so that a message that was kept is never bounced for it.
func (r *Router) refusal(q Question) *upstream.Error {
	sender := q.From
	if sender == "" && len(q.HeaderFrom) > 0 {
		sender = q.HeaderFrom[0]
	}
	names := make([]string, 0, maxNamed+1)
	for i, a := range r.accounts {
		if i == maxNamed {
			names = append(names, fmt.Sprintf("%d more", len(r.accounts)-i))
			break
		}
		names = append(names, a.name)
	}
	who := fmt.Sprintf("No account of Melon's sends as <%s>", cut(sender, 100))
	if sender == "" {
		who = "No account of Melon's sends for the empty sender <>"
	}
	sentence := upstream.CleanLine(fmt.Sprintf(
		"%s. The accounts are: %s. Add the sender to one of them under senders, or set a default account.",
		who, cut(strings.Join(names, ", "), 250)))
	return &upstream.Error{
		Phase: upstream.PhaseMail,
		Class: upstream.ClassSenderDomainRestricted,
		Reply: upstream.Reply{
			Code:     550,
			Enhanced: upstream.EnhancedCode{5, 7, 1},
			Lines:    []string{sentence},
		},
		Sentence: sentence,
	}
}

// cut shortens s to about n octets.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
