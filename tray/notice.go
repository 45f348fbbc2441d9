package tray

import (
	"fmt"
	"strings"

	"melon/proxy/control/api"
)

// Notice is one notification. A later one of the same Cause takes its place.
type Notice struct {
	Cause string
	Title string
	Body  string
	Page  string // opened by a click
	// Update is true for one that was shown already and only says more now: it
	// is put in the old one's place and never shown anew.
	Update bool
}

// Notices decides what is worth a notification. A cause (an account that needs
// the person, mail that waits) is told once, until it ended.
type Notices struct {
	lang string
	told map[string]bool
	kept map[string]string // by ID of an entry that was told of: to whom
}

// NewNotices returns an empty Notices.
func NewNotices(lang string) *Notices {
	return &Notices{lang: lang, told: map[string]bool{}, kept: map[string]string{}}
}

// Next returns what to tell after the status became s by these events. What was
// so already at the first call is told as well when it needs the person.
func (n *Notices) Next(s api.Status, events []api.Event) []Notice {
	w := wordsFor(n.lang)
	out := n.needs(s, w)
	kept, sent, to := 0, 0, ""
	for _, e := range events {
		switch {
		case e.Outcome == api.OutcomeKept && e.ID != "" && !s.Paused:
			n.kept[e.ID] = strings.Join(e.To, ", ")
			kept++
		case e.Outcome == api.OutcomeSent && e.ID != "":
			if who, waited := n.kept[e.ID]; waited {
				sent, to = sent+1, who
			}
			delete(n.kept, e.ID)
		case e.Outcome == api.OutcomeRemoved || e.Outcome == api.OutcomeBounced:
			delete(n.kept, e.ID)
		}
	}
	if sent > 0 {
		body := fmt.Sprintf(w.sentBody, to)
		if sent > 1 {
			body = fmt.Sprintf(w.sentBodyN, sent)
		}
		delete(n.told, "kept")
		out = append(out, Notice{Cause: "sent", Title: w.sentTitle, Body: body, Page: "activity"})
	}
	if len(n.kept) == 0 {
		delete(n.told, "kept")
	} else if kept > 0 {
		out = append(out, n.keptNotice(w))
	}
	return out
}

// keptNotice tells of mail that was kept; of more of it only in its place.
func (n *Notices) keptNotice(w *words) Notice {
	body := fmt.Sprintf(w.keptBodyN, len(n.kept))
	if len(n.kept) == 1 {
		for _, who := range n.kept {
			body = fmt.Sprintf(w.keptBody, who)
		}
	}
	x := Notice{Cause: "kept", Title: w.keptTitle, Body: body, Page: "outbox", Update: n.told["kept"]}
	n.told["kept"] = true
	return x
}

// needs tells of accounts, then of messages, that need the person.
func (n *Notices) needs(s api.Status, w *words) (out []Notice) {
	accounts := false
	for _, a := range s.Accounts {
		cause := "account " + a.Name
		if a.State != api.AccountAttention {
			if a.State != api.AccountSending { // one that is being tried has not recovered yet
				delete(n.told, cause)
			}
			continue
		}
		accounts = true
		if n.told[cause] {
			continue
		}
		n.told[cause] = true
		body := ""
		if a.LastError != nil {
			problem, advice := explain(a.LastError, n.lang)
			body = strings.TrimSpace(problem + "\n" + advice)
		}
		out = append(out, Notice{Cause: cause, Title: fmt.Sprintf(w.needsAccountTitle, a.Name), Body: body, Page: "account/" + a.Name})
	}
	const cause = "outbox"
	switch {
	case s.Outbox.Attention == 0:
		delete(n.told, cause)
	case accounts: // the account was told of, and its messages wait for it
	case !n.told[cause]:
		n.told[cause] = true
		out = append(out, Notice{Cause: cause, Title: w.needsTitle, Body: fmt.Sprintf(w.needsBodyN, s.Outbox.Attention), Page: "outbox"})
	}
	return out
}
