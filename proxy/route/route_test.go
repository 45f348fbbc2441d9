package route

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"melon/proxy/config"
	"melon/upstream"
	"melon/upstream/network"
)

const three = `
accounts:
  home: {address: Taro@Provider-A.example, senders: ["*@provider-a.example", "taro.*@alias.example"], smtp: {host: h}}
  work: {address: taro@work.example, senders: ["*@*.work.example"], smtp: {host: h}}
  other: {address: jiro@provider-a.example, smtp: {host: h}}
`

func router(t *testing.T, yaml string) *Router {
	t.Helper()
	c, err := config.Parse("config.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return New(c)
}

func TestChoose(t *testing.T) {
	t.Parallel()
	const (
		routes = three + `
networks:
  hotel: {subnet: [10.20.0.0/16], ssid: ["HKO*"]}
routes:
  - {from: "*@work.example", to: "*@work.example", account: work}
  - {to: "*@PARTNER.example", account: other}
  - {network: hotel, account: home}
`
		all = three + "default: other\nroutes: [{to: '*', from: '*@list.example', account: work}]\n"
		one = "accounts: {home: {address: a@a.example, smtp: {host: h}}}\ndefault: home\n"
	)
	hotel := network.State{Online: true, Local4: netip.MustParseAddr("10.20.3.4"), SSID: "HKO-guest"}
	for _, c := range []struct {
		name string
		yaml string
		q    Question
		want Answer
	}{
		{"own address", three, Question{From: "taro@provider-a.example"}, Answer{Account: "home", By: BySender}},
		{"case does not matter", three, Question{From: "TARO@WORK.EXAMPLE"}, Answer{Account: "work", By: BySender}},
		{"an address beats an earlier pattern", three, Question{From: "jiro@provider-a.example"}, Answer{Account: "other", By: BySender}},
		{"pattern", three, Question{From: "x@provider-a.example"}, Answer{Account: "home", By: BySender}},
		{"pattern in the local part", three, Question{From: "Taro.X@alias.example"}, Answer{Account: "home", By: BySender}},
		{"pattern with two stars", three, Question{From: "x@mail.work.example"}, Answer{Account: "work", By: BySender}},
		{"login before sender", three, Question{Login: "work", From: "taro@provider-a.example"}, Answer{Account: "work", By: ByLogin}},
		{"login in another case", three, Question{Login: "WORK"}, Answer{Account: "work", By: ByLogin}},
		{"a login that is no account", three, Question{Login: "taro", From: "taro@work.example"}, Answer{Account: "work", By: BySender}},
		{"header unread", three, Question{From: "x@x.example"}, Answer{Needs: NeedHeader}},
		{"header unread, with a default", all, Question{From: "x@x.example"}, Answer{Account: "other", By: ByDefault, Needs: NeedHeader}},
		{"header", three, Question{From: "x@x.example", HeaderKnown: true, HeaderFrom: []string{"y@y.example", "taro@work.example"}}, Answer{Account: "work", By: ByHeader}},
		{"empty sender, header", all, Question{HeaderKnown: true, HeaderFrom: []string{"taro@work.example"}}, Answer{Account: "work", By: ByHeader}},
		{"empty sender, header unread", three, Question{}, Answer{Needs: NeedHeader}},
		{"sender before header", three, Question{From: "taro@work.example", HeaderKnown: true, HeaderFrom: []string{"jiro@provider-a.example"}}, Answer{Account: "work", By: BySender}},
		{"default", all, Question{From: "x@x.example", HeaderKnown: true}, Answer{Account: "other", By: ByDefault}},
		{"the only account is the default", one, Question{From: "x@x.example"}, Answer{Account: "home", By: ByDefault}},
		{"a route for every recipient", all, Question{Login: "home", From: "x@list.example"}, Answer{Account: "work", By: ByRoute}},
		{"a star matches no empty sender with a domain", all, Question{Login: "home"}, Answer{Account: "home", By: ByLogin}},
		{"recipient unknown", routes, Question{From: "taro@work.example"}, Answer{Account: "work", By: BySender, Needs: NeedRecipient}},
		{"recipient unknown, header too", routes, Question{From: "x@x.example"}, Answer{Needs: NeedRecipient | NeedHeader}},
		{"first route wins", routes, Question{From: "taro@work.example", Recipient: "x@work.example", Login: "home"}, Answer{Account: "work", By: ByRoute}},
		{"second route", routes, Question{From: "taro@work.example", Recipient: "x@partner.example", Login: "home"}, Answer{Account: "other", By: ByRoute}},
		{"no route", routes, Question{From: "taro@work.example", Recipient: "x@x.example", Login: "home"}, Answer{Account: "home", By: ByLogin}},
		{"network", routes, Question{From: "taro@work.example", Recipient: "x@x.example", Network: hotel}, Answer{Account: "home", By: ByRoute}},
		{"network, recipient unknown", routes, Question{From: "taro@work.example", Network: hotel}, Answer{Account: "home", By: ByRoute, Needs: NeedRecipient}},
		{"recipients that change nothing", three + "routes: [{to: '*@x.example', account: work}]", Question{From: "taro@work.example"}, Answer{Account: "work", By: BySender}},
		{"no account at all", "", Question{From: "x@x.example"}, Answer{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := router(t, c.yaml).Choose(c.q); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	many := "accounts:\n"
	for i := range 40 {
		many += "  " + strings.Repeat("n", 60) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ": {address: a@a.example, smtp: {host: h}}\n"
	}
	for _, c := range []struct {
		name, yaml string
		q          Question
		want       string
	}{
		{"sender", three, Question{From: "x@x.example"},
			"550 5.7.1 No account of Melon's sends as <x@x.example>. The accounts are: home, work, other. Add the sender to one of them under senders, or set a default account."},
		{"empty sender", three, Question{},
			"550 5.7.1 No account of Melon's sends for the empty sender <>. The accounts are: home, work, other. Add the sender to one of them under senders, or set a default account."},
		{"empty sender with a header", three, Question{HeaderFrom: []string{"x@x.example"}},
			"550 5.7.1 No account of Melon's sends as <x@x.example>. The accounts are: home, work, other. Add the sender to one of them under senders, or set a default account."},
		{"hostile", many, Question{From: strings.Repeat("あ", 300) + "\r\n250 OK@x.example"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.q.HeaderKnown, c.q.Recipient = true, "to@to.example"
			a := router(t, c.yaml).Choose(c.q)
			var e *upstream.Error
			if a.Account != "" || !a.Certain() || a.Err == nil || !errors.As(a.Err, &e) {
				t.Fatalf("got %+v", a)
			}
			if got := e.Reply.String(); c.want != "" && got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			text := e.Reply.Text()
			if len(text) > upstream.MaxReplyLine-2 || strings.ContainsAny(text, "\r\n") || !strings.Contains(text, "default account") {
				t.Errorf("not one bounded line: %q", text)
			}
			if e.Kind() != upstream.KindPerson {
				t.Errorf("kind %v: a kept message would bounce", e.Kind())
			}
		})
	}
}

func TestOwns(t *testing.T) {
	t.Parallel()
	r := router(t, three+"  any: {address: any@any.example, senders: ['*', '*@*', '**@*', '*@team.example'], smtp: {host: h}}\n")
	for _, c := range []struct {
		account, address string
		want             bool
	}{
		{"home", "TARO@provider-a.example", true}, {"home", "x@provider-a.example", true}, {"home", "x@x.example", false},
		{"any", "any@any.example", true}, {"any", "x@team.example", true}, {"any", "x@x.example", false},
		{"any", "", false}, {"nobody", "any@any.example", false},
	} {
		if got := r.Owns(c.account, c.address); got != c.want {
			t.Errorf("Owns(%q, %q) = %v", c.account, c.address, got)
		}
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	at := network.State{
		Online: true, Interface: "wlan0", SSID: "HKO-5",
		Local4:  netip.MustParseAddr("10.20.3.4"),
		Local6:  netip.MustParseAddr("2001:db8::7"),
		Gateway: netip.MustParseAddr("10.20.0.1"),
	}
	wired := at
	wired.SSID, wired.Local4, wired.Interface = "", netip.Addr{}, "eth0"
	offline := at
	offline.Online = false
	for _, c := range []struct {
		yaml  string
		state network.State
		want  bool
	}{
		{"{subnet: [10.20.0.0/16]}", at, true},
		{"{subnet: [192.0.2.0/24, '2001:db8::/64']}", at, true},
		{"{subnet: [192.0.2.0/24]}", at, false},
		{"{subnet: [10.20.0.0/16]}", wired, false},
		{"{subnet: [0.0.0.0/0]}", offline, false},
		{"{gateway: [10.20.0.1, 10.0.0.1]}", at, true},
		{"{gateway: ['::ffff:10.20.0.1']}", at, true},
		{"{gateway: [10.20.0.2]}", at, false},
		{"{ssid: ['HKO*']}", at, true},
		{"{ssid: ['hko*']}", at, false},
		{"{ssid: ['*']}", wired, false},
		{"{interface: ['eth*', 'wlan*']}", at, true},
		{"{interface: ['wlan']}", at, false},
		{"{ssid: ['HKO*'], gateway: [10.20.0.1], interface: ['*'], subnet: [10.20.0.0/16]}", at, true},
		{"{ssid: ['HKO*'], gateway: [10.0.0.1]}", at, false},
	} {
		r := router(t, three+"networks: {n: "+c.yaml+"}\nroutes: [{network: n, account: other}]\n")
		got := r.Choose(Question{Login: "work", Recipient: "x@x.example", Network: c.state})
		if (got.By == ByRoute) != c.want {
			t.Errorf("%s: got %+v, want a match: %v", c.yaml, got, c.want)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "", true}, {"*", "x", true}, {"**", "x", true}, {"a", "a", true}, {"a", "ab", false},
		{"a*", "a", true}, {"a*b", "ab", true}, {"a*b", "axxb", true}, {"a*b", "axxbc", false},
		{"*a*b*", "xxaxxbxx", true}, {"*ab", "aab", true}, {"*aab", "aaaab", true}, {"", "", true}, {"", "x", false},
		{"[a]?", "a1", false}, {"*@a.example", "x@a.example.evil", false}, {"*@a.example", "x@xa.example", false},
	} {
		if got := match(c.pattern, c.s); got != c.want {
			t.Errorf("match(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
	if !match(strings.Repeat("*a", 200), strings.Repeat("a", 100_000)) { // ends
		t.Error("many stars do not match")
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"Taro@A.Example":               "taro@a.example",
		"taro@xn--r8jz45g.example":     "taro@例え.example",
		"*@*.XN--R8JZ45G.example":      "*@*.例え.example",
		"taro@xn--.example":            "taro@.example",
		"xn--r8jz45g@a.example":        "xn--r8jz45g@a.example",
		"no at, xn--r8jz45g":           "no at, xn--r8jz45g",
		"taro@xn--a*z.example":         "taro@xn--a*z.example",
		"taro@xn--99999999999.example": "taro@xn--99999999999.example",
	} {
		if got := fold(in); got != want {
			t.Errorf("fold(%q) = %q, want %q", in, got, want)
		}
	}
}
