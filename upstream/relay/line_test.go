package relay

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"melon/upstream"
	"melon/upstream/lab"
)

// Round trips until the provider's 250, on a virtual clock: exact.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	plainPBS := pbs(lab.PBS{})
	without := func(o lab.Options, words ...string) lab.Options {
		o.SMTP.Without = append(slices.Clone(o.SMTP.Without), words...)
		return o
	}
	for _, r := range []struct {
		name        string
		o           lab.Options
		implicit    bool
		first, warm int
	}{
		{"TLS, AUTH PLAIN, CHUNKING", lab.Options{}, true, 6, 1},
		{"TLS, AUTH PLAIN, DATA", without(lab.Options{}, "CHUNKING"), true, 7, 2},
		{"STARTTLS, AUTH PLAIN, CHUNKING", lab.Options{}, false, 8, 1},
		{"STARTTLS, AUTH PLAIN, DATA", without(lab.Options{}, "CHUNKING"), false, 9, 2},
		{"plain POP before SMTP, CHUNKING", plainPBS, false, 5, 1},
		{"plain POP before SMTP, DATA", without(plainPBS, "CHUNKING"), false, 6, 2},
		{"lockstep, DATA", without(plainPBS, "CHUNKING", "PIPELINING"), false, 8, 4},
	} {
		t.Run(r.name, func(t *testing.T) {
			in(t, r.o, func(h *house) {
				if r.implicit {
					h.a.SMTP = h.p.Server("smtps")
				}
				trips := func() int {
					start := time.Now()
					h.mustSend()
					return int((time.Since(start) + rtt/2) / rtt)
				}
				if got := trips(); got != r.first {
					t.Errorf("first: %d round trips, want %d", got, r.first)
				}
				if got := trips(); got != r.warm {
					t.Errorf("warm: %d round trips, want %d", got, r.warm)
				}
				if !strings.Contains(r.name, "lockstep") {
					h.fresh()
					if got := trips(); got != r.first {
						t.Errorf("again: %d round trips, want %d", got, r.first)
					}
				}
			})
		})
	}
}

// Ten recipients cost one round trip more when they come together, one each when
// the app waits for each verdict.
func TestRoundTripsOfManyRecipients(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		h.mustSend()
		var to []string
		for i := range 10 {
			to = append(to, fmt.Sprintf("r%d@elsewhere.example", i))
		}
		start := time.Now()
		h.mustSend(to...)
		if got := time.Since(start); got != 2*rtt {
			t.Errorf("together: %v", got)
		}
		start = time.Now()
		x := h.r.Begin(context.Background(), []upstream.Account{h.a}, env(), BeginOptions{Live: true})
		for i, rc := range env(to...).Recipients {
			v := x.Rcpt(rc)
			if i > 0 { // the first is answered at once
				<-v.Done()
			}
		}
		x.Data(letter)
		if res := x.Result(); res.Err != nil || time.Since(start) != 10*rtt {
			t.Errorf("one by one: %v, %v", time.Since(start), res.Err)
		}
	})
}

// A hundred messages in a row: one connection, one login, one round trip each.
func TestHundredMessages(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		h.mustSend()
		start := time.Now()
		for range 100 {
			h.mustSend()
		}
		if s := h.p.Stats(); s.SMTPConns != 1 || s.Auths != 1 || time.Since(start) != 100*rtt {
			t.Errorf("%+v, %v", s, time.Since(start))
		}
	})
}

// A warm connection that died is replaced before anybody notices, and the
// message arrives once.
func TestDeadWarmConnection(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		for i, kill := range []func(){
			func() { h.p.Drop(lab.SMTPProto) },
			func() { h.p.Drop(lab.SMTPProto); time.Sleep(time.Minute) },
			func() { // the line is dead, and the server's end has not said so
				time.Sleep(time.Minute)
				h.p.SetFaults(lab.Fault{Phase: upstream.PhaseMail, Attempt: 1, Kind: lab.Stall})
			},
			func() {
				time.Sleep(time.Minute)
				h.p.SetFaults(lab.Fault{Phase: upstream.PhaseRcpt, Attempt: 1, Kind: lab.Drop})
			},
			func() {
				h.p.SetFaults(lab.Fault{Phase: upstream.PhaseMail, Attempt: 1, Kind: lab.Early421})
			},
		} {
			h.mustSend()
			kill()
			before, start := h.p.Stats(), time.Now()
			h.mustSend()
			if s := h.p.Stats(); s.Messages != before.Messages+1 || s.SMTPConns != before.SMTPConns+1 || time.Since(start) > deadAfter+time.Second {
				t.Errorf("%d: %d messages, %d connections more", i, s.Messages-before.Messages, s.SMTPConns-before.SMTPConns)
			}
			h.p.SetFaults()
		}
	})
}

// A connection that dies while the app is slow to name a recipient is replaced
// when it does.
func TestSlowApp(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		for _, conn := range []string{"new", "warm"} {
			conns := h.p.Stats().SMTPConns
			x := h.live()
			time.Sleep(time.Minute)
			h.p.Drop(lab.SMTPProto)
			time.Sleep(time.Hour)
			if n := h.p.Stats().SMTPConns; n > conns+1 {
				t.Errorf("%s: %d connections for nobody", conn, n-conns)
			}
			v := x.Rcpt(env().Recipients[0])
			x.Data(letter)
			if res := x.Result(); res.Err != nil || v.Result().Err != nil {
				t.Errorf("%s: %+v", conn, res.Err)
			}
		}
	})
}

// What the server allows on one connection is learned from its 421.
func TestMessagesPerConnection(t *testing.T) {
	o := lab.Options{}
	o.Rules.Auth, o.Rules.Limits.PerConnection = true, 3
	in(t, o, func(h *house) {
		for range 12 {
			h.mustSend()
		}
		s := h.p.Stats()
		if s.SMTPConns != 4 || s.Refused != 1 {
			t.Errorf("%d connections, %d refusals", s.SMTPConns, s.Refused)
		}
	})
}

// A provider's limit on connections is found out and kept to: all the messages go,
// over as many connections as it allows.
func TestConnectionLimit(t *testing.T) {
	o := lab.Options{}
	o.Rules.Auth, o.Rules.Limits.Connections = true, 3
	in(t, o, func(h *house) {
		h.many(20)
		if s := h.p.Stats(); s.Messages != 20 || s.SMTPOpen > 3 {
			t.Errorf("%+v", s)
		}
		refused := h.p.Stats().Refused
		if refused > 20 {
			t.Errorf("%d refusals", refused)
		}
		h.many(20)
		if n := h.p.Stats().Refused; n != refused {
			t.Errorf("%d more refusals", n-refused)
		}
	})
}

// A change of network and sleep close warm connections; idleness quits them.
func TestWarmConnectionsEnd(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		for _, end := range []func(){h.r.NetworkChanged, h.r.Resumed, func() { time.Sleep(keepWarm + time.Second) }} {
			h.mustSend()
			end()
			time.Sleep(time.Second)
			if n := h.p.Stats().SMTPOpen; n != 0 {
				t.Errorf("%d connections are open", n)
			}
		}
		h.mustSend()
		h.iface.Store("eth0") // unannounced
		conns := h.p.Stats().SMTPConns
		h.mustSend()
		if h.p.Stats().SMTPConns != conns+1 {
			t.Error("a connection of another network was used")
		}
		h.many(20)
		time.Sleep(10 * time.Second)
		if n := h.p.Stats().SMTPOpen; n > maxWarm {
			t.Errorf("%d connections are kept", n)
		}
	})
}

// A server that breaks when commands are sent ahead is sent to in lockstep,
// found out at once or by one message of unknown outcome, and remembered.
func TestPunishedPipelining(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		name   string
		punish lab.Punish
	}{{"drop", lab.PunishDrop}, {"discard", lab.PunishDiscard}, {"wrong", lab.PunishWrong}} {
		for _, chunking := range []bool{true, false} {
			t.Run(fmt.Sprint(r.name, chunking), func(t *testing.T) {
				o := lab.Options{SMTP: lab.SMTP{Pipelined: r.punish}}
				if !chunking {
					o.SMTP.Without = []string{"CHUNKING"}
				}
				in(t, o, func(h *house) {
					res := h.send()
					if res.Err != nil && !res.Err.Ambiguous {
						t.Fatalf("%+v", res.Err)
					}
					if res.Err != nil {
						h.mustSend()
					}
					if n := h.p.Stats().Messages; n != 1 {
						t.Errorf("%d messages", n)
					}
					h.fresh()
					start := time.Now()
					h.mustSend()
					if time.Since(start) > 3*time.Second {
						t.Errorf("took %v with what was learned", time.Since(start))
					}
				})
			})
		}
	}
}

// A server that offers BDAT and does not know it gets DATA, from then on too.
func TestRefusedChunking(t *testing.T) {
	in(t, lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseDataEnd, Kind: lab.WrongReply, Text: "502 5.5.1 Command not implemented", Attempt: 1}}}, func(h *house) {
		h.mustSend()
		h.fresh()
		h.mustSend()
		ms := h.p.Messages()
		if len(ms) != 2 || ms[0].Chunked || ms[1].Chunked || h.p.Count(lab.SMTPProto, "BDAT") != 1 {
			t.Errorf("%d messages, %d BDATs", len(ms), h.p.Count(lab.SMTPProto, "BDAT"))
		}
	})
}

// The ladder: the ports start 300 ms apart, the first that works carries, and is
// the first next time on this network; it is forgotten when it stops working.
func TestPortLadder(t *testing.T) {
	in(t, lab.Options{Hosts: []string{"127.0.0.9"}}, func(h *house) {
		// On this address there is 2525 alone, and 25 is somebody else's.
		h.a.SMTP = upstream.Server{Host: "127.0.0.1", Security: upstream.SecurityAuto}
		h.a.POP = upstream.POPServer{}
		if _, err := h.p.Listen("smtp", "127.0.0.1:2525"); err != nil {
			t.Fatal(err)
		}
		l, err := h.net.Listen("127.0.0.1:25")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n")
				c.Close()
			}
		}()
		defer func() { l.Close(); <-done }()
		if res := h.mustSend(); res.Host != "127.0.0.1:2525" {
			t.Errorf("sent by %s", res.Host)
		}
		dials := len(h.net.Dials())
		h.fresh()
		h.mustSend()
		if got := h.net.Dials()[dials:]; len(got) != 1 || got[0] != "127.0.0.1:2525" {
			t.Errorf("dialled %v", got)
		}
		h.iface.Store("eth0") // unknown here
		h.mustSend()
		if got := h.net.Dials()[dials:]; len(got) < 4 {
			t.Errorf("dialled %v on another network", got)
		}
	})
}

// A blocked port takes 300 ms, not a time-out.
func TestBlockedPort(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		h.a.SMTP = upstream.Server{Host: "127.0.0.1", Security: upstream.SecurityAuto}
		h.p.SetFaults(lab.Fault{Phase: lab.PhaseTLS, Kind: lab.Stall, Proto: lab.SMTPProto, Attempt: 1})
		start := time.Now()
		if res := h.mustSend(); res.Host != "127.0.0.1:587" || time.Since(start) != portDelay+8*rtt {
			t.Errorf("%s after %v", res.Host, time.Since(start))
		}
	})
}
