package sendmail

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxAddress bounds one address, in octets.
const maxAddress = 320

// addressScanner takes the addresses out of an address list (RFC 5322 section
// 3.4), of which it knows names, comments, groups and quotes. Unlike net/mail it
// takes names without a domain, which programs on this machine write to.
type addressScanner struct {
	all     []string
	text    strings.Builder // outside of <>, without comments
	angle   *string         // between < and >
	depth   int             // of comments
	quoted  bool
	escaped bool
	literal bool // between [ and ]
	inAngle bool
}

// addressList returns the addresses of a list in their order, without brackets.
func addressList(list string) ([]string, error) {
	s := &addressScanner{}
	for i := 0; i < len(list); i++ {
		if err := s.next(list[i]); err != nil {
			return nil, err
		}
	}
	if s.quoted || s.depth > 0 || s.inAngle {
		return nil, fmt.Errorf("%q is cut short", clip(list))
	}
	if err := s.end(); err != nil {
		return nil, err
	}
	return s.all, nil
}

// next takes one octet.
func (s *addressScanner) next(b byte) error {
	switch {
	case s.escaped:
		s.escaped = false
		s.keep(b)
	case b == '\\' && (s.quoted || s.depth > 0):
		s.escaped = true
		s.keep(b)
	case s.quoted:
		s.quoted = b != '"'
		s.keep(b)
	case b == '(':
		s.depth++
	case s.depth > 0:
		if b == ')' {
			s.depth--
		}
	case b == '"':
		s.quoted = true
		s.keep(b)
	case b == '[' || b == ']':
		s.literal = b == '['
		s.keep(b)
	case s.inAngle:
		s.inAngle = b != '>'
		if s.inAngle {
			s.keep(b)
		}
	case b == '<':
		s.inAngle, s.angle = true, new(string)
	case b == ',' || b == ';':
		return s.end()
	case b == ':' && !s.literal: // what came before is a group's name
		s.text.Reset()
	default:
		s.keep(b)
	}
	return nil
}

func (s *addressScanner) keep(b byte) {
	switch {
	case s.depth > 0:
	case s.inAngle:
		*s.angle += string([]byte{b})
	default:
		s.text.WriteByte(b)
	}
}

// end ends one member of the list.
func (s *addressScanner) end() error {
	address := strings.TrimSpace(s.text.String())
	if s.angle != nil {
		address = strings.TrimSpace(*s.angle)
		if _, after, ok := strings.Cut(address, ":"); ok && strings.HasPrefix(address, "@") {
			address = after // an obsolete source route
		}
	}
	s.text.Reset()
	s.angle, s.literal = nil, false
	if address == "" {
		return nil
	}
	if !sound(address) {
		return fmt.Errorf("%q cannot be read as an address", clip(address))
	}
	s.all = append(s.all, address)
	return nil
}

// sound reports an address that can stand in an envelope.
func sound(address string) bool {
	at := strings.LastIndexByte(address, '@')
	local := address
	if at >= 0 {
		local = address[:at]
	}
	literal := strings.HasPrefix(address[len(local):], "@[") && strings.IndexByte(address[len(local):], ']') == len(address)-len(local)-1
	quoted := len(local) >= 2 && local[0] == '"' && local[len(local)-1] == '"'
	switch {
	case len(address) > maxAddress, !utf8.ValidString(address), strings.ContainsFunc(address, unicode.IsControl),
		at == 0 || at == len(address)-1, strings.ContainsAny(address[len(local):], " \t\"<>(),;"),
		!literal && strings.ContainsAny(address[len(local):], ":[]"):
		return false
	case quoted:
		return true
	}
	// "|program" and "/file" are deliveries of a mail server on this machine.
	return local != "" && !strings.ContainsAny(local, " \t\"<>(),;:@\\") && !strings.ContainsAny(local[:1], "|/")
}

// clip cuts a text for an error message.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
