package reply

import (
	"strings"

	"melon/upstream"
)

// Classify says what r, heard in phase, means. An empty phase means that it is
// not known; it is then guessed from code and words. The answer is always one
// of upstream.ReplyClasses.
func Classify(phase upstream.Phase, r upstream.Reply) upstream.Class {
	text := joined(r)
	return classify(phase, r, text, text)
}

// ClassifyText is Classify for a text that is not a parsed reply: a line off
// the wire, a mail app's error box, a bounce. An empty phase means unknown;
// words around the reply such as "in reply to RCPT TO command" then tell it.
func ClassifyText(phase upstream.Phase, text string) upstream.Class {
	r := Parse(text)
	return classify(phase, r, joined(r), clip(text, maxNormal))
}

// joined returns the text of r, bounded.
func joined(r upstream.Reply) string {
	var b strings.Builder
	for _, l := range r.Lines {
		if b.Len() > maxNormal {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(l)
	}
	return b.String()
}

// classify reads the rules for text, r's own words; around is what stood
// around them where more was pasted.
func classify(phase upstream.Phase, r upstream.Reply, text, around string) upstream.Class {
	t := theTable()
	n := normalise(text)
	in := whereOf(phase)
	isPOP := strings.HasPrefix(text, "-ERR") || strings.HasPrefix(text, "-err")
	if isPOP && in&pop == 0 {
		in = popPass
	}
	enh, code := r.Enhanced, r.Code
	if enh.IsZero() {
		enh = enhancedWithin(text)
	}
	if code == 0 && !isPOP && !enh.IsZero() {
		// Some apps drop the reply code: its first digit is the same
		// (RFC 3463 section 2), the others are not known.
		code = enh[0]*100 + 59
	}
	if in == 0 {
		in = guess(code, n, around)
	}
	if in&pop != 0 && (len(n.words) == 0 || n.words[0] != "err") {
		// Some apps drop the "-ERR".
		n.words = append([]string{"err"}, n.words...)
	}
	if c := t.class(t.subject(n, in, code, enh)); c != "" {
		return c
	}
	return upstream.ClassOther
}

// enhancedWithin returns the first enhanced status code inside text, such as
// qmail's "(#5.7.1)".
func enhancedWithin(text string) upstream.EnhancedCode {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c != '2' && c != '4' && c != '5' || i+4 >= len(text)+1 || i+1 >= len(text) || text[i+1] != '.' {
			continue
		}
		if i > 0 && (digit(text[i-1]) || text[i-1] == '.' || text[i-1] == '[' || letterOrDigit(text[i-1])) {
			continue
		}
		if e, n := leadingEnhanced(text[i:]); n > 0 && (e[0] == 4 || e[0] == 5) {
			return e
		}
	}
	return upstream.EnhancedCode{}
}

// hints are what bounces and mail apps say of the step, in lower case.
var hints = []struct {
	say string
	in  where
}{
	{"in reply to mail from", mail}, {"after mail from", mail},
	{"in reply to rcpt to", rcpt}, {"after rcpt to", rcpt},
	{"in reply to end of data", dataEnd}, {"after end of data", dataEnd}, {"after pipelined end of data", dataEnd},
	{"in reply to data", data}, {"after data", data}, {"after initial connection", connect},
	{"in reply to ehlo", ehlo}, {"in reply to helo", ehlo}, {"after ehlo", ehlo}, {"after helo", ehlo}, {"refused to talk to me", connect},
	{"smtpauthenticationerror", auth}, {"authenticationfailedexception", auth}, {"authentication failed (method", auth}, {"invalid login:", auth},
	{"smtpsenderrefused", mail}, {"smtprecipientsrefused", rcpt}, {"smtpdataerror", dataEnd}, {"invalid greeting", connect},
	{"mail from command failed", mail}, {"rcpt to command failed", rcpt}, {"data end command failed", dataEnd},
	{"sending of password", popPass}, {"sending the password", popPass}, {"sending of the password", popPass}, {"sending of username", popUser},
	{"パスワードの送信", popPass}, {"ユーザー名の送信", popUser}, {"protocol: pop3", popPass}, {"poplib.", popPass},
	{"0x800ccc78", mail}, {"0x800ccc79", rcpt}, {"0x800ccc92", popPass}, {"0x800ccc90", popPass}, {"0x800ccc91", popPass},
	{"受信者の", rcpt}, {"one of the recipients was rejected", rcpt},
}

// guess says in which step a reply was most likely heard.
func guess(code int, n normal, around string) where {
	lower := asciiLower(around)
	for _, h := range hints {
		if strings.Contains(lower, h.say) {
			return h.in
		}
	}
	switch code {
	case 432, 435, 454, 534, 535, 538, 525, 504:
		if code != 454 && code != 504 || n.has("auth", "authentic", "login", "password", "mechanism") {
			return auth
		}
	case 530:
		return mail
	case 420, 421:
		return connect
	case 500, 502, 503:
		return mail
	}
	switch {
	case n.has("auth", "認証") && !n.has("relay", "sender", "originator", "requi", "need", "must", "first", "before", "spf", "dkim", "dmarc", "recipient", "erforder", "必要"):
		return auth
	case n.has("relay", "recipient", "rcpt", "mailbox", "user", "unrout", "宛先", "受信者", "メールボックス"):
		return rcpt
	case n.has("sender", "originator", "送信者", "差出人"):
		return mail
	case n.has("message", "content", "spam", "virus", "attachment", "header"):
		return dataEnd
	case n.has("helo", "ehlo"):
		return ehlo
	case n.has("from"):
		return mail
	}
	return rcpt
}

// has reports whether a word of n begins with one of the stems.
func (n normal) has(stems ...string) bool {
	for _, s := range stems {
		if n.run != "" && hasUnspaced(s) && strings.Contains(n.run, s) {
			return true
		}
		for _, w := range n.words {
			if strings.HasPrefix(w, s) {
				return true
			}
		}
	}
	return false
}
