package lab

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

const (
	own   = "taro@provider-a.example"
	other = "hanako@other.example"
)

// TestRelayRules tries to send from an address, a sender, to a recipient, under
// each way in alone and together.
func TestRelayRules(t *testing.T) {
	t.Parallel()
	net1 := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	pbs := PBS{Window: 10 * time.Minute}
	for _, tc := range []struct {
		name             string
		rules            Rules
		pop              string // logs in from here first
		from, sender, to string
		want             string
	}{
		{"auth alone", Rules{}, "", "127.0.0.1", own, other, "530"},
		{"local domain passes", Rules{}, "", "127.0.0.1", other, own, "250"},
		{"no local domain", Rules{Local: []string{}}, "", "127.0.0.1", other, own, "530"},
		{"open", Rules{Open: true}, "", "127.0.0.1", other, other, "250"},
		{"by address, inside", Rules{Nets: net1}, "", "127.0.0.1", other, other, "250"},
		{"by address, outside", Rules{Nets: net1}, "", "127.0.0.2", other, other, "550"},
		{"by address, outside, sometimes it works", Rules{Nets: net1}, "", "127.0.0.2", other, own, "250"},
		{"by sender's domain", Rules{Domains: []string{"provider-a.example"}}, "", "127.0.0.1", own, other, "250"},
		{"by recipient's domain", Rules{Domains: []string{"other.example"}, Local: []string{}}, "", "127.0.0.1", "x@y.example", other, "250"},
		{"by domain, neither", Rules{Domains: []string{"provider-a.example"}}, "", "127.0.0.1", "x@y.example", other, "553"},
		{"senders", Rules{Open: true, Senders: []string{"provider-a.example"}}, "", "127.0.0.1", other, own, "553"},
		{"senders, bounce", Rules{Open: true, Senders: []string{"provider-a.example"}}, "", "127.0.0.1", "", own, "250"},
		{"pop, none", Rules{PBS: pbs}, "", "127.0.0.1", own, other, "550"},
		{"pop", Rules{PBS: pbs}, "127.0.0.1", "127.0.0.1", own, other, "250"},
		{"pop from another address", Rules{PBS: pbs}, "127.0.0.2", "127.0.0.1", own, other, "550"},
		{"pop or address", Rules{PBS: pbs, Nets: net1}, "", "127.0.0.1", own, other, "250"},
		{"pop and domain, one", Rules{PBS: pbs, Domains: []string{"provider-a.example"}, All: true}, "127.0.0.1", "127.0.0.1", "x@y.example", other, "550"},
		{"pop and domain, both", Rules{PBS: pbs, Domains: []string{"provider-a.example"}, All: true}, "127.0.0.1", "127.0.0.1", own, other, "250"},
		{"at mail", Rules{PBS: pbs, Check: CheckMail}, "", "127.0.0.1", own, own, "550"},
		{"at mail, pop", Rules{PBS: pbs, Check: CheckMail}, "127.0.0.1", "127.0.0.1", own, other, "250"},
		{"at data", Rules{PBS: pbs, Check: CheckData}, "", "127.0.0.1", own, other, "550"},
		{"at data, pop", Rules{PBS: pbs, Check: CheckData}, "127.0.0.1", "127.0.0.1", own, other, "250"},
		{"banner", Rules{PBS: pbs, Check: CheckBanner}, "", "127.0.0.1", own, own, "554"},
		{"unknown", Rules{Unknown: []string{own}}, "", "127.0.0.1", other, own, "550"},
		{"greylist", Rules{Greylist: time.Minute}, "", "127.0.0.1", other, own, "450"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := Run(t, Options{Rules: tc.rules, Hosts: []string{"127.0.0.1"}})
			if tc.pop != "" {
				popLogin(t, p, tc.pop)
			}
			if got := tryRcpt(t, p, tc.from, tc.sender, tc.to); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// TestCheckMoment tells at which command each Check refuses.
func TestCheckMoment(t *testing.T) {
	t.Parallel()
	for check, want := range map[Check][4]string{
		CheckConnect: {"220", "250", "550", "554"},
		CheckRcpt:    {"220", "250", "550", "554"},
		CheckMail:    {"220", "550", "503", "503"},
		CheckData:    {"220", "250", "250", "550"},
	} {
		p := Run(t, Options{Rules: Rules{PBS: PBS{Window: time.Minute}, Check: check}})
		c := dial(t, p.SMTPAddr())
		c.want(want[0])
		c.cmd("EHLO x", "250")
		c.cmd("MAIL FROM:<"+own+">", want[1])
		c.cmd("RCPT TO:<"+other+">", want[2])
		c.cmd("DATA", want[3])
	}
}

// TestListReadAtConnect shows that a connection made before the login stays
// refused, and that one made after it passes.
func TestListReadAtConnect(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Rules: Rules{PBS: PBS{Window: time.Minute}, Check: CheckConnect}})
	c := smtpTo(t, p)
	popLogin(t, p, "")
	c.cmd("EHLO x", "250")
	c.cmd("MAIL FROM:<"+own+">", "250")
	c.cmd("RCPT TO:<"+other+">", "550 5.7.1")
	if got := tryRcpt(t, p, "", own, other); got != "250" {
		t.Errorf("after the login: %s", got)
	}
}

// TestWindow is the life of a window by the provider's own clock.
func TestWindow(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		pbs  PBS
		step func(c *client, p *Provider) // after the login
		wait time.Duration
		want string
	}{
		{"inside", PBS{}, nil, 10*time.Minute - time.Second, "250"},
		{"after", PBS{}, nil, 10 * time.Minute, "550"},
		{"not yet settled", PBS{Settle: 2 * time.Second}, nil, time.Second, "550"},
		{"settled", PBS{Settle: 2 * time.Second}, nil, 2 * time.Second, "250"},
		{"held", PBS{Hold: true}, nil, 0, "250"},
		{"not held", PBS{Hold: true}, func(c *client, p *Provider) { c.cmd("QUIT", "+OK"); c.wantEnd() }, 0, "550"},
		{"dropped", PBS{VoidOnDrop: true}, func(c *client, p *Provider) { c.nc.Close() }, 0, "550"},
		{"quit", PBS{VoidOnDrop: true}, func(c *client, p *Provider) { c.cmd("QUIT", "+OK"); c.wantEnd() }, 0, "250"},
		{"stat needed", PBS{OpensAt: OpensAtStat}, nil, 0, "550"},
		{"stat done", PBS{OpensAt: OpensAtStat}, func(c *client, p *Provider) { c.cmd("STAT", "+OK 3 ") }, 0, "250"},
		{"list needed", PBS{OpensAt: OpensAtList}, func(c *client, p *Provider) { c.cmd("STAT", "+OK 3 ") }, 0, "550"},
		{"list done", PBS{OpensAt: OpensAtList}, func(c *client, p *Provider) { c.cmd("LIST", "+OK"); c.lines() }, 0, "250"},
		{"quit needed", PBS{OpensAt: OpensAtQuit}, nil, 0, "550"},
		{"quit done", PBS{OpensAt: OpensAtQuit}, func(c *client, p *Provider) { c.cmd("QUIT", "+OK") }, 0, "250"},
		{"forgotten", PBS{}, func(c *client, p *Provider) { p.ForgetRelay() }, 0, "550"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			tc.pbs.Window = 10 * time.Minute
			p := Run(t, Options{Now: clk.Now, Rules: Rules{PBS: tc.pbs}, POP: POP{Messages: 3}})
			c := popLogin(t, p, "")
			if tc.step != nil {
				tc.step(c, p)
			}
			if strings.HasPrefix(tc.name, "dropped") || strings.HasPrefix(tc.name, "not held") {
				p.WaitIdle(within(t))
			}
			clk.add(tc.wait)
			if got := tryRcpt(t, p, "", own, other); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if open := p.RelayOpen(netip.MustParseAddr("127.0.0.1")); open != (tc.want == "250") {
				t.Errorf("RelayOpen says %v", open)
			}
		})
	}
}

// TestFamilies shows that POP3 over IPv4 opens nothing for SMTP over IPv6, and
// that one port serves both.
func TestFamilies(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Rules: Rules{PBS: PBS{Window: time.Minute}}})
	addrs := p.Addrs("smtp")
	if len(addrs) != 2 {
		t.Log("no IPv6 on this machine")
		return
	}
	if a, b := netip.MustParseAddrPort(addrs[0]), netip.MustParseAddrPort(addrs[1]); a.Port() != b.Port() {
		t.Errorf("ports differ: %v", addrs)
	}
	popLogin(t, p, "")
	c := dial(t, addrs[1])
	c.want("220")
	c.cmd("EHLO x", "250")
	c.cmd("MAIL FROM:<"+own+">", "250")
	c.cmd("RCPT TO:<"+other+">", "550")
}

// TestPublicAddress splits the routes of POP3 and SMTP, as a tunnel does.
func TestPublicAddress(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{Rules: Rules{PBS: PBS{Window: time.Minute}}})
	p.SetPublic(POPProto, netip.MustParseAddr("192.0.2.7"))
	popLogin(t, p, "")
	if got := tryRcpt(t, p, "", own, other); got != "550" {
		t.Errorf("split: %s", got)
	}
	p.SetPublic("", netip.MustParseAddr("192.0.2.7"))
	if got := tryRcpt(t, p, "", own, other); got != "250" {
		t.Errorf("together: %s", got)
	}
	p.SetPublic("", netip.Addr{})
	if got := tryRcpt(t, p, "", own, other); got != "550" {
		t.Errorf("the real address: %s", got)
	}
}

// TestGreylist lets the same triple in after the delay alone.
func TestGreylist(t *testing.T) {
	t.Parallel()
	clk := newClock()
	p := Run(t, Options{Now: clk.Now, Rules: Rules{Greylist: time.Minute}})
	for i, want := range []string{"450", "450", "250"} {
		if got := tryRcpt(t, p, "", other, own); got != want {
			t.Errorf("try %d: %s, want %s", i, got, want)
		}
		clk.add(30 * time.Second)
	}
	if got := tryRcpt(t, p, "", "x@y.example", own); got != "450" {
		t.Errorf("another sender: %s", got)
	}
}

// TestLimits tries each limit.
func TestLimits(t *testing.T) {
	t.Parallel()
	clk := newClock()
	start := func(l Limits) (*client, *Provider) {
		p := Run(t, Options{Now: clk.Now, Rules: Rules{Open: true, Limits: l}})
		c := smtpTo(t, p)
		c.cmd("EHLO x", "250")
		return c, p
	}
	c, p := start(Limits{PerConnection: 1})
	c.say(chunked)
	c.write(chunked.write) // what comes behind the 421 must not cost the 421
	c.want("421 4.7.0")
	c.wantEnd()
	if n := p.Stats().Messages; n != 1 {
		t.Errorf("%d messages", n)
	}
	c, _ = start(Limits{Recipients: 1})
	c.cmd("MAIL FROM:<"+own+">", "250")
	c.cmd("RCPT TO:<"+own+">", "250")
	c.cmd("RCPT TO:<"+other+">", "452 4.5.3")
	c, _ = start(Limits{Size: 10})
	c.cmd("MAIL FROM:<"+own+"> SIZE=11", "552 5.3.4")
	c.write(chunked.write)
	c.want("250")
	c.want("250")
	c.want("552 5.3.4")
	c, _ = start(Limits{Rate: 1})
	c.say(chunked)
	c.cmd("MAIL FROM:<"+own+">", "450 4.7.1")
	clk.add(time.Minute)
	c.say(chunked)
	_, p = start(Limits{Connections: 1})
	dial(t, p.SMTPAddr()).want("421 4.7.0")
}

// TestWords replaces the words of refusals.
func TestWords(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{
		Rules: Rules{PBS: PBS{Window: time.Minute}},
		Words: map[Word]string{WordRelay: "553-sorry\n553 <{from}> to <{to}> from {ip}: POP first (#5.7.1)"},
		SMTP:  SMTP{Without: []string{"ENHANCEDSTATUSCODES"}},
	})
	c := smtpTo(t, p)
	c.cmd("EHLO x", "250")
	c.cmd("MAIL FROM:<"+own+">", "250 Ok")
	want := fmt.Sprintf("553-sorry\r\n553 <%s> to <%s> from 127.0.0.1: POP first (#5.7.1)\r\n", own, other)
	if got := c.cmd("RCPT TO:<"+other+">", "553"); got != want {
		t.Errorf("got %q", got)
	}
}

// TestRulesChange shows that rules change under an open connection.
func TestRulesChange(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{})
	c := smtpTo(t, p)
	c.cmd("EHLO x", "250")
	c.cmd("MAIL FROM:<"+own+">", "250")
	c.cmd("RCPT TO:<"+other+">", "530")
	p.SetRules(Rules{Open: true})
	c.cmd("RCPT TO:<"+other+">", "250")
}
