package man

import (
	"strings"

	"github.com/spf13/cobra"
)

// rootPageJA is melon(1) in Japanese: the overview.
func rootPageJA(root *cobra.Command, o Options) []byte {
	p := newPage("melon", 1, o)
	p.section("名前")
	p.line("melon - どのネットワークからでもメールを送れるようにする、手元の SMTP 中継")
	p.section("書式")
	p.line("melon [--config FILE] [--state DIR] [--lang en|ja] COMMAND [ARGUMENT…]")
	p.section("説明")
	p.text(`Melon はメールアプリとプロバイダーの間に立ちます。アプリはこのコンピューターに送信し、Melon はノート PC がどのネットワークにあっても、
プロバイダーの望む方法（POP before SMTP、パスワード、OAuth 2.0）でログインしてメールを届けます。今すぐ送れないメールは保管し、
何がいけないのかを知らせます。

まず melon demo で動作を見てください。次に melon account add でアカウントを追加し、melon run で起動し、メールアプリの送信サーバーを
localhost、ポート 2525、暗号化なし、認証なしにします。`)
	p.section("コマンド")
	for _, cmd := range shown(root) {
		p.item(strings.TrimPrefix(cmd.CommandPath(), "melon "), o.Japanese(cmd.CommandPath())+"。"+pageName(cmd)+"(1)")
	}
	p.section("共通のオプション")
	p.item("--config FILE", "設定ファイルです。存在しなければ終了コード 2 です。")
	p.item("--state DIR", "送信箱、履歴、学んだこと、制御ソケットを置くディレクトリです。")
	p.item("--lang en|ja", "人が読むものの言語です。指定がなければ設定、次に環境変数 LC_ALL、LC_MESSAGES、LANG によります。")
	p.section("終了コード")
	p.item("0", "できました。")
	p.item("1", "できませんでした。")
	p.item("2", "コマンド行か設定が正しくありません。")
	p.item("3", "中継が動いていません。")
	p.section("関連項目")
	p.line("melon.yaml(5), melon-account(1), melon-doctor(1), melon-outbox(1), melon-sendmail(1), melon-tray(1)")
	return p.bytes()
}
