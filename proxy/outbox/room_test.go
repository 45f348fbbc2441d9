package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// refusal is what an app is told of an error of Keep.
func refusal(err error) string {
	var ue *upstream.Error
	if errors.As(err, &ue) {
		return ue.Reply.String()
	}
	return fmt.Sprint(err)
}

// TestFullDiskDrains: mail that nobody can send fills the disk, but for what it
// takes to send it, and so it all goes when it can.
func TestFullDiskDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemFS()
		m.size = freeMargin + 8<<20
		sent := make(map[string]int)
		o, err := openMem(t, m, senderFunc(func(_ context.Context, e Entry, _ upstream.Body) upstream.Result {
			if sent[e.ID]++; sent[e.ID] == 1 && len(sent)%3 == 0 {
				return upstream.Result{Err: greylisted}
			}
			return upstream.Result{}
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		o.Pause()
		kept := 0
		for ; kept < 1000; kept++ {
			sp := o.NewSpool()
			sp.Write(bytes.Repeat([]byte("0123456789abcdef"), 3000))
			sp.Finish()
			_, err = o.Keep(t.Context(), sp, entry(), KeepOptions{})
			sp.Discard()
			if err != nil {
				break
			}
		}
		if kept < 100 || refusal(err) != "452 4.3.1 The disk is full: the message could not be kept." {
			t.Errorf("%d kept, then: %s", kept, refusal(err))
		}
		sp := o.NewSpool()
		_, err = sp.Write(make([]byte, spoolMemory+1))
		sp.Discard()
		if !strings.HasPrefix(refusal(err), "452 4.3.1 ") {
			t.Errorf("a large message: %s", refusal(err))
		}
		if free, _ := m.Free(""); free < freeMargin-1<<20 {
			t.Errorf("%d octets are left", free)
		}
		if p := o.Problems(); len(p) != 1 {
			t.Errorf("%+v", p)
		}
		// Others take what is left but for a little.
		m.mu.Lock()
		m.size = m.used() + 64<<10
		m.mu.Unlock()
		if err := o.Resume(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if s := o.Snapshot(); s.Total != 0 || len(sent) != kept {
			t.Errorf("%+v, %d of %d were sent", s, len(sent), kept)
		}
	})
}

// TestOutboxIsBounded: it takes so many messages, and so many octets, until some
// have gone. Bounces have a place always.
func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	for _, opts := range []Options{{MaxEntries: 3}, {MaxOctets: 200}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, opts)
			r.Pause()
			ids := r.keepN(3)
			sp := r.spool("one too many")
			defer sp.Discard()
			_, err := r.Keep(t.Context(), sp, entry(), KeepOptions{})
			if want := "452 4.3.1 The outbox is full: it takes more when messages in it have gone or are removed."; refusal(err) != want {
				t.Errorf("%+v: %s", opts, refusal(err))
			}
			if p := r.Problems(); len(p) != 1 || !strings.HasPrefix(p[0].Sentence, "The outbox is full") {
				t.Errorf("%+v", p)
			}
			r.reopen()
			if _, err := r.Keep(t.Context(), r.spool("still"), entry(), KeepOptions{}); err == nil {
				t.Error("a restart made room")
			}
			if _, err := r.Keep(t.Context(), r.spool("bounce"), Entry{Account: "home", Bounce: true}, KeepOptions{}); err != nil {
				t.Errorf("a bounce: %v", err)
			}
			r.Remove(ids...)
			if _, err := r.Keep(t.Context(), sp, entry(), KeepOptions{}); err != nil {
				t.Errorf("when there is a place: %v", err)
			}
			if p := r.Problems(); len(p) != 0 {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestFreeSpaceIsKnown looks at the machine's own disk.
func TestFreeSpaceIsKnown(t *testing.T) {
	t.Parallel()
	if free, err := (OS{}).Free(t.TempDir()); err != nil || free < 1 || free == math.MaxInt64 {
		t.Errorf("%d, %v", free, err)
	}
	if _, err := (OS{}).Free(t.TempDir() + "/none"); err == nil {
		t.Error("of a directory that is not there")
	}
}
