package submit

import (
	"context"
	"testing"
)

// After a refused chunk the next message begins with RSET, in the same flight:
// the server may hold the transaction open (RFC 3030 section 2). After a refused
// dot there is nothing to end.
func TestResetAfterARefusedChunk(t *testing.T) {
	t.Parallel()
	for _, r := range []struct {
		name   string
		server []string
	}{
		{"BDAT", join(join(greeted("PIPELINING", "CHUNKING"), mailCmd, rcptA, yes, yes, chunk, letterB, "S: 554 5.6.1 no"),
			"C: RSET", mailCmd, rcptA, yes, yes, yes, chunk, letterB, queued)},
		{"DATA", join(join(join(join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", yes, yes, "S: 354 go"), dataLines...), "S: 554 5.6.1 no"),
			join(join([]string{mailCmd, rcptA, "C: DATA", yes, yes, "S: 354 go"}, dataLines...), queued)...)},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			c := open(t, play(t, r.server...), testOptions())
			if out := c.Transact(context.Background(), envelope, feed(letter, addrA), TransactOptions{}); out.Err == nil || out.Err.Reply.Code != 554 || !c.Usable() {
				t.Fatalf("%+v, usable %v", out.Err, c.Usable())
			}
			if out := c.Transact(context.Background(), envelope, feed(letter, addrA), TransactOptions{}); out.Err != nil {
				t.Errorf("the next message: %v", out.Err)
			}
		})
	}
}

// A 503 to MAIL says that the server is at another step: what it would take the
// next commands for is anybody's guess, and the line is given up.
func TestOutOfStep(t *testing.T) {
	t.Parallel()
	c := open(t, play(t, join(greeted("PIPELINING"), mailCmd, rcptA, "C: DATA", "S: 503 5.5.1 Nested MAIL command", "S: 250 2.1.5 ok", "S: 554 no")...), testOptions())
	out := c.Transact(context.Background(), envelope, feed(letter, addrA), TransactOptions{})
	if out.Err == nil || out.Err.Reply.Code != 503 || out.Err.Ambiguous || c.Usable() {
		t.Errorf("%+v, usable %v", out.Err, c.Usable())
	}
}
