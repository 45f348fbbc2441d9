package deliver

import (
	"errors"
	"io"
	"strings"
	"testing"

	"melon/proxy/outbox"
	"melon/upstream"
)

// TestQueueKeepsAtOnce: nobody waits, so no provider is asked, whatever
// `delivery` says, and each recipient's account has its entry.
func TestQueueKeepsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, testConfig+"default: home\n", func(*fakeTx) { t.Error("a provider was asked") })
	env := upstream.Envelope{From: "taro@provider-a.example", Recipients: []upstream.Recipient{
		{Address: "hanako@elsewhere.example", Notify: []string{"NEVER"}}, {Address: "boss@work.example"},
	}}
	r, err := b.d.Queue(t.Context(), env, strings.NewReader("From: taro@provider-a.example\nSubject: x\n\nbare\rends\n"))
	wantKept(t, r, err)
	byAccount := map[string]outbox.Entry{}
	for _, e := range b.entries() {
		byAccount[e.Account] = e
	}
	home, work := byAccount["home"], byAccount["work"]
	if len(byAccount) != 2 || len(home.To()) != 1 || home.Envelope.Recipients[0].Notify == nil || work.To()[0] != "boss@work.example" {
		t.Fatalf("entries: %+v", byAccount)
	}
	m, _, err := b.outbox.Export(home.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	data, err := io.ReadAll(m)
	if err != nil || !strings.HasSuffix(string(data), "Subject: x\r\n\r\nbare\r\nends\r\n") {
		t.Errorf("%v: %q", err, data)
	}
}

// TestQueueKeepsWithoutAnAccount: a message that no account claims waits.
func TestQueueKeepsWithoutAnAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t, testConfig, func(*fakeTx) { t.Error("a provider was asked") })
	env := upstream.Envelope{From: "x@nobody.example", Recipients: []upstream.Recipient{{Address: "hanako@elsewhere.example"}}}
	r, err := b.d.Queue(t.Context(), env, strings.NewReader("Subject: x\n\nx\n"))
	wantKept(t, r, err)
	if e := b.entries(); len(e) != 1 || e[0].Account != "" {
		t.Errorf("entries: %+v", e)
	}
}

// TestQueueOfATornMessageKeepsNothing: half a message is none.
func TestQueueOfATornMessageKeepsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, testConfig+"default: home\n", func(*fakeTx) {})
	env := upstream.Envelope{Recipients: []upstream.Recipient{{Address: "hanako@elsewhere.example"}}}
	torn := io.MultiReader(strings.NewReader("Subject: x\n\nhalf"), errReader{io.ErrUnexpectedEOF})
	if _, err := b.d.Queue(t.Context(), env, torn); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v", err)
	}
	b.nothingKept()
}
