package reply

import "melon/upstream"

// plainRules read by kind of trouble what no rule above knows the phrase of;
// they stand before a 4yz code is taken for the server's own trouble.
var plainRules = []rule{
	{is: upstream.ClassTooManyRecipients, in: tx, say: []string{"recipients|rcpts|receivers|addressees", "too many|exceed*|limit*|max*|more than|over"},
		not: "size|hour|day|mailbox*|storage|quota"},
	{is: upstream.ClassMessageTooLarge, in: mail | body, say: []string{"size|large|larger|big|bigger|octets|bytes|kb|mb|mbytes|kbytes",
		"exceed*|limit*|max*|over|too|than|allowed"}, not: "mailbox*|quota|storage"},
	{is: upstream.ClassTooManyRecipients, in: tx, say: []string{"more than one recipient*"}},
	{is: upstream.ClassMailboxFull, in: rcpt | body, say: []string{"$space .. $full|$full .. $space|$neg .. space"}, not: "system|size|queue|organization"},
}

// meaningRules read what no rule above knows the phrase of by who or what is
// refused, and how, in any words (words.go) and order. Phase and code say which
// of the parties a bare word most likely means.
var meaningRules = []rule{
	{is: upstream.ClassAuthRequired, in: connect | mail | rcpt | data, code: "5 none", say: []string{"$must .. $auth|$auth .. $must"},
		not: "$from|policy|level|receiving|" + spf},
	{is: upstream.ClassRateLimited, in: smtp, say: []string{"excessive|too many|too much|limit*", "$neg|exceed*|reached|excessive|too"},
		not: "length|name|size|recipient*|hop*|loop*|large|recurs*|errors|headers|line*|charac*"},
	{is: upstream.ClassSenderDomainRestricted, in: mail | rcpt | data, code: "5 none", say: []string{"$from .. $refuse|$refuse .. $from|$from .. $gone|" +
		"$gone .. $from|$from .. $neg|$neg .. $from"}},
	{is: upstream.ClassSenderDomainRestricted, in: mail | rcpt | data, code: "5 none", say: []string{"from address|return path|reverse path|envelope from|" +
		"mail from|from domain|from header|your domain|your address|your identity", "$refuse|$neg|$gone|$must"}, not: "syntax|$box"},
	{is: upstream.ClassRecipientDomainUnknown, in: rcpt, code: "5 none", say: []string{"domain|host|hostname|dns|mx|route", "$neg|$gone"},
		not: "$box|client|~ip"},
	{is: upstream.ClassRecipientUnknown, in: rcpt | body, code: "5 none", say: []string{"$box .. $gone|$gone .. $box|$neg .. $box|$box .. $neg|" +
		"$neg .. $there .. $box"}, not: "relay*"},
	{is: upstream.ClassSenderIPBlocklisted, in: connect | ehlo | mail | rcpt, code: "5 none", say: []string{"$net .. $refuse|$refuse .. $net|access .. denied"},
		not: "$box"},
	{is: upstream.ClassSenderIPBlocklisted, in: rcpt, code: "55 57", say: []string{"policy|policies|security|regulation*|abuse"}, not: "$box|relay*"},
	{is: upstream.ClassRecipientUnknown, in: rcpt, code: "5", enh: "5.7.x", say: []string{"recipient*|mailbox*|addressee|enable receiving"}},
}
