package lab

import (
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPOP is one session with every command.
func TestPOP(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{POP: POP{Messages: 5000}})
	c := popTo(t, p)
	c.cmd("STAT", "-ERR")
	c.cmd("CAPA", "+OK")
	caps := c.lines()
	for _, k := range []string{"TOP", "UIDL", "USER", "PIPELINING", "RESP-CODES", "STLS", "SASL PLAIN LOGIN"} {
		if !slices.Contains(caps, k) {
			t.Errorf("no %s in %q", k, caps)
		}
	}
	c.starttls(p, "STLS", "+OK")
	c.cmd("STLS", "-ERR")
	c.cmd("PASS x", "-ERR")
	c.cmd("USER taro", "+OK")
	c.cmd("PASS wrong", "-ERR [AUTH]")
	c.cmd("USER taro", "+OK")
	c.cmd("PASS "+DefaultUser.Password, "+OK")
	c.cmd("NOOP", "+OK")
	c.cmd("STAT", "+OK 5000 ")
	c.cmd("LIST", "+OK")
	if n := len(c.lines()); n != 5000 {
		t.Errorf("%d listed", n)
	}
	c.cmd("LIST 7", "+OK 7 ")
	c.cmd("UIDL 7", "+OK 7 lab-00000007")
	c.cmd("RETR 7", "+OK")
	if ls := c.lines(); ls[len(ls)-1] != "This is message 7." {
		t.Errorf("%q", ls)
	}
	c.cmd("TOP 7 0", "+OK")
	c.lines()
	c.cmd("DELE 7", "+OK")
	c.cmd("RETR 7", "-ERR")
	c.cmd("RSET", "+OK")
	c.cmd("LIST 7", "+OK")
	c.cmd("LIST 5001", "-ERR")
	c.cmd("XYZZY", "-ERR")
	c.cmd("QUIT", "+OK")
	c.wantEnd()
	if s := p.Stats(); s.POPLogins != 1 || s.POPFailures != 1 {
		t.Errorf("%+v", s)
	}
	if n := p.Count(POPProto, "RETR", "TOP", "DELE"); n != 4 {
		t.Errorf("%d fetched or deleted", n)
	}
}

// TestPOPLogins logs in by each way.
func TestPOPLogins(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{POP: POP{APOP: true}, SMTP: SMTP{Mechanisms: []string{"PLAIN", "CRAM-MD5"}}})
	c := dial(t, p.POPAddr())
	greeting := strings.TrimSpace(c.want("+OK"))
	stamp := greeting[strings.IndexByte(greeting, '<'):]
	sum := md5.Sum([]byte(stamp + DefaultUser.Password))
	c.cmd("APOP taro 00", "-ERR [AUTH]")
	c.cmd("APOP taro "+hex.EncodeToString(sum[:]), "+OK")
	c = popTo(t, p)
	c.cmd("AUTH", "+OK")
	if ls := c.lines(); !slices.Equal(ls, []string{"PLAIN", "CRAM-MD5"}) {
		t.Errorf("%q", ls)
	}
	c.cmd("AUTH PLAIN "+b64("\x00taro\x00no"), "-ERR [AUTH]")
	c.cmd("AUTH NTLM", "-ERR")
	c.cmd("AUTH PLAIN "+b64("\x00taro\x00"+DefaultUser.Password), "+OK")
	c = popTo(t, p)
	c.cmd("AUTH PLAIN", "+ ")
	c.cmd("*", "-ERR")
	c.cmd("AUTH PLAIN", "+ ")
	c.cmd(b64("\x00taro\x00"+DefaultUser.Password), "+OK")
	c = dial(t, p.POPSAddr())
	c.tls(p)
	c.want("+OK")
	c.cmd("USER taro", "+OK")
	c.cmd("PASS "+DefaultUser.Password, "+OK")
	if s := p.Stats(); s.POPLogins != 4 || s.POPFailures != 2 {
		t.Errorf("%+v", s)
	}
}

// TestPOPRefusals tries what else a login can be told.
func TestPOPRefusals(t *testing.T) {
	t.Parallel()
	clk := newClock()
	p := Run(t, Options{Now: clk.Now, POP: POP{Exclusive: true}})
	try := func(want string) {
		t.Helper()
		c := popTo(t, p)
		c.cmd("USER taro", "+OK")
		c.cmd("PASS "+DefaultUser.Password, want)
		c.nc.Close()
		p.WaitFor(within(t), func(s Stats) bool { return s.POPOpen <= 1 })
	}
	first := popLogin(t, p, "")
	try("-ERR [IN-USE]")
	first.nc.Close()
	p.WaitIdle(within(t))
	unlock := p.LockMailbox("taro")
	try("-ERR [IN-USE]")
	unlock()
	try("+OK")
	p.WaitIdle(within(t))
	p.SetPOP(POP{LoginDelay: time.Minute})
	try("-ERR [LOGIN-DELAY]")
	clk.add(time.Minute)
	try("+OK")
	p.SetPOP(POP{RequireTLS: true})
	c := popTo(t, p)
	c.cmd("USER taro", "-ERR Use STLS")
	c.cmd("AUTH PLAIN x", "-ERR Use STLS")
	p.SetPOP(POP{})
	p.SetRules(Rules{Limits: Limits{AuthFailures: 1}})
	p.SetPassword("taro", "new")
	try("-ERR [AUTH] Invalid")
	p.SetRules(Rules{Limits: Limits{AuthFailures: 1}})
	c = popTo(t, p)
	c.cmd("USER taro", "+OK")
	c.cmd("PASS new", "-ERR [AUTH] Account locked")
}

// TestPOPWithout leaves capabilities out.
func TestPOPWithout(t *testing.T) {
	t.Parallel()
	p := Run(t, Options{POP: POP{Without: []string{"CAPA", "STLS", "SASL", "UIDL"}}})
	c := popTo(t, p)
	c.cmd("CAPA", "-ERR")
	c.cmd("STLS", "-ERR")
	c.cmd("AUTH", "-ERR")
	c = popLogin(t, p, "")
	c.cmd("UIDL", "-ERR")
}
