package reply

import "melon/upstream"

// shortRules are the abbreviations of servers that say little else: those of
// Coremail (163.com, 126.com) and of AOL and Yahoo, by what their lists say.
var shortRules = []rule{
	{is: upstream.ClassRateLimited, in: smtp, say: []string{"hl rep|hl icc|hl ifc|hl ifq|hl itc|mi dmc|mi sfq|mi stc|mi cel|mi ccl|rp qrc|rp trc|" +
		"rp cel|rp ccl|dyn t1|dyn t2|ts01|ts02|ts03"}},
	{is: upstream.ClassTooManyRecipients, in: smtp, say: []string{"rp rcl|rp drc"}},
	{is: upstream.ClassSenderIPBlocklisted, in: smtp, say: []string{"hl ihu|hl ipb|hl mep|dt rbl|wm bli|rtr bb|rtr du|rtr rd|rtr sc|rtr bl|con b1|rly bl"}},
	{is: upstream.ClassSenderDomainRestricted, in: smtp, say: []string{"mi spb|mi imf|mi spf|mi dma|dt sum|wm blu"}},
	{is: upstream.ClassContentRejectedSpam, in: smtp, say: []string{"dt spm|rtr ch|rly ch|rly bd|hvu b1|hvu b2"}},
	{is: upstream.ClassRelayDeniedIP, in: smtp, say: []string{"rp frl"}},
	{is: upstream.ClassSyntaxOrProtocol, in: smtp, say: []string{"mi nhd"}},
}

// limitRules: too many at once. The same goes later.
var limitRules = []rule{
	{is: upstream.ClassTooManyRecipients, in: tx, say: []string{
		"too many recipients|too much recipient*|too many rcpt*|too many receivers|number of recipients|recipients limit|rcpt limit|recipient limit .. exceed*|" +
			"allow rcpt numbers|recipients belong|has more recipients|more recipients than|recipients per message|maximum recipients|" +
			"separate transaction|one recipient at a time|max* .. recipients|recipients .. exceed*|zu viele empfanger|zu viele empfaenger|trop de destinataires|demasiados destinatarios|" +
			"слишком много получател*|宛先が多|宛先数|受信者数|受信者が多|収件人过多|收件人过多|宛先の上限"},
		not: "this hour|per hour|today|per day|external recipients|sending limit .. messages|invalid recipients|out of .. allowed|not allowed to send"},
	{is: upstream.ClassTooManyRecipients, in: tx, enh: "x.5.3", not: "duplicate|policies|size|policy|owned|too many messages|message limit|batch limit|batch|rcpthosts|relay*"},

	// What slows the mail down is named: the sender's checks. "Rate limited
	// because SPF did not pass" is lifted by the domain, not by waiting.
	{is: upstream.ClassSenderDomainRestricted, in: tx, enh: "x.7.24 x.7.26 x.7.27 x.7.30 x.7.32"},
	{is: upstream.ClassSenderDomainRestricted, in: tx, say: []string{"because|as|since|due",
		"spf|dkim|dmarc|unauthenticated|unresolvable|does not resolve|from domain"}, not: "relay*|score|virus*"},
	// "This IP has been blocked for sending too many": a list, not a rate.
	{is: upstream.ClassSenderIPBlocklisted, in: connect | ehlo | mail | rcpt, code: "5 none", say: []string{
		"ip has been|ip address has been|host has been|ip is|ip address is|~ip is|ip was", "block*|ban|banned|barred|refused|rejected|denied"},
		not: "greylist*|relay*|mailbox|recipient*|user"},

	// Mailbox words first: "user has too many messages" is no rate.
	{is: upstream.ClassMailboxFull, in: rcpt, say: []string{"receiving limits|mail file size"}},
	{is: upstream.ClassMailboxFull, in: rcpt | body, say: []string{"too many messages on|too many messages in|many messages .. on the server|" +
		"too much mail data|mails auf dem server|mailbox is full|mailbox full|mailbox .. is full|full mailbox|mailbox over quota|" +
		"user is over quota|user is overquota"}},
	{is: upstream.ClassRateLimited, in: smtp, say: []string{
		"excessive unknown|excessive invalid|excessive userid|not allowed to send .. limit|too many invalid|too many unknown|rate limit*|ratelimit*|rate exceed*|throttl*|too many connections|too many concurrent|" +
			"too many simultaneous|too many open|too many sessions|too many smtp sessions|too many messages|too many mails|" +
			"too many emails|too much mail|too many login*|too many auth*|too many spam*|too many failures|too many failed|" +
			"concurrent connections|concurrent server connections|connections exceed*|connection rate|connection limit|connection frequency|" +
			"connections .. limit|connection* .. exceed*|sending limit*|sending quota|sending rate|sending frequency|messaging limit*|" +
			"submission quota|submission rate|message rate|message quota|relay quota|daily limit*|daily .. limit|daily .. quota|" +
			"hourly limit*|hourly .. limit|hour .. limit|per hour|per day|per minute|max emails|max defers|message limit|" +
			"messages limit|emails limit|mails limit|limit for sending|received this hour|recipients received|sent too many|sending too many|sends too many|too fast|" +
			"too quickly|too frequent*|slow down|slower|frequency|temporarily deferred|unusual sending|sender thread limit|" +
			"recipient rate limit|receiving mail at a rate|receiving mail too|trop de connexions|zu viele verbindungen|demasiadas conexiones|" +
			"слишком много соединен*|接続数|通数|送信数|送信制限|送信上限|送信回数|流量制限|频率|发送限制|sending activity|" +
			"messages today|emails today|mails today|emails sent|policy limit*|exceeded .. limits|relay limit|maximum .. connections|" +
			"max connections|connections .. reached|thread limit|exceeded threshold|threshold exceeded|exceeded .. threshold|" +
			"requests per|too many requests|per time unit|max message* per|messages per session|messages per connection|number of messages|excessive volume|high volume|" +
			"unexpected volume|this hour|this minute|within .. hours|quota for .. hours|burst*|flood*|concurrency|" +
			"exceeded permitted limits|mail volume|send fewer|sending too"},
		not: "mailbox size|message size|size limit|header size|bounce*|spam score|too many spams|url|attachment*"},
	{is: upstream.ClassRateLimited, in: smtp, code: "4", say: []string{"reputation|unusual rate|too many errors|user complaints|" +
		"ts01|ts02|ts03|rate|rates|limited|recipients .. too high"}, not: lists + "|greylist*|bounce rate"},
	{is: upstream.ClassRateLimited, in: connect | ehlo, code: "4", say: []string{"connection deferred|connections deferred|" +
		"too many clients|deferred due"}},
	{is: upstream.ClassRateLimited, in: connect | mail, code: "4", say: []string{"too many|exceed*|limit|many .. connections|" +
		"reduce"}, not: lists + "|space|storage|size|queue|timeout|hop*"},
	{is: upstream.ClassRateLimited, in: connect | ehlo | mail | rcpt, code: "4", say: []string{"access denied"}, not: "$box|$from|relay*"},
	{is: upstream.ClassRateLimited, in: body, enh: "5.4.5 4.7.28"},
	{is: upstream.ClassRateLimited, in: smtp, enh: "5.7.232 5.7.233 4.7.28 4.7.650"},
	{is: upstream.ClassRateLimited, in: mail | rcpt | body, say: []string{"limit .. reached|limit .. exceeded|exceeded .. limit|quota .. reached"},
		not: "size|mailsize|mailbox|recipient|storage|disk|space|timeout|time limit|hop*|length|line*|bytes|mb"},
}

// addressRules: the address of this network (or of the sending server) is
// refused, whatever the message.
var addressRules = []rule{
	// Nothing but the machine is known yet: spam can only mean it.
	{is: upstream.ClassSenderIPBlocklisted, in: connect | ehlo, say: []string{"spam*|junk|virus*|unsolicited"}, not: "greylist*|filter .. unavailable"},
	// A list of addresses, not of machines.
	{is: upstream.ClassSenderDomainRestricted, in: tx, say: []string{"$from|header from|from header|return address", blacklisted}, not: machine},
	{is: upstream.ClassRecipientUnknown, in: rcpt, say: []string{"recipient*", blacklisted}, not: machine},
	{is: upstream.ClassSenderDomainRestricted, in: mail | rcpt | body, say: []string{"~addr", blacklisted}, not: machine + "|spam*|$box"},
	{is: upstream.ClassSenderIPBlocklisted, in: smtp, code: "5 none", say: []string{"accept* .. from your|accept* .. from hosts|accept* .. from servers",
		"host|hosts|server|servers|network|isp"}, not: "from address|$from"},
	// A list that the recipient keeps.
	{is: upstream.ClassRecipientUnknown, in: rcpt | body, say: []string{"blacklisted by|blocked by|banned by", "recipient*"},
		not: "ip|~ip|host|server|client|spam"},
	{is: upstream.ClassSenderIPBlocklisted, in: smtp, say: []string{lists},
		not: "not listed|by your organization|your sender|list access|spam pattern|spam content*|may not exist|mail from domain|address that has been|url|uribl|surbl|message contains|body|link|" + spf + "|sender domain|domain listed|envelope sender|badmailfrom|white list"},
	{is: upstream.ClassSenderIPBlocklisted, in: smtp, say: []string{
		"reverse dns|reverse name|no reverse|ptr|rdns|reverse hostname|reverse lookup*|find your hostname|resolve your address|ip name lookup failed|" +
			"dynamic ip|dynamic ips|dynamically assigned|dial up|dialup|dynamic address*|residential"},
		not: "relaying denied|greylist*|message contains"},
	{is: upstream.ClassSenderIPBlocklisted, in: smtp, say: []string{
		"banned sending|banned sender ~ip|ip range|ip addresses on|ont ete bloques|your ip .. block*|your ip .. reject*|your ip .. banned|your ip .. refus*|your ip .. listed|" +
			"ip address .. block*|ip address .. reject*|ip address .. listed|access from ip|black ip|ip is reject*|ip is hangup|" +
			"ip reject|bad ip|ip .. is blocked|~ip is blocked|traffic not accepted|from this ip|accept* .. from your ip|accept* mail from your|" +
			"spams from your|spam from your|connections from your|connections will not be accepted|smtp server of your isp|your isps|internet service provider|" +
			"mail server of your|not allowed to connect|administratively denied|poor reputation|poor email reputation|reputation score|" +
			"low reputation of the sending ip|reputation of the sending ip|ip reputation|unusual rate of unsolicited|namespace mining|" +
			"permanently deferred|spamming issues|suspiciously like spammer|adresse ip|direccion ip|ip adresse|ip адрес|ipアドレス|" +
			"接続元|invalid ip|host network not allowed|mail from ip|client host .. blocked|client host rejected|mode normal|" +
			"extreme bad|open proxy|rejected because .. mta|werent sent|connection refused due to|connection rejected|part of their network|" +
			"host bypassing"},
		not: spf + "|message contains|header|content|helo command|greylist*|relay*|relaying"},
	{is: upstream.ClassSenderIPBlocklisted, in: smtp, say: []string{"ip not in whitelist|not in whitelist for|smtp relay at your service provider|" +
		"directly to our servers|bad reputation|poor reputation"}, not: "sending domain|" + spf},
	{is: upstream.ClassSenderIPBlocklisted, in: connect | ehlo | mail | rcpt | data, code: "5 none", say: []string{
		"your ip|ip|~ip|your host|this host|your server|your network|from host|bypassing|violating|country|geographic*|dialup",
		"not allowed|not permitted|spammer|abusive|abuse|too much spam|denied|banned|listed|refused|reject*|block*|not authorized|" +
			"bypassing|our security policies"},
		not: "relay*|relaying|~rcpt|user unknown|header|message|location|helo|mailbox|recipient*|envelope|" +
			"gateway|from address|mismatch*|" + spf},
	{is: upstream.ClassSenderIPBlocklisted, in: smtp, enh: "x.7.25 5.7.606 5.7.708 5.7.511"},
	{is: upstream.ClassSenderIPBlocklisted, in: mail | rcpt | data, code: "55 57 none", say: []string{"access denied|access is denied|access has been denied"},
		not: "$box|relay*|sender|auth*|list|list access|banned sender|banned recipient"},
	{is: upstream.ClassSyntaxOrProtocol, in: ehlo, code: "501", not: machine},
	{is: upstream.ClassSenderIPBlocklisted, in: connect | ehlo, say: []string{"dns|hostname|resolve|rdns"}, not: "helo|ehlo|recipient*|timeout"},
	{is: upstream.ClassOther, in: connect | mail | rcpt, say: []string{"mx only|remote server returned|wrong .. region"}},
	{is: upstream.ClassSenderIPBlocklisted, in: connect | ehlo, say: []string{"sent spam|sends spam|sending spam|spamming|spammer*|junk|abuse|unsolicited|malware"}},
	{is: upstream.ClassOther, in: connect, say: []string{"no smtp service|license|does not accept mail|not accept mail"}},
	{is: upstream.ClassSyntaxOrProtocol, in: connect, say: []string{"synchroni*|too soon|too early|pipelin*|protocol violation|protocol error|before .. greeting"}},
	{is: upstream.ClassSyntaxOrProtocol, in: connect | ehlo, say: []string{"helo|ehlo"}, code: "5 none"},
	{is: upstream.ClassTemporaryLocalProblem, in: connect, code: "5", say: []string{"try later|try again|plus tard|later"}},
	{is: upstream.ClassSyntaxOrProtocol, in: ehlo, code: "500 501 503 504"},
	{is: upstream.ClassSenderIPBlocklisted, in: connect | ehlo, code: "5 none", say: []string{"denied|reject*|refus*|block*|" +
		"listed|banned|not allowed|not welcome|abuse|spam*|拒否|拒绝"}, not: "helo|ehlo|name"},
	{is: upstream.ClassSenderIPBlocklisted, in: connect, code: "5"},
}

// messageRules: what the message is or holds.
var messageRules = []rule{
	{is: upstream.ClassMessageTooLarge, in: smtp, say: []string{"this big|this large|messages .. big"}},
	{is: upstream.ClassMessageTooLarge, in: smtp, say: []string{
		"message size|so big|so large|message too large|message too big|too large|too big|message is too long|attachment is too long|message too long|" +
			"size limit*|size exceed*|size .. exceed*|exceed* .. size|databytes|mailsize|maximum size|fixed size|file too big|" +
			"size of message|message length|reduce message size|zu gross|zu gros|trop volumineux|trop gros|taille limite|" +
			"taille maximale|demasiado grande|tamano|размер*|サイズ|大きすぎ|太大|大小超过"},
		not: "mailbox|filesystem|file system|quota|line too long|password|envelope|inbox|queue|same size|メールボックス"},
	{is: upstream.ClassMessageTooLarge, in: smtp, enh: "x.3.4 x.2.3", not: "mailbox|quota|policy|violation"},
	{is: upstream.ClassMessageTooLarge, in: mail, code: "552 523", not: "from|virus|spam|sender|reject*"},

	// The recipient's server failed the checks of its own certificate or keys.
	{is: upstream.ClassOther, in: tx, code: "5", say: []string{"dane|tlsa|dnssec|mta sts|destination mail server"}},
	{is: upstream.ClassTemporaryLocalProblem, in: tx, code: "4", say: []string{"dane|tlsa|dnssec|mta sts|destination mail server"}},
	{is: upstream.ClassOther, in: tx, code: "5", say: []string{"body type|body types|8bitmime|binarymime|transfer encoding|content type", "not supported|unsupported|not support|cannot"}},
	{is: upstream.ClassOther, in: tx, code: "5 none", say: []string{"config error|configuration error|misconfigur*|system config|local configuration"}},
	{is: upstream.ClassOther, in: tx, say: []string{"points back|hop count|" +
		"too many hops|hops|recursion|recursive forward*|loop|looping|loops back|utf addresses|routing loop|mail loop|smtputf8|message partial|received headers"}},
	{is: upstream.ClassSyntaxOrProtocol, in: body, say: []string{
		"boundary|crlf|required header|header .. missing|but got header|only one from|only one .. header|malformed mime|" +
			"not rfc|see rfc|rfc .. compliant|missing .. header|missing a valid|missing required|having no from|messageid|duplicate header|" +
			"multiple .. headers|multiple addresses in from|bare lf|bare linefeed*|bare newline*|lone cr|maximum allowed line length|" +
			"linefeed*|line feed*|not comply|comply with|non compliant|not compliant|line too long|lines too long|header not terminated"}},

	{is: upstream.ClassSyntaxOrProtocol, in: body, code: "5 none", say: []string{"header|headers|header field|message id|mime",
		"no|not|without|missing|lack*|require*|must|valid|invalid|multiple|duplicate|too far|too long|too many|defect*|malformed|error*"},
		not: "spam*|virus*|score|match*|mismatch*|authori*|reject|policy|allowed|relay*|verif*|authenticat*|blacklist*|black listed|block*|suspicious|" + spf},
	// The sender's domain failed its checks: the sender's rules know it.
	{is: upstream.ClassSenderDomainRestricted, in: smtp, say: []string{spf}, not: "signing|milter|greylist*|virus*|score"},
	{is: upstream.ClassSenderDomainRestricted, in: smtp, say: []string{"unauthenticated email|unauthenticated mail|unauthenticated message*|required authentication level|authentication checks|authentication information|designate* .. permitted sender|" +
		"domain authentication|sender is unauthenticated|unauthenticated sender"}},

	{is: upstream.ClassTemporaryLocalProblem, in: body, say: []string{"internal error|internal server error|internal problem"}},
	// What scans the mail is down.
	{is: upstream.ClassTemporaryLocalProblem, in: body, code: "4", say: []string{"scan*|scanner|virus*|antivirus|av|filter*|spamd|milter",
		"error|fail*|unavailable|not available|timeout|timed out|overload*|out of service|not responding"}},
	{is: upstream.ClassContentRejectedSpam, in: body, say: []string{"same size mails"}},
	{is: upstream.ClassContentRejectedSpam, in: rcpt | body, say: []string{"policy restrictions"}, not: "header|sender|" + spf},
	{is: upstream.ClassContentRejectedSpam, in: tx, say: []string{"prohibited the mail|prohibited the message|policy that prohibited"}},
	{is: upstream.ClassContentRejectedSpam, in: smtp, say: []string{
		"spam|spams|spammy|spm|spamassassin|antispam|anti spam|junk|junkmail|virus*|malware|phish*|trojan|infected|unsolicited|" +
			"ube|uce|unwanted|scam|scams|bulk mail|bulk email|bulk e|bulk|mass mailer|content reject*|content .. reject*|content denied|content filter*|" +
			"reject* .. content|unacceptable content|prohibited content|illegal attachment|attachment*|executable|" +
			"suspicious|banned content|banned file*|banned attachment*|banned word*|uribl|surbl|url|security issue|potential security|dm email|迷惑メール|スパム|ウイルス|ウィルス|спам*|" +
			"вирус*|垃圾邮件|病毒|contenu indesirable|unerwunscht*|message score*|mail score|scored|low reputation|words in the message|" +
			"html tag|signature .. detected|mail rejete"},
		not: "sending ip|ip address|your ip|recipient address|sender denied|sender rejected|account|size|sender address"},
	{is: upstream.ClassOther, in: body, code: "5", say: []string{"empty message|message is empty|empty body|empty or|too short|no data|some data|problem occurred|delivery error"}, not: "$box|spam*"},
	{is: upstream.ClassContentRejectedSpam, in: body, code: "5 none", say: []string{"policy|policies|content|reject*|refus*|" +
		"denied|message rejected|mail rejected|message blocked|message refused|message denied|blocked|filter*|rejected by|" +
		"reject|considered|classified|abuse|administrative prohibition|administrative action|受信を拒否|拒否"},
		not: "sender|send as|from address|from header|relay*|recipient*|size|header|mailbox|quota|not verified|identity|verif*|mail gate|spoof*"},
}

// senderRules: this sender may not send here.
var senderRules = []rule{
	{is: upstream.ClassSyntaxOrProtocol, in: tx, say: []string{"numeric domain|domain literal|address literal|invalid format|address format|wrong format|already established|already given|already issued|yet given|nested mail|mail already|restricted characters|illegal characters|invalid characters|" +
		"illegal character|invalid character|characters in address|multiple from|valid rfc|unqualified|fully qualified|must contain a domain|syntax|malformed|domain name required|" +
		"bad address|unbalanced|fqdn|valid address is required"},
		not: "domain not found|mx|does not exist|user unknown|dns"},
	// 503 is the order of commands, whatever is named that should come first.
	{is: upstream.ClassSyntaxOrProtocol, in: tx, code: "503", say: []string{"specify|first|already"}, not: "auth*|relay*|pop*|log*|check*|tls|starttls"},
	{is: upstream.ClassSyntaxOrProtocol, in: data, code: "503", not: "auth*|relay*"},
	{is: upstream.ClassSyntaxOrProtocol, in: mail, code: "503", not: "auth*|relay*|pop*|log*|from|$from|user*|domain*|ip"},
	{is: upstream.ClassSyntaxOrProtocol, in: rcpt, code: "501", enh: "x.1.3"},
	{is: upstream.ClassRecipientUnknown, in: rcpt, code: "501", enh: "x.1.1"},
	{is: upstream.ClassSyntaxOrProtocol, in: rcpt, code: "501", say: []string{"address|recipient|mailbox"},
		not: "relay*|unknown|not found|not exist*|no such|verif*"},
	{is: upstream.ClassSyntaxOrProtocol, in: mail, say: []string{"address is not valid|invalid address|addresses not supported|address too long"}},
	{is: upstream.ClassTemporaryLocalProblem, in: mail | rcpt, code: "4", say: []string{"configuration error|configuration problem|verification in progress|" +
		"sender verify callout|callout"}},
	{is: upstream.ClassSenderDomainRestricted, in: smtp, say: []string{
		"$from .. not same|$from .. not the same|sender doesnt match|sender does not match|sender mismatch|sender address rejected|sender rejected|sender denied|sender .. not allowed|sender not allowed|sender is reject*|" +
			"sender .. denied|sender .. not permitted|sender verify fail*|sender verification|sender .. refused|refused .. sender|" +
			"denies the sender|sender refused|invalid sender|fake sender|null sender*|sender address verification|envelope sender|" +
			"private list|members only|list access|closed list|member of this list|sender not in|allowed senders|" +
			"from to must be in|is in a domain that we|badmailfrom|envelope blocked|envelope rejected|blocked senders|blocked sender|header based|header from|your sender|sender domain|domain of sender|sender .. does not resolve|sender .. not exist|sender is unvalidated|" +
			"sender .. unverified|sender .. not verified|verified sender|sender identity|from address is not verified|email address is not verified|" +
			"address not verified|address is not verified|unverified address|return address|sending is not configured|identities failed|mail from ~addr refused|mail from ~host refused|" +
			"mail from ~addr not|mail from ~host not|mail from ~addr rejected|mail from ~host rejected|send as|send on behalf|" +
			"permission to send|permissions to send|not owned|not owned by|owned by user|gateway user|third party dsn*|address that has been blacklisted|address has been blacklisted|sending domain|from this sender|this sender|mail from domain|mail from address|mail from must|" +
			"mail from account|mail from invalid|from must equal|match the from|from and auth|from or to must|from address .. not|" +
			"from header|mismatch*|does not match|from address must|sender name|sender address must|sender address does|send from this|" +
			"send from address|not allowed to send from|not authorized to send from|authorized to send from|not allowed to send mail|" +
			"allowed to use this sender|use this sender|use this domain|authorized to use this mailbox|rejecting spoof*|not registered|" +
			"allowed to send as|verification failed for|remote ip check|black mail address|mail address invalid|sender format|" +
			"expediteur|emetteur|absender*|remitente|отправител*|送信者|差出人|発信元|送信元アドレス|送信元メール|发件人|" +
			"sender address"},
		not: "~rcpt unverified|argument*|too many|syntax|sender address prefix|block using|recipient not|ip rejected|quota|limit*"},
	{is: upstream.ClassSenderDomainRestricted, in: mail, code: "5 none", say: []string{"domain|mailfrom",
		"not allowed|not permitted|not accepted|denied|refused|blocked|rejected|unacceptable|not registered|not configured|unverified"},
		not: "helo|ehlo|relay*|network|ip|host"},
	{is: upstream.ClassSenderDomainRestricted, in: mail, say: []string{"relaying disallowed as|disallowed as|sender"}, code: "5 none", not: "command|" +
		"syntax|helo|need|nested|already"},
	{is: upstream.ClassSenderDomainRestricted, in: mail, code: "5 4 none", say: []string{"domain not found|dns mx|no dns|" +
		"mx .. entries|domain .. does not exist|not exist|host not found|cannot resolve|does not resolve|domain must|valid mx|" +
		"policy reasons|access denied|from"},
		not: "helo|ehlo|syntax|command|parameter*|relay*|network|ip"},
	{is: upstream.ClassSenderDomainRestricted, in: smtp, enh: "x.1.8 5.7.60 5.7.26 5.7.23 5.7.27 5.7.515 5.2.252", not: "syntax|utf"},
	{is: upstream.ClassSenderDomainRestricted, in: smtp, enh: "x.1.7", not: "syntax|invalid address|long|utf|no such domain|forgery"},
}

// recipientRules: the recipient's domain and mailbox.
var recipientRules = []rule{
	{is: upstream.ClassMailboxFull, in: rcpt | body, say: []string{
		"over quota|overquota|quota exceed*|quota .. exceed*|exceed* .. quota|over .. quota|quota violation|quota reached|" +
			"out of quota|disk quota|mailbox .. full|mailbox full|full mailbox|is full|inbox full|storage full|exceed* storage|" +
			"storage allocation|storage quota|exhausted|allowed storage|zuviele mails|mailbox limit|disk space limit|exceed* .. space|space .. used|not enough space|enough storage space|" +
			"enough space|mailbox size|allowed size|pleine|plein|voll|ist voll|lleno|llena|переполнен*|dropfile size|quota|" +
			"容量|一杯|いっぱい|満杯|超过容量|已满|空间不足"},
		not: "sending|submission|relay quota|system storage|organization|queue"},
	{is: upstream.ClassMailboxFull, in: rcpt | body, enh: "x.2.2", not: "greylist*|temporary failure"},
	{is: upstream.ClassTemporaryLocalProblem, in: rcpt, code: "4", say: []string{"unverified address|address verification"}},
	{is: upstream.ClassRecipientUnknown, in: dataEnd, code: "5", say: []string{"no valid recipient*"}},
	{is: upstream.ClassRecipientUnknown, in: rcpt, enh: "5.1.1 5.1.6", code: "55", not: "relay*|temporar*|list of"},
	{is: upstream.ClassMailboxFull, in: rcpt, code: "552 522", not: "receiving disabled|not allowed|disabled|unknown|not exist*|deactivated|inactive|invalid"},

	{is: upstream.ClassTemporaryLocalProblem, in: rcpt | body, code: "4 none", say: []string{"dns temporary|name server timeout|" +
		"lookup failed temporarily|temporary lookup|temporary dns|address verification|dns query failed|server configuration|" +
		"temporary local|try again"},
		not: "user unknown|domain not found"},
	{is: upstream.ClassRecipientDomainUnknown, in: rcpt | body, say: []string{
		"domain not found|host not found|host unknown|unknown host|unknown domain|no such domain|no such host|domain .. not exist|" +
			"domain .. nonexistent|nonexistent domain|non existent domain|non existant domain|domain nonexist*|unrouteable domain|" +
			"unroutable domain|unrouteable mail domain|no mx|valid mx|mx lookup|mx record*|mx or a|null mx|nullmx|domain does not accept|" +
			"does not accept mail|doesnt accept mail|does not accept email|any host named|host by that name|" +
			"mail exchanger|domain lookup|unable to route|domain name must resolve|domain must resolve|must resolve|domain failure|" +
			"bad destination host|domain name not found|dns domain|domain must exist|dead domain|mail domain .. unknown|host unreachable|name or service not known|dns query|dns error|dns failure|dns lookup|recipient domain|rcpt domain|invalid domain|host or domain|" +
			"domain is not reachable|nxdomain|existiert nicht|domain existiert|domaine inconnu|dominio no existe|домен*|ドメインが|" +
			"ドメインは|域名不存在|could not resolve|cannot resolve"},
		not: "sender|verification failed for|user unknown|tenant|allowed rcpthosts|account|accepted domain|mailbox .. domain|" +
			"smtp domain|currently suspended|domain or user"},
	{is: upstream.ClassRecipientDomainUnknown, in: rcpt | body, enh: "x.1.2 x.4.4 5.4.310 5.4.312", not: "relay*|mailbox*|user unknown|" +
		"no longer accepts|user reject|invalid recipient address|configuration"},
	{is: upstream.ClassRecipientDomainUnknown, in: rcpt, code: "556 512"},

	{is: upstream.ClassTemporaryLocalProblem, in: rcpt | body, code: "4", say: []string{"mailbox unavailable|mailbox .. unavailable|account .. unavailable|recipient .. unavailable|address .. unavailable|service is unavailable|" +
		"service unavailable|temporarily unavailable|mailbox busy|mailbox locked|temporar*|deferred|mailbox temporarily"}, not: "user unknown|" +
		"relay*"},
	{is: upstream.ClassRecipientUnknown, in: rcpt | body, say: []string{
		"user unknown|unknown user|userunknown|user not found|user not exist*|user .. not exist|user doesnt exist|user invalid|" +
			"invalid user|user is unknown|user not known|user .. unknown|receiving disabled|user suspended|user reject*|user disabled|user is disabled|" +
			"user inactive|inactive user|user terminated|no such user|no such recipient|no such mailbox|no such person|no such account|" +
			"no such address|no such email|no such local|no such|no user|no account|no mailbox|no one at this|no valid recipient|" +
			"recipient unknown|unknown recipient*|recipient not found|recipient .. not found|recipient .. not exist|recipient does not|" +
			"recipient is not|recipient not|recipient rejected|recipient .. reject*|~rcpt|invalid recipient*|" +
			"recipient invalid|recipient no longer|recipient mailbox|envelope recipient|recipient has been denied|archived recipient|" +
			"not our customer|recipient account|mailbox unavailable|mailbox not found|mailbox does not|mailbox not available|" +
			"mailbox .. unknown|mailbox unknown|unknown mailbox|invalid mailbox|mailbox is disabled|mailbox disabled|mailbox .. disabled|" +
			"mailbox is inactive|mailbox inactive|mailbox .. unavailable|mailbox is unavailable|mailbox name not|mailbox unallocated|" +
			"mailbox cannot|valid mailbox|mailbox by that name|mailbox here|account not found|account .. not exist|account does not|" +
			"account .. disabled|account .. inactive|account that you tried|account closed|account is not active|account unavailable|" +
			"account has been|account .. unavailable|have a .. account|no account|have an account|tried to reach|address unknown|" +
			"unknown address|address does not exist|address not found|address rejected|bad address|bad destination|destination address*|" +
			"address invalid|invalid address|address .. not found|address .. not valid|not a valid|valid recipient|address no longer|" +
			"longer accepts mail|not known at|unknown local|unknown email|unknown account|illegal alias|alias|addressee|undeliverable|" +
			"unrouteable address|unroutable address|cant accept user|accept user|not a known|known user|valid user|not our user|" +
			"name is not recognized|not listed in|does not exist|not exist|doesnt exist|dosnt exist|not found|badrcptto|has been replaced|" +
			"user has moved|be delivered|unable to deliver|cannot deliver|deactivated|blocked by the recipient|refuse to receive|refuses to accept|not accepting|" +
			"mailbox .. access denied|temporary locked|suppress*|suspend*|for that user|for this user|recipient unrecognized|recipient is unrecognized|mailbox delivery|" +
			"banned recipient|rejected by recipient*|rejected by the recipient*|by recipients|no longer valid|longer exists|" +
			"target address|resolver rst|not activated|protected by|utilisateur inconnu|destinataire inconnu|destinataire invalide|destinataire .. bloque|benutzer unbekannt|" +
			"unbekannt*|empfanger .. unbekannt|no existe|desconocido|utente|sconosciuto|inesistente|nie istnieje|не существует|" +
			"неизвестн*|не найден*|пользовател*|存在しません|宛先不明|見つかりません|宛先が|宛先の|不存在|无此用户|収件人|" +
			"收件人"},
		not: "relaying denied|relay denied|relay access denied|allow relay*|not relay|dont relay|relaying not|rcpthosts|relay not|denies relay|no relay|relaying disallowed|" +
			"no relaying|not local host|no gateway|relay .. not|domains in|non accepted|list of"},
	{is: upstream.ClassRecipientUnknown, in: rcpt | body, enh: "x.1.1 x.1.6 x.2.1 5.1.10 5.4.1", not: "relay*|temporar*"},
	{is: upstream.ClassRecipientUnknown, in: rcpt | body, enh: "5.7.504 5.7.505 5.7.507"},
	{is: upstream.ClassRecipientUnknown, in: rcpt, code: "5", enh: "x.1.0", not: "relay*"},
}

// relayRules: relaying refused, and nothing said about what would lift it.
var relayRules = []rule{
	{is: upstream.ClassRelayDeniedIP, in: smtp, say: []string{
		"relay*|relais|relayed|rcpthosts|mail gate|not a gateway|gateway|not local host|third party|local user only|local users only|" +
			"local domains only|non accepted|outsiders|our network|our customers|outside domains|handle mail for|handle email for|" +
			"forbidden by your ip|server use forbidden|use forbidden|delivery is not allowed|domain is not allowed|domain not allowed|" +
			"user not local|~addr not local|outside of your|outside your|outside the domain|partner connector|ретрансляц*|пересылк*|中継|転送は許可|このネットワーク|転送できません|转发|中继|" +
			"through this machine|through this server|through this host|via this server|via this host|thru this|smtp of your|server of your provider|your providers|your own provider|your isps smtp|host* .. not authorized|" +
			"weiterleitung|from your location|your location|from your network|this network|open relay|non local"},
		not: "temporary lookup|lookup failure|bypassing"},
	{is: upstream.ClassRelayDeniedIP, in: smtp, enh: "5.7.64 5.7.54 5.7.367"},
	{is: upstream.ClassRelayDeniedIP, in: rcpt, code: "551 513 571"},
}
