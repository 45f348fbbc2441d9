package reply

import "melon/upstream"

// deliveryTexts explains what servers say of messages, recipients and limits.
var deliveryTexts = []entry{
	{upstream.ClassRecipientUnknown, RetryNever, map[string]text{
		"en": {"The recipient's address does not exist, or takes no mail.",
			[]string{"Check the address for typing errors and send again.", "Ask the recipient for the right address in another way."}},
		"ja": {"宛先のメールアドレスが存在しないか、メールを受け取れない状態です。",
			[]string{"宛先アドレスに入力間違いがないか確認し、もう一度送信してください。", "別の方法で、相手の方に正しいアドレスをお尋ねください。"}},
	}},
	{upstream.ClassRecipientDomainUnknown, RetryNever, map[string]text{
		"en": {"The part of the recipient's address after the @ does not exist, or takes no mail.",
			[]string{"Check the address after the @ for typing errors and send again.", "Ask the recipient for the right address in another way."}},
		"ja": {"宛先アドレスの「@」より後ろの部分が存在しないか、メールを受け付けていません。",
			[]string{"「@」より後ろに入力間違いがないか確認し、もう一度送信してください。", "別の方法で、相手の方に正しいアドレスをお尋ねください。"}},
	}},
	{upstream.ClassMailboxFull, RetryLater, map[string]text{
		"en": {"The recipient's mailbox is full.",
			[]string{"Tell the recipient in another way, and send again once there is room.", "Send a smaller message without attachments."}},
		"ja": {"宛先のメールボックスがいっぱいです。",
			[]string{"別の方法で相手の方に知らせ、空きができてから送り直してください。", "添付ファイルのない小さなメールでお試しください。"}},
	}},
	{upstream.ClassMessageTooLarge, RetryNever, map[string]text{
		"en": {"The message is larger than the server takes.",
			[]string{"Send it without the attachment, or with a smaller one.", "Put the file on a file sharing service and send the link."}},
		"ja": {"メールの大きさが、サーバーの制限を超えています。",
			[]string{"添付ファイルを外すか小さくして、もう一度送信してください。", "ファイル共有サービスにファイルを置き、そのリンクをお送りください。"}},
	}},
	{upstream.ClassContentRejectedSpam, RetryNever, map[string]text{
		"en": {"The server took the message for spam, or does not accept something that is in it.",
			[]string{"Send it again without links and attachments, with a plain subject.", "Send it through another of your accounts.", "Tell the recipient in another way."}},
		"ja": {"メールの内容が、迷惑メールなどと判断されて受け付けられませんでした。",
			[]string{"リンクや添付ファイルを外し、分かりやすい件名で送り直してください。", "別のアカウントから送信してください。", "別の方法で相手の方にご連絡ください。"}},
	}},
	{upstream.ClassSenderIPBlocklisted, RetryOtherAccount, map[string]text{
		"en": {"The server refuses the internet address that the mail came from; the message and your password are not the reason.",
			[]string{"Send with a login on port 465 or 587 of your own provider, not directly on port 25.",
				"Use another network, such as your phone's.", "Send through another of your accounts.", webmailEN}},
		"ja": {"送信元のIPアドレスが、相手のサーバーで拒否されています。メールの内容やパスワードが原因ではありません。",
			[]string{"ご自分のプロバイダーのポート465または587で、認証をして送信してください。",
				"スマートフォンの回線など、別のネットワークをお使いください。", "別のアカウントから送信してください。", webmailJA}},
	}},
	{upstream.ClassRateLimited, RetryLater, map[string]text{
		"en": {"The server limits how much is sent or how often one connects, and the limit is reached for now.",
			[]string{keptEN, "Send to fewer people at once.", webmailEN}},
		"ja": {"送信数や接続数がサーバーの制限に達しているため、一時的に受け付けられません。",
			[]string{keptJA, "一度に送る宛先を減らしてください。", webmailJA}},
	}},
	{upstream.ClassGreylisted, RetryLater, map[string]text{
		"en": {"The server makes first-time senders wait some minutes; this is normal.",
			[]string{keptEN, "It usually goes through within half an hour."}},
		"ja": {"初めての送信者に数分の待ち時間を求めるサーバーです。異常ではありません。",
			[]string{keptJA, "通常は30分以内に送信されます。"}},
	}},
	{upstream.ClassTemporaryLocalProblem, RetryLater, map[string]text{
		"en": {"The server cannot do it just now; the trouble is temporary and not yours.",
			[]string{keptEN, "If it lasts for hours, ask the provider.", webmailEN}},
		"ja": {"サーバー側の一時的な問題のため、今は処理できません。",
			[]string{keptJA, "何時間も続く場合は、プロバイダーにお問い合わせください。", webmailJA}},
	}},
	{upstream.ClassTooManyRecipients, RetryLater, map[string]text{
		"en": {"The message has more recipients than the server takes at once.",
			[]string{"Send it to fewer people at a time.", "For many recipients use a mailing list."}},
		"ja": {"宛先の数が、サーバーが一度に受け付ける上限を超えています。",
			[]string{"宛先をいくつかに分けて送信してください。", "宛先が多い場合はメーリングリストをご利用ください。"}},
	}},
	{upstream.ClassSyntaxOrProtocol, RetryNever, map[string]text{
		"en": {"The server did not understand an address, a header line or a command.",
			[]string{"Check sender and recipient addresses for blanks, missing parts and special characters.",
				"Write the message anew in another mail app.", webmailEN}},
		"ja": {"アドレスやヘッダー、またはコマンドの形式を、サーバーが受け付けませんでした。",
			[]string{"差出人と宛先のアドレスに、空白や欠けた部分、特殊な文字がないかご確認ください。",
				"別のメールソフトでメールを作り直してみてください。", webmailJA}},
	}},
	{upstream.ClassOther, RetryNever, map[string]text{
		"en": {"The server refused without a reason that Melon knows.",
			[]string{"Read the server's own words above: they may say what to do.", "Show them to your provider's support.", webmailEN}},
		"ja": {"サーバーに拒否されましたが、Melonには理由が分かりませんでした。",
			[]string{"サーバーの応答に対処方法が書かれていないかご確認ください。", "その応答をプロバイダーのサポートにお伝えください。", webmailJA}},
	}},
}

// networkTexts explains what no reply says.
var networkTexts = []entry{
	{upstream.ClassOK, RetryLater, map[string]text{
		"en": {"Mail can be sent from here.", []string{"Nothing to do."}},
		"ja": {"ここからメールを送信できます。", []string{"特に必要な操作はありません。"}},
	}},
	{upstream.ClassOffline, RetryLater, map[string]text{
		"en": {"This computer has no network connection just now.",
			[]string{"Connect to the Wi-Fi or plug in the network cable.", "Mail that Melon has kept goes out by itself once there is a connection.", "Ask at the front desk how to connect."}},
		"ja": {"現在、このパソコンはネットワークにつながっていません。",
			[]string{"Wi-Fiに接続するか、LANケーブルを差し込んでください。", "Melonが預かったメールは、つながると自動的に送信されます。", "接続方法はフロントにお尋ねください。"}},
	}},
	{upstream.ClassCaptivePortal, RetryLater, map[string]text{
		"en": {"This network wants you to sign in on a web page before anything else works.",
			[]string{"Open any page in your browser, and sign in or accept the terms there.", "Mail that Melon has kept goes out by itself afterwards.", "Ask at the front desk for the access code."}},
		"ja": {"このネットワークでは、最初にウェブページでの手続きが必要です。",
			[]string{"ブラウザーを開き、表示されるページでログインまたは同意をしてください。", "Melonが預かったメールは、手続きのあとに自動的に送信されます。", "アクセスコードはフロントにお尋ねください。"}},
	}},
	{upstream.ClassDNSFailure, RetryLater, map[string]text{
		"en": {"The name of the mail server could not be looked up from this network.",
			[]string{"Check that web pages open in your browser.", "Check the server's name in the account for typing errors.", "Reconnect to the network, or use another one.", webmailEN}},
		"ja": {"このネットワークで、メールサーバーの名前を調べられませんでした。",
			[]string{"ブラウザーでウェブページが開けるかご確認ください。", "アカウントのサーバー名に入力間違いがないかご確認ください。", "接続し直すか、別のネットワークをお使いください。", webmailJA}},
	}},
	{upstream.ClassDNSHijacked, RetryOtherPort, map[string]text{
		"en": {"This network answers with a false address for the mail server.",
			[]string{"Open a page in your browser: the network may want you to sign in first.", "Use another network, such as your phone's.", webmailEN}},
		"ja": {"このネットワークは、メールサーバーについて誤ったアドレスを返しています。",
			[]string{"ブラウザーでページを開き、先に手続きが必要かご確認ください。", "スマートフォンの回線など、別のネットワークをお使いください。", webmailJA}},
	}},
	{upstream.ClassPortBlocked, RetryOtherPort, map[string]text{
		"en": {"This network lets nothing through to the mail server on that port.",
			[]string{"Set the account's port to 0, so that Melon tries 465, 587, 25 and 2525.", "Use another network, such as your phone's.", "Ask at the front desk whether mail programs may send from here.", webmailEN}},
		"ja": {"このネットワークでは、メールサーバーのそのポートへの通信が遮断されています。",
			[]string{"アカウントのポートを0に設定すると、465、587、25、2525を順に試します。", "スマートフォンの回線など、別のネットワークをお使いください。", "メールソフトからの送信ができるか、フロントにお尋ねください。", webmailJA}},
	}},
	{upstream.ClassSMTPIntercepted, RetryOtherPort, map[string]text{
		"en": {"Another server answers in place of your provider's: this network intercepts mail. No password was given to it.",
			[]string{"Use port 465, which cannot be intercepted unseen.", "Use another network, such as your phone's.", webmailEN}},
		"ja": {"プロバイダーの代わりに別のサーバーが応答しています。このネットワークがメール通信を横取りしているようです。",
			[]string{"気付かれずに横取りできない、ポート465をお使いください。", "スマートフォンの回線など、別のネットワークをお使いください。", webmailJA}},
	}},
	{upstream.ClassStartTLSStripped, RetryOtherPort, map[string]text{
		"en": {"The server offered encryption before and does not from this network; Melon does not go on without it.",
			[]string{"Use port 465 for this account.", "Use another network, such as your phone's.", webmailEN}},
		"ja": {"以前は使えた暗号化が、このネットワークでは提示されません。安全のため送信を止めています。",
			[]string{"このアカウントではポート465をお使いください。", "スマートフォンの回線など、別のネットワークをお使いください。", webmailJA}},
	}},
	{upstream.ClassCertificateInvalid, RetryOtherPort, map[string]text{
		"en": {"The server could not prove that it is your provider's: its certificate is not valid.",
			[]string{"Open a page in your browser: the network may want you to sign in first.", "Check the server's name in the account.", "Try another network; if it is the same there, ask the provider.", webmailEN}},
		"ja": {"サーバーの証明書が正しくないため、本物のプロバイダーか確認できません。",
			[]string{"ブラウザーでページを開き、先に手続きが必要かご確認ください。", "アカウントのサーバー名をご確認ください。", "別のネットワークでお試しください。同じ場合はプロバイダーにお問い合わせください。", webmailJA}},
	}},
	{upstream.ClassClockWrong, RetryLater, map[string]text{
		"en": {"The clock of this computer is wrong, so the server's certificate cannot be checked.",
			[]string{"Set date, time and time zone of this computer.", "Turn on setting the clock automatically."}},
		"ja": {"このパソコンの時計がずれているため、サーバーの証明書を確認できません。",
			[]string{"パソコンの日付、時刻、タイムゾーンを合わせてください。", "時刻の自動設定を有効にしてください。"}},
	}},
	{upstream.ClassVPNRoute, RetryOtherPort, map[string]text{
		"en": {"A VPN takes the way to the mail server, or a part of it.",
			[]string{"Switch the VPN off, send, and switch it on again.", "Or ask who runs the VPN to leave mail out of it.", webmailEN}},
		"ja": {"メールサーバーへの通信の全部または一部が、VPNを通っています。",
			[]string{"VPNをいったん切って送信し、そのあとで接続し直してください。", "または、メールの通信をVPNから外すよう、VPNの管理者にご相談ください。", webmailJA}},
	}},
	{upstream.ClassServerUnreachable, RetryLater, map[string]text{
		"en": {"The mail server does not answer from here.",
			[]string{keptEN, "Check the server's name and port in the account.", "Use another network, such as your phone's.", webmailEN}},
		"ja": {"ここからはメールサーバーの応答がありません。",
			[]string{keptJA, "アカウントのサーバー名とポートをご確認ください。", "スマートフォンの回線など、別のネットワークをお使いください。", webmailJA}},
	}},
	{upstream.ClassServerBroken, RetryLater, map[string]text{
		"en": {"The mail server answers, but not as a mail server should.",
			[]string{keptEN, "Check the server's name and port in the account.", "If it lasts, ask the provider.", webmailEN}},
		"ja": {"メールサーバーから応答はありますが、内容が正しくありません。",
			[]string{keptJA, "アカウントのサーバー名とポートをご確認ください。", "続く場合は、プロバイダーにお問い合わせください。", webmailJA}},
	}},
}
