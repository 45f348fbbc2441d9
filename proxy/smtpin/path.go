package smtpin

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// maxPath bounds a path in octets. RFC 5321 section 4.5.3.1.3 allows 256; what
// goes over it in practice (bounce addresses, UTF-8) stays below this.
const maxPath = 512

var (
	errPath        = errors.New("not an address")
	errPathTooLong = errors.New("address too long")
)

// parsePath reads the reverse-path or forward-path at the start of arg, the
// part of a MAIL or RCPT command after the colon, and returns the mailbox as
// it was written, "" for the null path, and what follows the path.
//
// go-smtp's own parser takes the quotes off a quoted local part, after which
// "a> NOTIFY=NEVER"@x and a@b@c cannot be told from what they look like; the
// address would leave upstream as another command than the app gave. So the
// text of the address comes from here. A source route is dropped (RFC 5321
// appendix C). The grammar is RFC 5321 section 4.1.2 and RFC 6531 section 3.3,
// but dots may stand anywhere in a local part, as some providers gave out such
// addresses.
func parsePath(arg string) (mailbox, rest string, err error) {
	s := strings.TrimLeft(arg, " ")
	if strings.HasPrefix(s, "<>") {
		return "", s[2:], nil
	}
	s, bracket := strings.CutPrefix(s, "<")
	if strings.HasPrefix(s, "@") {
		colon := strings.IndexByte(s, ':')
		if colon < 0 {
			return "", "", errPath
		}
		s = s[colon+1:]
	}
	local := localPart(s)
	if local == 0 || local >= len(s) || s[local] != '@' {
		return "", "", errPath
	}
	domain := domainPart(s[local+1:])
	if domain == 0 {
		return "", "", errPath
	}
	mailbox, rest = s[:local+1+domain], s[local+1+domain:]
	if bracket {
		var ok bool
		if rest, ok = strings.CutPrefix(rest, ">"); !ok {
			return "", "", errPath
		}
	}
	switch {
	case rest != "" && rest[0] != ' ', !utf8.ValidString(mailbox):
		return "", "", errPath
	case len(mailbox) > maxPath:
		return "", "", errPathTooLong
	}
	return mailbox, rest, nil
}

// localPart returns the length of the dot-string or quoted-string that s begins
// with, 0 when there is none.
func localPart(s string) int {
	if !strings.HasPrefix(s, `"`) {
		return span(s, `()<>[]:;\,"@`)
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' || c == 0x7f:
			return 0
		case c == '"':
			return i + 1
		case c == '\\':
			i++
			if i < len(s) && (s[i] < ' ' || s[i] >= 0x7f) {
				return 0
			}
		}
	}
	return 0
}

// domainPart returns the length of the domain or address literal that s begins
// with, 0 when there is none.
func domainPart(s string) int {
	if !strings.HasPrefix(s, "[") {
		return span(s, `()<>[]:;\,"@!`)
	}
	n := 1 + span(s[1:], `()<>[];\,"@`)
	if n == 1 || n >= len(s) || s[n] != ']' {
		return 0
	}
	return n + 1
}

// span returns how many octets of s come before a space, a control character
// or one of the characters of stop.
func span(s, stop string) int {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f || strings.IndexByte(stop, s[i]) >= 0 {
			return i
		}
	}
	return len(s)
}

// isASCII reports whether s needs no SMTPUTF8.
func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
