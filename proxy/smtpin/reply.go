package smtpin

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-smtp"
	"golang.org/x/text/unicode/norm"

	"melon/upstream"
)

// A reply line has 512 octets with code and line end (RFC 5321 section
// 4.5.3.1.5); this is left for its text after "554-5.7.28 " and CRLF.
const maxReplyText = 490

// maxReplyLines bounds a reply, however much a provider says.
const maxReplyLines = 24

// words is what decides how a refusal reads to the app: the explanations and
// whether the app asked for SMTPUTF8 (RFC 6531 section 3.7.4.2: only then may
// a reply have other characters than ASCII).
type words struct {
	explain func(*upstream.Error) string
	utf8    bool
}

// smtpError turns any error, wrapped or not, into the bare *smtp.SMTPError that
// the app hears; it is the only place where that is decided. go-smtp would make
// a permanent 554 with its text of anything else, so that
//
//   - a *smtp.SMTPError is this package's own and passes,
//   - an *upstream.Error is answered by its Kind,
//   - whatever else is temporary: 451 4.3.0 and a sentence of Melon's.
//
// 535 never comes out of an *upstream.Error, nor another code that makes a mail
// app ask for a password: the app would ask for the local one.
func (w words) smtpError(err error) *smtp.SMTPError {
	if err == nil {
		return nil
	}
	var own *smtp.SMTPError
	if errors.As(err, &own) {
		return own
	}
	var e *upstream.Error
	if !errors.As(err, &e) {
		return refuse(451, 4, 3, 0, "Melon could not take this just now; please try again later.")
	}
	code, enhanced := w.status(e)
	lines := w.said(e)
	if x := w.explanation(e); x != "" {
		lines = append(lines, x)
	}
	return w.reply(code, enhanced, lines)
}

// status returns the code and enhanced status code for e.
func (w words) status(e *upstream.Error) (int, smtp.EnhancedCode) {
	code, enhanced := 451, smtp.EnhancedCode{4, 3, 0}
	switch e.Kind() {
	case upstream.KindMessage:
		code, enhanced = e.Reply.Code, smtp.EnhancedCode{5, 0, 0}
	case upstream.KindPerson:
		code, enhanced = 554, personEnhanced(e.Class)
		if e.Reply.Permanent() && e.Phase.InTransaction() {
			code = e.Reply.Code
		}
	case upstream.KindTemporary:
		enhanced = temporaryEnhanced(e)
	}
	switch code {
	case 530, 534, 535, 538: // RFC 4954: an app would ask for the local password
		code = 554
	}
	if e.Class != upstream.ClassCredentialsRejected && e.Reply.Enhanced[0] == code/100 {
		enhanced = smtp.EnhancedCode(e.Reply.Enhanced)
	}
	return code, enhanced
}

// personEnhanced returns the enhanced status code (RFC 3463, RFC 5248) of what
// only the person can mend.
func personEnhanced(c upstream.Class) smtp.EnhancedCode {
	switch c {
	case upstream.ClassPOPBeforeSMTPRequired, upstream.ClassAuthRequired,
		upstream.ClassRelayDeniedIP, upstream.ClassSenderDomainRestricted:
		return smtp.EnhancedCode{5, 7, 1}
	case upstream.ClassMechanismUnsupported:
		return smtp.EnhancedCode{5, 7, 4}
	case upstream.ClassTLSRequired:
		return smtp.EnhancedCode{5, 7, 10}
	}
	return smtp.EnhancedCode{5, 7, 8}
}

// temporaryEnhanced returns the enhanced status code of what time may mend.
func temporaryEnhanced(e *upstream.Error) smtp.EnhancedCode {
	switch {
	case e.Ambiguous:
		return smtp.EnhancedCode{4, 4, 2}
	case e.Class == upstream.ClassDNSFailure, e.Class == upstream.ClassDNSHijacked:
		return smtp.EnhancedCode{4, 4, 3}
	case e.Reply.IsZero() && e.Phase == upstream.PhaseConnect, e.Class == upstream.ClassServerUnreachable,
		e.Class == upstream.ClassPortBlocked, e.Class == upstream.ClassOffline, e.Class == upstream.ClassCaptivePortal:
		return smtp.EnhancedCode{4, 4, 1}
	case e.Reply.IsZero() && e.Phase != "":
		return smtp.EnhancedCode{4, 4, 2}
	}
	return smtp.EnhancedCode{4, 3, 0}
}

// said returns what happened: the provider's own words, or Melon's sentence
// when no server spoke. The cause in e.Err is not for the app.
func (w words) said(e *upstream.Error) []string {
	if !e.Reply.IsZero() {
		return append([]string(nil), e.Reply.Lines...)
	}
	if e.Sentence != "" {
		return []string{e.Sentence}
	}
	return []string{"The provider could not be asked; please try again later."}
}

// explanation returns Melon's own words after the provider's, with the account
// that the person has to look after.
func (w words) explanation(e *upstream.Error) string {
	var x string
	if w.explain != nil {
		x = strings.Join(strings.Fields(w.explain(e)), " ")
	}
	if !w.utf8 && !legible(x) {
		x = ""
	}
	person := e.Kind() == upstream.KindPerson && e.Account != ""
	switch {
	case x == "" && !person:
		return ""
	case x == "":
		return "Melon: the account " + e.Account + " needs attention."
	case person:
		return "Melon, account " + e.Account + ": " + x
	}
	return "Melon: " + x
}

// accepted returns what the app hears when a message was taken: go-smtp says
// what an error with code 250 says.
func (w words) accepted(r upstream.Reply) *smtp.SMTPError {
	if r.Code/100 != 2 && r.Code != 0 {
		return w.smtpError(&upstream.Error{Phase: upstream.PhaseDataEnd, Class: upstream.ClassOther, Reply: r})
	}
	enhanced := smtp.EnhancedCode{2, 0, 0}
	if r.Enhanced[0] == 2 {
		enhanced = smtp.EnhancedCode(r.Enhanced)
	}
	lines := r.Lines
	if len(lines) == 0 {
		lines = []string{"accepted"}
	}
	return w.reply(250, enhanced, lines)
}

// reply makes the lines fit to be sent and builds the reply. go-smtp writes the
// enhanced status code on the last line alone, where RFC 2034 section 4 wants
// it on each: the others carry it in their text.
func (w words) reply(code int, enhanced smtp.EnhancedCode, lines []string) *smtp.SMTPError {
	var out []string
	for _, l := range lines {
		for l := range strings.SplitSeq(l, "\n") {
			l = strings.TrimSpace(upstream.CleanLine(strings.TrimRight(l, "\r")))
			if !w.utf8 {
				l = ascii(l)
			}
			if strings.Trim(l, "? ") != "" {
				out = append(out, split(l, maxReplyText)...)
			}
		}
	}
	if len(out) > maxReplyLines {
		out = append(out[:maxReplyLines-1:maxReplyLines-1], out[len(out)-1])
	}
	if len(out) == 0 {
		out = []string{"no text was given"}
	}
	prefix := upstream.EnhancedCode(enhanced).String() + " "
	for i := range out[:len(out)-1] {
		out[i] = prefix + out[i]
	}
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: strings.Join(out, "\n")}
}

// refuse builds a reply of this package's own.
func refuse(code, class, subject, detail int, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, subject, detail}, Message: text}
}

// split cuts s into pieces of at most n octets, at spaces where there are some
// and never inside a character.
func split(s string, n int) []string {
	var out []string
	for len(s) > n {
		cut := strings.LastIndexByte(s[:n+1], ' ')
		if cut < n/2 {
			for cut = n; !utf8.RuneStart(s[cut]); {
				cut--
			}
		}
		out = append(out, strings.TrimRight(s[:cut], " "))
		s = strings.TrimLeft(s[cut:], " ")
	}
	return append(out, s)
}

// ascii returns s for an app that did not ask for UTF-8: letters lose their
// marks, typographic signs become plain ones, and each run of what has no ASCII
// form becomes one "?".
func ascii(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	lost := false
	for _, r := range norm.NFKD.String(s) {
		p := plain(r)
		switch {
		case p == "?" && lost, unicode.Is(unicode.Mn, r):
			continue
		}
		lost = p == "?"
		b.WriteString(p)
	}
	return b.String()
}

// legible reports whether most of s can be said in ASCII. Japanese cannot: it is
// better left out than shown as question marks.
func legible(s string) bool {
	all, lost := 0, 0
	for _, r := range norm.NFKD.String(s) {
		all++
		if r >= utf8.RuneSelf && !unicode.Is(unicode.Mn, r) && plain(r) == "?" {
			lost++
		}
	}
	return lost*10 <= all
}

// plain returns the ASCII form of one character.
func plain(r rune) string {
	switch {
	case r < utf8.RuneSelf:
		return string(r)
	case r == '‘' || r == '’' || r == '‚' || r == '′':
		return "'"
	case r == '“' || r == '”' || r == '„' || r == '«' || r == '»' || r == '「' || r == '」':
		return `"`
	case r >= '‐' && r <= '―' || r == '−':
		return "-"
	case r == '、':
		return ", "
	case r == '。':
		return ". "
	case r == 'ß':
		return "ss"
	case r == 'ø':
		return "o"
	case r == 'ł':
		return "l"
	case r == 'æ':
		return "ae"
	case unicode.IsSpace(r):
		return " "
	}
	return "?"
}
