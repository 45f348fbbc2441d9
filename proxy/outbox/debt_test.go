package outbox

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"melon/upstream"
)

// partly delivers to everybody but the last recipient, and fills the disk while
// it does so the first time.
type partly struct {
	m    *memFS
	disk [][]string  // recipients that its file has at each attempt but the first, which is the journal's
	seen [][]string  // recipients of each attempt
	fine atomic.Bool // everybody is taken
}

// Send implements Sender.
func (p *partly) Send(_ context.Context, e Entry, _ upstream.Body) upstream.Result {
	if len(p.seen) == 0 {
		p.fill(true)
	}
	p.seen = append(p.seen, e.To())
	p.m.mu.Lock()
	for name, f := range p.m.now {
		if strings.HasSuffix(name, e.ID+".json") {
			if on, err := decode(e.ID, f.data); err == nil {
				p.disk = append(p.disk, on.To())
			}
		}
	}
	p.m.mu.Unlock()
	var r upstream.Result
	for i, rc := range e.Envelope.Recipients {
		rr := upstream.RecipientResult{Recipient: rc}
		if i == len(e.Envelope.Recipients)-1 && !p.fine.Load() {
			rr.Err = greylisted
		}
		r.Recipients = append(r.Recipients, rr)
	}
	return r
}

// fill fills the disk, or makes room.
func (p *partly) fill(is bool) {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	p.m.step = nil
	if is {
		p.m.step = func(op string) error {
			if strings.HasPrefix(op, "write") {
				return full(op)
			}
			return nil
		}
	}
}

// TestOutcomeThatTheDiskDidNotTake: whoever has the message does not get it
// again because the disk was too full to write that down, and once there is room
// it is written.
func TestOutcomeThatTheDiskDidNotTake(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"the next attempt", "another's outcome", "the end"} {
		t.Run("written by "+end, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &partly{m: newMemFS()}
				o, err := openMem(t, p.m, p)
				if err != nil {
					t.Fatal(err)
				}
				keep := func(e Entry) {
					sp := spoolOf(t, o, strings.Join(e.To(), " "))
					defer sp.Discard()
					if _, err := o.Keep(t.Context(), sp, e, KeepOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				keep(entry("x", "y", "z"))
				synctest.Wait()
				list, err := o.List()
				if err != nil || len(list) != 1 || !slices.Equal(list[0].To(), []string{"z"}) {
					t.Errorf("with a full disk: %v, %v", list, err)
				}
				p.fill(false)
				p.fine.Store(true)
				switch end {
				case "the next attempt":
					time.Sleep(time.Hour)
					synctest.Wait()
					if len(p.seen) != 2 || !slices.Equal(p.seen[1], []string{"z"}) || len(p.disk) != 1 || !slices.Equal(p.disk[0], []string{"z"}) {
						t.Errorf("attempts: %v, on the disk: %v", p.seen, p.disk)
					}
				case "another's outcome":
					keep(entry("w"))
					synctest.Wait()
				}
				owed := o.store.debts()
				if (len(owed) == 1) != (end == "the end") {
					t.Errorf("owed: %v", owed)
				}
				if err := o.Close(); err != nil {
					t.Error(err)
				}
				again, err := openMem(t, p.m.crash(powerOff), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer again.Close()
				list, err = again.List()
				if end == "the next attempt" {
					if len(list) != 0 || err != nil {
						t.Errorf("left: %v, %v", list, err)
					}
				} else if err != nil || len(list) != 1 || !slices.Equal(list[0].To(), []string{"z"}) {
					t.Errorf("after a restart: %v, %v", list, err)
				}
			})
		})
	}
}
