package reply

// allRules is the table, read from the top; the first rule that fits decides.
//
// Many replies fit several classes ("Relaying denied. Proper authentication
// required."; "535 ... too many attempts"). The order resolves that towards
// what is done next about it, the surest help first:
//
//  1. The server names what lifts the refusal: a POP login, TLS, waiting out a
//     greylist, another kind of password. Doing that is right whatever else
//     the reply says.
//  2. The account: disabled, no such mechanism, refused credentials, login
//     missing. Waiting and other messages cannot help.
//  3. Limits: too many recipients, too much mail, too many connections. The
//     same message goes later.
//  4. The network's address is on a list: another network or account.
//  5. The message: its size, its content, its sender.
//  6. The recipient: domain, mailbox, quota.
//  7. Relaying refused without saying what would lift it. It stands below the
//     recipient's rules only where the words name a mailbox.
//  8. Syntax, then the server's own trouble, then the bare codes: enhanced
//     status code first (RFC 3463), reply code and phase last.
//
// Up to 7 the rules know phrases, and 2 begins with the abbreviations of servers
// that say little else (shortRules). Around 8 stand the rules that know no
// phrase: plainRules and meaningRules ask who or what is refused, and how, in
// any words and order, by the groups of words in words.go; they read most of
// what nobody has listed.
//
// What the labels of known replies hold to, where several answers are right:
//
//   - The sender's domain or address (it does not exist, SPF, DKIM, DMARC, "not
//     owned by user", blocked senders, a refused group) is
//     sender-domain-restricted in every phase, a 4yz "rate limited because SPF
//     did not pass" included: the cause decides, not the rate.
//   - A recipient's shut, suspended, moved or choosy mailbox is
//     recipient-unknown; account-disabled-or-locked is the sender's own account.
//   - Relaying refused with a word about logins ("unless you authenticate",
//     "thru this MTA", "relay check local") is auth-required; bare, it is
//     relay-denied-ip, and so is "we do not handle mail for".
//   - A bare refusal of the greeting, a missing reverse name, a dynamic address
//     or a bad reputation is sender-ip-blocklisted; "deferred", "too many" and
//     4.7.650 are rate-limited; 421 and 4yz otherwise temporary-local-problem.
//   - A bare refusal after the message is content-rejected-spam; size by words,
//     X.3.4 and X.2.3; a mail loop, a missing feature or an unknown upstream
//     fault is other.
//   - A wrong order of commands, HELO names, malformed addresses and headers are
//     syntax-or-protocol; a command that the server lacks is other, save AUTH
//     and STARTTLS (mechanism-unsupported).
//   - POP3: a refusal of PASS in unknown words is pop-credentials-rejected, as
//     repeating it might lock the account; before PASS it is other.
//
// A 4yz reply is never taken for a permanent fault of the password: rejected
// credentials need 5yz (or no code at all). POP3 has a table of its own, as its
// answers have no codes; the response codes of RFC 2449 and RFC 3206 come first
// in it. Within a group a rule with more conditions stands above one with less.
func allRules() []rule {
	var all []rule
	for _, part := range [][]rule{
		popRules, unlockRules, shortRules, accountRules, authRules, limitRules, addressRules,
		messageRules, senderRules, recipientRules, relayRules, plainRules, protocolRules, meaningRules, codeRules,
	} {
		all = append(all, part...)
	}
	return all
}

// Words that several rules share.
const (
	// off is how accounts end.
	off = "disabled|suspend*|lock|locked|blocked|deactivat*|frozen|expired|inactive|closed|terminated|restricted|banned|" +
		"gesperrt|deaktiviert|bloque|suspendu|desactive|bloquead*|suspendid*|заблокирован*|отключен*|停止|ロック|無効|凍結|失効|冻结|停用|锁定"
	// owned is what shuts with the sender's own account, and notOwned who else's it may be.
	owned    = "account|your login|user is|your mailbox|konto|compte|cuenta|аккаунт|アカウント|账户|帐号"
	notOwned = "ip|recipient*|be delivered|address rejected|tried to reach|discontinued|host|greylist*|destinataire|empfanger|" +
		"message was|message has|mailbox is disabled|url|attachment|content|spam"
	// later is how servers put off.
	later = "try again|try later|try after|retry|later|come back|temporar*|spater|spaeter|plus tard|mas tarde|позже|しばらく|後ほど|一時的|稍后"
	// spf are the checks of the sender's domain.
	spf = "~spf|spf|dkim|dmarc|domainkey*|domain keys|sender policy|sender id|openspf|batv|spoof*"
	// blacklisted is put on a list of refused senders, recipients or machines,
	// and machine what tells that it is one of the last.
	blacklisted = "blacklist*|black list*|black listed|blocklist*|blocklisted|denylist*|banned"
	machine     = "ip|ips|~ip|host|client|server|network|~rbl|rbl|dnsbl|relay*|by your organization"
	// lists are the lists of refused addresses.
	lists = "~rbl|rbl|rhsbl|dnsbl|dnsbls|listed on|listed at|listed in|is listed|blacklist*|black list*|black listed|blocklist*|block list|block listed|block lists|blocked using|" +
		"spamhaus|spamcop|" +
		"sorbs|abusix|spamrats|multi blacklist|uceprotect|barracuda|cloudmark|senderbase|sbrs|sbl|xbl|cbl|bl|attrbl|liste noire|lista negra|" +
		"черном списке|черный список|ブラックリスト|黑名单"
)
