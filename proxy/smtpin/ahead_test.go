package smtpin

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"melon/upstream"
)

// oracle is a Handler that notes what it was told to expect, and what came.
type oracle struct {
	recorder
	mu       sync.Mutex
	expected [][]string
	came     []upstream.Recipient
	told     []upstream.Recipient
}

func (o *oracle) Begin(ctx context.Context, c Client, env upstream.Envelope) (Transaction, error) {
	tx, err := o.recorder.Begin(ctx, c, env)
	if err != nil {
		return nil, err
	}
	return &expecting{tx, o}, nil
}

type expecting struct {
	Transaction
	o *oracle
}

func (e *expecting) Expect(_ context.Context, rcs []upstream.Recipient) {
	e.o.mu.Lock()
	defer e.o.mu.Unlock()
	var names []string
	for _, rc := range rcs {
		names = append(names, rc.Address)
	}
	e.o.expected = append(e.o.expected, names)
	e.o.told = append(e.o.told, rcs...)
}

func (e *expecting) Rcpt(ctx context.Context, rc upstream.Recipient) error {
	e.o.mu.Lock()
	e.o.came = append(e.o.came, rc)
	e.o.mu.Unlock()
	return e.Transaction.Rcpt(ctx, rc)
}

// TestRecipientsAhead: an app that pipelines has its recipients announced, as
// far as they are beyond doubt, and each is still handed in by itself.
func TestRecipientsAhead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		mail  string // parameters of MAIL
		lines []string
		want  [][]string
	}{
		{"one", "", []string{"RCPT TO:<a@x.example>"}, nil},
		{"three", "", []string{"RCPT TO:<a@x.example>", "rcpt to:<b@x.example> ", "RCPT TO: <c@x.example>"},
			[][]string{{"a@x.example", "b@x.example", "c@x.example"}}},
		{"with DSN", "", []string{"RCPT TO:<a@x.example> NOTIFY=NEVER", "RCPT TO:<b@x.example> notify=failure,Delay ORCPT=rfc822;B@x.example"},
			[][]string{{"a@x.example", "b@x.example"}}},
		{"another command between", "", []string{"RCPT TO:<a@x.example>", "NOOP", "RCPT TO:<b@x.example>", "RCPT TO:<c@x.example>"},
			[][]string{{"b@x.example", "c@x.example"}}},
		{"bad ones", "", []string{"RCPT TO:<a@x.example>", "RCPT TO:<b@@x.example>", "RCPT TO:<c@x.example>",
			"RCPT TO:<d@x.example> NOTIFY=NEVER,DELAY", "RCPT TO:<e@x.example>",
			"RCPT TO:<f@x.example> FOO=1", "RCPT TO:<g@x.example>", "RCPT FROM:<h@x.example>", "RCPT TO:<>", "RCPT TO:<i@x.example>",
			"RCPT TO:<j@x.example> NOTIFY=DELAY,DELAY", "RCPT TO:<k@x.example>", "RCPT TO:<l@x.example> ORCPT=rfc822;+zz"}, nil},
		{"not without SMTPUTF8", "", []string{"RCPT TO:<a@x.example>", "RCPT TO:<ü@x.example>"}, nil},
		{"SMTPUTF8", " SMTPUTF8", []string{"RCPT TO:<a@x.example>", "RCPT TO:<ü@x.example>"}, [][]string{{"a@x.example", "ü@x.example"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := &oracle{}
			a := dial(t, start(t, Options{Handler: o}), 0)
			a.cmd("EHLO x", "250")
			a.say("MAIL FROM:<taro@x.example>" + tc.mail + "\r\n" + strings.Join(tc.lines, "\r\n") + "\r\n")
			a.expect("250")
			for range tc.lines {
				a.reply()
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			if !reflect.DeepEqual(o.expected, tc.want) {
				t.Errorf("announced %v, want %v", o.expected, tc.want)
			}
			// What is announced is exactly what comes, parameters and all.
			came := o.came
			for _, rc := range o.told {
				for len(came) > 0 && came[0].Address != rc.Address {
					came = came[1:]
				}
				if len(came) == 0 || !reflect.DeepEqual(came[0], rc) {
					t.Fatalf("announced %+v, came %+v", rc, came)
				}
				came = came[1:]
			}
		})
	}
}

// TestManyRecipientsAhead: what the buffer does not hold is announced when it
// does, never beyond the limit, and a second message is not confused by the first.
func TestManyRecipientsAhead(t *testing.T) {
	t.Parallel()
	o := &oracle{}
	a := dial(t, start(t, Options{Handler: o, Limits: Limits{Recipients: 300}}), 0)
	a.cmd("EHLO x", "250")
	for range 2 {
		var b strings.Builder
		b.WriteString("MAIL FROM:<taro@x.example>\r\n")
		for i := range 320 {
			fmt.Fprintf(&b, "RCPT TO:<recipient-%d@x.example>\r\n", i)
		}
		b.WriteString("RSET\r\n")
		a.say(b.String())
		for range 301 {
			a.expect("250")
		}
		for range 20 {
			a.expect("452 4.5.3")
		}
		a.expect("250")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	told := 0
	for _, e := range o.expected {
		told += len(e)
	}
	if len(o.came) != 600 || told < 590 || told > 600 || len(o.expected) > 20 {
		t.Errorf("%d came, %d were announced in %d parts", len(o.came), told, len(o.expected))
	}
}
