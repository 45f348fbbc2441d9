package submit

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"melon/upstream"
)

// maxAddress bounds an address in octets. RFC 5321 section 4.5.3.1 allows 256;
// some systems make longer ones.
const maxAddress = 1000

// argument reports whether s can stand in a command line: no control character
// can end the line early, or smuggle in another command.
func argument(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r == 0x7f {
			return false
		}
	}
	return true
}

// validPath reports whether addr can stand between angle brackets: outside of a
// quoted local part (RFC 5321 section 4.1.2) there is no space and no bracket.
func validPath(addr string) bool {
	if !argument(addr) || len(addr) > maxAddress {
		return false
	}
	quoted := false
	for i := 0; i < len(addr); i++ {
		switch ch := addr[i]; {
		case quoted && ch == '\\':
			i++
		case ch == '"':
			quoted = !quoted
		case !quoted && (ch == ' ' || ch == '<' || ch == '>'):
			return false
		}
	}
	return !quoted
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// xtext encodes s as RFC 3461 section 4 wants it.
func xtext(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if ch := s[i]; ch < '!' || ch > '~' || ch == '+' || ch == '=' {
			fmt.Fprintf(&b, "+%02X", ch)
		} else {
			b.WriteByte(ch)
		}
	}
	return b.String()
}

// unitext encodes an address of type utf-8 in ASCII (RFC 6533 section 3,
// utf-8-addr-unitext): \x{HEX} for what is not printable ASCII.
func unitext(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < '!' || r > '~' || r == '+' || r == '=' || r == '\\' {
			fmt.Fprintf(&b, "\\x{%X}", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// mailLine is the MAIL command with the parameters that the server knows: SIZE
// (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET and ENVID (RFC 3461). An
// 8-bit message to a server without 8BITMIME goes as it is, without BODY; whether
// a header needs SMTPUTF8 is known only when it is there (needsUTF8).
func (c *Client) mailLine(env upstream.Envelope) (string, *upstream.Error) {
	p := upstream.PhaseMail
	if !validPath(env.From) || !argument(env.EnvelopeID) {
		return "", c.local(p, 501, upstream.EnhancedCode{5, 1, 7}, "The sender's address holds characters that cannot be sent.")
	}
	if !isASCII(env.From) && !c.caps.SMTPUTF8 {
		return "", c.local(p, 553, upstream.EnhancedCode{5, 6, 7}, "The mail server does not take internationalized addresses (SMTPUTF8).")
	}
	var b strings.Builder
	b.WriteString("MAIL FROM:<" + env.From + ">")
	if c.caps.Size && env.Size > 0 {
		b.WriteString(" SIZE=" + strconv.FormatInt(env.Size, 10))
	}
	if c.caps.EightBitMIME && (env.Body == upstream.Body7Bit || env.Body == upstream.Body8BitMIME) {
		b.WriteString(" BODY=" + string(env.Body))
	}
	if c.caps.SMTPUTF8 && (env.SMTPUTF8 || !isASCII(env.From)) {
		b.WriteString(" SMTPUTF8")
	}
	if c.caps.DSN {
		if env.Return == "FULL" || env.Return == "HDRS" {
			b.WriteString(" RET=" + env.Return)
		}
		if env.EnvelopeID != "" {
			b.WriteString(" ENVID=" + xtext(env.EnvelopeID))
		}
	}
	return b.String(), nil
}

// rcptLine is the RCPT command with NOTIFY and ORCPT (RFC 3461) where the
// server knows them.
func (c *Client) rcptLine(rc upstream.Recipient) (string, *upstream.Error) {
	p := upstream.PhaseRcpt
	if rc.Address == "" || !validPath(rc.Address) || !argument(rc.Original) {
		return "", c.local(p, 501, upstream.EnhancedCode{5, 1, 3}, "The recipient's address holds characters that cannot be sent.")
	}
	if !isASCII(rc.Address) && !c.caps.SMTPUTF8 {
		return "", c.local(p, 553, upstream.EnhancedCode{5, 6, 7}, "The mail server does not take internationalized addresses (SMTPUTF8).")
	}
	var b strings.Builder
	b.WriteString("RCPT TO:<" + rc.Address + ">")
	if c.caps.DSN {
		if notify := notifyValue(rc.Notify); notify != "" {
			b.WriteString(" NOTIFY=" + notify)
		}
		if rc.Original != "" {
			b.WriteString(" ORCPT=" + originalValue(rc))
		}
	}
	return b.String(), nil
}

// notifyValue joins the words of RFC 3461 section 4.1 and drops any other.
func notifyValue(words []string) string {
	var known []string
	for _, w := range words {
		switch w = strings.ToUpper(w); w {
		case "NEVER":
			return "NEVER"
		case "SUCCESS", "FAILURE", "DELAY":
			known = append(known, w)
		}
	}
	return strings.Join(known, ",")
}

// originalValue is the value of ORCPT (RFC 3461 section 4.2, RFC 6533 section 3).
func originalValue(rc upstream.Recipient) string {
	switch {
	case strings.EqualFold(rc.OriginalType, "utf-8"), !isASCII(rc.Original):
		return "utf-8;" + unitext(rc.Original)
	case rc.OriginalType == "" || !validPath(rc.OriginalType) || !isASCII(rc.OriginalType) || strings.ContainsAny(rc.OriginalType, `;+="`):
		return "rfc822;" + xtext(rc.Original)
	}
	return rc.OriginalType + ";" + xtext(rc.Original)
}
