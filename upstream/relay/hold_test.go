package relay

import (
	"context"
	"crypto/x509"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/lab"
)

// dialBy has the relay's connections made by dialling so.
func (h *house) dialBy(by func(ctx context.Context, network, laddr, addr string) (net.Conn, error)) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(h.p.CAPEM())
	h.r.o.Dialer = &dial.Dialer{RootCAs: pool, DialContext: by}
}

// countWrites has the relay's connections counted write by write.
func (h *house) countWrites() *atomic.Int64 {
	n := new(atomic.Int64)
	h.dialBy(func(ctx context.Context, network, laddr, addr string) (net.Conn, error) {
		c, err := h.net.DialContext(ctx, network, laddr, addr)
		if err != nil {
			return nil, err
		}
		return &countedConn{c, n}, nil
	})
	return n
}

type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// A message that an app hands in command by command leaves in one write, envelope
// and all, on a line that was in use a moment ago and on one that has rested.
func TestOneWriteAMessage(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		writes := h.countWrites()
		h.mustSend()
		for i, rest := range []time.Duration{0, 0, restFirst / 2, 3 * restFirst} {
			time.Sleep(rest)
			before := writes.Load()
			x := h.live()
			synctest.Wait()
			v := x.Rcpt(env().Recipients[0])
			synctest.Wait()
			x.Data(letter)
			if res := x.Result(); res.Err != nil || v.Result().Err != nil {
				t.Fatalf("%+v", res.Err)
			}
			if n := writes.Load() - before; n != 1 {
				t.Errorf("%d: %d writes", i, n)
			}
		}
		if s := h.p.Stats(); s.SMTPConns != 1 || s.Messages != 5 {
			t.Errorf("%+v", s)
		}
	})
}

// An app that is slow after its recipient has the envelope sent ahead, so that
// the verdict is there in time; two recipients never wait.
func TestEnvelopeOfASlowApp(t *testing.T) {
	o := lab.Options{}
	o.Rules.Auth, o.Rules.Unknown = true, []string{"nobody@provider-a.example"}
	in(t, o, func(h *house) {
		for _, rest := range []time.Duration{0, 3 * restFirst} {
			h.mustSend()
			time.Sleep(rest)
			x, start := h.live(), time.Now()
			v := x.Rcpt(upstream.Recipient{Address: "nobody@provider-a.example"})
			if r := v.Result(); r.Err == nil || r.Err.Class != upstream.ClassRecipientUnknown || time.Since(start) > rtt+2*envelopeWait {
				t.Errorf("%+v after %v", r, time.Since(start))
			}
			x.Cancel()
			x.Result()
			x, start = h.live(), time.Now()
			x.Rcpt(env().Recipients[0])
			if r := x.Rcpt(upstream.Recipient{Address: "nobody@provider-a.example"}).Result(); r.Err == nil || time.Since(start) != rtt {
				t.Errorf("%+v after %v", r, time.Since(start))
			}
			x.Cancel()
			x.Result()
		}
	})
}

// A message that is taken back before its envelope has left costs nothing, and
// the end of the relay ends one that waits.
func TestTakenBackBeforeItLeft(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		writes := h.countWrites()
		h.mustSend()
		before := writes.Load()
		for range 3 {
			x := h.live()
			x.Rcpt(env().Recipients[0])
			x.Cancel()
			if res := x.Result(); res.Err == nil {
				t.Errorf("%+v", res)
			}
		}
		if n := writes.Load() - before; n != 0 {
			t.Errorf("%d writes", n)
		}
		h.mustSend()
		x := h.live()
		x.Rcpt(env().Recipients[0])
		h.r.Close()
		if res := x.Result(); res.Err == nil {
			t.Errorf("%+v", res)
		}
		if s := h.p.Stats(); s.SMTPConns != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// As many connections as apps send at once stay in use; the spare ones are ended
// a moment after.
func TestCrowdKeepsItsConnections(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		h.mustSend()
		for range 10 {
			h.many(16)
		}
		if s := h.p.Stats(); s.SMTPConns != 16 || s.SMTPOpen != 16 {
			t.Errorf("%d connections were made, %d are open", s.SMTPConns, s.SMTPOpen)
		}
		time.Sleep(2 * keepSpare)
		if n := h.p.Stats().SMTPOpen; n > maxWarm {
			t.Errorf("%d connections are kept", n)
		}
		time.Sleep(keepWarm)
		if n := h.p.Stats().SMTPOpen; n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
}

// No more than maxIdle connections are kept, however many there were.
func TestIdleConnectionsAreBounded(t *testing.T) {
	in(t, lab.Options{}, func(h *house) {
		var wg sync.WaitGroup
		for range maxIdle + 10 {
			wg.Go(func() { h.mustSend() })
		}
		wg.Wait()
		time.Sleep(keepSpare / 2)
		if n := h.p.Stats().SMTPOpen; n > maxIdle {
			t.Errorf("%d connections are kept", n)
		}
	})
}
