package doctor

import (
	"strings"

	"melon/upstream"
	"melon/upstream/reply"
)

// cause is one row of the order of causes.
type cause struct {
	class upstream.Class
	holds bool
}

// verdict names the first cause that holds; see the package comment for why they
// stand in this order. With none before it, an open relay is ok.
func (x *examination) verdict() upstream.Class {
	if x.o.Account.SMTP.Host == "" {
		return x.networkVerdict()
	}
	for _, c := range x.causes() {
		if c.holds {
			return c.class
		}
	}
	return x.serversVerdict()
}

// networkVerdict is the verdict without an account.
func (x *examination) networkVerdict() upstream.Class {
	switch {
	case x.network.known && !x.network.state.Online:
		return upstream.ClassOffline
	case x.portal.found:
		return upstream.ClassCaptivePortal
	case x.portal.nameless:
		return upstream.ClassDNSFailure
	}
	return upstream.ClassOK
}

// causes is the order of causes as far as they are the network's.
func (x *examination) causes() []cause {
	open, smtp := x.login.open, x.fault()
	best := x.smtp.best
	strange := best != nil && best.strange
	proven := best != nil && best.proven
	// A server on this machine says nothing about the network.
	near := best != nil && best.remote.IsLoopback()
	offline := x.network.known && !x.network.state.Online
	return []cause{
		{upstream.ClassOffline, !open && smtp == upstream.ClassOffline},
		{upstream.ClassOffline, !open && offline && !x.reached()},
		{upstream.ClassCaptivePortal, x.portal.found && (!open || near)},
		{upstream.ClassDNSFailure, x.dns.smtp.err != nil},
		{upstream.ClassDNSHijacked, !proven && (x.dns.same || x.dns.smtp.astray && (!x.reached() || strange))},
		{upstream.ClassSMTPIntercepted, open && strange},
		{upstream.ClassOK, open},
		{upstream.ClassClockWrong, x.clock.wrong},
		{upstream.ClassVPNRoute, x.vpn()},
		{upstream.ClassSMTPIntercepted, strange || smtp == upstream.ClassSMTPIntercepted || intercepted(x.login.smtp)},
	}
}

// reached reports whether the SMTP server spoke.
func (x *examination) reached() bool { return x.smtp.best != nil && x.smtp.best.spoke() }

// fault is the class of what keeps the SMTP server's ports from being used, ""
// when one can be. A server that refuses at its greeting was reached.
func (x *examination) fault() upstream.Class {
	if x.smtp.best == nil || x.smtp.best.spoke() {
		return ""
	}
	return x.classOf(x.smtp.best.fault)
}

// classOf is the class of a failure. A certificate that is refused for its time
// although the clock is right is the certificate's fault.
func (x *examination) classOf(e *upstream.Error) upstream.Class {
	if e.Class == upstream.ClassClockWrong && x.clock.right {
		return upstream.ClassCertificateInvalid
	}
	return e.Class
}

// silent reports whether a server could not be reached at all.
func silent(c upstream.Class) bool {
	return c == upstream.ClassPortBlocked || c == upstream.ClassServerUnreachable || c == upstream.ClassOffline
}

// vpn reports whether a VPN is in the way: it leads to the server, and nothing
// comes back; or POP and SMTP leave by different ways, and the relay did not open
// for the one although the other logged in.
func (x *examination) vpn() bool {
	l := &x.login
	swallows := x.ways.smtp.Tunnel && silent(x.fault())
	if l.popNeed && l.pop != nil && l.pop.Reply.IsZero() {
		swallows = swallows || x.ways.pop.Tunnel && silent(l.pop.Class)
	}
	refused := l.relay != nil && l.relay.Class.RelayRefusal() || l.smtp != nil && l.smtp.Class.RelayRefusal()
	return swallows || refused && l.popDone && x.ways.split
}

// serversVerdict is the verdict when the network is not to blame: what the
// servers' ports showed, then what the servers said, in the order in which Melon
// heard it.
func (x *examination) serversVerdict() upstream.Class {
	l := &x.login
	if c := x.fault(); c != "" {
		return c
	}
	switch {
	case x.smtp.best == nil:
		return upstream.ClassServerUnreachable
	case l.held != nil:
		return l.held.Class
	case l.popNeed && l.pop != nil:
		return x.classOf(l.pop)
	case l.smtp != nil:
		return x.refusal(l.smtp)
	case l.relay != nil:
		return x.refusal(l.relay)
	}
	return upstream.ClassServerUnreachable // time ran out before the envelope
}

// refusal is the class of the server's refusal, in the light of what was done
// before it: a POP login that opened nothing, or a login that was never offered,
// leaves the address.
func (x *examination) refusal(e *upstream.Error) upstream.Class {
	l := &x.login
	switch {
	case e.Class == upstream.ClassPOPBeforeSMTPRequired && l.popDone,
		e.Class == upstream.ClassAuthRequired && l.popDone && l.popNeed && e.Phase.InTransaction():
		return upstream.ClassRelayDeniedIP
	}
	return x.classOf(e)
}

// advice is what to do, the most likely help first: what was found here before
// what is true in general, the provider's webmail last.
func (x *examination) advice(class upstream.Class) []string {
	general := reply.Explain(class, x.o.Lang).Advice
	if class == upstream.ClassOK && x.o.Account.SMTP.Host == "" {
		return []string{x.say(sayAddAccount)}
	}
	out := append(x.found(class), general...)
	webmail := x.say(sayWebmail)
	switch class {
	case upstream.ClassOK, upstream.ClassOffline:
		return out
	}
	for _, a := range general {
		if a == webmail || strings.Contains(a, "webmail page") {
			return out
		}
	}
	return append(out, webmail)
}

// found is the advice that comes from this examination alone.
func (x *examination) found(class upstream.Class) []string {
	var out []string
	switch class {
	case upstream.ClassCaptivePortal:
		if x.portal.page != "" {
			out = append(out, x.say(adviseSignIn, x.portal.page))
		}
	case upstream.ClassClockWrong:
		if x.clock.told && x.clock.offset.Abs() > clockSlack {
			out = append(out, x.say(adviseClock, x.apart(x.clock.offset)))
		}
	case upstream.ClassVPNRoute:
		if x.ways.split {
			out = append(out, x.say(adviseSplit, x.ways.pop.Interface, x.ways.smtp.Interface))
		}
	case upstream.ClassPortBlocked, upstream.ClassServerUnreachable, upstream.ClassSMTPIntercepted,
		upstream.ClassStartTLSStripped, upstream.ClassServerBroken:
		for _, p := range x.smtp.extra {
			if p.fault == nil && p.proven {
				out = append(out, x.say(advisePort, p.server.Port))
				break
			}
		}
	}
	if x.login.held != nil {
		out = append(out, x.say(adviseForce))
	}
	return out
}
