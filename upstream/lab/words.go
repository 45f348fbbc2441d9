package lab

import "strings"

// words are the defaults of Options.Words, taken from what real providers say.
func words(w Word) string {
	switch w {
	case WordRelay:
		return "550 5.7.1 <{to}>: Relay access denied"
	case WordRelayPOP:
		return "550 5.7.1 <{to}>: Relaying denied. Please check your mail first (POP before SMTP), then send within a few minutes"
	case WordRelayAuth:
		return "530 5.7.0 Authentication required"
	case WordRelayAddress:
		return "550 5.7.1 <{to}>... Relaying denied. IP address [{ip}] is not in our network"
	case WordRelayDomain:
		return "553 5.7.1 sorry, neither <{from}> nor <{to}> is in a domain that we relay for"
	case WordBanner:
		return "554 5.7.1 No SMTP service here for [{ip}]"
	case WordSender:
		return "553 5.7.1 <{from}>: Sender address rejected: not one of our domains"
	case WordOwnSender:
		return "553 5.7.1 <{from}>: Sender address rejected: not owned by user"
	case WordUnknown:
		return "550 5.1.1 <{to}>: Recipient address rejected: User unknown"
	case WordGreylist:
		return "450 4.7.1 <{to}>: Recipient address rejected: Greylisted, please try again later"
	case WordPerConnection:
		return "421 4.7.0 Too many messages on this connection"
	case WordRecipients:
		return "452 4.5.3 Too many recipients"
	case WordSize:
		return "552 5.3.4 Message size exceeds fixed limit"
	case WordRate:
		return "450 4.7.1 Rate limit exceeded, slow down"
	case WordConnections:
		return "421 4.7.0 Too many connections from [{ip}]"
	}
	return loginWords(w)
}

// loginWords are the defaults of what is said about logging in.
func loginWords(w Word) string {
	switch w {
	case WordTLS:
		return "530 5.7.0 Must issue a STARTTLS command first"
	case WordCredentials:
		return "535 5.7.8 Authentication credentials invalid"
	case WordMechanism:
		return "504 5.5.4 Unrecognized authentication type"
	case WordBasicDisabled:
		return "535 5.7.139 Authentication unsuccessful, basic authentication is disabled"
	case WordLocked:
		return "535 5.7.8 Account locked after too many failures, contact support"
	case WordPOPCredentials:
		return "-ERR [AUTH] Invalid login or password"
	case WordPOPLocked:
		return "-ERR [AUTH] Account locked, contact support"
	case WordPOPInUse:
		return "-ERR [IN-USE] Mailbox is locked by another POP session"
	case WordPOPLoginDelay:
		return "-ERR [LOGIN-DELAY] Minimum time between logins not passed"
	case WordPOPTLS:
		return "-ERR Use STLS first, plaintext logins are disabled"
	case WordAccepted:
		return "250 2.0.0 Ok: queued as {id}"
	}
	return "550 5.0.0 " + string(w)
}

// word returns the lines of a refusal. vars are pairs of name and value.
func (p *Provider) word(w Word, vars ...string) []string {
	text, ok := p.opts.Words[w]
	if !ok {
		text = words(w)
	}
	for i := 0; i+1 < len(vars); i += 2 {
		text = strings.ReplaceAll(text, "{"+vars[i]+"}", vars[i+1])
	}
	return strings.Split(text, "\n")
}
