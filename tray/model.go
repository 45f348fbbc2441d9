package tray

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"melon/proxy/control/api"
	"melon/upstream"
	"melon/upstream/reply"
)

// Icon names one of the pictures.
type Icon string

// The pictures, one for each state of the relay. A relay that does not run is
// shown as IconOffline.
const (
	IconIdle      Icon = "idle"
	IconSending   Icon = "sending" // the only one that moves; see View.Frame
	IconWaiting   Icon = "waiting"
	IconAttention Icon = "attention"
	IconOffline   Icon = "offline"
	IconPaused    Icon = "paused"
)

// Icons lists every Icon.
func Icons() []Icon {
	return []Icon{IconIdle, IconSending, IconWaiting, IconAttention, IconOffline, IconPaused}
}

// ID names a place in the menu for good: the same ID is always at the same place.
type ID string

// Item is a line of the menu, a separator or a submenu. A list in the menu is a
// fixed pool of items, of which the unused are hidden: systray can neither
// insert nor remove.
type Item struct {
	ID        ID
	Label     string
	Separator bool // at the top level only
	Checkable bool
	Checked   bool
	Disabled  bool
	Hidden    bool
	Items     []Item
	Action    Action // what a click does; the zero Action is nothing
}

// View is all that is shown.
type View struct {
	Icon    Icon
	Frame   int // of IconSending: 0 to Frames-1
	Tooltip string
	Items   []Item
}

// Link is what is known of the way to the relay.
type Link int

// The states of a Link.
const (
	LinkStarting Link = iota // the relay is looked for, or being started
	LinkUp                   // Status is current
	LinkDown                 // it cannot be reached and could not be started
)

// Known is everything that a View is made of.
type Known struct {
	Link    Link
	Problem string // why Link is LinkDown, or why the last click did nothing
	Status  api.Status
	Lang    string // "en" or "ja"
	Now     time.Time
	Frame   int
	// Autostart is whether Melon starts at login; nil when that is not known yet.
	Autostart *bool
}

// Slots is how many accounts have a submenu of their own; the others are on the
// page.
const Slots = 8

// labelLimit bounds a label, in characters: a server's words may be long.
const labelLimit = 70

// Preset is a provider in the submenu of "Add account".
type Preset struct {
	ID   string // as `melon provider show` names it
	Name string
}

// Presets are the providers that the menu offers. "Other" follows them.
func Presets() []Preset {
	return []Preset{
		{"gmail", "Gmail"}, {"outlook", "Outlook.com"}, {"microsoft-365", "Microsoft 365"}, {"icloud", "iCloud Mail"},
		{"yahoo", "Yahoo"}, {"yahoo-japan", "Yahoo! JAPAN"}, {"fastmail", "Fastmail"}, {"gmx", "GMX"},
	}
}

// Build makes the View. It is a pure function.
func Build(k Known) View {
	w := wordsFor(k.Lang)
	up := k.Link == LinkUp
	s := k.Status
	sentence := sentence(k, w)
	v := View{Icon: iconFor(k), Tooltip: "Melon: " + sentence}
	if v.Icon == IconSending {
		v.Frame = k.Frame % Frames
	}
	outbox := w.outbox
	if n := s.Outbox.Waiting + s.Outbox.Attention; up && n > 0 {
		outbox = fmt.Sprintf(w.outboxN, n)
	}
	pause, pauseAction := w.pause, Action{Kind: ActPause}
	if up && s.Paused {
		pause, pauseAction = w.resume, Action{Kind: ActResume}
	}
	v.Items = []Item{
		{ID: "state", Label: label(sentence), Action: pageOr("", "status")},
		{ID: "problem", Label: label(k.Problem), Disabled: true, Hidden: k.Problem == "" || k.Link == LinkDown},
		{Separator: true, ID: "-1"},
	}
	v.Items = append(v.Items, accountItems(k, w)...)
	v.Items = append(v.Items,
		Item{ID: "add", Label: w.add, Items: addItems(w)},
		Item{Separator: true, ID: "-2"},
		Item{ID: "outbox", Label: outbox, Disabled: !up, Action: pageOr("outbox", "outbox", "list")},
		Item{ID: "send", Label: w.sendNow, Disabled: !up || s.Paused || s.Outbox.Waiting+s.Outbox.Attention == 0, Action: Action{Kind: ActSendNow}},
		Item{ID: "pause", Label: pause, Disabled: !up, Action: pauseAction},
		Item{Separator: true, ID: "-3"},
		Item{ID: "doctor", Label: w.doctor, Action: pageOr("why", "doctor")},
		Item{ID: "activity", Label: w.activity, Disabled: !up, Action: pageOr("activity", "log", "-f")},
		Item{ID: "autostart", Label: w.autostart, Checkable: true, Disabled: k.Autostart == nil,
			Checked: k.Autostart != nil && *k.Autostart, Action: autostartAction(k.Autostart)},
		Item{ID: "settings", Label: w.settings, Disabled: !up, Action: pageOr("settings", "config", "path")},
		Item{Separator: true, ID: "-4"},
		Item{ID: "quit-icon", Label: w.quitIcon, Action: Action{Kind: ActQuitIcon}},
		Item{ID: "quit", Label: w.quit, Disabled: !up, Action: Action{Kind: ActQuit}},
	)
	return v
}

// iconFor chooses the picture.
func iconFor(k Known) Icon {
	if k.Link != LinkUp {
		return IconOffline
	}
	switch i := Icon(k.Status.State); i {
	case IconIdle, IconSending, IconWaiting, IconAttention, IconOffline, IconPaused:
		return i
	}
	return IconAttention // a state of a newer relay
}

// sentence says in one sentence how things are.
func sentence(k Known, w *words) string {
	switch k.Link {
	case LinkStarting:
		return w.starting
	case LinkDown:
		if k.Problem != "" {
			return w.down + " " + k.Problem
		}
		return w.down
	}
	s := k.Status
	switch s.State {
	case api.StatePaused:
		return withCount(w.paused, w.pausedN, s.Outbox.Waiting)
	case api.StateOffline:
		return withCount(w.offline, w.offlineN, s.Outbox.Waiting)
	case api.StateSending:
		return w.sending
	case api.StateWaiting:
		return withCount(w.waiting, w.waitingN, s.Outbox.Waiting)
	case api.StateAttention:
		return attention(s, w)
	}
	if len(s.Accounts) == 0 {
		return w.noAccount
	}
	return w.idle
}

// attention says what the person is asked for: the account first, as mending it
// mends its messages.
func attention(s api.Status, w *words) string {
	for _, a := range s.Accounts {
		if a.State == api.AccountAttention {
			return fmt.Sprintf(w.accountNeeds, a.Name)
		}
	}
	if s.Outbox.Attention > 0 {
		return withCount("", w.attentionN, s.Outbox.Attention)
	}
	if len(s.Problems) > 0 {
		return s.Problems[0]
	}
	return w.attention
}

func withCount(none, some string, n int) string {
	if n == 0 {
		return none
	}
	return fmt.Sprintf(some, n)
}

// accountItems is the pool of account submenus, and the way to those that have
// none.
func accountItems(k Known, w *words) []Item {
	var accounts []api.Account
	if k.Link == LinkUp {
		accounts = k.Status.Accounts
	}
	items := make([]Item, 0, Slots+1)
	for i := range Slots {
		var a *api.Account
		if i < len(accounts) {
			a = &accounts[i]
		}
		items = append(items, accountItem(i, a, k, w))
	}
	return append(items, Item{ID: "accounts", Label: fmt.Sprintf(w.moreAccounts, max(0, len(accounts)-Slots)),
		Hidden: len(accounts) <= Slots, Action: pageOr("account", "account", "list")})
}

// accountItem is one slot; a is nil for an unused one.
func accountItem(slot int, a *api.Account, k Known, w *words) Item {
	id := func(part string) ID { return ID(fmt.Sprintf("account/%d%s", slot, part)) }
	if a == nil {
		a = &api.Account{}
	}
	name := a.Name
	problem, advice := "", ""
	if a.LastError != nil && a.State == api.AccountAttention {
		problem, advice = explain(a.LastError, k.Lang)
		name += w.needsMark
	}
	state := w.accountState[a.State]
	if a.RelayOpenUntil != nil && a.RelayOpenUntil.After(k.Now) {
		state += " " + fmt.Sprintf(w.openUntil, a.RelayOpenUntil.Local().Format("15:04"))
	}
	test := Item{ID: id("/test"), Label: w.test, Action: Action{Kind: ActPage, Page: "account/" + a.Name, Command: []string{"account", "test", a.Name}}}
	if signIn(a) {
		test.Label, test.Action = w.login, Action{Kind: ActCommand, Command: []string{"login", a.Name}}
	}
	return Item{ID: id(""), Label: label(name), Hidden: a.Name == "", Items: []Item{
		{ID: id("/state"), Label: label(joined(a.Address, state)), Disabled: true},
		{ID: id("/problem"), Label: label(problem), Disabled: true, Hidden: problem == ""},
		{ID: id("/advice"), Label: label(advice), Disabled: true, Hidden: advice == ""},
		{ID: id("/retry"), Label: w.retry, Hidden: a.State != api.AccountAttention, Action: Action{Kind: ActRetry, Account: a.Name}},
		test,
		{ID: id("/edit"), Label: w.edit, Action: Action{Kind: ActPage, Page: "account/" + a.Name + "/edit", Command: []string{"account", "show", a.Name}}},
		{ID: id("/default"), Label: w.makeDefault, Checkable: true, Checked: a.Default, Disabled: a.Default,
			Action: Action{Kind: ActRun, Command: []string{"account", "default", a.Name}}},
	}}
}

// signIn reports whether the account is one that signs in with OAuth 2.0.
func signIn(a *api.Account) bool {
	switch strings.ToLower(a.Auth) {
	case "xoauth2", "oauthbearer":
		return true
	}
	return a.LastError != nil && a.LastError.Class == string(upstream.ClassAppPasswordOrOAuthRequired)
}

// explain is what is wrong and the one thing to do, in the person's language.
func explain(e *api.Error, lang string) (problem, advice string) {
	x := reply.Explain(upstream.Class(e.Class), lang)
	problem = x.Summary
	if problem == "" {
		problem = e.Text
	}
	if len(x.Advice) > 0 {
		advice = "→ " + x.Advice[0]
	}
	return problem, advice
}

// addItems is the submenu of "Add account".
func addItems(w *words) []Item {
	var items []Item
	for _, p := range Presets() {
		items = append(items, Item{ID: ID("add/" + p.ID), Label: p.Name,
			Action: Action{Kind: ActPage, Page: "add?provider=" + p.ID, Command: []string{"account", "add"}}})
	}
	return append(items, Item{ID: "add/other", Label: w.other,
		Action: Action{Kind: ActPage, Page: "add", Command: []string{"account", "add"}}})
}

func autostartAction(on *bool) Action {
	if on != nil && *on {
		return Action{Kind: ActAutostart, Command: []string{"autostart", "off"}}
	}
	return Action{Kind: ActAutostart, Command: []string{"autostart", "on"}}
}

// pageOr opens a page or, where there is none, runs a command in a terminal.
func pageOr(page string, command ...string) Action {
	return Action{Kind: ActPage, Page: page, Command: command}
}

func joined(parts ...string) string {
	var some []string
	for _, p := range parts {
		if p != "" {
			some = append(some, p)
		}
	}
	return strings.Join(some, ": ")
}

// label makes any text, such as a server's, fit for one line of a menu.
func label(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(s); len(r) > labelLimit {
		s = string(r[:labelLimit-1]) + "…"
	}
	return s
}
