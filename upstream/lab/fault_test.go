package lab

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// phaseTalk brings a connection up to a phase; the reply to the last command
// is left to the test. The second value is what a good reply begins with.
func phaseTalk(t *testing.T, p *Provider, phase upstream.Phase) (*client, string) {
	t.Helper()
	if phase.IsPOP() || strings.HasPrefix(string(phase), "pop-") {
		return popPhaseTalk(t, p, phase)
	}
	c := dial(t, p.SMTPAddr())
	steps := []struct {
		phase       upstream.Phase
		write, want string
	}{
		{upstream.PhaseConnect, "", "220"},
		{upstream.PhaseEHLO, "EHLO x\r\n", "250"},
		{upstream.PhaseAuth, plainIR.write, "235"},
		{PhaseNoop, "NOOP\r\n", "250"},
		{upstream.PhaseMail, "MAIL FROM:<" + own + ">\r\n", "250"},
		{upstream.PhaseRcpt, "RCPT TO:<" + own + ">\r\n", "250"},
		{upstream.PhaseData, "DATA\r\n", "354"},
		{upstream.PhaseDataEnd, theBody.write, "250"},
		{PhaseRset, "RSET\r\n", "250"},
		{PhaseQuit, "QUIT\r\n", "221"},
	}
	if phase == upstream.PhaseStartTLS {
		steps[2].phase, steps[2].write, steps[2].want = phase, "STARTTLS\r\n", "220"
	}
	for _, s := range steps {
		if s.write != "" {
			c.write(s.write)
		}
		if s.phase == phase {
			return c, s.want
		}
		c.want(s.want)
	}
	t.Fatalf("no phase %q", phase)
	return nil, ""
}

func popPhaseTalk(t *testing.T, p *Provider, phase upstream.Phase) (*client, string) {
	t.Helper()
	c := dial(t, p.POPAddr())
	for _, s := range []struct {
		phase upstream.Phase
		write string
	}{
		{upstream.PhasePOPGreeting, ""},
		{PhasePOPCapa, "CAPA\r\n"},
		{upstream.PhasePOPUser, "USER taro\r\n"},
		{upstream.PhasePOPPass, "PASS " + DefaultUser.Password + "\r\n"},
		{PhasePOPNoop, "NOOP\r\n"},
		{PhasePOPStat, "STAT\r\n"},
		{PhasePOPList, "LIST\r\n"},
		{PhasePOPQuit, "QUIT\r\n"},
	} {
		if phase == PhasePOPStls && s.phase == upstream.PhasePOPUser {
			s.phase, s.write = phase, "STLS\r\n"
		}
		if s.write != "" {
			c.write(s.write)
		}
		if s.phase == phase {
			return c, "+OK"
		}
		c.want("+OK")
		if s.phase == PhasePOPCapa || s.phase == PhasePOPList {
			c.lines()
		}
	}
	t.Fatalf("no phase %q", phase)
	return nil, ""
}

var faultPhases = []upstream.Phase{
	upstream.PhaseConnect, upstream.PhaseEHLO, upstream.PhaseStartTLS, upstream.PhaseAuth, upstream.PhaseMail,
	upstream.PhaseRcpt, upstream.PhaseData, upstream.PhaseDataEnd, PhaseRset, PhaseNoop, PhaseQuit,
	upstream.PhasePOPGreeting, upstream.PhasePOPUser, upstream.PhasePOPPass,
	PhasePOPCapa, PhasePOPStls, PhasePOPStat, PhasePOPList, PhasePOPNoop, PhasePOPQuit,
}

// rest reads what the provider sends, up to a bound.
func (c *client) rest(max int64) (string, error) {
	b, err := io.ReadAll(io.LimitReader(c.br, max))
	return string(b), err
}

// faultChecks tells what a client sees of each kind of fault; good is the
// beginning of the reply that it hoped for.
func faultChecks() map[Kind]func(t *testing.T, c *client, good string) {
	return map[Kind]func(t *testing.T, c *client, good string){
		Drop: func(t *testing.T, c *client, _ string) { c.wantEnd() },
		Reset: func(t *testing.T, c *client, _ string) {
			if s, err := c.rest(10); err == nil {
				t.Errorf("no reset, but %q", s)
			}
		},
		WrongReply: func(t *testing.T, c *client, _ string) { c.want("599 5.9.9 odd") },
		Early421: func(t *testing.T, c *client, good string) {
			if c.want(map[bool]string{true: "-ERR", false: "421"}[good == "+OK"]); good != "" {
				c.wantEnd()
			}
		},
		LostReply: func(t *testing.T, c *client, _ string) { c.wantEnd() },
		HalfReply: func(t *testing.T, c *client, _ string) {
			if s, _ := c.rest(1 << 20); s == "" || strings.HasSuffix(s, "\r\n250 AUTH PLAIN LOGIN\r\n") || strings.HasSuffix(s, ".\r\n") {
				t.Errorf("got %q", s)
			}
		},
		Garbage: func(t *testing.T, c *client, _ string) {
			if s := c.reply(); !strings.Contains(s, "garbage") {
				t.Errorf("got %q", s)
			}
		},
		EndlessLine: func(t *testing.T, c *client, _ string) {
			if s, _ := c.rest(1 << 20); len(s) < 1<<20 || strings.Contains(s, "\n") {
				t.Errorf("got %d octets", len(s))
			}
		},
		EndlessReply: func(t *testing.T, c *client, _ string) {
			if s, _ := c.rest(1 << 20); len(s) < 1<<20 || strings.Contains(s, "250 ") {
				t.Errorf("got %d octets", len(s))
			}
		},
		SlowBytes:  func(t *testing.T, c *client, good string) { c.want(good) },
		SplitReply: func(t *testing.T, c *client, good string) { c.want(good) },
		DropAfter:  func(t *testing.T, c *client, good string) { c.want(good); io.Copy(io.Discard, c.br) },
		Stall:      func(t *testing.T, c *client, good string) { c.nc.Close() },
	}
}

// TestFaults lets every fault strike at every phase, on the first attempt
// alone.
func TestFaults(t *testing.T) {
	t.Parallel()
	for kind, check := range faultChecks() {
		p := Run(t, Options{SMTP: SMTP{AuthPlaintext: true}, POP: POP{Messages: 2}})
		struck := 0
		for _, phase := range faultPhases {
			if kind == Reset && (phase == upstream.PhaseConnect || phase == upstream.PhasePOPGreeting) {
				continue // the connect itself may then fail
			}
			struck++
			f := Fault{Phase: phase, Attempt: 1, Kind: kind, Every: time.Microsecond}
			if kind == WrongReply {
				f.Text = "599 5.9.9 odd"
			}
			p.SetFaults(f)
			c, good := phaseTalk(t, p, phase)
			check(t, c, good)
			c.nc.Close()
			err := p.WaitFor(within(t), func(s Stats) bool { return s.Faults == struck && s.SMTPOpen+s.POPOpen == 0 })
			if err != nil {
				t.Fatalf("kind %d at %s: %v", kind, phase, err)
			}
			c, good = phaseTalk(t, p, phase)
			c.want(good)
			c.nc.Close()
		}
		if got := p.Stats().Faults; got != struck {
			t.Errorf("kind %d struck %d times, want %d", kind, got, struck)
		}
	}
}

// TestLostReplyIsAccepted shows that a lost last reply leaves the message
// accepted, and a drop within the body does not.
func TestLostReplyIsAccepted(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{SMTP: SMTP{AuthPlaintext: true}})
	p.SetFaults(Fault{Phase: upstream.PhaseDataEnd, Kind: LostReply})
	c, _ := phaseTalk(t, p, upstream.PhaseDataEnd)
	c.wantEnd()
	if n := len(p.Messages()); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
	p.SetFaults(Fault{Phase: upstream.PhaseData, Kind: Drop, After: 5})
	c, _ = phaseTalk(t, p, upstream.PhaseData)
	c.want("354")
	c.write(theBody.write)
	io.Copy(io.Discard, c.br)
	c = smtpTo(t, p)
	c.cmd("EHLO x", "250")
	c.write(chunked.write)
	c.want("250")
	c.want("250")
	io.Copy(io.Discard, c.br)
	if n := len(p.Messages()); n != 1 {
		t.Errorf("%d messages, want 1 still", n)
	}
}

// TestStall holds a reply back until Release, the body too, and ends with
// Close.
func TestStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := NewNet(0)
		p := Run(t, Options{Net: n})
		p.SetFaults(Fault{Phase: upstream.PhaseEHLO, Kind: Stall}, Fault{Phase: upstream.PhaseData, Kind: Stall, After: 3})
		nc, err := n.Dial(t.Context(), "tcp", p.SMTPAddr())
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, nc)
		c.want("220")
		release := func() {
			t.Helper()
			nc.SetReadDeadline(time.Now().Add(time.Hour))
			if _, err := c.br.Peek(1); !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
				t.Errorf("not stalled: %v", err)
			}
			nc.SetReadDeadline(time.Time{})
			p.Release()
		}
		c.write("EHLO x\r\n")
		release()
		c.want("250")
		c.write(envelope.write)
		for range envelope.replies {
			c.reply()
		}
		c.write(theBody.write)
		release()
		c.want("250")
		c.write("RSET\r\nEHLO y\r\n")
		c.want("250")
		var wg sync.WaitGroup
		wg.Go(func() { p.Close() })
		c.wantEnd()
		wg.Wait()
	})
}

// TestInject shows the forged replies around STARTTLS and STLS.
func TestInject(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Faults: []Fault{
		{Phase: upstream.PhaseEHLO, Attempt: 1, Kind: StripStartTLS},
		{Phase: PhasePOPCapa, Attempt: 1, Kind: StripStartTLS},
		{Phase: upstream.PhaseStartTLS, Kind: InjectStartTLS, Text: "250 forged"},
		{Phase: PhasePOPStls, Kind: InjectStartTLS, Text: "+OK forged"},
		{Phase: upstream.PhaseMail, Kind: ExtraReply, Text: "250 extra"},
		{Phase: PhaseTLS, Attempt: 3, Kind: PlainTLS},
		{Phase: PhaseTLS, Attempt: 4, Kind: Drop},
	}})
	c := smtpTo(t, p)
	if r := c.cmd("EHLO x", "250"); strings.Contains(r, "STARTTLS") {
		t.Errorf("not stripped: %q", r)
	}
	if r := c.cmd("EHLO x", "250"); !strings.Contains(r, "STARTTLS") {
		t.Errorf("stripped twice: %q", r)
	}
	c.cmd("MAIL FROM:<"+own+">", "250 2.1.0")
	c.want("250 extra")
	c.cmd("STARTTLS", "220")
	c.want("250 forged")
	c.tls(p)
	c.cmd("EHLO x", "250")
	pop := popTo(t, p)
	pop.cmd("CAPA", "+OK")
	if ls := strings.Join(pop.lines(), " "); strings.Contains(ls, "STLS") {
		t.Errorf("not stripped: %q", ls)
	}
	pop.cmd("STLS", "+OK")
	pop.want("+OK forged")
	pop.tls(p)
	pop.cmd("CAPA", "+OK")
	plain := dial(t, p.SMTPSAddr())
	plain.write("\x16\x03\x01")
	plain.want("220")
	dial(t, p.SMTPSAddr()).wantEnd()
}

// TestAuthStep breaks the middle of an AUTH exchange.
func TestAuthStep(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{SMTP: SMTP{AuthPlaintext: true}, Faults: []Fault{{Phase: PhaseAuthStep, Attempt: 2, Kind: Drop}}})
	c := smtpTo(t, p)
	c.cmd("EHLO x", "250")
	c.cmd("AUTH LOGIN", "334")
	c.cmd(b64("taro"), "334")
	c.write(b64("x") + "\r\n")
	c.wantEnd()
}

// TestByteAMinute reads a greeting that takes minutes, in no time.
func TestByteAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := NewNet(0)
		p := Run(t, Options{Net: n, SMTP: SMTP{GreetingText: "x"}, Faults: []Fault{{Phase: upstream.PhaseConnect, Kind: SlowBytes, Every: time.Minute}}})
		start := time.Now()
		nc, err := n.Dial(t.Context(), "tcp", p.SMTPAddr())
		if err != nil {
			t.Fatal(err)
		}
		newClient(t, nc).want("220 x")
		if took := time.Since(start); took != 6*time.Minute {
			t.Errorf("took %v", took)
		}
	})
}
