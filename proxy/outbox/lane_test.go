package outbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

func TestOldestFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(unreachable)
		ids := r.keepN(50)
		if seen := r.attempts(); len(seen) != 1 {
			t.Fatalf("%d attempts while nothing gets through, want 1", len(seen))
		}
		r.answer(nil)
		r.NetworkChanged()
		equal(t, "order", idsSeen(r.attempts()), ids)
		if s := r.Snapshot(); s.Total != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestFailingAccountIsTriedAsAWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(unreachable)
		ids := r.keepN(10)
		other := entry()
		other.Account = "work"
		r.keep("w", other, KeepOptions{})
		if seen := r.attempts(); len(seen) != 2 {
			t.Fatalf("%d attempts, want one an account", len(seen))
		}
		time.Sleep(time.Hour) // 1+2+5+10+30 minutes: five more probes each
		seen := r.attempts()
		if len(seen) != 10 {
			t.Errorf("%d attempts in an hour, want 5 an account", len(seen))
		}
		for _, s := range seen {
			if s.id != ids[0] && r.show(s.id).Account != "work" {
				t.Errorf("%s was tried, not the oldest", s.id)
			}
		}
		if n := r.show(ids[5]).NextAttempt; !n.Equal(r.show(ids[0]).NextAttempt) {
			t.Errorf("the others wait until %v", n)
		}
		r.answer(nil)
		r.Delivered("home")
		if seen := r.attempts(); len(seen) != 10 {
			t.Errorf("%d attempts after the account delivered live mail, want 10", len(seen))
		}
	})
}

func TestWrongPasswordWhileTenWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.Pause()
		ids := r.keepN(10)
		r.answer(wrongPassword)
		r.Resume()
		time.Sleep(24 * time.Hour)
		r.NetworkChanged()
		r.Resumed()
		equal(t, "attempts", idsSeen(r.attempts()), ids[:1])
		if s := r.Snapshot(); s.Attention != 10 || s.Bounces != 0 || s.Waiting != 0 || !s.Next.IsZero() {
			t.Errorf("%+v", s)
		}
		if e := r.show(ids[7]); e.State != Attention || e.LastError == nil || e.LastError.Class != upstream.ClassCredentialsRejected {
			t.Errorf("an entry that was not tried: %s, %v", e.State, e.LastError)
		}
		r.reopen()
		time.Sleep(24 * time.Hour)
		if seen := r.attempts(); len(seen) != 0 {
			t.Errorf("%d attempts after a restart", len(seen))
		}
		r.answer(nil)
		if err := r.AccountCleared("home"); err != nil {
			t.Fatal(err)
		}
		equal(t, "order", idsSeen(r.attempts()), ids)
	})
}

func TestRelayRefusedGetsOneTryEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(relayDenied)
		ids := r.keepN(3)
		equal(t, "attempts", idsSeen(r.attempts()), ids)
		if s := r.Snapshot(); s.Attention != 3 || s.Bounces != 0 {
			t.Errorf("%+v", s)
		}
		r.answer(nil)
		r.Resumed()
		if seen := r.attempts(); len(seen) != 0 {
			t.Errorf("%d attempts from the same address", len(seen))
		}
		r.NetworkChanged()
		equal(t, "after the network changed", idsSeen(r.attempts()), ids)
	})
}

func TestProviderThatShutsUsOutHere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(&upstream.Error{Phase: upstream.PhaseConnect, Class: upstream.ClassRelayDeniedIP,
			Reply: upstream.Reply{Code: 554, Lines: []string{"Not from your address"}}})
		ids := r.keepN(3)
		if n := len(r.attempts()); n != 1 {
			t.Errorf("%d attempts, want one for all", n)
		}
		r.answer(nil)
		r.Resumed()
		if n := len(r.attempts()); n != 0 {
			t.Errorf("%d attempts from the same address", n)
		}
		r.NetworkChanged()
		equal(t, "after the network changed", idsSeen(r.attempts()), ids)
	})
}

func TestOneRecipientIsThePersonsToMend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.script(func(e Entry) upstream.Result {
			var res upstream.Result
			for i, rc := range e.Envelope.Recipients {
				rr := upstream.RecipientResult{Recipient: rc}
				if i == 1 {
					rr.Err = &upstream.Error{Phase: upstream.PhaseRcpt, Class: upstream.ClassAccountDisabledOrLocked,
						Reply: upstream.Reply{Code: 550, Lines: []string{"That account is disabled"}}}
				}
				res.Recipients = append(res.Recipients, rr)
			}
			return res
		})
		id := r.keep("m", entry("a@x.example", "b@x.example"), KeepOptions{})
		time.Sleep(24 * time.Hour)
		if n := len(r.attempts()); n != 1 || r.show(id).State != Attention {
			t.Errorf("%s after %d attempts", r.show(id).State, n)
		}
		r.keep("another", entry(), KeepOptions{})
		if n := len(r.attempts()); n != 1 {
			t.Error("the account was stopped by one recipient")
		}
	})
}

func TestNetworkFailuresDoNotCountForTheMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(unreachable)
		id := r.keep("m", entry(), KeepOptions{})
		time.Sleep(5 * time.Hour)
		r.answer(greylisted)
		time.Sleep(48*time.Minute + time.Second) // the eleventh attempt is at 5 h 48 min
		e := r.show(id)
		if d := e.NextAttempt.Sub(e.LastAttempt); e.LastError.Class != upstream.ClassGreylisted || d != time.Minute {
			t.Errorf("%v: next after %v", e.LastError, d)
		}
	})
}

func TestRestartDoesNotHurryAFailingAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(unreachable)
		r.keepN(5)
		time.Sleep(3 * time.Hour)
		r.attempts()
		r.reopen()
		if n := len(r.attempts()); n != 0 {
			t.Errorf("%d attempts at once", n)
		}
		time.Sleep(time.Hour)
		if n := len(r.attempts()); n != 1 {
			t.Errorf("%d attempts in an hour, want 1", n)
		}
	})
}

func TestLiveFailureCountsForTheAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(unreachable)
		e := entry()
		e.Attempts, e.LastError = 1, unreachable
		id := r.keep("live", e, KeepOptions{})
		r.keep("queued", entry(), KeepOptions{})
		if n := len(r.attempts()); n != 0 {
			t.Errorf("%d attempts right after one failed", n)
		}
		if e := r.show(id); e.Attempts != 1 || e.LastError == nil || e.State != Waiting {
			t.Errorf("%+v", e)
		}
		time.Sleep(time.Minute)
		if seen := r.attempts(); len(seen) != 1 || seen[0].id != id {
			t.Errorf("%v after a minute", seen)
		}
	})
}

func TestRecipientsOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		outcomes := func(outcome map[string]*upstream.Error) {
			r.script(func(e Entry) upstream.Result {
				var res upstream.Result
				for _, rc := range e.Envelope.Recipients {
					res.Recipients = append(res.Recipients, upstream.RecipientResult{Recipient: rc, Err: outcome[rc.Address]})
				}
				return res
			})
		}
		outcomes(map[string]*upstream.Error{"later@x.example": greylisted, "never@x.example": noSuchUser})
		id := r.keep("m", entry("good@x.example", "later@x.example", "never@x.example"), KeepOptions{})
		synctest.Wait()
		e := r.show(id)
		if e.State != Waiting || len(e.Envelope.Recipients) != 1 || e.Envelope.Recipients[0].Address != "later@x.example" {
			t.Errorf("%s for %v", e.State, e.Envelope.Recipients)
		}
		equal(t, "to", e.To(), []string{"later@x.example", "never@x.example"})
		bounces := func() (n int) {
			for _, s := range r.attempts() {
				if s.id != id {
					n++
				}
			}
			return n
		}
		if n := bounces(); n != 1 {
			t.Errorf("%d bounces, want one for the refused recipient", n)
		}
		outcomes(map[string]*upstream.Error{"never@x.example": noSuchUser})
		time.Sleep(time.Hour)
		if e := r.show(id); e.State != Attention || e.record.cause != causeMessage {
			t.Errorf("%s (%s) when only the refused recipient is left", e.State, e.record.cause)
		}
		if n := bounces(); n != 0 {
			t.Errorf("%d more bounces", n)
		}
		r.AccountCleared("home")
		if seen := r.attempts(); len(seen) != 0 {
			t.Error("settings changed, and what the provider refused for good was tried again")
		}
		if err := r.SendNow(id); err != nil {
			t.Fatal(err)
		}
		if seen := r.attempts(); len(seen) != 1 || !slices.Equal(seen[0].to, []string{"never@x.example"}) {
			t.Errorf("%v after the person asked for another attempt, and no second bounce", seen)
		}
	})
}

func TestLostReplyIsUnconfirmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(lostReply)
		id := r.keep("m", entry(), KeepOptions{})
		r.attempts()
		first := r.bodies[id]
		r.answer(unreachable)
		time.Sleep(time.Minute)
		r.attempts()
		if e := r.show(id); e.State != Unconfirmed || e.Attempts != 2 {
			t.Errorf("%s after %d attempts: an attempt that found nobody says nothing of the one before", e.State, e.Attempts)
		}
		r.reopen()
		if e := r.show(id); e.State != Unconfirmed {
			t.Errorf("%s after a restart", e.State)
		}
		r.answer(nil)
		r.NetworkChanged()
		r.attempts()
		if r.bodies[id] != first || first == "" {
			t.Error("not the same bytes")
		}
	})
}

func TestLineThatBreaksOffTwiceStopsTheLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(&upstream.Error{Phase: upstream.PhaseData, Class: upstream.ClassServerBroken, Sentence: "The line broke."})
		ids := r.keepN(10)
		equal(t, "attempts", idsSeen(r.attempts()), ids[:2])
	})
}

func TestConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Account: func(string) AccountInfo { return AccountInfo{Connections: 3} }})
		r.Pause()
		r.keepN(10)
		slow := make(chan struct{})
		r.script(func(Entry) upstream.Result { <-slow; return upstream.Result{} })
		r.Resume()
		if seen := r.attempts(); len(seen) != 1 {
			t.Errorf("%d attempts at once before any got through, want 1", len(seen))
		}
		slow <- struct{}{}
		if seen := r.attempts(); len(seen) != 3 {
			t.Errorf("%d attempts at once, want 3", len(seen))
		}
		close(slow)
		if seen := r.attempts(); len(seen) != 6 {
			t.Errorf("%d more attempts, want 6", len(seen))
		}
	})
}

func TestMailWithoutAccountWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(&upstream.Error{Phase: upstream.PhaseConnect, Class: upstream.ClassOther, Sentence: "There is no account yet."})
		e := entry()
		e.Account = ""
		id := r.keep("m", e, KeepOptions{})
		r.attempts()
		if e := r.show(id); e.State != Waiting || e.Account != "" {
			t.Errorf("%+v", e)
		}
		r.answer(nil)
		r.AccountCleared("")
		if seen := r.attempts(); len(seen) != 1 {
			t.Errorf("%d attempts when an account exists", len(seen))
		}
	})
}

func TestAttemptIsRecordedBeforeItIsMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.script(func(e Entry) upstream.Result {
			onDisk, err := r.store.load(e.ID)
			if err != nil {
				t.Fatal(err)
			}
			if onDisk.State != Sending || onDisk.Attempts != 1 || !onDisk.NextAttempt.After(onDisk.LastAttempt) {
				t.Errorf("on disk: %s, %d attempts, next %v", onDisk.State, onDisk.Attempts, onDisk.NextAttempt)
			}
			return upstream.Result{}
		})
		r.Pause()
		r.keepN(10)
		r.Resume()
		if n := len(r.attempts()); n != 10 {
			t.Errorf("%d attempts", n)
		}
	})
}

func TestPauseStopsInTheMiddleOfABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.Pause()
		ids := r.keepN(20)
		n := 0
		r.script(func(Entry) upstream.Result {
			if n++; n == 5 { // the batches are 1, 2, 4, 8, …: in the middle of the third
				r.Pause()
			}
			return upstream.Result{}
		})
		r.Resume()
		equal(t, "attempts", idsSeen(r.attempts()), ids[:5])
		if err := r.SendNow(); !errors.Is(err, ErrPaused) {
			t.Errorf("send while paused: %v", err)
		}
		r.reopen()
		for id, s := range r.states() {
			if e, _ := r.store.load(id); s != Waiting || e.State != Waiting || e.Attempts != 0 {
				t.Errorf("%s: %s, on disk %s after %d attempts", id, s, e.State, e.Attempts)
			}
		}
		if !r.Snapshot().Paused {
			t.Error("the pause did not survive the restart")
		}
		r.Resume()
		equal(t, "attempts", idsSeen(r.attempts()), ids[5:])
	})
}

func TestHoldAndRemoveInTheMiddleOfABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.Pause()
		ids := r.keepN(15)
		n := 0
		r.script(func(Entry) upstream.Result {
			if n++; n == 8 { // the first of a batch of eight
				if err := r.Hold(ids[10], ids[12]); err != nil {
					t.Error(err)
				}
				if err := r.Remove(ids[11]); err != nil {
					t.Error(err)
				}
				r.Release(ids[12])
			}
			return upstream.Result{}
		})
		r.Resume()
		// What was released goes by age again, but after what was under way.
		want := slices.Concat(ids[:10], ids[13:], ids[12:13])
		equal(t, "attempts", idsSeen(r.attempts()), want)
		if e, err := r.store.load(ids[10]); err != nil || e.State != Held || e.Attempts != 0 {
			t.Errorf("on disk: %s after %d attempts, %v", e.State, e.Attempts, err)
		}
	})
}

func TestCloseDuringAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, err := Open(t.TempDir(), Options{Sender: senderFunc(func(ctx context.Context, e Entry, _ upstream.Body) upstream.Result {
			<-ctx.Done()
			return upstream.Result{Err: lostReply}
		})})
		if err != nil {
			t.Fatal(err)
		}
		sp := spoolOf(t, o, "m")
		id, err := o.Keep(t.Context(), sp, entry(), KeepOptions{})
		sp.Discard()
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		if e, err := o.store.load(id); err != nil || e.State != Unconfirmed {
			t.Errorf("%s, %v", e.State, err)
		}
		if _, err := o.Keep(t.Context(), sp, entry(), KeepOptions{}); !errors.Is(err, ErrClosed) {
			t.Errorf("Keep after Close: %v", err)
		}
		if _, err := o.List(); !errors.Is(err, ErrClosed) {
			t.Errorf("List after Close: %v", err)
		}
	})
}

func TestEventsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.answer(greylisted)
		id := r.keep("m", entry(), KeepOptions{})
		synctest.Wait()
		r.Hold(id)
		r.answer(nil)
		r.Release(id)
		var got []string
		for _, e := range r.types() {
			got = append(got, string(e))
		}
		equal(t, "events", got, strings.Fields("kept sending deferred held released sending delivered"))
	})
}
