package reply

import "melon/upstream"

// popRules is the table of POP3. Locked mailboxes and rationed logins are
// waits, never the password's fault.
var popRules = []rule{
	// Response codes of RFC 2449 and RFC 3206 stand in brackets, which the
	// words have lost: "-ERR [IN-USE]" reads "err in use".
	{is: upstream.ClassPOPMailboxInUse, in: pop, say: []string{"err in use"}},
	{is: upstream.ClassPOPLoginDelay, in: pop, say: []string{"err login delay"}},
	{is: upstream.ClassOther, in: pop, say: []string{"command not valid|unknown command|invalid command|command unknown|" +
		"protocol error|bad command|bad commands|syntax|invalid argument*|too many arguments|arguments|too many errors|line too long|line is too long|missing argument*|command too long|" +
		"unrecognized command|not valid in this state|wrong state|command not supported|command issued|already given|already authenticated|" +
		"not specified|no username|no user given|missing user*|missing password|no password|who you are|already know|sequence"}},

	{is: upstream.ClassOther, in: pop, say: []string{"user first|username first|authorization first|pass first|password first|" +
		"send user|user command first|need user|login first|log in first|expected user|expecting user|user required|username required|" +
		"user pass required|requires username|before pass|parameter*|cannot relogin|valid commands|authorization .. now required|current state"}},
	// The server's own files: "cannot open the folder: permission denied".
	{is: upstream.ClassPOPTemporary, in: pop, say: []string{"cannot|cant|unable|could not|couldnt|failed|fail|error",
		"open|opening|read|reading|write|writing|stat|chdir|create|access", "file|folder|database|index|mbox|directory|spool|db"}, not: "lock*|in use"},

	{is: upstream.ClassTLSRequired, in: pop, say: []string{
		"tls|ssl|starttls|stls|security layer|under a layer|encryption|encrypted|cleartext|plaintext|plain text|non secure|secure connection|暗号化",
		"requi*|must|only|first|disallow*|not allowed|disabled|not permitted|use|using|need|needed|after|non secure|必要|接続して|してください|使用"},
		not: "handshake|certificate|stls not|already|plain authentication failed|apop not"},
	{is: upstream.ClassAppPasswordOrOAuthRequired, in: pop, say: []string{
		"application specific|app specific|application password|app password|app passwords|specific password|web login|web browser|" +
			"account is abnormal|service is not open|login reqcode|" +
			"with .. browser|basic auth* .. disabled|authorization code|two factor|multi factor|mfa|2fa|two step|oauth|oauth2|" +
			"xoauth2|modern auth*|less secure|parol prilozheniya|пароль приложения|アプリパスワード|アプリ用パスワード|2段階認証|" +
			"授权码|独立密码"},
		not: "not supported|unsupported"},

	{is: upstream.ClassPOPTemporary, in: pop, say: []string{"unavailable|inconsistent|corrupt*|damaged|database locked|database is locked|temporar* auth* fail*|session lock"}},
	{is: upstream.ClassPOPLoginDelay, in: popAuth, say: []string{
		"login delay|minimum .. delay|login interval|bandwidth limits|command or bandwidth|login allowed only|allowed only every|" +
			"too often|too frequent*|frequency|frequently|login limit|minimum time between|wait .. between|wait .. minutes|" +
			"between logins|between connections|between checks|too soon|too many logins|too many login attempts .. time|too many auth*|too many failed|too many failures|polling|logins too|ログイン間隔|" +
			"受信間隔|頻繁|频率|频繁"},
		not: "invalid logon|locked|disabled|suspend*"},
	{is: upstream.ClassPOPCredentialsRejected, in: popAuth, say: []string{"err auth", "login failure or|login failed or|bad password or|wrong password or"}},
	{is: upstream.ClassAccountDisabledOrLocked, in: pop, say: []string{
		"account|user|domain|login|pop|pop3|access|アカウント|ユーザ|service|konto|compte|аккаунт|账户|帐号|利用",
		off + "|isnt active|is not active|not yet active|not allowed for|not enabled|not have .. access|access enabled|isnt enabled|not allowed to use|not permitted to use|not active|" +
			"not activated|upgrade|not open|利用できません|有効になって"},
		not: "database|mailbox|maildrop|mail drop|lock busy|maillock|cleartext|plaintext|session|auth* fail*|command|another|使用中|メールボックス"},
	{is: upstream.ClassMechanismUnsupported, in: pop, say: []string{
		"mechanism|method|sasl|auth type|authentication type|authentication method|apop|user login|auth command|認証方式",
		"not|unsupported|unrecognized|unknown|invalid|must use|use apop|disabled|only|サポート|対応して"}, not: "password|incorrect|fail*"},

	{is: upstream.ClassAccountDisabledOrLocked, in: pop, say: []string{"sys perm|mailbox disabled|mailbox is disabled|mailbox suspended|" +
		"password expired|password has expired"}, not: "unable|cannot|cant|could not|couldnt|failed|fatal|database|internal|error|no such|unknown|shutting|limit"},

	{is: upstream.ClassPOPMailboxInUse, in: pop, say: []string{
		"mailbox|maildrop|mail drop|maillock|mail box|mbox|spool|lock|session|inbox|postfach|boite|buzon|メールボックス|メイルボックス|邮箱|ящик",
		"lock|locked|locking|in use|is busy|maildrop busy|mailbox busy|already open|already opened|lock busy|pop lock|exclusive|another session|other session|" +
			"session is already|session already|session active|session running|another pop|other client|another client|being accessed|" +
			"another computer|already logged|in benutzung|benutzt|utilisee|en uso|занят|使用中|ロック|処理中|他の"},
		not: "database"},
	{is: upstream.ClassPOPMailboxInUse, in: pop, say: []string{"duplicate login|pop lock|lock busy|maillock|already logged in|another session|" +
		"cant get lock|cannot get lock|unable to lock|cannot lock|cant lock|failed to lock|使用中"}},

	{is: upstream.ClassPOPCredentialsRejected, in: popAuth, say: []string{"invalid|incorrect|wrong|permission denied|bad|" +
		"too many invalid|not accepted", "password|passwd|logon|login|user name|username|credential*|permission|auth"},
		not: "temporar*|sys temp|try again later|database"},
	{is: upstream.ClassPOPTemporary, in: pop, say: []string{
		"unable to update|unable to connect|unable to read|unable to create|sys temp|temporar*|try again in|try later|later|busy|too many|connection is closed|overload*|unavailable|not available|internal|system error|system problem|" +
			"server error|out of memory|could not be opened|cannot be opened|unable to open|cannot open|cant open|cannot access|" +
			"unable to access|couldnt|could not|could not open|many connections|too many connections|maximum number of connections|" +
			"connection limit|maintenance|繁忙|稍后|稍候|cannot connect|connection refused|shutting|quota|disk|i o error|" +
			"io error|crashed|time out|has no home|no home|home maildir|maildir|chdir|unable to scan|timeout|timed out|ldap|database|" +
			"backend|unable to copy|一時的|メンテナンス|混み合って|しばらく|障害|システムエラー|временн*|позже|spater|spaeter|" +
			"plus tard"}},

	{is: upstream.ClassOther, in: popGreeting},
	{is: upstream.ClassPOPCredentialsRejected, in: popAuth, say: []string{
		"err auth|password|passwd|pass|auth*|authentication|login|logon|log on|user|username|account|mailbox|permission|" +
			"denied|credential*|unauthorized|unauthorised|invalid|incorrect|mismatch|パスワード|認証|ユーザ|ログイン|密码|" +
			"парол*|логин*|anmeldung|passwort|kennwort|mot de passe|identifiant|contrasena|usuario"},
		not: "command|protocol"},
	{is: upstream.ClassPOPTemporary, in: popAuth, say: []string{"error|failed|failure|fehler|erreur|ошибка|エラー|失敗"}},
	// SYS is the server's trouble, never the password's (RFC 3206 section 4).
	{is: upstream.ClassPOPTemporary, in: popAuth, say: []string{"err sys"}},
	// A refusal of PASS in words nobody knows is the login's: repeating it might
	// lock the account.
	{is: upstream.ClassPOPCredentialsRejected, in: popPass, not: "command|protocol|argument*"},
	{is: upstream.ClassOther, in: pop},
}
