package relay

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"melon/upstream"
	"melon/upstream/lab"
)

// What voids the window costs one login each, and nothing else does.
func TestWindow(t *testing.T) {
	in(t, pbs(lab.PBS{}), func(h *house) {
		h.mustSend()
		h.logins(1)
		for i, step := range []struct {
			name string
			do   func()
			more int
		}{
			{"inside the window", func() { time.Sleep(8 * time.Minute) }, 0},
			{"after the window", func() { time.Sleep(3 * time.Minute) }, 1},
			{"another network, unannounced", func() { h.iface.Store("eth0") }, 1},
			{"back on the first network", func() { h.iface.Store("wlan0") }, 1},
			{"a change that was announced", h.r.NetworkChanged, 1},
			{"sleep", h.r.Resumed, 1},
			{"a clock that ran back", func() { h.skew.Add(int64(-time.Hour)) }, 1},
			{"a clock that was set forward", func() { h.skew.Add(int64(2 * time.Hour)) }, 1},
			{"later", func() { time.Sleep(4 * time.Minute) }, 0},
			{"a clock that ran back, but not behind the login", func() { h.skew.Add(int64(-2 * time.Minute)) }, 1},
			{"a provider that forgot", h.p.ForgetRelay, 1},
			{"nothing", func() {}, 0},
		} {
			before := h.p.Stats().POPLogins
			step.do()
			h.mustSend()
			if got := h.p.Stats().POPLogins - before; got != step.more {
				t.Errorf("%d %s: %d logins, want %d", i, step.name, got, step.more)
			}
		}
	})
}

// A refused relay voids the window for all: twenty messages share the next login too.
func TestRefusedTogether(t *testing.T) {
	in(t, pbs(lab.PBS{}), func(h *house) {
		h.mustSend()
		h.p.ForgetRelay()
		h.many(20)
		h.logins(2)
	})
}

// While nothing is sent, nothing is said: no POP connection, and of the SMTP one
// only its end.
func TestIdle(t *testing.T) {
	in(t, pbs(lab.PBS{}), func(h *house) {
		h.mustSend()
		before := len(h.p.Commands(""))
		time.Sleep(24 * time.Hour)
		after := h.p.Commands("")[before:]
		for _, c := range after {
			if c.Verb != "QUIT" {
				t.Errorf("%s %s", c.Proto, c.Line)
			}
		}
		if s := h.p.Stats(); s.SMTPOpen+s.POPOpen != 0 {
			t.Errorf("still open: %+v", s)
		}
		if h.r.Status("home").RelayOpenUntil != nil {
			t.Error("the window is still open")
		}
	})
}

// Each way in which providers do it works, first in a row of refusals, then from
// what was learned: without one.
func TestProviders(t *testing.T) {
	t.Parallel()
	for _, check := range []lab.Check{lab.CheckConnect, lab.CheckRcpt, lab.CheckMail, lab.CheckData, lab.CheckBanner} {
		for name, rule := range map[string]lab.PBS{
			"login":      {},
			"stat":       {OpensAt: lab.OpensAtStat},
			"list":       {OpensAt: lab.OpensAtList},
			"quit":       {OpensAt: lab.OpensAtQuit},
			"hold":       {Hold: true},
			"settle":     {Settle: 1500 * time.Millisecond},
			"settle, 3s": {Settle: 3 * time.Second},
		} {
			for _, method := range []upstream.AuthMethod{upstream.AuthAuto, upstream.AuthPOPBeforeSMTP} {
				t.Run(fmt.Sprintf("check %d/%s/%s", check, name, method), func(t *testing.T) {
					o := pbs(rule)
					o.Rules.Check = check
					in(t, o, func(h *house) {
						h.a.Auth = method
						res := h.mustSend()
						if res.Auth != popMethod {
							t.Errorf("carried by %q", res.Auth)
						}
						if n := h.p.Stats().POPLogins; n < 1 || n > 2 {
							t.Errorf("%d logins", n)
						}
						learnedAfter(h)
					})
				})
			}
		}
	}
}

// learnedAfter lets the window pass and sends twice: the second time nothing is
// refused any more.
func learnedAfter(h *house) {
	h.t.Helper()
	for range 2 {
		time.Sleep(20 * time.Minute)
		h.mustSend()
	}
	time.Sleep(20 * time.Minute)
	refused, logins := h.p.Stats().Refused, h.p.Stats().POPLogins
	h.mustSend()
	if s := h.p.Stats(); s.Refused != refused || s.POPLogins != logins+1 {
		h.t.Errorf("with what was learned: %d refusals, %d logins", s.Refused-refused, s.POPLogins-logins)
	}
}

// A provider that is stricter than configured is found out by a refusal, once.
func TestShorterWindowIsLearned(t *testing.T) {
	in(t, pbs(lab.PBS{Window: 4 * time.Minute}), func(h *house) {
		h.a.PopBeforeSMTP.Window = 15 * time.Minute
		h.mustSend()
		time.Sleep(8 * time.Minute)
		h.mustSend() // refused, then carried
		refused := h.p.Stats().Refused
		if refused == 0 {
			t.Fatal("nothing was refused")
		}
		for range 10 {
			time.Sleep(190 * time.Second)
			h.mustSend()
		}
		if got := h.p.Stats().Refused; got != refused {
			t.Errorf("%d more refusals", got-refused)
		}
	})
}

// A login that does not help costs two logins and three seconds once; then, for
// ten minutes, each message has one try.
func TestLoginThatDoesNotHelp(t *testing.T) {
	o := pbs(lab.PBS{})
	o.Rules = lab.Rules{Nets: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
	o.Words = map[lab.Word]string{lab.WordRelayAddress: "554 5.7.1 <{to}>: Relay access denied"}
	in(t, o, func(h *house) {
		h.a.Auth = upstream.AuthPOPBeforeSMTP
		start := time.Now()
		res := h.send()
		if res.Err == nil || res.Err.Reply.Code != 554 || res.Err.Kind() != upstream.KindPerson || res.Recipients[0].Err == nil {
			t.Fatalf("%+v", res.Err)
		}
		if d := time.Since(start); d < 3*time.Second || d > 8*time.Second {
			t.Errorf("took %v", d)
		}
		h.logins(2)
		if s := h.r.Status("home"); s.State != StateAttention || s.LastError == nil {
			t.Errorf("%+v", s)
		}
		before := h.p.Stats()
		for range 5 {
			start := time.Now()
			if h.send().Err == nil || time.Since(start) > time.Second {
				t.Errorf("after %v", time.Since(start))
			}
		}
		if s := h.p.Stats(); s.POPLogins != before.POPLogins || s.Mails != before.Mails+5 {
			t.Errorf("%d logins, %d tries", s.POPLogins-before.POPLogins, s.Mails-before.Mails)
		}
		time.Sleep(11 * time.Minute) // the memory and the window are over
		h.send()
		if got := h.p.Stats().POPLogins - before.POPLogins; got != 2 {
			t.Errorf("%d logins after ten minutes", got)
		}
		// Mail to the provider's own domain may still go, and mends the state.
		h.mustSend("jiro@provider-a.example")
		if s := h.r.Status("home"); s.State != StateReady || s.LastError != nil {
			t.Errorf("%+v", s)
		}
	})
}

// A refusal that names the address gets a login, but no waits.
func TestNamedAddressGetsNoWaits(t *testing.T) {
	o := pbs(lab.PBS{})
	o.Rules = lab.Rules{Nets: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
	o.Words = map[lab.Word]string{lab.WordRelayAddress: "554 5.7.1 <{to}>: Relay access denied for {ip}"}
	in(t, o, func(h *house) {
		start := time.Now()
		if res := h.send(); res.Err == nil {
			t.Fatal("sent")
		}
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("took %v", d)
		}
		h.logins(1)
	})
}

// A mailbox that another program has open, and rationed logins, are waits.
func TestPOPWaits(t *testing.T) {
	o := pbs(lab.PBS{Window: time.Minute})
	o.POP.LoginDelay = 5 * time.Minute
	in(t, o, func(h *house) {
		unlock := h.p.LockMailbox("taro")
		res := h.send()
		if res.Err == nil || res.Err.Class != upstream.ClassPOPMailboxInUse || res.Err.Kind() != upstream.KindTemporary {
			t.Fatalf("%+v", res.Err)
		}
		unlock()
		h.mustSend()
		time.Sleep(2 * time.Minute)
		for range 5 {
			res = h.send()
			if res.Err == nil || res.Err.Class != upstream.ClassPOPLoginDelay || res.Err.Kind() != upstream.KindTemporary {
				t.Fatalf("%+v", res.Err)
			}
		}
		if n := h.p.Stats().POPFailures; n != 2 {
			t.Errorf("%d failed logins: rationed ones are not to be hammered", n)
		}
		time.Sleep(5 * time.Minute)
		h.mustSend()
	})
}

// A refused POP password is tried once, by however many messages; then only a
// live message may, once in five minutes, and anybody after Clear.
func TestWrongPOPPassword(t *testing.T) {
	in(t, pbs(lab.PBS{}), func(h *house) {
		h.p.SetPassword("taro", "another")
		tries := func(want int) {
			t.Helper()
			if n := h.p.Stats().POPFailures; n != want {
				t.Errorf("%d tries, want %d", n, want)
			}
		}
		refused := func(live bool) {
			t.Helper()
			x := h.r.Begin(context.Background(), []upstream.Account{h.a}, env(), BeginOptions{Live: live})
			v := x.Rcpt(env().Recipients[0])
			x.Data(letter)
			e := x.Result().Err
			if e == nil || e.Class != upstream.ClassPOPCredentialsRejected || e.Kind() != upstream.KindPerson || v.Result().Err == nil || len(e.Reply.Lines) == 0 {
				t.Errorf("%+v", e)
			}
		}
		refused(false)
		tries(1)
		for range 20 {
			refused(false)
			refused(true)
		}
		tries(1)
		if s := h.r.Status("home"); s.State != StateAttention || s.LastError.Class != upstream.ClassPOPCredentialsRejected {
			t.Errorf("%+v", s)
		}
		time.Sleep(liveEvery)
		refused(false)
		tries(1)
		refused(true)
		refused(true)
		tries(2)
		h.p.SetPassword("taro", lab.DefaultUser.Password)
		refused(false)
		h.r.Clear("home")
		h.mustSend()
		if s := h.r.Status("home"); s.State != StateReady || s.LastError != nil {
			t.Errorf("%+v", s)
		}
	})
}

// A refused password counts also when nobody waits for the login any more.
func TestWrongPOPPasswordAlone(t *testing.T) {
	o := pbs(lab.PBS{})
	o.Faults = []lab.Fault{{Phase: upstream.PhasePOPPass, Kind: lab.Stall}}
	in(t, o, func(h *house) {
		h.pass.Store("wrong")
		x := h.live()
		time.Sleep(10 * time.Second)
		x.Cancel()
		<-x.done
		h.p.Release()
		time.Sleep(time.Second)
		if res := h.send(); res.Err == nil || res.Err.Class != upstream.ClassPOPCredentialsRejected || h.p.Stats().POPFailures != 1 {
			t.Errorf("%+v, %d tries", res.Err, h.p.Stats().POPFailures)
		}
	})
}
