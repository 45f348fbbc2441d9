package doctor

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/lab"
	"melon/upstream/reply"
)

// TestLimit is a black hole at every step: the clinic's run fails when the whole
// takes longer than Limit. Time is the bubble's and exact.
func TestLimit(t *testing.T) {
	every := func(p upstream.Phase, k lab.Kind, proto lab.Proto) lab.Options {
		o := pbs()
		o.Faults = []lab.Fault{{Phase: p, Kind: k, Proto: proto, Every: time.Second}}
		return o
	}
	withAuth := func(p upstream.Phase, k lab.Kind) lab.Options {
		return lab.Options{Faults: []lab.Fault{{Phase: p, Kind: k, Every: time.Second}}}
	}
	for name, tc := range map[string]struct {
		lab   lab.Options
		setup func(c *clinic)
	}{
		"names": {setup: func(c *clinic) { c.names.hangs = true }},
		"every connection": {setup: func(c *clinic) {
			c.opts.Dialer.DialContext = never
			c.opts.Account.SMTP.Port = 0
			c.opts.Account.POP.Port = 0
		}},
		"a dozen addresses":  {setup: func(c *clinic) { c.names.known["smtp.provider-a.example"] = dozen(); c.net.Block(587, true) }},
		"the probe":          {setup: func(c *clinic) { c.portal = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() } }},
		"the probe's body":   {setup: func(c *clinic) { c.portal = drip }},
		"POP alone":          {lab: pbs(), setup: func(c *clinic) { c.net.Block(110, true) }},
		"the greeting":       {lab: every(upstream.PhaseConnect, lab.Stall, "")},
		"a slow greeting":    {lab: every(upstream.PhaseConnect, lab.SlowBytes, "")},
		"an endless line":    {lab: every(upstream.PhaseConnect, lab.EndlessLine, "")},
		"an endless EHLO":    {lab: every(upstream.PhaseEHLO, lab.EndlessReply, "")},
		"a slow EHLO":        {lab: every(upstream.PhaseEHLO, lab.SlowBytes, "")},
		"the handshake":      {lab: every(lab.PhaseTLS, lab.Stall, "")},
		"the POP greeting":   {lab: every(upstream.PhasePOPGreeting, lab.Stall, "")},
		"CAPA":               {lab: every(lab.PhasePOPCapa, lab.Stall, "")},
		"an endless CAPA":    {lab: every(lab.PhasePOPCapa, lab.EndlessReply, "")},
		"the POP login":      {lab: every(upstream.PhasePOPPass, lab.Stall, "")},
		"POP's QUIT":         {lab: every(lab.PhasePOPQuit, lab.Stall, "")},
		"AUTH":               {lab: withAuth(upstream.PhaseAuth, lab.Stall)},
		"MAIL":               {lab: withAuth(upstream.PhaseMail, lab.SlowBytes)},
		"RCPT":               {lab: withAuth(upstream.PhaseRcpt, lab.Stall)},
		"RSET":               {lab: withAuth(lab.PhaseRset, lab.Stall)},
		"QUIT":               {lab: withAuth(lab.PhaseQuit, lab.Stall)},
		"the relay, at last": {lab: withAuth(upstream.PhaseRcpt, lab.Stall), setup: func(c *clinic) { c.names.hangs = false; c.net.Block(465, true) }},
		"the password":       {setup: func(c *clinic) { c.opts.Secrets = slowSecret{} }},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, tc.lab, func(c *clinic) {
				if tc.setup != nil {
					tc.setup(c)
				}
				c.run()
			})
		})
	}
}

// never is a DialContext into a black hole.
func never(ctx context.Context, _, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// dozen is twelve addresses at none of which anybody is.
func dozen() []string {
	var out []string
	for _, n := range strings.Fields("1 2 3 4 5 6 7 8 9 10 11 12") {
		out = append(out, "198.51.100."+n)
	}
	return out
}

// drip answers one octet a second.
func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		w.Write([]byte("x"))
		w.(http.Flusher).Flush()
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
		}
	}
}

// slowSecret is a keyring with a dialog that nobody answers.
type slowSecret struct{}

func (slowSecret) Get(ctx context.Context, _ upstream.SecretRef) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

// TestCancel ends a run early.
func TestCancel(t *testing.T) {
	examine(t, lab.Options{}, func(c *clinic) {
		c.opts.Dialer.DialContext = never
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		Run(ctx, c.opts)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v after a second's notice", took)
		}
	})
}

// TestReportJSON pins the names that scripts read.
func TestReportJSON(t *testing.T) {
	b, err := json.Marshal(Report{Account: "home", Verdict: upstream.ClassOK, Summary: "s", Advice: []string{"a"},
		Checks: []Check{{Name: "dns-smtp", Status: StatusOK, Detail: "d", MS: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"account":"home","verdict":"ok","summary":"s","advice":["a"],"checks":[{"name":"dns-smtp","status":"ok","detail":"d","ms":3}]}`
	if string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
}

// TestLanguages says everything in Japanese that it says in English, and tells of
// each check once.
func TestLanguages(t *testing.T) {
	examine(t, pbs(), func(c *clinic) {
		c.opts.Lang = "ja"
		var heard []string
		c.opts.Progress = func(k Check) { heard = append(heard, k.Name) }
		c.net.Block(587, true)
		r := c.want(upstream.ClassPortBlocked)
		if want := reply.Explain(upstream.ClassPortBlocked, "ja").Summary; r.Summary != want {
			t.Errorf("summary %q, want %q", r.Summary, want)
		}
		for _, k := range r.Checks {
			if strings.ContainsAny(k.Detail, "ぁあいうおかがくけこしすせたつてとなにのはまもりるれを") {
				continue
			}
			t.Errorf("check %s is not in Japanese: %q", k.Name, k.Detail)
		}
		if len(heard) != len(r.Checks) {
			t.Errorf("progress told of %v", heard)
		}
		if last := r.Advice[len(r.Advice)-1]; !strings.Contains(last, "ウェブメール") {
			t.Errorf("advice %q", r.Advice)
		}
	})
}

// TestNetworkAlone looks at the network without an account.
func TestNetworkAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		setup func(c *clinic)
		want  upstream.Class
	}{
		"fine":   {func(c *clinic) {}, upstream.ClassOK},
		"names":  {func(c *clinic) { c.names.known = nil }, upstream.ClassDNSFailure},
		"portal": {func(c *clinic) { c.portal = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(511) } }, upstream.ClassCaptivePortal},
	} {
		t.Run(name, func(t *testing.T) {
			examine(t, lab.Options{}, func(c *clinic) {
				c.opts.Account = upstream.Account{}
				tc.setup(c)
				r := c.want(tc.want)
				if tc.want == upstream.ClassOK && !strings.Contains(r.Advice[0], "melon account add") {
					t.Errorf("advice %q", r.Advice)
				}
			})
		})
	}
}

// TestHostileWords bounds and cleans what a server says.
func TestHostileWords(t *testing.T) {
	evil := "mail.provider-a.example \x1b[31m\u202e<script>" + strings.Repeat("x", 3000)
	examine(t, lab.Options{SMTP: lab.SMTP{GreetingText: evil}}, func(c *clinic) {
		for _, k := range c.run().Checks {
			if strings.ContainsAny(k.Detail, "\x1b\u202e\n") || len(k.Detail) > upstream.MaxReplyLine {
				t.Errorf("check %s: %q", k.Name, k.Detail)
			}
		}
	})
}

// TestLoopback is a run over real sockets with the system's own answers.
func TestLoopback(t *testing.T) {
	t.Parallel()
	p := lab.Run(t, lab.Options{Rules: lab.Rules{PBS: lab.PBS{Window: time.Minute}}})
	o := Options{Account: p.Account("home"), Secrets: p, Dialer: &dial.Dialer{RootCAs: p.CertPool()}, Probe: Probe{URL: "off"}}
	if r := Run(t.Context(), o); r.Verdict != upstream.ClassOK {
		t.Errorf("%+v", r)
	}
	if n := len(p.Messages()); n > 0 {
		t.Errorf("%d messages were sent", n)
	}
}
