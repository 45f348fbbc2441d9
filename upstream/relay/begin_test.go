package relay

import (
	"context"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
	"melon/upstream/lab"
)

// whoWrites has the functions noted on whose behalf the relay's connections are
// written to.
func (h *house) whoWrites() func() string {
	var mu sync.Mutex
	var stack string
	inner := h.net.DialContext
	h.dialBy(func(ctx context.Context, network, laddr, addr string) (net.Conn, error) {
		c, err := inner(ctx, network, laddr, addr)
		if err != nil {
			return nil, err
		}
		return &watchedConn{c, func() {
			b := make([]byte, 64<<10)
			b = b[:runtime.Stack(b, false)]
			mu.Lock()
			stack = string(b)
			mu.Unlock()
		}}, nil
	})
	return func() string { mu.Lock(); defer mu.Unlock(); return stack }
}

type watchedConn struct {
	net.Conn
	note func()
}

func (c *watchedConn) Write(p []byte) (int, error) { c.note(); return c.Conn.Write(p) }

// limited is an app's wait.
func limited(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// A short message that finds a warm connection is carried by who waits for it, in
// one write and one round trip; a first one, a long one, one that still grows and
// one to several by a goroutine.
func TestCarriedByWhoWaits(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		who := h.whoWrites()
		writes := func() bool { return strings.Contains(who(), "relay.TestCarriedByWhoWaits") }
		for i, c := range []struct {
			body upstream.Body
			to   int
			here bool
		}{
			{letter, 1, false}, {letter, 1, true}, {letter, 2, false}, {letter, 1, true},
			{text(strings.Repeat(string(letter), brief/len(letter)+1)), 1, false},
			{unsure{letter}, 1, false}, {letter, 1, true},
		} {
			x := h.live()
			for range c.to {
				x.Rcpt(env().Recipients[0])
			}
			x.Data(c.body)
			start := time.Now()
			if !x.Await(limited(h.t, time.Minute)) || x.Result().Err != nil {
				t.Fatalf("%d: %+v", i, x.Result().Err)
			}
			if writes() != c.here || c.here && time.Since(start) != rtt {
				t.Errorf("%d: by who waits: %v, after %v", i, writes(), time.Since(start))
			}
		}
		if s := h.p.Stats(); s.SMTPConns != 1 || s.Messages != 7 {
			t.Errorf("%+v", s)
		}
	})
}

// unsure is a body that does not know yet that it is whole.
type unsure struct{ text }

func (unsure) Size() (int64, bool) { return 0, false }

// Whoever waits no longer leaves the work to a goroutine: the same transaction goes
// on, and the message arrives once. Who has hardly any time left does not begin.
func TestWaitEndsBeforeTheReply(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		who := h.whoWrites()
		h.mustSend()
		for i, d := range []time.Duration{0, leastTime - 1, leastTime, time.Minute} {
			h.p.SetFaults(lab.Fault{Phase: upstream.PhaseDataEnd, Attempt: 1, Kind: lab.Stall})
			x := h.live()
			v := x.Rcpt(env().Recipients[0])
			x.Data(letter)
			start := time.Now()
			if x.Await(limited(h.t, d)) || time.Since(start) != d {
				t.Fatalf("%d: over after %v", i, time.Since(start))
			}
			synctest.Wait()
			if here := strings.Contains(who(), "relay.TestWaitEndsBeforeTheReply"); here != (d >= leastTime) {
				t.Errorf("%d: by who waits: %v", i, here)
			}
			time.Sleep(time.Second)
			h.p.Release()
			if res := x.Result(); res.Err != nil || v.Result().Err != nil {
				t.Errorf("%d: %+v", i, res.Err)
			}
		}
		if s := h.p.Stats(); s.SMTPConns != 1 || s.Messages != 5 {
			t.Errorf("%+v", s)
		}
	})
}

// What goes wrong with a message that its app's goroutine carries goes on as with
// any other: on another connection where nothing can have been taken, as a
// refusal, as an unknown outcome. No message arrives twice.
func TestCarriedByWhoWaitsAndRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		fault   lab.Fault
		arrives int // of this message
		err     func(*upstream.Error) bool
	}{
		{"dropped at MAIL", lab.Fault{Phase: upstream.PhaseMail, Kind: lab.Drop}, 0,
			func(e *upstream.Error) bool { return e.Ambiguous }},
		{"421 at MAIL", lab.Fault{Phase: upstream.PhaseMail, Kind: lab.Early421}, 1, nil},
		{"refused", lab.Fault{Phase: upstream.PhaseDataEnd, Kind: lab.WrongReply, Text: "550 5.7.1 spam"}, 0,
			func(e *upstream.Error) bool { return e.Reply.Code == 550 }},
		{"for later", lab.Fault{Phase: upstream.PhaseDataEnd, Kind: lab.WrongReply, Text: "451 4.3.0 later"}, 0,
			func(e *upstream.Error) bool { return e.Reply.Code == 451 }},
		{"lost reply", lab.Fault{Phase: upstream.PhaseDataEnd, Kind: lab.LostReply}, 1,
			func(e *upstream.Error) bool { return e.Ambiguous }},
		{"no BDAT", lab.Fault{Phase: upstream.PhaseDataEnd, Kind: lab.WrongReply, Text: "502 5.5.1 Command not implemented"}, 1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, lab.Options{}, func(h *house) {
				h.mustSend()
				c.fault.Attempt = 1
				h.p.SetFaults(c.fault)
				x := h.live()
				x.Rcpt(env().Recipients[0])
				x.Data(letter)
				if !x.Await(limited(h.t, time.Minute)) {
					t.Fatal("not over")
				}
				e := x.Result().Err
				if c.err == nil && e != nil || c.err != nil && (e == nil || !c.err(e)) {
					t.Errorf("%+v", e)
				}
				if n := h.p.Stats().Messages - 1; n != c.arrives {
					t.Errorf("%d copies", n)
				}
				h.p.SetFaults()
				h.mustSend()
			})
		})
	}
}

// The relay's end ends a transaction that waits for its message before it begins,
// and one that its app's goroutine carries.
func TestEndOfWhatIsCarriedByWhoWaits(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		h.mustSend()
		waits, carried := h.live(), h.live()
		for _, x := range []*Transaction{waits, carried} {
			x.Rcpt(env().Recipients[0])
		}
		h.p.SetFaults(lab.Fault{Phase: upstream.PhaseDataEnd, Kind: lab.Stall})
		carried.Data(letter)
		over := make(chan bool)
		go func() { over <- carried.Await(limited(h.t, time.Hour)) }()
		synctest.Wait()
		h.r.Close()
		if !<-over || carried.Result().Err == nil || waits.Result().Err == nil {
			t.Errorf("%+v, %+v", carried.Result().Err, waits.Result().Err)
		}
		if late := h.live(); late.Result().Err == nil {
			t.Error("a message after the end")
		}
	})
}

// Sleep ends what an app's goroutine carries like anything else: the line was cut
// when all of the message had left.
func TestSleptWhileCarriedByWhoWaits(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		h.mustSend()
		h.p.SetFaults(lab.Fault{Phase: upstream.PhaseDataEnd, Attempt: 1, Kind: lab.Stall})
		x := h.live()
		x.Rcpt(env().Recipients[0])
		x.Data(letter)
		over := make(chan bool)
		go func() { over <- x.Await(limited(h.t, time.Hour)) }()
		synctest.Wait()
		h.r.Resumed()
		if e := x.Result().Err; !<-over || e == nil || !e.Ambiguous {
			t.Errorf("%+v", e)
		}
		h.mustSend()
	})
}
