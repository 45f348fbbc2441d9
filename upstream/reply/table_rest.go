package reply

import "melon/upstream"

// protocolRules: the conversation went wrong, or the server is in trouble.
var protocolRules = []rule{
	{is: upstream.ClassSyntaxOrProtocol, in: tx, say: []string{"mail first|rcpt first|helo first|ehlo first|hello first"}},
	{is: upstream.ClassOther, in: mail | rcpt, code: "502"},
	{is: upstream.ClassOther, in: tx, say: []string{"unsupported option|command not implemented|command not allowed|not implemented|" +
		"local configuration error|configuration error|smtputf8"}, code: "5 none"},
	{is: upstream.ClassSyntaxOrProtocol, in: smtp, code: "5 none", say: []string{
		"syntax|syntactically|malformed|helo|ehlo|hello|need mail|need rcpt|mail first|rcpt first|mail command|rcpt command|" +
			"valid rcpt command|say mail|say rcpt|bad sequence|sequence|out of order|nested|already specified|sender already|" +
			"no valid recipients|need recipient|invalid domain name|invalid argument*|argument|arguments|unrecognized|unrecognised|" +
			"command unrecognized|unknown command|command too long|line too long|invalid address|invalid host name|invalid parameter*|" +
			"bad parameter*|protocol|synchroni*|helohost|parameter*|構文|順序|コマンド|語法|语法|line parse"},
	},
	{is: upstream.ClassSyntaxOrProtocol, in: smtp, code: "4 none", say: []string{"stray newline|bare lf|bare linefeed*|smtplf|" +
		"protocol violation|syntax"}},
	{is: upstream.ClassSyntaxOrProtocol, in: dataEnd, code: "451", say: []string{"see ~host"}},
	{is: upstream.ClassTemporaryLocalProblem, in: tx, say: []string{"message expired|queue expired|delivery time expired"}},
	{is: upstream.ClassTemporaryLocalProblem, in: smtp, code: "4"},
	{is: upstream.ClassTemporaryLocalProblem, in: smtp, code: "none 5", say: []string{later + "|is down|server down|no answer|no response|not responding|unreachable|out of service|busy|maintenance|out of memory|" +
		"timeout|timed out|overload*|ueberlastet|uberlastet|メンテナンス|混み合って"}, not: "spam*|sender"},
}

// codeRules: no word is known; the codes decide.
var codeRules = []rule{
	// The registry of enhanced status codes (RFC 3463, 4468, 5248, 7293, 7372,
	// 7504, 7505 and others), where a code says more than its reply code.
	{is: upstream.ClassRecipientDomainUnknown, in: rcpt | body, enh: "x.1.9 x.1.10 x.7.18"},
	{is: upstream.ClassRecipientUnknown, in: rcpt | body, enh: "x.1.4 x.2.4 x.7.17 x.7.19"},
	{is: upstream.ClassSenderDomainRestricted, in: tx, enh: "x.7.2 x.7.20 x.7.21 x.7.22 x.7.29"},
	{is: upstream.ClassTemporaryLocalProblem, in: tx, enh: "x.3.1 x.3.2 x.4.1 x.4.2 x.4.3 x.4.7"},
	{is: upstream.ClassOther, in: tx, enh: "x.3.3 x.3.5 x.3.6 x.4.6 x.6.7 x.6.8 x.6.9 x.6.10 x.6.1 x.6.2 x.6.3 x.6.4 x.6.5 x.7.7 x.7.5 x.7.6 x.7.15 x.7.16"},
	{is: upstream.ClassSyntaxOrProtocol, in: smtp, enh: "x.5.2 x.1.3 x.6.0"},
	{is: upstream.ClassSyntaxOrProtocol, in: smtp, enh: "x.5.1 x.5.4", code: "50"},
	{is: upstream.ClassContentRejectedSpam, in: body, enh: "5.7.x 5.6.x"},
	{is: upstream.ClassSenderDomainRestricted, in: mail, enh: "5.1.x 5.7.x"},
	{is: upstream.ClassRelayDeniedIP, in: rcpt, enh: "5.7.x"},
	{is: upstream.ClassRecipientUnknown, in: rcpt, enh: "5.1.x 5.2.x"},
	{is: upstream.ClassSyntaxOrProtocol, in: smtp, code: "500 501 503 504 555"},
	{is: upstream.ClassSyntaxOrProtocol, in: ehlo, code: "5"},
	{is: upstream.ClassSenderIPBlocklisted, in: rcpt, code: "550 554 571", say: []string{"blocked|banned|go away|not welcome"},
		not: "recipient|mailbox|user"},
	{is: upstream.ClassRecipientUnknown, in: rcpt, code: "550 553"},
	{is: upstream.ClassRelayDeniedIP, in: rcpt, code: "554"},
	{is: upstream.ClassSenderDomainRestricted, in: mail, code: "51 55 57"},
	{is: upstream.ClassTemporaryLocalProblem, in: smtp, enh: "5.4.7 4.x.x"},
	{is: upstream.ClassOther, in: body, enh: "5.0.x 5.3.x 5.4.x 5.5.x"},
	{is: upstream.ClassMessageTooLarge, in: body, code: "552"},
	{is: upstream.ClassContentRejectedSpam, in: body, code: "550 553 554 571 541"},
}
