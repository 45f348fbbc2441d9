package reply

import "melon/upstream"

// unlockRules: the server names what lifts the refusal.
var unlockRules = []rule{
	// A word for POP in an SMTP reply, and when or why.
	{is: upstream.ClassPOPBeforeSMTPRequired, in: smtp, say: []string{"pop|pop3|apop|popauth|popbeforesmtp",
		"before|after|first|antes|avant|zuvor|zuerst|log* in*|logged|login|logon|auth*|check*|fetch*|required|expired|minutes|" +
			"session|recent*|prior|within|認証|受信"},
		not: "disabled|not enabled|deactivat*"},
	{is: upstream.ClassPOPBeforeSMTPRequired, in: smtp, say: []string{"smtp after pop*|pop* before smtp|pop before|pop認証|popbeforesmtp"}},
	// The same without the word: fetch your mail first.
	{is: upstream.ClassPOPBeforeSMTPRequired, in: smtp, say: []string{
		"check* .. mail .. before|check* .. email .. before|receiv* .. mail .. before|receiv* .. email .. before|retriev* .. mail .. before|" +
			"retriev* .. email .. before|fetch .. mail .. before|read .. mail .. before send*|read .. mail .. first|download .. mail .. before|" +
			"check* your mail|check* .. mail first|check* your email|must first check|check for new mail|check* .. new email|" +
			"receive .. first|mails abholen|email abholen|emails abholen|mail abrufen|relever .. courrier|consult* .. boite|" +
			"revis* su correo|проверьте почту|受信してから|受信した後|受信後に|先に受信|受信操作|受信を行|一度受信|前に受信|" +
			"送信の前に|送信する前に|先收信|先收取"},
		not: "spam folder|junk|client settings"},

	// TLS stands before every other thing about logins, as no password leaves
	// without it.
	{is: upstream.ClassTLSRequired, in: smtp, code: "538 523 5 4 none", say: []string{
		"issue .. starttls|starttls .. first|starttls command|require* .. starttls|starttls .. required|starttls .. before|" +
			"use starttls|require* starttls|must .. starttls"},
		not: "only one|not available|not supported|unavailable|not implemented|already|pipelin*|unrecognized|unknown"},
	{is: upstream.ClassTLSRequired, in: smtp, say: []string{
		"tls|ssl|starttls|encryption|encrypted|secure connection|verschlusselung|chiffrement|cifrado|шифрован*|暗号化|加密",
		"required|require|requires|needed|need|necessary|mandatory|must|only|first|enforced|use|using|enable|without|insecure|" +
			"requier*|non secure|wasnt sent|not sent|not encrypted|erforderlich|obligatoire|requiere|требуется|必要|使用して|利用して|" +
			"接続して|してください|有効"},
		not: "not available|not supported|unavailable|handshake|certificate*|negotiat*|too weak|only one|already|tls level|" +
			"version|temporar*|cannot accept tls|pipelin*|" + spf},
	{is: upstream.ClassTLSRequired, in: smtp, say: []string{"plain text connection*|plaintext connection*|cleartext connection*|" +
		"plaintext authentication|plain text auth*|cleartext auth*|non secure|unencrypted connection|insecure connection"}},
	{is: upstream.ClassTLSRequired, in: connect | ehlo | tx, say: []string{"requires tls|requires encryption|strength cipher*|stronger encryption"}},
	{is: upstream.ClassTLSRequired, in: smtp, enh: "x.7.10 x.7.11"},
	{is: upstream.ClassTLSRequired, in: auth | mail | rcpt | ehlo, code: "538 523", not: "size"},

	{is: upstream.ClassGreylisted, in: smtp, say: []string{"greylist*|graylist*|grey list*|gray list*|greylistee|grey|グレイリス|" +
		"グレーリス|灰名单|серый список|серые списки"}},
	{is: upstream.ClassGreylisted, in: smtp, code: "4 none", say: []string{
		"whitelist yet|not in our whitelist|first time sender|first time .. seen|new sender|unknown triplet|intentional policy rejection|" +
			"internal resource* temporarily unavailable|policy rejection .. later|deferred for|delayed for|initial connection .. later"}},
	{is: upstream.ClassGreylisted, in: rcpt | dataEnd, code: "451 450", enh: "4.7.1 4.7.0", say: []string{"try again later|" +
		"please try later|come back later"},
		not: "service|server|system|unavailable|busy|too many|rate|limit*|reputation|error|problem|blocked|locked|suspend*|" +
			"connection*|auth*|dns|lookup|sender|spam|quota"},

	{is: upstream.ClassGreylisted, in: rcpt, code: "451", say: []string{"please try again later|please try later|come back later"},
		not: "temporar*|service|server|system|unavailable|busy|too many|rate|limit*|reputation|error|problem|blocked|locked|" +
			"suspend*|connection*|auth*|dns|lookup|sender|spam|quota|resource*|policy|mailbox|disk|load|queue|excess*|exceed*|" +
			"timeout|host"},

	{is: upstream.ClassAppPasswordOrOAuthRequired, in: smtp, say: []string{
		"application specific|app specific|application password|app password|app passwords|apppassword|application passwords|" +
			"specific password|web login|via .. web browser|through .. web browser|your web browser|a web browser|with .. browser|" +
			"basic authentication is disabled|basic authentication disabled|basic auth* .. disabled|basic auth* .. not|smtp client authentication .. disabled|" +
			"two factor|factor authentication|2fa|multi factor|multifactor|mfa|two step|step verification|second factor|" +
			"security defaults|conditional access|meet the criteria|parol prilozheniya|пароль приложения|пароль для внешнего|" +
			"less secure|modern auth*|oauth|oauth2|xoauth|xoauth2|oauthbearer|access rights to this service|アプリパスワード|" +
			"アプリ用パスワード|アプリ固有|2段階認証|二段階認証|授权码|独立密码|专用密码|client authorization password"},
		not: "not supported|no longer supported|unsupported|unrecognized|mechanism .. not"},
	{is: upstream.ClassAppPasswordOrOAuthRequired, in: auth, say: []string{
		"authorization code|auth code|account is abnormal|service is not open|no permission|password with authentication is disabled|" +
			"authentication with password|not enabled for smtp|smtp access|enable smtp|smtp service is not"}},
	{is: upstream.ClassAppPasswordOrOAuthRequired, in: auth, enh: "x.7.14 x.7.9", code: "534", not: "mechanism|weak"},
}

// accountRules: the sender's own account is shut.
var accountRules = []rule{
	{is: upstream.ClassAccountDisabledOrLocked, in: auth, code: "5 432 none", say: []string{off, "account|user|mailbox|login|" +
		"tenant|konto|compte|cuenta|аккаунт|учетная|ящик|password|アカウント|ユーザ|メールボックス|利用|账户|账号|帐号|sending"},
		not: "basic|mechanism|smtp client|plain*|cleartext|ip|clientauth*|unlocked|account is not"},
	{is: upstream.ClassAccountDisabledOrLocked, in: auth, say: []string{"not subscribed|not yet activated|not activated|password expired|password has expired|password is expired|" +
		"expired password|password transition|verify your account|change your password|not authorized to use|not allowed to use|" +
		"not permitted to use|利用停止|停止中|unusual activity|suspicious activity|compromised"}},
	{is: upstream.ClassAccountDisabledOrLocked, in: auth, enh: "x.7.13 x.2.1", code: "5"},
	{is: upstream.ClassAccountDisabledOrLocked, in: auth, code: "525"},
	{is: upstream.ClassAccountDisabledOrLocked, in: smtp, enh: "x.7.13"},
	{is: upstream.ClassAccountDisabledOrLocked, in: tx, say: []string{"sign in to|verify your account|verify your identity|confirm your account|unlock your account"},
		not: "relay*|enable receiving"},
	{is: upstream.ClassAccountDisabledOrLocked, in: smtp, say: []string{"bad outbound sender|wasnt delivered .. valid sender|" +
		"werent recognized as .. valid sender|recognized as a valid sender|no longer allowed to send|submission has been disabled|" +
		"outgoing mail .. suspended|outgoing mail .. disabled|outgoing email .. disabled|outgoing email .. suspended|sending .. disabled for|" +
		"sending .. suspended|sender account .. disabled|sender account .. suspended|blocked from sending|suspended from sending|" +
		"account is not yet activated|not yet activated|request activation|free account*|trial account*|" +
		"sending paused|sending is paused|paused for|disabled by user|not authorized to perform|account .. limited access|limited access to send|outbounds disabled|outbound .. disabled|account .. not allowed to send|disabled from sending|outbound mail .. disabled|outbound .. suspended"}},
	{is: upstream.ClassAccountDisabledOrLocked, in: mail | data, code: "5 none", say: []string{off, owned}, not: notOwned},
	{is: upstream.ClassAccountDisabledOrLocked, in: dataEnd, code: "5 none", say: []string{off, owned},
		not: "account inactive|account disabled|account expired|account closed|receiving disabled|" + notOwned},
	{is: upstream.ClassAccountDisabledOrLocked, in: rcpt, say: []string{"your account .. locked|your account .. suspended|" +
		"your account .. disabled|your account .. blocked|user is locked|user locked|your mailbox .. suspended|your email account .. blocked"},
		not: "recipient*|temporary locked"},
	{is: upstream.ClassAccountDisabledOrLocked, in: mail | rcpt | data, say: []string{"sending|send|outgoing|outbound|submission",
		"is disabled|has been disabled|is blocked|has been blocked|is suspended|has been suspended|is locked|is restricted",
		"account|user|domain|your"}, not: "ip|host|server|message was|recipient*"},
	{is: upstream.ClassAccountDisabledOrLocked, in: mail, enh: "x.2.1", not: "quota|limit*|rate"},
}

// authRules: mechanisms, credentials, and a login that is missing.
var authRules = []rule{
	// Before the words: the order of commands.
	{is: upstream.ClassSyntaxOrProtocol, in: auth, say: []string{"helo|ehlo|already auth*|already specified|already logged|" +
		"cancel*|abort*|base64|decode|decoding|malformed|invalid challenge|line too long|line is too long|syntax|during a mail|mail transaction|" +
		"no argument*|argument*|argument* required|invalid response"},
		not: "fail*|incorrect|bad sequence .. auth"},
	{is: upstream.ClassSyntaxOrProtocol, in: starttls, say: []string{"already|protocol violation|pipelin*|pipeline|not allowed after"}},
	{is: upstream.ClassRelayDeniedIP, in: auth, code: "5", say: []string{"unauthorized ip|ip .. not allowed|ip .. not authorized|" +
		"ip address .. not|ip .. denied|ip .. restricted"}},
	{is: upstream.ClassRateLimited, in: auth, code: "4", say: []string{"too many|too much|concurrent|rate|limit*|frequency|" +
		"throttl*|too often|exceed*"}},
	{is: upstream.ClassMechanismUnsupported, in: auth | starttls, say: []string{
		"mechanism|mech|mechanisms|auth type|authentication type|authentication method|auth method|auth mode|authentication mode|" +
			"authentication scheme|sasl|認証方式|認証メカニズム|login type",
		"not|unsupported|unrecognized|unrecognised|invalid|unknown|weak|unavailable|disabled|no|missing|サポート|対応していません|未対応|使用できません"}},
	{is: upstream.ClassMechanismUnsupported, in: auth | starttls, say: []string{
		"auth* not enabled|auth* not available|auth* not allowed|auth* not supported|auth* not implemented|auth* is not|" +
			"auth* disabled|auth* is disabled|auth* unavailable|auth* .. not advertised|auth* not advertised|command not supported|" +
			"command not implemented|command not recognized|not implemented|unimplemented|unrecognized|unrecognised|unrecognized command|" +
			"unknown command|parameter not implemented|security features not supported|command unrecognized|no auth*|doesnt support|" +
			"does not support|not offered"},
		not: "credential*|user|account|temporar*|not allowed to"},
	{is: upstream.ClassMechanismUnsupported, in: auth | starttls, code: "504 502 500"},
	{is: upstream.ClassMechanismUnsupported, in: auth | starttls, enh: "x.7.4 x.5.4 x.3.3", code: "503 504 5"},
	{is: upstream.ClassSyntaxOrProtocol, in: auth, code: "503 501", say: []string{"bad sequence|sequence|invalid|bad|parameter*"}, not: "credential*|" +
		"password|user*|auth* fail*|login"},
	{is: upstream.ClassMechanismUnsupported, in: auth, code: "503"},
	{is: upstream.ClassMechanismUnsupported, in: smtp, code: "504", say: []string{"auth*"}, not: "need|first|must|required|please"},
	{is: upstream.ClassSyntaxOrProtocol, in: starttls, code: "501 503"},
	{is: upstream.ClassTemporaryLocalProblem, in: starttls},
	{is: upstream.ClassTemporaryLocalProblem, in: auth | starttls, code: "4"},
	{is: upstream.ClassTemporaryLocalProblem, in: auth, say: []string{"temporar*|system busy|server busy|connection lost|" +
		"internal error|try again later|try later|server error|backend|database|サーバエラー|一時的|混み合って"},
		not: "password|credential*|invalid|incorrect|too many"},
	{is: upstream.ClassAuthRequired, in: auth, code: "530 5", say: []string{"not authenticated|authentication required|authentication is required|" +
		"must authenticate|not logged in"}},
	{is: upstream.ClassCredentialsRejected, in: auth, code: "5 none"},

	// Refused credentials that are told only later.
	{is: upstream.ClassCredentialsRejected, in: smtp, code: "5 none", say: []string{
		"credential*|password|passwd|username|user name|login or|login incorrect|パスワード|密码|mot de passe|passwort|contrasena|парол*",
		"no longer valid|revoked|expired|invalid|incorrect|wrong|bad|failed|rejected|not accepted|mismatch*|falsch|違い|正しくありません|错误|неверн*|incorrect*"},
		not: "relay|recipient*|sender*|originator*|change your|attachment|archive|zip|protected|" + spf},
	{is: upstream.ClassCredentialsRejected, in: smtp, code: "535", not: "not authenticated|required|mismatch*|match|" + spf},
	{is: upstream.ClassCredentialsRejected, in: mail | rcpt | data, code: "5 none", say: []string{"auth failed|authentication failed|" +
		"authentication failure|authorization failed|login failed"}, not: "recipient*|server|" + spf},

	{is: upstream.ClassSyntaxOrProtocol, in: tx | ehlo, say: []string{"ehlo before|helo before|ehlo first|helo first|ehlo helo first|" +
		"helo ehlo first|hello first|helo command rejected|ehlo command rejected|invalid helo|helo name"}, not: "and auth"},

	// A login is missing. Checks of the sender's domain speak of
	// authentication as well, and mean another.
	{is: upstream.ClassAuthRequired, in: smtp, say: []string{
		"auth* required|auth* is required|auth* needed|auth* is needed|auth* necessary|auth* .. erforderlich|auth* requise|" +
			"auth* obligatoire|requier* .. auth*|requiere auth*|requiere autenticacion|autenticacion requerida|autenticacion necesaria|" +
			"require* .. auth*|requires auth*|need* .. auth*|must .. authenticat*|must auth*|must .. log in|must login|must be authenticated|" +
			"should authenticate|please authenticate|please auth*|not been auth*|not authenticated|isnt authenticated|" +
			"unless you authenticate|unless authenticated|unless you log|unless you are authenticated|" +
			"unauthenticated|dont authenticate|didnt authenticate|did not authenticate|without auth*|not logged in|not log in|" +
			"issue an auth|auth first|auth* first|auth command|authenticate first|auth before|authenticate before|log in first|" +
			"login first|login required|login is required|authentication turned on|smtp auth*|use auth*|use smtp auth*|" +
			"enable auth*|only allowed with auth*|with authentication|anonymous client|anonymous mail|anonymous|smtp authentifizierung|" +
			"anmeldung erforderlich|nicht authentifiziert|nicht angemeldet|non authentifie|требуется авторизац*|требуется аутентификац*|" +
			"необходима авторизац*|не авторизован*|身份验证|身份认证|需要认证|未认证|登录后|auth* .. local fail|relay check local|" +
			"relayed thru this|authenticate* .. or|authenticate* to"},
		not: "unauthenticated email|unauthenticated mail|same|must be the same|equal|match*|conform|" + spf + "|level|policy|gmail requires|sender is unauthenticated|" +
			"user is not|mechanism|invalid credentials|owned|ptr|rdns|reverse"},
	{is: upstream.ClassAuthRequired, in: smtp, say: []string{"認証|ログイン", "必要|されていません|してください|行って|行われて|" +
		"設定|未認証|お願い|要求|していません|されていない|していない"}, not: "送信ドメイン認証|一致|異な"},
	{is: upstream.ClassAuthRequired, in: connect | ehlo | mail | rcpt | data, say: []string{"permission* to submit|relay check local|" +
		"not authorized to submit|not authorised to submit|outside our network"}, not: spf},
	{is: upstream.ClassAuthRequired, in: mail | rcpt | data, say: []string{"client host rejected access denied|client host rejected .. access denied"}, not: lists},
	{is: upstream.ClassAuthRequired, in: smtp, enh: "x.7.57"},
	{is: upstream.ClassAuthRequired, in: mail | rcpt | data, code: "530", not: "sender|from|intercepted|errors|recipient*|mailbox*|configuration|" + lists},
}
