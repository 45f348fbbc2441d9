package tray

import "melon/proxy/control/api"

// words is everything the tray says, in one language.
type words struct {
	starting, down, idle, noAccount, sending string
	waiting, waitingN, offline, offlineN     string
	paused, pausedN, attention, attentionN   string
	accountNeeds, needsMark, openUntil       string
	accountState                             map[api.AccountState]string
	menuWords
	noticeWords
}

// menuWords are the menu's own entries.
type menuWords struct {
	add, other, moreAccounts, retry, login, test, edit, makeDefault string
	outbox, outboxN, sendNow, pause, resume                         string
	doctor, activity, autostart, settings, quitIcon, quit           string
}

// noticeWords are those of notifications.
type noticeWords struct {
	keptTitle, keptBody, keptBodyN, sentTitle, sentBody, sentBodyN string
	needsTitle, needsAccountTitle, needsBodyN, open                string
	noTrayTitle, noTrayBody                                        string
}

// wordsFor returns the catalogue of a language; English for any that has none.
func wordsFor(lang string) *words {
	if lang == "ja" {
		return japanese()
	}
	return english()
}

func english() *words {
	return &words{
		starting: "Melon is starting…", down: "Melon is not running.", idle: "Ready to send", noAccount: "No account yet: mail is kept until you add one",
		sending: "Sending…", waiting: "Messages wait", waitingN: "%d waiting for the network or a server",
		offline: "No network: mail is kept", offlineN: "No network: %d kept",
		paused: "Paused: mail is kept", pausedN: "Paused: %d kept",
		attention: "Something needs you", attentionN: "%d in the outbox need you",
		accountNeeds: "Account %s needs you", needsMark: " (!)", openUntil: "(relay open until %s)",
		accountState: map[api.AccountState]string{
			api.AccountReady: "ready", api.AccountSending: "sending", api.AccountAttention: "needs you", api.AccountUnknown: "not tried yet"},
		menuWords: menuWords{
			add: "Add account…", other: "Another provider…", moreAccounts: "%d more accounts…", retry: "Try again now", login: "Log in…",
			test: "Test now", edit: "Edit…", makeDefault: "Default account",
			outbox: "Outbox", outboxN: "Outbox (%d)", sendNow: "Send now", pause: "Pause sending", resume: "Resume sending",
			doctor: "Why can't I send?", activity: "Activity", autostart: "Start at login", settings: "Settings",
			quitIcon: "Quit the icon (mail goes on)", quit: "Quit Melon (what waits is kept)"},
		noticeWords: noticeWords{
			keptTitle: "Kept for later", keptBody: "A message to %s could not be sent yet. Melon sends it as soon as that is possible.",
			keptBodyN: "%d messages could not be sent yet. Melon sends them as soon as that is possible.",
			sentTitle: "Sent after all", sentBody: "The message to %s has been sent.", sentBodyN: "%d messages that waited have been sent.",
			needsTitle: "A message needs you", needsAccountTitle: "Account %s needs you", needsBodyN: "%d in the outbox can't be sent without you.", open: "Open",
			noTrayTitle: "Melon has no place for its icon", noTrayBody: "This desktop shows no tray icons. Melon runs all the same; open its page instead."},
	}
}

func japanese() *words {
	return &words{
		starting: "Melonを起動しています…", down: "Melonは動いていません。", idle: "送信できます", noAccount: "アカウント未設定：追加するまでメールを保管します",
		sending: "送信中…", waiting: "送信待ちのメールがあります", waitingN: "%d通がネットワークかサーバーを待っています",
		offline: "オフライン：メールは保管されます", offlineN: "オフライン：%d通を保管中",
		paused: "一時停止中：メールは保管されます", pausedN: "一時停止中：%d通を保管中",
		attention: "確認が必要です", attentionN: "送信トレイの%d通に確認が必要です",
		accountNeeds: "アカウント%sに確認が必要です", needsMark: "（!）", openUntil: "（%sまで中継可）",
		accountState: map[api.AccountState]string{
			api.AccountReady: "送信可", api.AccountSending: "送信中", api.AccountAttention: "要確認", api.AccountUnknown: "未使用"},
		menuWords: menuWords{
			add: "アカウントを追加…", other: "ほかのプロバイダー…", moreAccounts: "ほか%dアカウント…", retry: "もう一度試す", login: "ログイン…",
			test: "テストする", edit: "編集…", makeDefault: "既定のアカウント",
			outbox: "送信トレイ", outboxN: "送信トレイ（%d）", sendNow: "今すぐ送信", pause: "送信を一時停止", resume: "送信を再開",
			doctor: "送信できない理由を調べる", activity: "履歴", autostart: "ログイン時に起動", settings: "設定",
			quitIcon: "アイコンを終了（送信は続きます）", quit: "Melonを終了（待機中のメールは残ります）"},
		noticeWords: noticeWords{
			keptTitle: "あとで送信します", keptBody: "%s宛てのメールはまだ送信できません。可能になり次第送信します。",
			keptBodyN: "%d通のメールはまだ送信できません。可能になり次第送信します。",
			sentTitle: "送信しました", sentBody: "保管していた%s宛てのメールを送信しました。", sentBodyN: "保管していた%d通のメールを送信しました。",
			needsTitle: "確認が必要なメールがあります", needsAccountTitle: "アカウント%sに確認が必要です", needsBodyN: "送信トレイの%d通は、確認するまで送信できません。", open: "開く",
			noTrayTitle: "アイコンを表示できません", noTrayBody: "このデスクトップにはトレイがありません。Melonは動いています。Melonのページを開いてください。"},
	}
}
