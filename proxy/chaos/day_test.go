//go:build unix

package chaos

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"melon/proxy/outbox"
	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/lab"
	"melon/upstream/network"
	"melon/upstream/relay"
)

// day is a relay and an outbox before a provider on a network in memory, in a
// bubble where a day takes seconds.
type day struct {
	t     *testing.T
	net   *lab.Net
	p     *lab.Provider
	r     *relay.Relay
	o     *outbox.Outbox
	rng   *rand.Rand
	skew  atomic.Int64 // of the wall clock
	place atomic.Int64 // which network this is
	sent  int
	live  int // that were delivered without the outbox
}

// Send implements outbox.Sender.
func (d *day) Send(ctx context.Context, e outbox.Entry, body upstream.Body) upstream.Result {
	return d.r.Send(ctx, []upstream.Account{d.account()}, e.Envelope, body)
}

// Get implements relay.Secrets.
func (d *day) Get(context.Context, upstream.SecretRef) (string, error) {
	return lab.DefaultUser.Password, nil
}

func (d *day) now() time.Time { return time.Now().Add(time.Duration(d.skew.Load())) }

func (d *day) account() upstream.Account {
	a := d.p.Account("home")
	a.Trust.CA = ""
	return a
}

func newDay(t *testing.T, dir string, o lab.Options) *day {
	t.Helper()
	d := &day{t: t, net: lab.NewNet(80 * time.Millisecond), rng: rand.New(rand.NewPCG(24, 7))}
	o.Net, o.Now, o.Hosts = d.net, d.now, []string{"127.0.0.1"}
	var err error
	if d.p, err = lab.Start(o); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(d.p.CAPEM())
	d.r, err = relay.New(relay.Options{
		Dialer:  &dial.Dialer{RootCAs: pool, DialContext: d.net.DialContext, Now: d.now},
		Secrets: d, Now: d.now, StateDir: dir,
		Network: func() network.State {
			return network.State{Online: true, Interface: fmt.Sprint("wlan", d.place.Load())}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.o, err = outbox.Open(dir+"/outbox", outbox.Options{Sender: d, Now: d.now}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *day) close() {
	if err := d.o.Close(); err != nil {
		d.t.Error(err)
	}
	if err := d.r.Close(); err != nil {
		d.t.Error(err)
	}
	d.p.Close()
}

// text is a body.
type text string

// Open implements upstream.Body.
func (b text) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(b))), nil }

// Size implements upstream.Body.
func (b text) Size() (int64, bool) { return int64(len(b)), true }

// hand hands in one message: live at first, and into the outbox when there is no
// verdict, or into the outbox at once.
func (d *day) hand() {
	d.t.Helper()
	body := text(fmt.Sprintf("From: taro@provider-a.example\r\n%sday.%d\r\n\r\nhello\r\n", tokenField, d.sent))
	env := upstream.Envelope{From: "taro@provider-a.example", Recipients: []upstream.Recipient{{Address: "hanako@elsewhere.example"}}}
	d.sent++
	if d.rng.IntN(2) == 0 {
		res := d.r.Send(d.t.Context(), []upstream.Account{d.account()}, env, body)
		if res.Err == nil {
			d.live++
			return
		}
	}
	sp := d.o.NewSpool()
	defer sp.Discard()
	_, err := io.WriteString(sp, string(body))
	if err == nil {
		err = sp.Finish()
	}
	if err == nil {
		_, err = d.o.Keep(d.t.Context(), sp, outbox.Entry{Account: "home", Envelope: env}, outbox.KeepOptions{})
	}
	if err != nil {
		d.t.Error(err)
	}
}

// trouble makes one thing happen that days bring.
func (d *day) trouble() {
	switch d.rng.IntN(8) {
	case 0: // another network
		d.place.Add(1)
		d.net.Cut()
		d.r.NetworkChanged()
		d.o.NetworkChanged()
	case 1: // the lid was shut
		d.skew.Add(int64(time.Duration(d.rng.IntN(60)) * time.Minute))
		d.r.Resumed()
		d.o.Resumed()
	case 2: // the clock was set back
		d.skew.Add(-int64(time.Duration(d.rng.IntN(20)) * time.Minute))
		d.r.Resumed()
		d.o.ClockChanged()
	case 3: // no network for a while
		d.net.SetDown(true)
		pause(d.t.Context(), time.Duration(d.rng.IntN(15))*time.Minute)
		d.net.SetDown(false)
		d.r.NetworkChanged()
		d.o.NetworkChanged()
	default:
		phases := []upstream.Phase{upstream.PhaseConnect, upstream.PhaseMail, upstream.PhaseRcpt, upstream.PhaseData, upstream.PhaseDataEnd, upstream.PhasePOPPass}
		kinds := []lab.Kind{lab.Drop, lab.Early421, lab.LostReply, lab.Stall, lab.SlowBytes, lab.EndlessReply}
		d.p.Release()
		d.p.SetFaults(lab.Fault{Phase: phases[d.rng.IntN(len(phases))], Kind: kinds[d.rng.IntN(len(kinds))], Attempt: 1, Every: 20 * time.Second})
	}
}

// calm waits until nothing is left to send and all is idle.
func (d *day) calm() {
	d.t.Helper()
	d.p.SetFaults()
	d.p.Release()
	for range 200 {
		if d.o.Snapshot().Total == 0 {
			break
		}
		pause(d.t.Context(), 5*time.Minute)
	}
	if s := d.o.Snapshot(); s.Total != 0 {
		d.t.Errorf("left in the outbox: %+v", s)
	}
	pause(d.t.Context(), time.Hour) // warm connections have had their time
	d.p.Drop("")                    // the provider's ends of those that an outage took
	synctest.Wait()
}

// footprint is what the process holds.
func footprint() (goroutines int, heap uint64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}

// TestSimulatedDay is 24 hours of mail, networks, sleep, set clocks and a moody
// provider, on a fake clock. Every message arrives, and goroutines and memory
// end where they began.
func TestSimulatedDay(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := newDay(t, dir, lab.Options{Rules: lab.Rules{PBS: lab.PBS{Window: 10 * time.Minute}, Auth: true}, KeepBody: 512})
		defer d.close()
		for range 20 {
			d.hand()
		}
		d.calm()
		goroutines, heap := footprint()
		begin := time.Now()
		for time.Since(begin) < 24*time.Hour {
			pause(t.Context(), time.Duration(d.rng.IntN(240))*time.Second)
			d.hand()
			if d.rng.IntN(5) == 0 {
				d.trouble()
			}
		}
		d.calm()
		t.Logf("%d messages in %v, %d of them live", d.sent, time.Since(begin).Round(time.Minute), d.live)
		g, h := footprint()
		// The lab remembers every message and command of the day.
		if remembered := uint64(d.sent) * 12 << 10; g > goroutines || h > heap+2<<20+remembered {
			t.Errorf("%d goroutines and %d octets before, %d and %d after", goroutines, heap, g, h)
		}
		got := map[string]bool{}
		for _, m := range d.p.Messages() {
			if token := tokenOf(m.Data); bytes.HasSuffix(m.Data, []byte("\r\n\r\nhello\r\n")) {
				got[token] = true
			}
		}
		if len(got) != d.sent || d.sent < 500 {
			t.Errorf("%d of %d messages arrived", len(got), d.sent)
		}
	})
}

// TestByteAMinute: a provider that says an octet a minute, anywhere, costs one
// attempt a bounded time and loses nothing.
func TestByteAMinute(t *testing.T) {
	t.Parallel()
	for _, phase := range []upstream.Phase{
		upstream.PhaseConnect, upstream.PhaseEHLO, upstream.PhaseAuth, upstream.PhaseMail, upstream.PhaseRcpt,
		upstream.PhaseData, upstream.PhaseDataEnd, upstream.PhasePOPGreeting, upstream.PhasePOPPass,
	} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				o := lab.Options{Faults: []lab.Fault{{Phase: phase, Kind: lab.SlowBytes, Every: time.Minute, Attempt: 1}}}
				if phase.IsPOP() {
					o.Rules = lab.Rules{PBS: lab.PBS{Window: 10 * time.Minute}}
					o.SMTP = lab.SMTP{Without: []string{"AUTH"}}
				}
				d := newDay(t, dir, o)
				defer d.close()
				env := upstream.Envelope{From: "taro@provider-a.example", Recipients: []upstream.Recipient{{Address: "a@elsewhere.example"}}}
				begin := time.Now()
				res := d.r.Send(t.Context(), []upstream.Account{d.account()}, env, text("Subject: x\r\n\r\nx\r\n"))
				if took := time.Since(begin); took > 15*time.Minute {
					t.Errorf("one attempt took %v", took)
				}
				if res.Err != nil && res.Err.Kind() != upstream.KindTemporary {
					t.Errorf("taken for a refusal: %v", res.Err)
				}
				d.hand()
				d.calm()
			})
		})
	}
}
