package man

import (
	"strings"

	"github.com/spf13/cobra"
)

// commandsJA says what each command does, in Japanese.
var commandsJA = map[string]string{
	"run":        "中継を前面で動かす。待ち受けるアドレスを一行ずつ、次に ready を標準エラーに出す。",
	"demo":       "設定なしで動作を見る。箱入りのプロバイダとその前の中継を動かし、一通送って会話をすべて見せる。",
	"account":    "アカウントの追加、一覧、表示、変更、削除、試験、既定の選択。",
	"login":      "OAuth 2.0 でサインインする。",
	"provider":   "Melon が知っているプロバイダの一覧と表示。",
	"status":     "中継の状態を示す。動いていなければ終了コード 3。",
	"outbox":     "待っているメールの一覧、表示、送信、保留、解除、削除、書き出し。",
	"log":        "何をしたかを示す。-f で、これからすることも。",
	"open":       "一度だけ使えるリンクでウェブページを開く。",
	"pause":      "送信をすべて止める。メールは送信箱に受け取り続ける。",
	"resume":     "pause を終える。",
	"stop":       "動いている中継を終える。待っているメールは残る。",
	"explain":    "サーバの返事の意味と、まず何をすればよいかを示す。",
	"doctor":     "今ここで送れるか、送れないならその理由と対処を調べる。メールは送らない。",
	"config":     "設定を検査する。設定の場所を示す。",
	"version":    "版を示す。",
	"autostart":  "ログイン時に起動する。",
	"sendmail":   "sendmail(8) のコマンド行。",
	"completion": "シェルの補完を出力する。",
	"manual":     "マニュアルページをディレクトリに書く。",
}

// rootPageJA is melon(1) in Japanese: the overview. Commands without a line in
// commandsJA have their English one.
func rootPageJA(root *cobra.Command, o Options) []byte {
	p := newPage("melon", 1, o)
	p.section("名前")
	p.line("melon - どのネットワークからでもメールを送れるようにする、手元の SMTP 中継")
	p.section("書式")
	p.line("melon [--config FILE] [--state DIR] [--lang en|ja] COMMAND [ARGUMENT…]")
	p.section("説明")
	p.text(`Melon はメールアプリとプロバイダの間に立つ。アプリはこのコンピュータに送信し、Melon はノート PC がどのネットワークにあっても、
プロバイダの望む方法（POP before SMTP、パスワード、OAuth 2.0）でログインしてメールを届ける。今すぐ送れないメールは保管し、
何がいけないのかを知らせる。

まず melon demo で動作を見る。melon account add でアカウントを追加し、melon run で起動し、メールアプリの送信サーバを
localhost、ポート 2525、暗号化なし、認証なしにする。`)
	p.section("コマンド")
	for _, cmd := range shown(root) {
		text, ok := commandsJA[cmd.Name()]
		if !ok {
			text = upper(cmd.Short) + "."
		}
		p.item(strings.TrimPrefix(cmd.CommandPath(), "melon "), text+" "+pageName(cmd)+"(1)")
	}
	p.section("共通のオプション")
	p.item("--config FILE", "設定ファイル。存在しなければ終了コード 2。")
	p.item("--state DIR", "送信箱、履歴、学んだこと、制御ソケットを置くディレクトリ。")
	p.item("--lang en|ja", "人が読むものの言語。指定がなければ設定、次に環境変数 LC_ALL、LC_MESSAGES、LANG による。")
	p.section("終了コード")
	p.item("0", "できた。")
	p.item("1", "できなかった。")
	p.item("2", "コマンド行か設定が正しくない。")
	p.item("3", "中継が動いていない。")
	p.section("関連項目")
	p.line("melon.yaml(5), melon-account(1), melon-doctor(1), melon-outbox(1), melon-sendmail(1), melon-tray(1)")
	return p.bytes()
}
