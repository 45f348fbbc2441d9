package tray

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"melon/proxy/control/api"
	"melon/upstream/discover"
)

var noon = time.Date(2099, 1, 1, 12, 0, 0, 0, time.Local)

// account is one of a status.
func account(name string, state api.AccountState) api.Account {
	return api.Account{Name: name, Address: name + "@provider-a.example", State: state}
}

// up is a View of a relay that runs.
func up(lang string, s api.Status) View {
	on := true
	return Build(Known{Link: LinkUp, Status: s, Lang: lang, Now: noon, Autostart: &on})
}

// text is the menu as a person sees it, a line an item.
func text(v View) string {
	var b strings.Builder
	var walk func([]Item, string)
	walk = func(items []Item, indent string) {
		for _, it := range items {
			switch {
			case it.Hidden:
				continue
			case it.Separator:
				b.WriteString(indent + "---\n")
				continue
			}
			mark := ""
			if it.Checkable {
				mark = "[ ] "
			}
			if it.Checked {
				mark = "[x] "
			}
			if it.Disabled {
				mark += "~"
			}
			fmt.Fprintf(&b, "%s%s%s\n", indent, mark, it.Label)
			walk(it.Items, indent+"  ")
		}
	}
	walk(v.Items, "")
	return b.String()
}

func TestStateIconAndSentence(t *testing.T) {
	t.Parallel()
	one := []api.Account{account("home", api.AccountReady)}
	refused := account("work", api.AccountAttention)
	for _, c := range []struct {
		name   string
		known  Known
		icon   Icon
		en, ja string
	}{
		{"starting", Known{}, IconOffline, "Melon is starting…", "Melonを起動しています…"},
		{"down", Known{Link: LinkDown, Problem: "the port is taken"}, IconOffline, "Melon is not running. the port is taken", "Melonは動いていません。 the port is taken"},
		{"idle", Known{Link: LinkUp, Status: api.Status{State: api.StateIdle, Accounts: one}}, IconIdle, "Ready to send", "送信できます"},
		{"no account", Known{Link: LinkUp, Status: api.Status{State: api.StateIdle}}, IconIdle,
			"No account yet: mail is kept until you add one", "アカウント未設定：追加するまでメールを保管します"},
		{"sending", Known{Link: LinkUp, Status: api.Status{State: api.StateSending, Accounts: one}}, IconSending, "Sending…", "送信中…"},
		{"waiting", Known{Link: LinkUp, Status: api.Status{State: api.StateWaiting, Outbox: api.Counts{Waiting: 3}}}, IconWaiting,
			"3 waiting for the network or a server", "3通がネットワークかサーバーを待っています"},
		{"offline", Known{Link: LinkUp, Status: api.Status{State: api.StateOffline}}, IconOffline, "No network: mail is kept", "オフライン：メールは保管されます"},
		{"offline with mail", Known{Link: LinkUp, Status: api.Status{State: api.StateOffline, Outbox: api.Counts{Waiting: 2}}}, IconOffline, "No network: 2 kept", "オフライン：2通を保管中"},
		{"paused", Known{Link: LinkUp, Status: api.Status{State: api.StatePaused, Paused: true}}, IconPaused, "Paused: mail is kept", "一時停止中：メールは保管されます"},
		{"paused with mail", Known{Link: LinkUp, Status: api.Status{State: api.StatePaused, Outbox: api.Counts{Waiting: 1}}}, IconPaused, "Paused: 1 kept", "一時停止中：1通を保管中"},
		{"account", Known{Link: LinkUp, Status: api.Status{State: api.StateAttention, Outbox: api.Counts{Attention: 4}, Accounts: append(one, refused)}}, IconAttention,
			"Account work needs you", "アカウントworkに確認が必要です"},
		{"message", Known{Link: LinkUp, Status: api.Status{State: api.StateAttention, Outbox: api.Counts{Attention: 4}, Accounts: one}}, IconAttention,
			"4 in the outbox need you", "送信トレイの4通に確認が必要です"},
		{"problem", Known{Link: LinkUp, Status: api.Status{State: api.StateAttention, Problems: []string{"the disk is full"}}}, IconAttention, "the disk is full", "the disk is full"},
		{"attention of a kind unknown", Known{Link: LinkUp, Status: api.Status{State: api.StateAttention}}, IconAttention, "Something needs you", "確認が必要です"},
		{"a state of a newer relay", Known{Link: LinkUp, Status: api.Status{State: "dreaming", Accounts: one}}, IconAttention, "Ready to send", "送信できます"},
	} {
		for lang, want := range map[string]string{"en": c.en, "ja": c.ja} {
			c.known.Lang = lang
			v := Build(c.known)
			if v.Icon != c.icon || v.Tooltip != "Melon: "+want || v.Items[0].Label != want {
				t.Errorf("%s, %s: %s %q %q", c.name, lang, v.Icon, v.Tooltip, v.Items[0].Label)
			}
			if err := v.Validate(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

const wantMenu = `2 waiting for the network or a server
---
home
  ~home@provider-a.example: ready (relay open until 12:05)
  Test now
  Edit…
  [x] ~Default account
work (!)
  ~work@provider-a.example: needs you
  ~%s
  ~%s
  Try again now
  Test now
  Edit…
  [ ] Default account
Add account…
  Gmail
  Outlook.com
  Microsoft 365
  iCloud Mail
  Yahoo
  Yahoo! JAPAN
  Fastmail
  GMX
  Another provider…
---
Outbox (3)
Send now
Pause sending
---
Why can't I send?
Activity
[x] Start at login
Settings
---
Quit the icon (mail goes on)
Quit Melon (what waits is kept)
`

func TestMenu(t *testing.T) {
	t.Parallel()
	home, work := account("home", api.AccountReady), account("work", api.AccountAttention)
	until := noon.Add(5 * time.Minute)
	home.Default, home.RelayOpenUntil = true, &until
	work.LastError = &api.Error{Class: "credentials-rejected", Text: "535 no"}
	s := api.Status{State: api.StateWaiting, Accounts: []api.Account{home, work}, Outbox: api.Counts{Waiting: 2, Attention: 1}}
	problem, advice := explain(work.LastError, "en")
	if want := fmt.Sprintf(wantMenu, label(problem), label(advice)); text(up("en", s)) != want {
		t.Errorf("menu\n%s\nwant\n%s", text(up("en", s)), want)
	}
	ja := text(up("ja", s))
	for _, w := range []string{"送信トレイ（3）", "今すぐ送信", "アカウントを追加…", "ログイン時に起動", "もう一度試す"} {
		if !strings.Contains(ja, w) {
			t.Errorf("%s is not in\n%s", w, ja)
		}
	}
}

func TestAnAccountThatSignsInHasLogIn(t *testing.T) {
	t.Parallel()
	byError := account("b", api.AccountAttention)
	byError.LastError = &api.Error{Class: "app-password-or-oauth-required"}
	byAuth := account("a", api.AccountReady)
	byAuth.Auth = "xoauth2"
	v := up("en", api.Status{State: api.StateIdle, Accounts: []api.Account{byAuth, byError, account("c", api.AccountReady)}})
	for slot, want := range map[ID]string{"account/0/test": "Log in…", "account/1/test": "Log in…", "account/2/test": "Test now"} {
		if it, _ := v.Find(slot); it.Label != want {
			t.Errorf("%s: %q", slot, it.Label)
		}
	}
}

func TestPausedMenu(t *testing.T) {
	t.Parallel()
	v := up("en", api.Status{State: api.StatePaused, Paused: true, Outbox: api.Counts{Waiting: 1}})
	pause, _ := v.Find("pause")
	send, _ := v.Find("send")
	if pause.Label != "Resume sending" || pause.Action.Kind != ActResume || !send.Disabled {
		t.Errorf("%+v %+v", pause, send)
	}
}

// TestWithoutARelay: what needs one is grey, the rest works.
func TestWithoutARelay(t *testing.T) {
	t.Parallel()
	v := Build(Known{Link: LinkDown, Lang: "en"})
	for id, want := range map[ID]bool{"send": true, "pause": true, "outbox": true, "activity": true, "quit": true, "settings": true,
		"add": false, "doctor": false, "quit-icon": false, "state": false} {
		if it, _ := v.Find(id); it.Disabled != want {
			t.Errorf("%s: disabled %v", id, it.Disabled)
		}
	}
}

// TestMoreAccountsThanSlots: the others are on the page.
func TestMoreAccountsThanSlots(t *testing.T) {
	t.Parallel()
	var s api.Status
	for i := range Slots + 3 {
		s.Accounts = append(s.Accounts, account(fmt.Sprint("a", i), api.AccountReady))
	}
	v := up("en", s)
	if it, _ := v.Find("accounts"); it.Hidden || it.Label != "3 more accounts…" {
		t.Errorf("%+v", it)
	}
	if it, _ := v.Find(ID(fmt.Sprintf("account/%d", Slots-1))); it.Hidden || it.Label != fmt.Sprint("a", Slots-1) {
		t.Errorf("%+v", it)
	}
	if it, _ := up("en", api.Status{}).Find("accounts"); !it.Hidden {
		t.Errorf("%+v", it)
	}
}

// TestAServersWordsFitALine: whatever a label is made of.
func TestAServersWordsFitALine(t *testing.T) {
	t.Parallel()
	a := account("home", api.AccountAttention)
	a.LastError = &api.Error{Class: "never-heard-of", Text: "no\r\n\x1b[31m\u202e" + strings.Repeat("long ", 100)}
	v := up("en", api.Status{State: api.StateAttention, Accounts: []api.Account{a}, Problems: []string{"x\ny"}})
	v.All(func(it Item) {
		if len([]rune(it.Label)) > labelLimit || strings.ContainsAny(it.Label, "\r\n\x1b\u202e") {
			t.Errorf("%s: %q", it.ID, it.Label)
		}
	})
}

func TestTheIconMovesOnlyWhileSending(t *testing.T) {
	t.Parallel()
	for i := range 2 * Frames {
		sending := Build(Known{Link: LinkUp, Status: api.Status{State: api.StateSending}, Frame: i})
		idle := Build(Known{Link: LinkUp, Status: api.Status{State: api.StateIdle}, Frame: i})
		if sending.Frame != i%Frames || idle.Frame != 0 {
			t.Errorf("frame %d: %d %d", i, sending.Frame, idle.Frame)
		}
	}
}

// TestPresetsExist: each preset is a provider that can be set up.
func TestPresetsExist(t *testing.T) {
	t.Parallel()
	for _, p := range Presets() {
		found := false
		for _, known := range discover.Providers() {
			found = found || known.ID == p.ID && known.Name == p.Name
		}
		if !found {
			t.Errorf("%s (%s) is no provider that Melon knows by that name", p.ID, p.Name)
		}
	}
}

func TestEveryLanguageHasEveryWord(t *testing.T) {
	t.Parallel()
	en, ja := reflect.ValueOf(*english()), reflect.ValueOf(*japanese())
	var compare func(a, b reflect.Value, name string)
	compare = func(a, b reflect.Value, name string) {
		switch a.Kind() {
		case reflect.Struct:
			for i := range a.NumField() {
				compare(a.Field(i), b.Field(i), a.Type().Field(i).Name)
			}
		case reflect.Map:
			for _, k := range a.MapKeys() {
				compare(a.MapIndex(k), b.MapIndex(k), name+" "+k.String())
			}
		case reflect.String:
			for _, verb := range []string{"%d", "%s"} {
				if a.String() == "" || b.String() == "" || strings.Count(a.String(), verb) != strings.Count(b.String(), verb) {
					t.Errorf("%s: %q and %q", name, a, b)
				}
			}
		}
	}
	compare(en, ja, "")
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ variable, value, want string }{
		{"LANG", "ja_JP.UTF-8", "ja"}, {"LC_ALL", "C", "en"}, {"LC_MESSAGES", "de_DE", "en"},
	} {
		if got := Language(func(v string) string {
			if v == c.variable {
				return c.value
			}
			return ""
		}); got != c.want {
			t.Errorf("%s=%s: %s", c.variable, c.value, got)
		}
	}
}
