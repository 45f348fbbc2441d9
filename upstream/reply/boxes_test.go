package reply

import (
	"strings"
	"testing"

	"melon/upstream"
)

// box is what a mail app, a bounce or a program shows of a server's refusal,
// pasted whole, with the step unknown.
type box struct {
	app   string
	text  string
	code  int // reply code that Parse finds, 0 for none
	class upstream.Class
	free  string // parted by "|": words of the app that the reply's lines must not hold
}

// boxes are real ones, names and addresses replaced.
var boxes = append(append(append([]box{}, outlookBoxes...), thunderbirdBoxes...), otherBoxes...)

var outlookBoxes = []box{
	{"Outlook Express, Japanese", "受信者の 1 人がサーバーによって拒否されたため、メッセージを 送信できませんでした。 拒否された電子メール アドレス : user@example.com, 件名 'test', アカウント : 'mbp.example.jp', サーバー : 'mbp.example.jp', プロトコル : SMTP, サーバーの応答 : '554 sorry, you must get POP/APOP authorization.', ポート : 25, セキュリティ (SSL): なし, サーバー エラー : 554, エラー番号 : 0x800CCC79",
		554, upstream.ClassPOPBeforeSMTPRequired, "ポート|エラー"},
	{"Outlook Express, Japanese, relaying", "受信者の 1 人がサーバーによって拒否されたため、メッセージを送信できませんでした。\n拒否された電子メール アドレス : 'user@example.com'\n件名 'Re: お世話になります', アカウント : 'example.sakura.example.jp', サーバー : 'example.sakura.example.jp',\nプロトコル : SMTP, サーバーの応答 : '550 <user@example.com>... Relaying Denied',\nポート : 25, セキュリティ (SSL): なし, サーバー エラー : 550, エラー番号 : 0x800CCC79",
		550, upstream.ClassRelayDeniedIP, "ポート|エラー"},
	{"Outlook, Japanese", "タスク 'taro@example.jp - 送信中' はエラー (0x800CCC78) を報告しました: 'メッセージを送信できません。アカウントのプロパティで電子メールアドレスが正しいことを確認してください。サーバーが応答しました: 553 5.7.1 <taro@example.jp>: Sender address rejected: not owned by user jiro'",
		553, upstream.ClassSenderDomainRestricted, "タスク|報告"},
	{"Outlook, Japanese, connection cut", "タスク 'taro - 送信中' はエラー (0x800CCC0F) を報告しました: 'サーバーへの接続が中断されました。この問題が引き続き起こる場合は、サーバー管理者かインターネットサービスプロバイダ (ISP) に連絡してください。サーバーが応答しました: 421 4.7.0 mail.example.jp Error: too many connections from 192.0.2.1'",
		421, upstream.ClassRateLimited, "タスク|報告"},
	{"Outlook Express, Chinese", "由于服务器拒绝收件人之一，无法发送邮件。被拒绝的电子邮件地址是“user@example.com”。 \n主题 'it's a secret', 帐户: '192.0.2.111', 服务器: '192.0.2.111', 协议: SMTP, 服务器响应: '454 4.7.1 <user@example.com>: Relay access denied', 端口: 25, 安全(SSL): 否, 服务器错误: 454, 错误号: 0x800CCC79",
		454, upstream.ClassRelayDeniedIP, "端口|错误"},
	{"Windows Live Mail, Portuguese", "Erro de Servidor: 454\nResposta do Servidor: 454 4.7.1 <user@example.pt>: Relay access denied\nServidor: 'mail.example'\nID de Erro do Windows Live Mail: 0x800CCC79\nProtocolo: SMTP\nPorta: 465\nSecure(SSL): Sim",
		454, upstream.ClassRelayDeniedIP, "Protocolo|Porta|Servidor"},
	{"Outlook Express, login missing", "The message could not be sent because one of the recipients was rejected by the server. The rejected e-mail address was 'user@example.com'. Account: 'mail.example.com', Server: 'mail.example.com', Protocol: SMTP, Server Response: '550 5.7.1 <user@example.com>... Relaying denied. Proper authentication required.', Port: 25, Secure(SSL): No, Server Error: 550, Error Number: 0x800CCC79",
		550, upstream.ClassAuthRequired, "Port|Error"},
	{"Outlook Express, relaying", "The message could not be sent because one of the recipients was rejected by the server. The rejected e-mail address was 'user@example.com'. Subject 'test  1 email', Account: 'example.com', Server: 'example.com', Protocol: SMTP, Server Response: '554 5.7.1 <user@example.com>: Relay access denied', Port: 25, Secure(SSL): No, Server Error: 554, Error Number: 0x800CCC79",
		554, upstream.ClassRelayDeniedIP, "Port|Error"},
	{"Outlook Express, lookup", "The message could not be sent because one of the recipients was rejected by the server. The rejected e-mail address was 'jesse@example.com'. Subject 'hee', Account: 'example.com', Server: 'example.com', Protocol: SMTP, Server Response: '451 4.3.0 <jesse@example.com>: Temporary lookup failure', Port: 25, Secure(SSL): No, Server Error: 451, Error Number: 0x800CCC79",
		451, upstream.ClassTemporaryLocalProblem, "Port|Error"},
	{"Outlook Express, POP", "There was a problem logging onto your mail server. Your Password was rejected. Account: '192.0.2.108', Server: '192.0.2.108', Protocol: POP3, Server Response: '-ERR Login failed.', Port: 995, Secure(SSL): Yes, Server Error: 0x800CCC90, Error Number: 0x800CCC92",
		0, upstream.ClassPOPCredentialsRejected, "Port|Error"},
	{"Outlook Express, no server", "The connection to the server has failed. Account: 'MSN Mail', Server: 'smtp.example.com', Protocol: SMTP, Port: 465, Secure(SSL): Yes, Socket Error: 10061, Error Number: 0x800CCC0E.",
		0, upstream.ClassOther, ""},
	{"Outlook, no code", "Task 'Hotmail - Sending' reported error (0x800CCC3C) : 'The server reported an error.The server responded 'Precondition Failed'. '",
		0, upstream.ClassOther, "Task"},
}

var thunderbirdBoxes = []box{
	{"Thunderbird, relaying", "An error occurred while sending mail. The mail server responded: 5.7.1\n<user@example.com>...Relaying denied. Please verify that your email address is correct in your Mail preferences and try again.",
		0, upstream.ClassRelayDeniedIP, "verify|preferences"},
	{"Thunderbird, relaying without codes", "An error occurred while sending mail. The mail server responded: relay not permitted.",
		0, upstream.ClassRelayDeniedIP, "occurred"},
	{"Thunderbird, unknown user", "The mail server responded: 5.1.1 Recipient address rejected. User unknown in local recipient table.",
		0, upstream.ClassRecipientUnknown, "responded"},
	{"Thunderbird, a list", "An error occurred while sending mail. The mail server responded:   your host [192.0.2.30] is blacklisted by sbl-xbl.example.com. Send your questions to blacklist-admin@example.net. Please check the message recipient user@example.com and try again.",
		0, upstream.ClassSenderIPBlocklisted, "occurred|try again"},
	{"Thunderbird, three lines", "An error occurred while sending mail. The mail server responded:\nRequested action not taken: mailbox unavailable\ninvalid DNS MX or A/AAAA resource record.\nPlease check the message recipient \"user@example.org\" and try again.",
		0, upstream.ClassRecipientDomainUnknown, "occurred|try again"},
	{"Thunderbird, queue", "An error occurred while sending mail. The mail server responded: 4.3.0 Error: queue file write error.",
		0, upstream.ClassTemporaryLocalProblem, "occurred"},
	{"Netscape Communicator", "An Error occurred sending mail.\n\nThe mail server responded: Originator address does not match\nauthentication credential.\n\nPlease check the message and try again.",
		0, upstream.ClassSenderDomainRestricted, "occurred|try again"},
	{"Thunderbird, POP", "Sending of password did not succeed. Mail server pop.example.net responded: authorization failed",
		0, upstream.ClassPOPCredentialsRejected, "Sending"},
	{"Thunderbird, POP switched off", "Sending the password did not succeed. Mail server pop3.example.com responded: user does not have pop3 access",
		0, upstream.ClassAccountDisabledOrLocked, "Sending"},
	{"Thunderbird, POP temporary", "Sending of password did not succeed. Mail server 192.0.2.10 responded: Temporary authentication failure.",
		0, upstream.ClassPOPTemporary, "Sending"},
	{"Thunderbird, POP time-out", "Sending of password did not succeed. Mail server 127.0.0.1 responded: Fatal connection error: Connection timed out",
		0, upstream.ClassPOPTemporary, "Sending"},
	{"Thunderbird, POP response code", "Sending of password did not succeed. Mail server pop.example.com responded: [IN-USE] Your account is in use, try later.",
		0, upstream.ClassPOPMailboxInUse, "Sending"},
	{"Thunderbird, POP user", "“Sending of username did not succeed. Mail server localhost responded: hotmail.com is a unsupported domain”",
		0, upstream.ClassOther, "Sending"},
}

var otherBoxes = []box{
	{"Apple Mail, relaying", "Cannot Send Mail\nThe recipient “user@example.com” was rejected by the server because it does not allow relaying.",
		0, upstream.ClassRelayDeniedIP, ""},
	{"Apple Mail, unknown user", "The recipient “user@example.com” was rejected by the server because the user is unknown.",
		0, upstream.ClassRecipientUnknown, ""},
	{"msmtp", "msmtp: recipient address root not accepted by the server\nmsmtp: server message: 501 <root>: recipient address must contain a domain\nmsmtp: could not send mail (account default from /etc/msmtprc)",
		501, upstream.ClassSyntaxOrProtocol, "could not|msmtp"},
	{"msmtp, two lines", "msmtp: authentication failed (method LOGIN)\nmsmtp: server message: 535-5.7.1 Please log in with your web browser and then try again. Learn more at\nmsmtp: server message: 535 5.7.1 https://support.google.com/mail/bin/answer.py?answer=78754 b49sm36363995eem.16\nmsmtp: could not send mail (account default from /home/taro/.msmtprc)",
		535, upstream.ClassAppPasswordOrOAuthRequired, "could not|msmtp"},
	{"mutt with msmtp", "msmtp: envelope from address taro@example.com not accepted by the server\nmsmtp: server message: 530 5.7.0 Must issue a STARTTLS command first k5sm707424nfh.18\nmsmtp: could not send mail (account default from /home/taro/.msmtprc)\nError sending message, child exited 65 (Data format error.).",
		530, upstream.ClassTLSRequired, "could not|child"},
	{"msmtp, a list", "msmtp: recipient address user@example.com not accepted by the server\nmsmtp: server message: 554 Service unavailable; Client host [192.0.2.42] blocked using zen.spamhaus.org;\nhttp://www.spamhaus.org/query/bl?ip=192.0.2.42\nmsmtp: could not send mail (account default)",
		554, upstream.ClassSenderIPBlocklisted, "could not"},
	{"msmtp, 163.com", "msmtp: authentication failed (method LOGIN)\nmsmtp: server message: 550 User is locked",
		550, upstream.ClassAccountDisabledOrLocked, "method"},
	{"K-9 Mail", "Negative SMTP reply: 535 5.7.1 http://support.google.com/mail/bin/answer.py?answer=14257 hx9sm5317360pbc.68",
		535, upstream.ClassCredentialsRejected, "Negative"},
	{".NET, STARTTLS", "The SMTP server requires a secure connection or the client was not authenticated. The server response was: 5.7.0 Must issue a STARTTLS command first. zx18sm2485769veb.3",
		0, upstream.ClassTLSRequired, "secure connection or"},
	{".NET, login", "The SMTP server requires a secure connection or the client was not authenticated. The server response was: 5.7.0 Authentication Required. Learn more at",
		0, upstream.ClassAuthRequired, "secure connection or"},
	{".NET, relay", "Mailbox unavailable. The server response was: 5.7.1 Unable to relay",
		0, upstream.ClassRelayDeniedIP, "unavailable"},
	{"Nodemailer, recipients", "{\n [Error: Can't send mail - all recipients were rejected]\n  code: 'EENVELOPE',\n  response: '550 5.7.1 Unable to relay for user@example.com',\n  responseCode: 550\n }",
		550, upstream.ClassRelayDeniedIP, "EENVELOPE|responseCode"},
	{"Nodemailer, stack", "(node:60452) UnhandledPromiseRejectionWarning: Error: Can't send mail - all recipients were rejected: 550 5.7.1 Service unavailable; client [192.0.2.1] blocked using zen.spamhaus.org\n    at SMTPConnection._formatError (A:\\mail\\node_modules\\nodemailer\\lib\\smtp-connection\\index.js:784:19)\n    at SMTPConnection._actionRCPT (A:\\mail\\node_modules\\nodemailer\\lib\\smtp-connection\\index.js:1613:28)",
		550, upstream.ClassSenderIPBlocklisted, "SMTPConnection"},
	{"Nodemailer, greeting", "Error: Invalid greeting. response=554 Local Policy Violation: 554 Local Policy Violation",
		554, upstream.ClassSenderIPBlocklisted, "Invalid greeting"},
	{"PHPMailer, recipient", "2014-07-09 12:52:22 SMTP ERROR: RCPT TO command failed: 451 Temporary local problem - please try later",
		451, upstream.ClassTemporaryLocalProblem, "RCPT TO"},
	{"PHPMailer, data", "SMTP Error: data not accepted.SMTP server error: DATA END command failed Detail: This message was classified as SPAM and may not be delivered SMTP code: 550",
		550, upstream.ClassContentRejectedSpam, ""},
	{"Swift Mailer", "Expected response code 250 but got code \"530\", with message \"530 5.7.0 Must issue a STARTTLS command first. mu15sm2841118pjb.30 - gsmtp\"",
		530, upstream.ClassTLSRequired, "Expected"},
	{"Swift Mailer, send as", "Expected response code 250 but got code \"554\", with message \"554 5.2.252 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a permanent exception with message Cannot submit message.\"",
		554, upstream.ClassSenderDomainRestricted, "Expected"},
	{"Python, login", "smtplib.SMTPAuthenticationError: (535, b'5.7.8 Error: authentication failed: UGFzc3dvcmQ6')",
		535, upstream.ClassCredentialsRejected, "smtplib"},
	{"Python, recipient", "smtplib.SMTPRecipientsRefused: {'user@example.com': (554, b'5.7.1 <user@example.com>: Relay access denied')}",
		554, upstream.ClassRelayDeniedIP, "smtplib"},
	{"Python, sender", "smtplib.SMTPSenderRefused: (552, b'the from address and the authenticated user must be the same email. #ERR_AUTH_FAIL', 'webmaster@localhost')",
		552, upstream.ClassSenderDomainRestricted, "smtplib"},
	{"Python, POP", "poplib.error_proto: b'-ERR [AUTH] Authentication failed.'",
		0, upstream.ClassPOPCredentialsRejected, "poplib"},
	{"JavaMail", "javax.mail.AuthenticationFailedException: 535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [BM1P287CA0015.example]\n\n\tat java.mail/com.sun.mail.smtp.SMTPTransport$Authenticator.authenticate(SMTPTransport.java:965)\n\tat java.mail/com.sun.mail.smtp.SMTPTransport.authenticate(SMTPTransport.java:876)",
		535, upstream.ClassAppPasswordOrOAuthRequired, "SMTPTransport"},
	{"Android log", "01-26 00:06:08.117 31887-31981/com.example W/System.err: javax.mail.AuthenticationFailedException: 534-5.7.14 <https://accounts.google.com/signin/continue?sarp=1&scc=1&plt=AKgnsbv6\n534-5.7.14 QdoTNJQzHPn0AyXLHVHCRHB9JYSJU> Please log in via your web browser and\n534-5.7.14 then try again.\n534-5.7.14  Learn more at\n534 5.7.14  https://support.google.com/mail/answer/78754 e189sm14997239p",
		534, upstream.ClassAppPasswordOrOAuthRequired, "javax"},
	{"Postfix, login to the relay", "(delivery temporarily suspended: SASL authentication failed; server smtp.example.net[192.0.2.7] said: 451 Authentication failed: Maximum credits exceeded)",
		451, upstream.ClassRateLimited, "suspended"},
	{"Postfix, greeting", "host mx02.example.de[192.0.2.9] refused to talk to me: 554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact tosa@example.de to clarify.) (BL)",
		554, upstream.ClassSenderIPBlocklisted, "refused to talk"},
	{"Exchange report", "Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup'",
		550, upstream.ClassRecipientUnknown, "returned"},
	{"web app, Japanese", "メールサーバーの応答: 535 5.7.8 Authentication credentials invalid",
		535, upstream.ClassCredentialsRejected, "応答"},
}

// TestBoxes holds that the reply inside a pasted box is found, free of the
// app's own words, and read as if it came off the wire.
func TestBoxes(t *testing.T) {
	t.Parallel()
	for _, b := range boxes {
		t.Run(b.app, func(t *testing.T) {
			t.Parallel()
			r := Parse(b.text)
			lines := strings.Join(r.Lines, "\n")
			if r.Code != b.code {
				t.Errorf("code %d, want %d; lines %q", r.Code, b.code, r.Lines)
			}
			for word := range strings.SplitSeq(b.free, "|") {
				if word != "" && strings.Contains(lines, word) {
					t.Errorf("the reply holds %q, which is the app's: %q", word, r.Lines)
				}
			}
			if got := ClassifyText("", b.text); got != b.class {
				t.Errorf("%s, want %s; reply %d %v %q", got, b.class, r.Code, r.Enhanced, r.Lines)
			}
		})
	}
}
