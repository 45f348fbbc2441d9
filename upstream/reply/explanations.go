package reply

import "melon/upstream"

// entry is one row of the table of explanations: a class, when to try again,
// and a column for each language. To translate, add a language to Languages
// and a column to each row; a test names the cells that are missing.
type entry struct {
	class upstream.Class
	retry string
	text  map[string]text
}

// text is one cell. The summary says what happened, in words that a hotel guest
// can read out at the desk. Of the advice the first line is the one thing to do
// now; the last is what is left when nothing helped. Nothing here blames a
// password for the network. English is ASCII, as it goes to mail apps.
type text struct {
	summary string
	advice  []string
}

// explanations is the whole table, in the order of upstream.ReplyClasses and
// upstream.NetworkClasses.
var explanations = append(append(append([]entry{}, loginTexts...), deliveryTexts...), networkTexts...)

const (
	webmailEN = "If it is urgent, send the mail from your provider's webmail page."
	webmailJA = "お急ぎの場合は、プロバイダーのウェブメールからお送りください。"
	keptEN    = "Wait a while, then send again; mail that Melon has kept goes out by itself."
	keptJA    = "しばらく待ってから送り直してください。Melonが預かったメールは自動的に送信されます。"
)

// loginTexts explains what stands between this laptop and the server's will to
// send for it.
var loginTexts = []entry{
	{upstream.ClassPOPBeforeSMTPRequired, RetryAfterPOP, map[string]text{
		"en": {"The server sends mail from this network only shortly after you have checked for new mail.",
			[]string{"Check that the POP server of this account is set in Melon, so that it can log in there first.",
				"Or press \"get mail\" in your mail app, then send again within a few minutes.",
				"If your provider offers SMTP AUTH (a login on sending), switch this account to it.", webmailEN}},
		"ja": {"このネットワークから送信するには、その直前にメールの受信（POP認証）が必要です。",
			[]string{"MelonのこのアカウントにPOPサーバーが設定されているかご確認ください。設定があれば自動で認証します。",
				"または、メールソフトで受信をしてから、数分以内にもう一度送信してください。",
				"プロバイダーがSMTP認証に対応している場合は、そちらへの切り替えをお勧めします。", webmailJA}},
	}},
	{upstream.ClassAuthRequired, RetryAfterAuth, map[string]text{
		"en": {"The server wants you to log in before it sends mail from here, and no login was made.",
			[]string{"Set this account's user name and password in Melon and leave \"auth\" on \"auto\".",
				"If the provider has a separate sending server or port for use away from home (often 587 or 465), use that.", webmailEN}},
		"ja": {"送信の前にログイン（SMTP認証）が必要ですが、ログインしていませんでした。",
			[]string{"Melonでこのアカウントのユーザー名とパスワードを設定し、認証方式は「auto」にしてください。",
				"外出先用の送信サーバーやポート（587、465など）がある場合は、そちらをお使いください。", webmailJA}},
	}},
	{upstream.ClassRelayDeniedIP, RetryOtherAccount, map[string]text{
		"en": {"The server does not pass on mail to other providers for the network that you are on now.",
			[]string{"Turn on a login for this account in Melon (SMTP AUTH or a POP login), if your provider offers one.",
				"Otherwise send through another of your accounts, or name one as \"fallback\".",
				"Mail to addresses at this provider itself may still go.", webmailEN}},
		"ja": {"今お使いのネットワークからは、このサーバーで他社あてのメールを送信できません。",
			[]string{"プロバイダーが対応していれば、このアカウントで認証（SMTP認証またはPOP認証）を有効にしてください。",
				"対応していない場合は、別のアカウントから送信するか、代わりに使うアカウントを設定してください。",
				"同じプロバイダーあてのメールであれば送信できることがあります。", webmailJA}},
	}},
	{upstream.ClassSenderDomainRestricted, RetryOtherAccount, map[string]text{
		"en": {"The server does not accept this sender address for mail that you send through it.",
			[]string{"Choose the account that belongs to this From address, and send again.",
				"Or set \"envelope_from: account\" for the account, so that its own address is given to the server.",
				"Check the From address for typing errors.", webmailEN}},
		"ja": {"この差出人アドレスでは、このサーバーから送信できません。",
			[]string{"差出人アドレスに合ったアカウントを選んで、もう一度送信してください。",
				"または、アカウントに「envelope_from: account」を設定し、アカウント自身のアドレスで送信してください。",
				"差出人アドレスの入力間違いがないかご確認ください。", webmailJA}},
	}},
	{upstream.ClassCredentialsRejected, RetryAfterAuth, map[string]text{
		"en": {"The sending server did not accept this user name and password.",
			[]string{"Type the password for this account into Melon again.",
				"Check the user name: some providers want the whole mail address, others a name of their own.",
				"Log in to the provider's webmail with the same name and password; if that works, ask whether mail apps need another password.", webmailEN}},
		"ja": {"送信サーバーで、ユーザー名とパスワードの組み合わせが受け付けられませんでした。",
			[]string{"Melonでこのアカウントのパスワードを入力し直してください。",
				"ユーザー名をご確認ください。メールアドレス全体の場合と、別のIDの場合があります。",
				"同じ名前とパスワードでウェブメールに入れるか試し、入れる場合はメールソフト用のパスワードが必要かお問い合わせください。", webmailJA}},
	}},
	{upstream.ClassAppPasswordOrOAuthRequired, RetryAfterAuth, map[string]text{
		"en": {"The provider no longer accepts your usual password from mail programs.",
			[]string{"Run \"melon login\" for this account if the provider offers sign-in with the browser (OAuth 2.0).",
				"Or make an app password on the provider's security page, and set it in Melon.",
				"Check on the provider's page that sending with mail programs (SMTP) is allowed for your account.", webmailEN}},
		"ja": {"このプロバイダーでは、メールソフトから普段のパスワードでログインできません。",
			[]string{"ブラウザーでのログイン（OAuth 2.0）に対応している場合は、「melon login」を実行してください。",
				"または、プロバイダーのセキュリティ設定でアプリパスワードを作成し、Melonに設定してください。",
				"プロバイダーの設定で、メールソフトからの送信（SMTP）が許可されているかご確認ください。", webmailJA}},
	}},
	{upstream.ClassTLSRequired, RetryOtherPort, map[string]text{
		"en": {"The server wants an encrypted connection before it goes on.",
			[]string{"Set \"security: auto\" (or \"tls\", port 465) for this account.",
				"If it was set already, this network may be taking the encryption away: try another network.", webmailEN}},
		"ja": {"サーバーは暗号化された接続（TLS）を求めています。",
			[]string{"このアカウントの設定を「security: auto」（または「tls」、ポート465）にしてください。",
				"すでに設定済みの場合は、このネットワークが暗号化を妨げている可能性があります。別のネットワークでお試しください。", webmailJA}},
	}},
	{upstream.ClassMechanismUnsupported, RetryNever, map[string]text{
		"en": {"The server does not offer the way of logging in that was tried.",
			[]string{"Set \"auth: auto\" for this account, so that Melon picks what the server offers.",
				"Try the provider's submission port (587 or 465): port 25 often has no login.",
				"Ask the provider which login its sending server wants.", webmailEN}},
		"ja": {"試したログイン方式に、サーバーが対応していません。",
			[]string{"このアカウントを「auth: auto」に設定し、方式の選択をMelonに任せてください。",
				"送信用のポート（587または465）をお試しください。ポート25ではログインできないことがあります。",
				"送信サーバーの認証方式をプロバイダーにご確認ください。", webmailJA}},
	}},
	{upstream.ClassAccountDisabledOrLocked, RetryNever, map[string]text{
		"en": {"The provider has locked or switched off this account, or this use of it.",
			[]string{"Log in to the provider's web page and follow what it says there.",
				"Check that POP and SMTP are switched on in the account's settings.",
				"Ask the provider's support to open the account; further tries from here do not help."}},
		"ja": {"このアカウント、またはメールソフトからの利用が、プロバイダー側で停止されています。",
			[]string{"プロバイダーのウェブページにログインし、表示される案内に従ってください。",
				"アカウントの設定で、POPとSMTPの利用が有効になっているかご確認ください。",
				"解除はプロバイダーのサポートにお問い合わせください。ここから繰り返し試しても解除されません。"}},
	}},
	{upstream.ClassPOPMailboxInUse, RetryLater, map[string]text{
		"en": {"The mailbox is open in another program just now, so the login has to wait.",
			[]string{keptEN,
				"If it lasts, close other mail programs and phones that fetch mail from this account, and wait fifteen minutes.", webmailEN}},
		"ja": {"ほかのプログラムがメールボックスを使用中のため、ログインを待っています。",
			[]string{keptJA,
				"続く場合は、このアカウントを受信しているほかのメールソフトやスマートフォンを終了し、15分ほどお待ちください。", webmailJA}},
	}},
	{upstream.ClassPOPLoginDelay, RetryLater, map[string]text{
		"en": {"The provider allows a POP login only every few minutes, and the last one was too recent.",
			[]string{keptEN, "Make your mail app check for new mail less often.", webmailEN}},
		"ja": {"プロバイダーがPOPログインの間隔を制限しており、前回から時間がたっていません。",
			[]string{keptJA, "メールソフトの自動受信の間隔を長くしてください。", webmailJA}},
	}},
	{upstream.ClassPOPCredentialsRejected, RetryNever, map[string]text{
		"en": {"The receiving (POP) server did not accept this user name and password.",
			[]string{"Type the POP password for this account into Melon again.",
				"Check the POP user name: some providers want the whole mail address, others a name of their own.",
				"Try the same name and password in the provider's webmail; if that works, ask whether POP needs another password.", webmailEN}},
		"ja": {"受信（POP）サーバーで、ユーザー名とパスワードの組み合わせが受け付けられませんでした。",
			[]string{"MelonでこのアカウントのPOPパスワードを入力し直してください。",
				"POPのユーザー名をご確認ください。メールアドレス全体の場合と、別のIDの場合があります。",
				"同じ名前とパスワードでウェブメールに入れるか試し、入れる場合はPOP用のパスワードが必要かお問い合わせください。", webmailJA}},
	}},
	{upstream.ClassPOPTemporary, RetryLater, map[string]text{
		"en": {"The receiving (POP) server has trouble of its own just now.",
			[]string{keptEN, "If it lasts for hours, ask the provider.", webmailEN}},
		"ja": {"受信（POP）サーバー側で一時的な問題が起きています。",
			[]string{keptJA, "何時間も続く場合は、プロバイダーにお問い合わせください。", webmailJA}},
	}},
}
