package relay

import (
	"context"
	"crypto/x509"
	"sync"
	"testing"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/lab"
)

// real is a house on the machine's own loopback.
func real(t testing.TB, o lab.Options) (*lab.Provider, *Relay) {
	t.Helper()
	o.Hosts = []string{"127.0.0.1"}
	p, err := lab.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.CAPEM())
	r, err := New(Options{Dialer: &dial.Dialer{RootCAs: pool}, Secrets: p})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return p, r
}

// Over real sockets the flights are the same, counted by the provider.
func TestLoopback(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		name        string
		implicit    bool
		without     []string
		first, warm int
	}{
		{"TLS, CHUNKING", true, nil, 6, 1},
		{"TLS, DATA", true, []string{"CHUNKING"}, 7, 2},
		{"STARTTLS, CHUNKING", false, nil, 8, 1},
		{"STARTTLS, DATA", false, []string{"CHUNKING"}, 9, 2},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			p, relay := real(t, lab.Options{SMTP: lab.SMTP{Without: r.without}})
			a := p.Account("home")
			if r.implicit {
				a.SMTP = p.Server("smtps")
			}
			for i := range 3 {
				if res := relay.Send(context.Background(), []upstream.Account{a}, env(), letter); res.Err != nil {
					t.Fatal(res.Err)
				}
				m := p.Messages()[i]
				if want := []int{r.first, r.first + r.warm, r.first + 2*r.warm}[i]; m.Trips.Total != want {
					t.Errorf("message %d: %d round trips, want %d", i, m.Trips.Total, want)
				}
			}
		})
	}
}

// Many at once over real sockets: one POP login, every message once.
func TestLoopbackCrowd(t *testing.T) {
	t.Parallel()
	o := pbs(lab.PBS{})
	p, r := real(t, o)
	a := p.Account("home")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if res := r.Send(context.Background(), []upstream.Account{a}, env(), letter); res.Err != nil {
				t.Error(res.Err)
			}
		})
	}
	wg.Wait()
	if s := p.Stats(); s.POPLogins != 1 || s.Messages != 20 {
		t.Errorf("%+v", s)
	}
}

// Over real sockets too, a warm connection that the server has closed is replaced
// before anybody notices: while it lay there, and while the app was slow to name
// a recipient. The message arrives once.
func TestLoopbackDeadLine(t *testing.T) {
	t.Parallel()
	p, r := real(t, lab.Options{})
	accounts := []upstream.Account{p.Account("home")}
	for i, slow := range []bool{false, true, false} {
		if res := r.Send(context.Background(), accounts, env(), letter); res.Err != nil {
			t.Fatal(res.Err)
		}
		var x *Transaction
		if slow {
			x = r.Begin(context.Background(), accounts, env(), BeginOptions{Live: true})
		}
		p.Drop(lab.SMTPProto)
		if !slow {
			x = r.Begin(context.Background(), accounts, env(), BeginOptions{Live: true})
		}
		x.Rcpt(env().Recipients[0])
		x.Data(letter)
		if res := x.Result(); res.Err != nil {
			t.Fatalf("%d: %v", i, res.Err)
		}
		if n := p.Stats().Messages; n != 2*(i+1) {
			t.Errorf("%d: %d messages", i, n)
		}
	}
}

// Over real sockets, in clear and inside TLS, the end of a wait interrupts the read
// of who carries the message, and harms neither the message nor the connection.
func TestLoopbackWaitEnds(t *testing.T) {
	t.Parallel()
	for _, implicit := range []bool{false, true} {
		o := lab.Options{}
		if !implicit {
			o.SMTP.Without, o.Rules.Open = []string{"STARTTLS", "AUTH"}, true
		}
		p, r := real(t, o)
		a := p.Account("home")
		if a.Auth = upstream.AuthNone; implicit {
			a.SMTP, a.Auth = p.Server("smtps"), upstream.AuthAuto
		}
		accounts := []upstream.Account{a}
		if res := r.Send(t.Context(), accounts, env(), letter); res.Err != nil {
			t.Fatal(res.Err)
		}
		for i := range 3 {
			p.SetFaults(lab.Fault{Phase: upstream.PhaseDataEnd, Attempt: 1, Kind: lab.Stall})
			struck := p.Stats().Faults + 1
			x := r.Begin(context.Background(), accounts, env(), BeginOptions{Live: true})
			x.Rcpt(env().Recipients[0])
			x.Data(letter)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				defer cancel()
				if err := p.WaitFor(t.Context(), func(s lab.Stats) bool { return s.Faults >= struck }); err != nil {
					t.Error(err)
				}
			}()
			if x.Await(ctx) {
				t.Error("over while the provider says nothing")
			}
			p.Release()
			if res := x.Result(); res.Err != nil {
				t.Fatal(res.Err)
			}
			if s := p.Stats(); s.Messages != i+2 || s.SMTPConns != 1 {
				t.Errorf("%+v", s)
			}
		}
	}
}

func BenchmarkSend(b *testing.B) {
	p, r := real(b, lab.Options{KeepBody: -1})
	a := p.Account("home")
	b.ReportAllocs()
	for b.Loop() {
		if res := r.Send(context.Background(), []upstream.Account{a}, env(), letter); res.Err != nil {
			b.Fatal(res.Err)
		}
	}
}
