package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
	"melon/upstream/lab"
)

// live begins a live transaction with the house's account.
func (h *house) live(accounts ...upstream.Account) *Transaction {
	return h.r.Begin(context.Background(), append([]upstream.Account{h.a}, accounts...), env(), BeginOptions{Live: true})
}

// Each recipient has its own verdict, in the provider's words; the message goes
// to those that were taken.
func TestVerdicts(t *testing.T) {
	o := lab.Options{}
	o.Rules.Auth, o.Rules.Unknown = true, []string{"nobody@provider-a.example"}
	in(t, o, func(h *house) {
		x := h.live()
		a := x.Rcpt(upstream.Recipient{Address: "hanako@elsewhere.example"})
		b := x.Rcpt(upstream.Recipient{Address: "nobody@provider-a.example"})
		if r := a.Result(); r.Err != nil || r.Reply.Code != 250 {
			t.Errorf("%+v", r)
		}
		if r := b.Result(); r.Err == nil || r.Err.Class != upstream.ClassRecipientUnknown || r.Err.Kind() != upstream.KindMessage {
			t.Errorf("%+v", r.Err)
		}
		select {
		case <-x.done:
			t.Fatal("over before the body")
		default:
		}
		x.Data(letter)
		res := x.Result()
		if res.Err != nil || res.Reply.Code != 250 || len(res.Recipients) != 2 || res.Recipients[0].Err != nil || res.Recipients[1].Err == nil {
			t.Errorf("%+v", res)
		}
		if ms := h.p.Messages(); len(ms) != 1 || string(ms[0].Data) != string(letter) || len(ms[0].Envelope.Recipients) != 1 {
			t.Errorf("%+v", ms)
		}
		if v := x.Rcpt(upstream.Recipient{Address: "late@elsewhere.example"}); v.Result().Err == nil {
			t.Error("a recipient after the end")
		}
		// A refused message is nobody's fault but its own.
		if s := h.r.Status("home"); s.State != StateReady {
			t.Errorf("%+v", s)
		}
	})
}

// While a PbS account's recipients are refused, nobody is told: all are sent
// again after the login.
func TestVerdictsWaitForTheLogin(t *testing.T) {
	in(t, pbs(lab.PBS{}), func(h *house) {
		h.a.Auth = upstream.AuthAuto
		x := h.live()
		a := x.Rcpt(upstream.Recipient{Address: "jiro@provider-a.example"}) // taken without a login
		b := x.Rcpt(upstream.Recipient{Address: "hanako@elsewhere.example"})
		if a.Result().Err != nil || b.Result().Err != nil {
			t.Errorf("%v, %v", a.Result().Err, b.Result().Err)
		}
		x.Data(letter)
		if res := x.Result(); res.Err != nil || res.Auth != popMethod {
			t.Errorf("%+v", res)
		}
		h.logins(1)
		if ms := h.p.Messages(); len(ms) != 1 || len(ms[0].Envelope.Recipients) != 2 {
			t.Errorf("%+v", ms)
		}
	})
}

// Cancel leaves the connection warm where it is clean, and sends nothing.
func TestCancel(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		x := h.live()
		x.Cancel() // while connecting
		if res := x.Result(); res.Err == nil || res.Err.Kind() != upstream.KindTemporary {
			t.Errorf("%+v", res.Err)
		}
		h.mustSend()
		conns := h.p.Stats().SMTPConns
		x = h.live()
		v := x.Rcpt(env().Recipients[0])
		<-v.Done()
		x.Cancel()
		x.Data(letter)
		if res := x.Result(); res.Err == nil {
			t.Error("sent")
		}
		h.mustSend()
		if n := h.p.Stats().SMTPConns; n != conns {
			t.Error("the connection was given up")
		}
		if n := h.p.Stats().Messages; n != 2 {
			t.Errorf("%d messages", n)
		}
		if s := h.r.Status("home"); s.State != StateReady || s.LastError != nil {
			t.Errorf("%+v", s)
		}
	})
}

// Cancel comes too late for a message whose last octet has left.
func TestCancelTooLate(t *testing.T) {
	t.Parallel()
	for _, without := range []string{"", "CHUNKING"} {
		t.Run(without, func(t *testing.T) {
			o := lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseDataEnd, Kind: lab.Stall}}}
			o.SMTP.Without = []string{without}
			in(t, o, func(h *house) {
				x := h.live()
				x.Rcpt(env().Recipients[0])
				x.Data(letter)
				time.Sleep(time.Minute)
				x.Cancel()
				time.Sleep(time.Minute)
				h.p.Release()
				if res := x.Result(); res.Err != nil || h.p.Stats().Messages != 1 {
					t.Errorf("%+v", res.Err)
				}
			})
		})
	}
}

// growing is a body that is written while it is read.
type growing struct {
	mu   sync.Mutex
	cond *sync.Cond
	data []byte
	end  error
}

func newGrowing() *growing {
	g := &growing{}
	g.cond = sync.NewCond(&g.mu)
	return g
}

func (g *growing) write(s string, end error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.data, g.end = append(g.data, s...), end
	g.cond.Broadcast()
}

func (g *growing) Size() (int64, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int64(len(g.data)), g.end == io.EOF
}

func (g *growing) Open() (io.ReadCloser, error) { return &growingReader{g: g}, nil }

type growingReader struct {
	g      *growing
	n      int
	closed bool
}

func (r *growingReader) Read(p []byte) (int, error) {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	for !r.closed && r.n == len(r.g.data) && r.g.end == nil {
		r.g.cond.Wait()
	}
	switch {
	case r.closed:
		return 0, os.ErrClosed
	case r.n == len(r.g.data):
		return 0, r.g.end
	}
	n := copy(p, r.g.data[r.n:])
	r.n += n
	return n, nil
}

func (r *growingReader) Close() error {
	r.g.mu.Lock()
	defer r.g.mu.Unlock()
	r.closed = true
	r.g.cond.Broadcast()
	return nil
}

// A body that grows while it is sent arrives whole; one that is cancelled or not
// completed never arrives, by either way; the next message goes.
func TestGrowingBody(t *testing.T) {
	t.Parallel()
	for _, without := range [][]string{nil, {"CHUNKING"}, {"PIPELINING"}, {"CHUNKING", "PIPELINING"}} {
		t.Run(strings.Join(without, "+"), func(t *testing.T) {
			in(t, lab.Options{SMTP: lab.SMTP{Without: without}}, func(h *house) {
				part := strings.Repeat(strings.Repeat(".x", 38)+"\r\n", 3000)
				for _, how := range []string{"whole", "cancelled", "aborted"} {
					before := h.p.Stats().Messages
					g := newGrowing()
					x := h.live()
					x.Rcpt(env().Recipients[0])
					x.Data(g)
					for range 5 {
						g.write(part, nil)
						time.Sleep(time.Second)
					}
					switch how {
					case "whole":
						g.write("end\r\n", io.EOF)
					case "cancelled":
						x.Cancel()
					case "aborted":
						g.write("en", upstream.ErrBodyAborted)
					}
					res := x.Result()
					got := h.p.Stats().Messages - before
					if want := map[string]int{"whole": 1}[how]; got != want || (res.Err == nil) != (want == 1) {
						t.Fatalf("%s: %d messages, %v", how, got, res.Err)
					}
					if res.Err != nil && (res.Err.Ambiguous || res.Err.Kind() != upstream.KindTemporary) {
						t.Errorf("%s: %+v", how, res.Err)
					}
					if how == "whole" {
						if ms := h.p.Messages(); string(ms[len(ms)-1].Data) != strings.Repeat(part, 5)+"end\r\n" {
							t.Error("it arrived otherwise")
						}
					}
				}
				h.mustSend()
			})
		})
	}
}

// The fallback carries what the account cannot: not reached, or refused to relay;
// never after a refused password, and never when the outcome is unknown.
func TestFallback(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		other := newHouse(t, lab.Options{Hosts: []string{"127.0.0.2"}, Users: []lab.User{{Name: "o", Password: lab.DefaultUser.Password, Address: "o@provider-b.example"}}}, h.net, Options{})
		defer other.close()
		spare := other.a
		spare.Name, spare.EnvelopeFromAccount = "spare", true
		h.r.o.Dialer = twoCAs(h, other)
		try := func(name string, carried bool) upstream.Result {
			t.Helper()
			x := h.live(spare)
			v := x.Rcpt(env().Recipients[0])
			x.Data(letter)
			res := x.Result()
			if carried != (res.Err == nil) || (v.Result().Err == nil) != carried && !res.Err.Ambiguous {
				t.Errorf("%s: %+v", name, res.Err)
			}
			if carried && (res.Account != "spare" || res.Host != spare.SMTP.Addr()) {
				t.Errorf("%s: carried by %s, %s", name, res.Account, res.Host)
			}
			return res
		}
		h.p.SetRules(lab.Rules{Nets: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
		h.a.Auth = upstream.AuthNone
		try("refused relay", true)
		ms := other.p.Messages()
		if len(ms) != 1 || ms[0].Envelope.From != "o@provider-b.example" {
			t.Errorf("%+v", ms)
		}
		good := h.a.SMTP
		h.a.SMTP.Port = 9
		try("not reached", true)
		h.a.SMTP = good
		h.a.Auth = upstream.AuthAuto
		h.p.SetRules(lab.Rules{Auth: true})
		h.p.SetFaults(lab.Fault{Phase: upstream.PhaseDataEnd, Attempt: 1, Kind: lab.LostReply})
		if res := try("unknown outcome", false); !res.Err.Ambiguous {
			t.Errorf("%+v", res.Err)
		}
		h.p.SetPassword("taro", "another")
		h.fresh()
		if res := try("refused password", false); res.Err.Class != upstream.ClassCredentialsRejected || res.Account != "home" {
			t.Errorf("%+v", res)
		}
	})
}

// Whatever goes wrong, wherever: a clear error in bounded time, of the right
// kind, and the next message goes out.
func TestFaults(t *testing.T) {
	t.Parallel()
	kinds := map[string]lab.Kind{
		"drop": lab.Drop, "reset": lab.Reset, "stall": lab.Stall, "421": lab.Early421, "lost reply": lab.LostReply, "half reply": lab.HalfReply,
		"garbage": lab.Garbage, "endless line": lab.EndlessLine, "endless reply": lab.EndlessReply, "slow": lab.SlowBytes,
		"drop after": lab.DropAfter, "split": lab.SplitReply, "extra": lab.ExtraReply,
	}
	phases := []upstream.Phase{
		upstream.PhaseConnect, lab.PhaseTLS, upstream.PhaseEHLO, upstream.PhaseStartTLS, upstream.PhaseAuth,
		upstream.PhaseMail, upstream.PhaseRcpt, upstream.PhaseData, upstream.PhaseDataEnd,
		upstream.PhasePOPGreeting, upstream.PhasePOPUser, upstream.PhasePOPPass,
	}
	for name, kind := range kinds {
		for _, phase := range phases {
			t.Run(fmt.Sprintf("%s at %s", name, phase), func(t *testing.T) {
				o := lab.Options{Rules: lab.Rules{Auth: true, PBS: lab.PBS{Window: 10 * time.Minute}, All: true}}
				if phase == upstream.PhaseData {
					o.SMTP.Without = []string{"CHUNKING"} // the fault strikes the DATA command
				}
				o.Faults = []lab.Fault{{Phase: phase, Attempt: 1, Kind: kind, Every: time.Minute}}
				in(t, o, func(h *house) {
					start := time.Now()
					res := h.send()
					if d := time.Since(start); d > 30*time.Minute {
						t.Errorf("took %v", d)
					}
					if e := res.Err; e != nil {
						if e.Kind() != upstream.KindTemporary || e.Class == "" || e.Account != "home" || !e.Phase.Valid() || e.Sentence == "" && e.Reply.IsZero() {
							t.Errorf("%+v", e)
						}
						if e.Ambiguous != (e.Phase == upstream.PhaseDataEnd && e.Reply.IsZero()) {
							t.Errorf("ambiguous %v in %s", e.Ambiguous, e.Phase)
						}
					}
					if s := h.r.Status("home"); s.State == StateAttention {
						t.Errorf("%+v", s.LastError)
					}
					h.p.SetFaults()
					h.p.Release()
					h.mustSend()
				})
			})
		}
	}
}

// What was learned and how the account does survive a restart; a file that
// cannot be understood is put aside.
func TestState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, pbs(lab.PBS{}), lab.NewNet(rtt), Options{StateDir: dir})
		defer func() { h.close() }()
		h.a.Auth = upstream.AuthAuto
		h.mustSend()
		refused := h.p.Stats().Refused
		restart := func() {
			h.r.Close()
			h.r = h.relay(Options{StateDir: dir})
		}
		restart()
		if s := h.r.Status("home"); s.State != StateReady || s.Auth != popMethod {
			t.Errorf("%+v", s)
		}
		h.mustSend()
		if n := h.p.Stats().Refused; n != refused {
			t.Error("that a login is needed was forgotten")
		}
		h.pass.Store("wrong")
		h.fresh()
		h.send()
		failures := h.p.Stats().POPFailures
		restart()
		if s := h.r.Status("home"); s.State != StateAttention || s.LastError == nil || s.LastError.Class != upstream.ClassPOPCredentialsRejected {
			t.Errorf("%+v", s)
		}
		if res := h.send(); res.Err == nil || h.p.Stats().POPFailures != failures {
			t.Error("tried in attention")
		}
		h.pass.Store(lab.DefaultUser.Password)
		h.r.Clear("home")
		h.mustSend()
		h.r.Close()
		file := filepath.Join(dir, "learned.json")
		if b, err := os.ReadFile(file); err != nil || strings.Contains(string(b), lab.DefaultUser.Password) {
			t.Errorf("%s, %v", b, err)
		}
		if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		h.r = h.relay(Options{StateDir: dir})
		if _, err := os.Stat(file + ".bad"); err != nil {
			t.Error(err)
		}
		h.mustSend()
	})
}

// Close cuts what is under way, and nothing begins after it. The bubble itself
// finds a goroutine that is left.
func TestClose(t *testing.T) {
	in(t, lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseMail, Kind: lab.Stall}}}, func(h *house) {
		x := h.live()
		x.Rcpt(env().Recipients[0])
		x.Data(letter)
		y := h.live() // waits for a recipient
		time.Sleep(time.Minute)
		h.r.Close()
		for _, x := range []*Transaction{x, y, h.live()} {
			if res := x.Result(); res.Err == nil || res.Err.Kind() != upstream.KindTemporary {
				t.Errorf("%+v", res.Err)
			}
		}
	})
}

// A change of network begins anew what was connecting, and what ran over an
// address that is gone; what runs over another one goes on. Nobody is told.
func TestMove(t *testing.T) {
	in(t, pbs(lab.PBS{}), func(h *house) {
		h.p.SetFaults(lab.Fault{Phase: upstream.PhasePOPGreeting, Kind: lab.Stall, Attempt: 1})
		x := h.live()
		v := x.Rcpt(env().Recipients[0])
		x.Data(letter)
		time.Sleep(5 * time.Second)
		h.iface.Store("eth0")
		h.r.NetworkChanged()
		if res := x.Result(); res.Err != nil || v.Result().Err != nil {
			t.Errorf("while logging in: %+v", res.Err)
		}
		// The next three run over an address that the machine has no more.
		h.r.o.Dialer = from(h, "10.1.2.3")
		for _, row := range []struct {
			phase upstream.Phase
			gone  bool
			msgs  int
			fails bool
		}{
			{upstream.PhaseRcpt, true, 1, false},
			{upstream.PhaseDataEnd, true, 0, true}, // it may have been taken
			{upstream.PhaseRcpt, false, 1, false},
		} {
			h.addrs.Store([]net.Addr{prefix("10.1.2.3")})
			h.fresh()
			h.p.SetFaults(lab.Fault{Phase: row.phase, Kind: lab.Stall, Attempt: 1})
			before := h.p.Stats().Messages
			x := h.live()
			x.Rcpt(env().Recipients[0])
			if row.phase == upstream.PhaseRcpt {
				x.Rcpt(env().Recipients[0]) // so that the body waits
			}
			x.Data(letter)
			time.Sleep(10 * time.Second)
			if row.gone {
				h.addrs.Store([]net.Addr{prefix("10.9.9.9")})
			}
			h.r.NetworkChanged()
			time.Sleep(10 * time.Second)
			if !row.gone {
				h.p.Release()
			}
			res := x.Result()
			if got := h.p.Stats().Messages - before; got != row.msgs || (res.Err != nil) != row.fails || row.fails && !res.Err.Ambiguous {
				t.Errorf("%+v: %d messages, %+v", row, got, res.Err)
			}
			h.p.SetFaults()
			h.p.Release()
		}
	})
}

// Sleep cuts what was under way; a context that ends does too.
func TestCut(t *testing.T) {
	in(t, lab.Options{Faults: []lab.Fault{{Phase: upstream.PhaseMail, Kind: lab.Stall}}}, func(h *house) {
		x := h.live()
		x.Rcpt(env().Recipients[0])
		time.Sleep(time.Minute)
		if s := h.r.Status("home"); s.State != StateSending {
			t.Errorf("%+v", s)
		}
		mails := h.p.Stats().Mails
		h.r.Resumed() // it begins anew
		time.Sleep(time.Minute)
		if h.p.Stats().Mails != mails+1 {
			t.Error("it did not begin anew")
		}
		x.Cancel()
		if res := x.Result(); res.Err == nil || res.Err.Kind() != upstream.KindTemporary {
			t.Errorf("%+v", res.Err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		res := h.r.Send(ctx, []upstream.Account{h.a}, env(), letter)
		if res.Err == nil || res.Err.Kind() != upstream.KindTemporary || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("%+v", res.Err)
		}
		h.p.SetFaults()
		h.p.Release()
		h.mustSend()
	})
}
