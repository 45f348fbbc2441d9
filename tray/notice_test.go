package tray

import (
	"fmt"
	"strings"
	"testing"

	"melon/proxy/control/api"
)

func kept(id string) api.Event {
	return api.Event{Kind: "message", Outcome: api.OutcomeKept, ID: id, To: []string{id + "@x.example"}}
}

func sent(id string) api.Event { return api.Event{Kind: "outbox", Outcome: api.OutcomeSent, ID: id} }

// TestNotices plays what happens and reads what is told, a line a step.
func TestNotices(t *testing.T) {
	t.Parallel()
	ok := api.Status{State: api.StateIdle, Accounts: []api.Account{account("home", api.AccountReady)}}
	waiting := ok
	waiting.Outbox.Waiting = 1
	bad := account("home", api.AccountAttention)
	bad.LastError = &api.Error{Class: "credentials-rejected"}
	refused := api.Status{State: api.StateAttention, Accounts: []api.Account{bad}, Outbox: api.Counts{Attention: 1}}
	trying := api.Status{State: api.StateSending, Accounts: []api.Account{account("home", api.AccountSending)}}
	message := ok
	message.Outbox.Attention = 2
	paused := waiting
	paused.Paused = true
	type step struct {
		s      api.Status
		events []api.Event
		want   string // "cause: title" each; + before one that only says more
	}
	for name, steps := range map[string][]step{
		"nothing": {{ok, nil, ""}, {ok, []api.Event{{Outcome: api.OutcomeSent}}, ""}},
		"kept, then sent": {
			{waiting, []api.Event{kept("a")}, "kept: Kept for later"},
			{waiting, []api.Event{kept("b")}, "+kept: Kept for later"},
			{waiting, nil, ""},
			{ok, []api.Event{sent("a"), sent("b")}, "sent: Sent after all"},
			{waiting, []api.Event{kept("c")}, "kept: Kept for later"}},
		"kept and sent in a moment":    {{ok, []api.Event{kept("a"), sent("a")}, "sent: Sent after all"}},
		"one of two sent":              {{waiting, []api.Event{kept("a"), kept("b")}, "kept: Kept for later"}, {waiting, []api.Event{sent("a")}, "sent: Sent after all"}},
		"removed by hand":              {{waiting, []api.Event{kept("a")}, "kept: Kept for later"}, {ok, []api.Event{{Outcome: api.OutcomeRemoved, ID: "a"}}, ""}, {waiting, []api.Event{kept("b")}, "kept: Kept for later"}},
		"kept while paused":            {{paused, []api.Event{kept("a")}, ""}},
		"sent, never told as kept":     {{ok, []api.Event{sent("a")}, ""}},
		"an account, once":             {{refused, nil, "account home: Account home needs you"}, {refused, []api.Event{kept("a")}, "kept: Kept for later"}},
		"tried again and refused":      {{refused, nil, "account home: Account home needs you"}, {trying, nil, ""}, {refused, nil, ""}},
		"mended and refused again":     {{refused, nil, "account home: Account home needs you"}, {ok, nil, ""}, {refused, nil, "account home: Account home needs you"}},
		"a message of a sound account": {{message, nil, "outbox: A message needs you"}, {message, nil, ""}, {ok, nil, ""}, {message, nil, "outbox: A message needs you"}},
	} {
		n := NewNotices("en")
		for i, s := range steps {
			var got []string
			for _, x := range n.Next(s.s, s.events) {
				mark := ""
				if x.Update {
					mark = "+"
				}
				got = append(got, fmt.Sprintf("%s%s: %s", mark, x.Cause, x.Title))
			}
			if g := strings.Join(got, ", "); g != s.want {
				t.Errorf("%s, step %d: %q, want %q", name, i, g, s.want)
			}
		}
	}
}

// TestNoticesSayWhatToDo, in the person's language, with the page it is done on.
func TestNoticesSayWhatToDo(t *testing.T) {
	t.Parallel()
	bad := account("home", api.AccountAttention)
	bad.LastError = &api.Error{Class: "credentials-rejected"}
	for lang, want := range map[string]string{"en": "Account home needs you", "ja": "アカウントhomeに確認が必要です"} {
		problem, advice := explain(bad.LastError, lang)
		n := NewNotices(lang).Next(api.Status{Accounts: []api.Account{bad}}, nil)
		if len(n) != 1 || n[0].Title != want || n[0].Body != problem+"\n"+advice || n[0].Page != "account/home" || problem == "" || advice == "" {
			t.Errorf("%s: %+v", lang, n)
		}
	}
	n := NewNotices("en").Next(api.Status{}, []api.Event{kept("a")})
	if len(n) != 1 || !strings.Contains(n[0].Body, "a@x.example") || n[0].Page != "outbox" {
		t.Errorf("%+v", n)
	}
}
