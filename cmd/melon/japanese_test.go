//go:build !windows

package main

import (
	"strings"
	"testing"

	"melon/upstream/lab"
)

// inJapanese is the environment of a person who reads Japanese.
const inJapanese = "LANG=ja_JP.UTF-8"

// TestJapanese sets an account up and looks at it, as a person does whose
// environment is Japanese; the words that scripts read stay.
func TestJapanese(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, emptyRelay)
	h.env = []string{inJapanese, noKeyring}
	relay := h.start() // "listening" and "ready" are fixed words
	if !strings.Contains(relay.output(), "アカウントがまだありません") {
		t.Errorf("the first start:\n%s", relay.output())
	}
	p := h.typing("account", "add", "taro@provider-a.example", "--username", "taro", "--ca", h.caFile(provider), "--smtp", provider.SMTPAddr())
	p.types("に保存しますか? [Y/n]", "はい")
	p.types("taro のパスワード（表示されません）:", "wrong")
	p.types("別のパスワードを試しますか? [Y/n]", "")
	p.types("taro のパスワード（表示されません）:", lab.DefaultUser.Password)
	p.types("自分宛てにメールを送ってみますか? [Y/n]", "")
	p.see("送信しました。まもなく taro@provider-a.example に届きます。")
	p.see("保存しました。")
	p.see("送信サーバー（SMTP）  localhost")
	p.ends(exitDone)
	if n := len(provider.Messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
	for _, c := range []struct {
		args   string
		status int
		has    string
	}{
		{"status", exitDone, "待機中 (idle)"},
		{"account show provider-a", exitDone, "保存先: file"},
		{"account list", exitDone, "provider-a（既定）"},
		{"account show nobody", exitFailed, `アカウント "nobody" はありません`},
		{"account add taro@provider-a.example --name provider-a", exitUsage, "すでにあります"},
		{"account remove provider-a", exitUsage, "--yes を付けてください"},
		{"doctor nobody", exitUsage, "アカウント \"nobody\" はありません"},
		{"doctor --to x", exitUsage, "メールアドレスを指定してください"},
		{"config check", exitDone, "問題はありません"},
		{"outbox list", exitDone, "待っているメールはありません。"},
		{"demo", exitDone, "届きました"},
		{"status --lang en", exitDone, ": idle"},
	} {
		out, errs, status := h.run(strings.Fields(c.args)...)
		if status != c.status || !strings.Contains(out+errs, c.has) {
			t.Errorf("melon %s: %d, without %q:\n%s%s", c.args, status, c.has, out, errs)
		}
	}
	relay.stop(stopSignals[0])
	if _, errs, status := h.run("status"); status != exitNotRunning || !strings.Contains(errs, "Melon が動いていません") {
		t.Errorf("without a relay: %d, %s", status, errs)
	}
}
