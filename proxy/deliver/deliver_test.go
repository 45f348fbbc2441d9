package deliver

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"melon/proxy/outbox"
	"melon/proxy/smtpin"
	"melon/upstream"
)

func TestTheProvidersWordIsTheApps(t *testing.T) {
	t.Parallel()
	b := newBench(t, testConfig, nil)
	var got string
	b.relay.script = func(tx *fakeTx) {
		v := <-tx.rcpts
		got, _ = tx.read()
		v.answer(nil)
		tx.end(upstream.Result{Account: "home", Reply: taken, Recipients: []upstream.RecipientResult{{Recipient: v.res.Recipient}}})
	}
	r, rcpt, err := b.send("taro@provider-a.example", testMessage, "hanako@elsewhere.example")
	if err != nil || r.String() != taken.String() || rcpt[0] != nil {
		t.Fatalf("the app hears %v, %v, %v at RCPT", r, err, rcpt)
	}
	top, rest, _ := strings.Cut(got, "\r\n")
	if !strings.HasPrefix(top, "Received: from localhost by localhost with ESMTP id ") || rest != testMessage {
		t.Fatalf("the provider got %q", got)
	}
	b.nothingKept()
	h, err := b.outbox.History()
	if err != nil || len(h) != 1 || h[0].Outcome != "delivered" || h[0].Text != "queued as 4711" {
		t.Errorf("history: %+v, %v", h, err)
	}
	if e := <-b.events; e.Outcome != "sent" || e.Account != "home" || !slices.Equal(e.To, []string{"hanako@elsewhere.example"}) {
		t.Errorf("event: %+v", e)
	}
}

func TestWhatARefusalDoes(t *testing.T) {
	t.Parallel()
	unreachable := &upstream.Error{Phase: upstream.PhaseConnect, Class: upstream.ClassServerUnreachable, Sentence: "Nobody answers."}
	for _, c := range []struct {
		name string
		err  *upstream.Error
		code int // what the app hears; 250: kept
	}{
		{"the message's", refusal(upstream.PhaseDataEnd, upstream.ClassContentRejectedSpam, 554), 554},
		{"too large", refusal(upstream.PhaseMail, upstream.ClassMessageTooLarge, 552), 552},
		{"the person's: password", refusal(upstream.PhaseAuth, upstream.ClassCredentialsRejected, 535), 535},
		{"the person's: relay", refusal(upstream.PhaseRcpt, upstream.ClassRelayDeniedIP, 550), 550},
		{"the server's", refusal(upstream.PhaseDataEnd, upstream.ClassTemporaryLocalProblem, 451), 250},
		{"the server's: password with 4xx", refusal(upstream.PhaseAuth, upstream.ClassCredentialsRejected, 454), 250},
		{"the network's", unreachable, 250},
		{"unknown", &upstream.Error{Phase: upstream.PhaseEHLO}, 250},
		{"the last reply lost", &upstream.Error{Phase: upstream.PhaseDataEnd, Ambiguous: true}, 250},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, testConfig, func(tx *fakeTx) {
				v := <-tx.rcpts
				if _, err := tx.read(); err != nil {
					t.Error(err)
				}
				v.answer(c.err)
				tx.end(upstream.Result{Err: c.err, Recipients: []upstream.RecipientResult{{Recipient: v.res.Recipient, Err: c.err}}})
			})
			r, _, err := b.send("taro@provider-a.example", testMessage, "hanako@elsewhere.example")
			if c.code != 250 {
				wantRefused(t, err, c.code, "the provider's words")
				b.nothingKept()
				return
			}
			wantKept(t, r, err)
			e := b.entries()
			if len(e) != 1 || e[0].Account != "home" || e[0].Attempts != 1 || e[0].LastError == nil {
				t.Fatalf("kept: %+v", e)
			}
			want := outbox.Waiting
			if c.err.Ambiguous {
				want = outbox.Unconfirmed
			}
			if e[0].State != want {
				t.Errorf("state %s, want %s", e[0].State, want)
			}
		})
	}
}

func TestPatienceEndsTheAppsWaitOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  *upstream.Error
		kept outbox.State // "" when nothing is left
	}{
		{"the provider takes it later", nil, ""},
		{"the provider refuses it later", refusal(upstream.PhaseDataEnd, upstream.ClassContentRejectedSpam, 554), outbox.Attention},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answered := make(chan struct{})
			b := newBench(t, testConfig, func(tx *fakeTx) {
				v := <-tx.rcpts
				v.answer(nil)
				_, _ = tx.read()
				select {
				case <-answered:
				case <-tx.canceled:
					t.Error("the provider's work was cut")
				}
				res := upstream.Result{Err: c.end, Recipients: []upstream.RecipientResult{{Recipient: v.res.Recipient, Err: c.end}}}
				if c.end == nil {
					res.Reply = taken
				}
				tx.end(res)
			}, func(o *Options) { o.Patience = time.Millisecond })
			r, _, err := b.send("taro@provider-a.example", testMessage, "hanako@elsewhere.example")
			wantKept(t, r, err)
			if e := b.entries(); len(e) != 1 || e[0].State != outbox.Sending {
				t.Fatalf("while the provider works: %+v", e)
			}
			close(answered)
			b.d.wg.Wait()
			e := b.entries()
			if c.kept == "" {
				b.nothingKept()
			} else if len(e) != 1 || e[0].State != c.kept {
				t.Errorf("afterwards: %+v, want %s", e, c.kept)
			}
		})
	}
}

func TestEachRecipientHasItsVerdict(t *testing.T) {
	t.Parallel()
	unknown := refusal(upstream.PhaseRcpt, upstream.ClassRecipientUnknown, 550)
	grey := refusal(upstream.PhaseRcpt, upstream.ClassGreylisted, 451)
	const a, bb, c = "a@elsewhere.example", "b@elsewhere.example", "c@elsewhere.example"

	t.Run("a later one is refused at RCPT", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, testConfig, verdicts(nil, nil, unknown, nil))
		r, rcpt, err := b.send("taro@provider-a.example", testMessage, a, bb, c)
		if err != nil || r.Code != 250 || rcpt[0] != nil || rcpt[2] != nil {
			t.Fatalf("%v, %v, %v", r, err, rcpt)
		}
		wantRefused(t, rcpt[1], 550, "the provider's words")
		b.nothingKept()
	})
	t.Run("the first is refused meanwhile: nothing goes to the others", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, testConfig, nil)
		b.relay.script = func(tx *fakeTx) {
			one, two := <-tx.rcpts, <-tx.rcpts
			one.answer(unknown)
			two.answer(nil)
			if _, err := tx.read(); err == nil {
				t.Error("the body went to the others")
			}
			tx.end(upstream.Result{Err: unknown})
		}
		_, rcpt, err := b.send("taro@provider-a.example", testMessage, a, bb)
		if rcpt[0] != nil || rcpt[1] != nil {
			t.Fatalf("at RCPT: %v", rcpt)
		}
		wantRefused(t, err, 550, "the provider's words")
		b.nothingKept()
	})
	t.Run("one that is deferred is kept for later", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, testConfig, verdicts(nil, nil, grey))
		r, rcpt, err := b.send("taro@provider-a.example", testMessage, a, bb)
		if rcpt[1] != nil {
			t.Fatalf("at RCPT: %v", rcpt[1])
		}
		wantKept(t, r, err)
		e := b.entries()
		if len(e) != 1 || !slices.Equal(e[0].To(), []string{bb}) || e[0].State != outbox.Waiting {
			t.Fatalf("kept: %+v", e)
		}
	})
}

func TestARouteSplitsTheRecipients(t *testing.T) {
	t.Parallel()
	b := newBench(t, testConfig, verdicts(nil, nil))
	r, _, err := b.send("taro@provider-a.example", testMessage, "hanako@elsewhere.example", "boss@work.example")
	wantKept(t, r, err)
	e := b.entries()
	if len(e) != 1 || e[0].Account != "work" || !slices.Equal(e[0].To(), []string{"boss@work.example"}) || e[0].Attempts != 0 {
		t.Fatalf("kept: %+v", e)
	}
	txs := b.relay.all()
	if len(txs) != 1 || txs[0].account != "home" {
		t.Fatalf("%d live transactions", len(txs))
	}
}

func TestTheHeaderDecides(t *testing.T) {
	t.Parallel()
	b := newBench(t, testConfig, verdicts(nil, nil))
	r, _, err := b.send("", "From: Taro <taro@work.example>\r\n\r\nbody\r\n", "hanako@elsewhere.example")
	if err != nil || r.String() != taken.String() {
		t.Fatalf("%v, %v", r, err)
	}
	if txs := b.relay.all(); len(txs) != 1 || txs[0].account != "work" {
		t.Fatalf("carried by %+v", txs)
	}
	_, _, err = b.send("", "From: stranger@nowhere.example\r\n\r\nbody\r\n", "hanako@elsewhere.example")
	wantRefused(t, err, 550, "home")
	b.nothingKept()
}

func TestKeptWithoutTheProvider(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		yaml    string
		paused  bool
		account string
	}{
		"queue":      {testConfig + "delivery: queue\n", false, "home"},
		"paused":     {testConfig, true, "home"},
		"no account": {"{}", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, c.yaml, func(tx *fakeTx) { t.Error("the provider was asked") })
			b.paused = c.paused
			r, _, err := b.send("taro@provider-a.example", testMessage, "hanako@elsewhere.example")
			wantKept(t, r, err)
			e := b.entries()
			if len(e) != 1 || e[0].Account != c.account || e[0].Attempts != 0 {
				t.Fatalf("kept: %+v", e)
			}
			m, _, err := b.outbox.Export(e[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			data, _ := io.ReadAll(m)
			if _, rest, _ := strings.Cut(string(data), "\r\n"); rest != testMessage {
				t.Errorf("kept as %q", data)
			}
		})
	}
}

func TestPassNeverKeeps(t *testing.T) {
	t.Parallel()
	busy := refusal(upstream.PhaseDataEnd, upstream.ClassTemporaryLocalProblem, 451)
	b := newBench(t, testConfig+"delivery: pass\n", verdicts(busy, nil))
	_, _, err := b.send("taro@provider-a.example", testMessage, "hanako@elsewhere.example")
	wantRefused(t, err, 451, "the provider's words")
	b.nothingKept()
}

func TestAnAppThatGoesAwayLeavesNothing(t *testing.T) {
	t.Parallel()
	cut := make(chan error, 1)
	b := newBench(t, testConfig, func(tx *fakeTx) {
		(<-tx.rcpts).answer(nil)
		body := <-tx.body
		r, err := body.Open()
		if err == nil {
			_, err = io.ReadAll(r)
			r.Close()
		}
		cut <- err
		<-tx.canceled
		tx.end(upstream.Result{Err: &upstream.Error{Phase: upstream.PhaseData}})
	})
	gone := io.MultiReader(strings.NewReader("Subject: x\r\n\r\nhalf a mes"), errReader{upstream.ErrBodyAborted})
	_, _, err := b.sendFrom(smtpin.Client{}, "taro@provider-a.example", gone, "hanako@elsewhere.example")
	if !errors.Is(err, upstream.ErrBodyAborted) {
		t.Fatalf("the listener hears %v", err)
	}
	if err := <-cut; err == nil {
		t.Fatal("the provider's side read a whole message")
	}
	b.nothingKept()
	if len(b.events) != 0 {
		t.Errorf("event %+v for a message that nobody refused", <-b.events)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestTheSameMessageJoinsTheOneUnderWay(t *testing.T) {
	t.Parallel()
	lost := &upstream.Error{Phase: upstream.PhaseDataEnd, Ambiguous: true}
	b := newBench(t, testConfig, verdicts(lost, nil))
	const from, to = "taro@provider-a.example", "hanako@elsewhere.example"
	first, _, err := b.send(from, testMessage, to)
	wantKept(t, first, err)
	second, _, err := b.send(from, testMessage, to)
	wantKept(t, second, err)
	if e := b.entries(); len(e) != 1 || !strings.Contains(second.Text(), e[0].ID) {
		t.Fatalf("%d entries; the second hears %v", len(e), second)
	}
	b.relay.mu.Lock()
	b.relay.script = verdicts(nil, nil)
	b.relay.mu.Unlock()
	other, _, err := b.send(from, testMessage+"another body\r\n", to)
	if err != nil || other.String() != taken.String() {
		t.Fatalf("another message: %v, %v", other, err)
	}
	// The outcome of that one is known: sent again as asked.
	again, _, err := b.send(from, testMessage+"another body\r\n", to)
	if err != nil || again.String() != taken.String() {
		t.Fatalf("a second copy with a known outcome: %v, %v", again, err)
	}
}

func TestLoopsAreCut(t *testing.T) {
	t.Parallel()
	b := newBench(t, testConfig, func(tx *fakeTx) {
		(<-tx.rcpts).answer(nil)
		<-tx.canceled
	})
	m := strings.Repeat("Received: from localhost by localhost; x\r\n", maxHops+1) + testMessage
	_, _, err := b.send("taro@provider-a.example", m, "hanako@elsewhere.example")
	wantRefused(t, err, 554, "circles")
	b.nothingKept()
}
