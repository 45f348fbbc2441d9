package sendmail

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"melon/upstream"
)

// kept is an outbox in memory; it refuses a message with "no" in it.
type kept struct {
	envelopes []upstream.Envelope
	bodies    []string
}

var errFull = errors.New("full")

func (k *kept) Queue(_ context.Context, env upstream.Envelope, body io.Reader) (upstream.Reply, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return upstream.Reply{}, err
	}
	if strings.Contains(string(b), "no") {
		return upstream.Reply{}, errFull
	}
	k.envelopes, k.bodies = append(k.envelopes, env), append(k.bodies, string(b))
	return upstream.Reply{Code: 250}, nil
}

// leave drops a message.
func leave(t *testing.T, state, text string) upstream.Envelope {
	t.Helper()
	m := &draft{}
	defer m.Close()
	if _, err := m.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	env := upstream.Envelope{From: "a@b.example", Body: upstream.Body8BitMIME, SMTPUTF8: true, Return: "HDRS", EnvelopeID: "x y", Size: m.size,
		Recipients: []upstream.Recipient{{Address: "c@d.example", Notify: []string{"NEVER"}}, {Address: "e@f.example"}}}
	if err := drop(state, env, m); err != nil {
		t.Fatal(err)
	}
	return env
}

// TestDroppedMessagesAreCollected: whole, in their order, each once; one that the
// outbox refuses stays and is a problem until it goes.
func TestDroppedMessagesAreCollected(t *testing.T) {
	t.Parallel()
	state, out := t.TempDir(), &kept{}
	long := strings.Repeat("x", draftMemory) + "\r\n"
	env := leave(t, state, long)
	leave(t, state, "no\r\n")
	leave(t, state, "second\r\n")
	c := NewCollector(state, out, slog.New(slog.DiscardHandler))
	if err := c.Collect(t.Context()); !errors.Is(err, errFull) {
		t.Errorf("collected with %v", err)
	}
	if len(out.bodies) != 2 || out.bodies[0] != long || out.bodies[1] != "second\r\n" || !reflect.DeepEqual(out.envelopes[0], env) {
		t.Fatalf("collected %d: %+v", len(out.bodies), out.envelopes)
	}
	left, err := dropped(state)
	if err != nil || len(left) != 1 || len(c.Problems()) != 1 || !strings.Contains(c.Problems()[0], left[0]) {
		t.Fatalf("left %q, %v, problems %q", left, err, c.Problems())
	}
	if err := os.Remove(left[0]); err != nil {
		t.Fatal(err)
	}
	if err := c.Collect(t.Context()); err != nil || len(c.Problems()) != 0 || len(out.bodies) != 2 {
		t.Errorf("%v, problems %q, %d messages", err, c.Problems(), len(out.bodies))
	}
}

// TestUnfinishedDropsAreNotSeen: what is still being written has another name.
func TestUnfinishedDropsAreNotSeen(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	leave(t, state, "x\r\n")
	all, err := dropped(state)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if err := os.Rename(all[0], strings.TrimSuffix(all[0], dropSuffix)+".tmp"); err != nil {
		t.Fatal(err)
	}
	if all, err := dropped(state); err != nil || len(all) != 0 {
		t.Errorf("%q, %v", all, err)
	}
	if all, err := dropped(filepath.Join(state, "nowhere")); err != nil || len(all) != 0 {
		t.Errorf("without the directory: %q, %v", all, err)
	}
}
