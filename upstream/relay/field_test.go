package relay

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/lab"
)

// TestField has one row for each rule that a real provider was met with, named
// after it. The windows are the providers' own; what the account says of them
// is what the person would have been told.
func TestField(t *testing.T) {
	t.Parallel()
	elsewhere := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	for name, row := range map[string]struct {
		o  lab.Options
		do func(t *testing.T, h *house)
	}{
		"So-net, a POP login from other networks, 10 minutes": {pbs(lab.PBS{Window: 10 * time.Minute}), opensFor(10 * time.Minute)},
		"Yahoo free mail, 5 minutes":                          {pbs(lab.PBS{Window: 5 * time.Minute}), opensFor(5 * time.Minute)},
		"DION, 15 minutes":                                    {pbs(lab.PBS{Window: 15 * time.Minute, VoidOnDrop: true}), opensFor(15 * time.Minute)},
		"a hotel's rule of thumb, 15 minutes":                 {pbs(lab.PBS{Window: 15 * time.Minute}), opensFor(15 * time.Minute)},
		"DTI, POP from outside allowed":                       {pbs(lab.PBS{}), opensFor(10 * time.Minute)},
		"IIJ4U and plala, POP first when away": {pbs(lab.PBS{}), func(t *testing.T, h *house) {
			h.a.Auth = upstream.AuthPOPBeforeSMTP
			h.mustSend()
			if s := h.p.Stats(); s.Refused != 0 || s.POPLogins != 1 {
				t.Errorf("%d refusals, %d logins", s.Refused, s.POPLogins)
			}
		}},
		"A provider, 10 minutes, whose rule hid behind polling": {pbs(lab.PBS{}), func(t *testing.T, h *house) {
			h.mustSend()
			time.Sleep(12 * time.Hour)
			h.logins(1) // nothing polls
			h.mustSend()
			h.logins(2)
		}},
		"DION, void when the line drops": {pbs(lab.PBS{Window: 15 * time.Minute, VoidOnDrop: true}), func(t *testing.T, h *house) {
			h.mustSend()
			h.p.ForgetRelay()
			h.r.NetworkChanged()
			h.mustSend()
			h.logins(2)
		}},
		"ODN, ASAHI-net, DreamNet and Tokai, no relay from other networks at all": {
			lab.Options{Rules: lab.Rules{Nets: elsewhere}, SMTP: lab.SMTP{Without: []string{"AUTH"}}},
			func(t *testing.T, h *house) {
				res := h.send()
				if res.Err == nil || res.Err.Class != upstream.ClassRelayDeniedIP || res.Err.Kind() != upstream.KindPerson {
					t.Fatalf("%+v", res.Err)
				}
				h.mustSend("neighbour@provider-a.example") // sometimes it works
			},
		},
		"Internet Jah, no foreign sender to a foreign recipient": {
			lab.Options{Rules: lab.Rules{Domains: []string{"provider-a.example"}}, SMTP: lab.SMTP{Without: []string{"AUTH"}}},
			func(t *testing.T, h *house) {
				foreign := env()
				foreign.From = "taro@elsewhere.example"
				res := h.r.Send(context.Background(), []upstream.Account{h.a}, foreign, letter)
				if res.Err == nil || res.Err.Kind() != upstream.KindPerson {
					t.Fatalf("%+v", res.Err)
				}
				h.mustSend()
				h.a.EnvelopeFromAccount = true
				if res = h.r.Send(context.Background(), []upstream.Account{h.a}, foreign, letter); res.Err != nil {
					t.Fatalf("with envelope_from: account: %v", res.Err)
				}
			},
		},
		"at-m, only from or to its own domain": {
			lab.Options{Rules: lab.Rules{Domains: []string{"provider-a.example"}}, SMTP: lab.SMTP{Without: []string{"AUTH"}}},
			func(t *testing.T, h *house) {
				toList := env("list@provider-a.example")
				toList.From = "taro@elsewhere.example"
				if res := h.r.Send(context.Background(), []upstream.Account{h.a}, toList, letter); res.Err != nil {
					t.Fatalf("to a list of the domain: %v", res.Err)
				}
				h.mustSend()
			},
		},
		"a full mailbox is never listed or fetched": {fullMailbox(), func(t *testing.T, h *house) {
			h.mustSend()
			if n := h.p.Count(lab.POPProto, "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE"); n != 0 {
				t.Errorf("%d commands that look at mail", n)
			}
		}},
		"a full mailbox is listed once where finish asks": {fullMailbox(), func(t *testing.T, h *house) {
			h.a.PopBeforeSMTP.Finish = "list"
			h.mustSend()
			if n := h.p.Count(lab.POPProto, "RETR", "TOP", "DELE"); n != 0 || h.p.Count(lab.POPProto, "LIST") != 1 {
				t.Errorf("LIST %d times, %d fetched", h.p.Count(lab.POPProto, "LIST"), n)
			}
		}},
		"a server that needs the POP session open": {pbs(lab.PBS{Hold: true}), func(t *testing.T, h *house) { h.mustSend() }},
		"a server that needs the listing done":     {pbs(lab.PBS{OpensAt: lab.OpensAtList}), func(t *testing.T, h *house) { h.mustSend() }},
		"several rules at once: POP login and own domain": {
			func() lab.Options {
				o := pbs(lab.PBS{})
				o.Rules.Domains, o.Rules.All = []string{"provider-a.example"}, true
				return o
			}(),
			func(t *testing.T, h *house) {
				foreign := env()
				foreign.From = "taro@elsewhere.example"
				h.a.EnvelopeFromAccount = true
				if res := h.r.Send(context.Background(), []upstream.Account{h.a}, foreign, letter); res.Err != nil {
					t.Fatal(res.Err)
				}
				h.logins(1)
			},
		},
		"SMTP AUTH, for apps that cannot": {lab.Options{}, func(t *testing.T, h *house) {
			if res := h.mustSend(); res.Auth != "plain" {
				t.Errorf("carried by %q", res.Auth)
			}
			h.logins(0)
		}},
		"port 25 blocked": {lab.Options{}, func(t *testing.T, h *house) {
			h.net.Block(25, true)
			h.a.SMTP.Port, h.a.SMTP.Security = 0, upstream.SecurityAuto
			h.mustSend()
		}},
		"no way out yet": {lab.Options{}, func(t *testing.T, h *house) {
			h.net.SetDown(true)
			res := h.send()
			if res.Err == nil || res.Err.Kind() != upstream.KindTemporary || res.Err.Class == upstream.ClassCredentialsRejected {
				t.Fatalf("%+v", res.Err)
			}
			h.net.SetDown(false)
			h.mustSend()
		}},
		"a mailbox locked by the app's own session": {pbs(lab.PBS{}), func(t *testing.T, h *house) {
			h.a.Auth = upstream.AuthPOPBeforeSMTP
			unlock := h.p.LockMailbox(lab.DefaultUser.Name)
			res := h.send()
			if res.Err == nil || res.Err.Kind() != upstream.KindTemporary || res.Err.Class != upstream.ClassPOPMailboxInUse {
				t.Fatalf("%+v", res.Err)
			}
			unlock()
			h.mustSend()
		}},
	} {
		t.Run(name, func(t *testing.T) { in(t, row.o, func(h *house) { h.t = t; row.do(t, h) }) })
	}
}

// opensFor proves a provider's window: one login serves until it ends, a little
// before that there is none, after it there is one.
func opensFor(w time.Duration) func(*testing.T, *house) {
	return func(t *testing.T, h *house) {
		h.a.PopBeforeSMTP.Window = w
		h.many(3)
		h.logins(1)
		time.Sleep(w - time.Minute)
		h.mustSend()
		h.logins(1)
		time.Sleep(time.Minute)
		h.mustSend()
		h.logins(2)
	}
}

// fullMailbox is a provider where a mailbox holds 5,000 messages.
func fullMailbox() lab.Options {
	o := pbs(lab.PBS{})
	o.POP.Messages = 5000
	return o
}

// TestFieldTownHall: port 25 leads to the town's own mail server, which knows
// nobody. The other ports lead to the provider.
func TestFieldTownHall(t *testing.T) {
	in(t, pbs(lab.PBS{Window: 5 * time.Minute}), func(h *house) {
		town, err := lab.Start(lab.Options{Net: h.net, Hosts: []string{"127.0.0.2"}, SMTP: lab.SMTP{Hostname: "mail.town.example", Without: []string{"AUTH", "STARTTLS"}},
			Rules: lab.Rules{Nets: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}})
		if err != nil {
			t.Fatal(err)
		}
		defer town.Close()
		if _, err := town.Listen("smtp", "127.0.0.1:25"); err != nil {
			t.Fatal(err)
		}
		h.a.SMTP.Port = 25
		if res := h.send(); res.Err == nil || res.Err.Class == upstream.ClassCredentialsRejected {
			t.Fatalf("by the town's server: %+v", res.Err)
		}
		h.a.SMTP.Port = 0
		h.mustSend()
		if n := len(town.Messages()); n != 0 {
			t.Errorf("the town's server got %d messages", n)
		}
	})
}

// TestFieldOneAddressFamily: the SMTP server has an IPv6 address, the POP server
// none. A login over IPv4 opens nothing for IPv6, so both go over IPv4.
func TestFieldOneAddressFamily(t *testing.T) {
	o := pbs(lab.PBS{})
	o.Hosts, o.POPHosts = []string{"127.0.0.1", "::1"}, []string{"127.0.0.1"}
	in(t, o, func(h *house) {
		four, six := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
		h.r.o.Dialer = &dial.Dialer{DialContext: h.net.DialContext, Resolver: lab.Resolver{
			"smtp.provider-a.example": {six, four}, "pop.provider-a.example": {four},
		}}
		h.a.SMTP.Host, h.a.POP.Host = "smtp.provider-a.example", "pop.provider-a.example"
		h.a.Auth = upstream.AuthPOPBeforeSMTP
		h.mustSend()
		if m := h.p.Messages(); len(m) != 1 || m[0].Client != four || h.p.Stats().Refused != 0 {
			t.Errorf("by %v, %d refusals", m[0].Client, h.p.Stats().Refused)
		}
	})
}
