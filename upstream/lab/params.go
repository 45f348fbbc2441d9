package lab

import (
	"bufio"
	"strconv"
	"strings"

	"melon/upstream"
)

// errBufferFull is what a line longer than the buffer reads as.
var errBufferFull = bufio.ErrBufferFull

// parsePath parses "FROM:<path> PARAMS".
func parsePath(args, prefix string) (path string, params []string, ok bool) {
	if len(args) < len(prefix) || !strings.EqualFold(args[:len(prefix)], prefix) {
		return "", nil, false
	}
	rest := strings.TrimLeft(args[len(prefix):], " ")
	if !strings.HasPrefix(rest, "<") {
		return "", nil, false
	}
	end := strings.IndexByte(rest, '>')
	if q := strings.IndexByte(rest, '"'); q == 1 { // a quoted local part may hold ">"
		if close := strings.LastIndex(rest, `"@`); close > 0 {
			if e := strings.IndexByte(rest[close:], '>'); e >= 0 {
				end = close + e
			}
		}
	}
	if end < 0 || end+1 < len(rest) && rest[end+1] != ' ' {
		return "", nil, false
	}
	path = rest[1:end]
	if path != "" && (!strings.Contains(path, "@") || strings.ContainsAny(path, "\x00\r\n")) && !strings.EqualFold(path, "postmaster") {
		return "", nil, false
	}
	return path, strings.Fields(rest[end+1:]), true
}

// mailParams fills in the envelope from MAIL's parameters; it returns a reply
// when one is not taken.
func (s *smtpSession) mailParams(e *upstream.Envelope, params []string) (refusal string) {
	for _, p := range params {
		key, value, _ := strings.Cut(p, "=")
		key = strings.ToUpper(key)
		ok := false
		switch key {
		case "SIZE":
			n, err := strconv.ParseInt(value, 10, 64)
			ok = s.offers("SIZE") && err == nil && n >= 0
			e.Size = n
		case "BODY":
			e.Body = upstream.BodyType(strings.ToUpper(value))
			ok = s.offers("8BITMIME") && (e.Body == upstream.Body7Bit || e.Body == upstream.Body8BitMIME)
		case "SMTPUTF8":
			ok = s.offers("SMTPUTF8") && value == ""
			e.SMTPUTF8 = true
		case "RET":
			e.Return = strings.ToUpper(value)
			ok = s.offers("DSN") && (e.Return == "FULL" || e.Return == "HDRS")
		case "ENVID":
			e.EnvelopeID, ok = unxtext(value)
			ok = ok && s.offers("DSN")
		case "AUTH": // RFC 4954 section 5
			ok = s.offersAuth()
		}
		if !ok {
			return "555 5.5.4 Unsupported option: " + key
		}
	}
	if !e.SMTPUTF8 && !ascii(e.From) {
		return "553 5.6.7 Address needs SMTPUTF8"
	}
	return ""
}

// rcptParams is mailParams for RCPT.
func (s *smtpSession) rcptParams(rc *upstream.Recipient, params []string) (refusal string) {
	for _, p := range params {
		key, value, _ := strings.Cut(p, "=")
		key = strings.ToUpper(key)
		ok := false
		switch key {
		case "NOTIFY":
			rc.Notify = strings.Split(strings.ToUpper(value), ",")
			ok = s.offers("DSN") && value != ""
		case "ORCPT":
			var address string
			rc.OriginalType, address, ok = strings.Cut(value, ";")
			if strings.EqualFold(rc.OriginalType, "utf-8") {
				rc.Original = address
			} else if ok {
				rc.Original, ok = unxtext(address)
			}
			ok = ok && s.offers("DSN")
		}
		if !ok {
			return "555 5.5.4 Unsupported option: " + key
		}
	}
	if !s.tx.env.SMTPUTF8 && !ascii(rc.Address) {
		return "553 5.6.7 Address needs SMTPUTF8"
	}
	return ""
}

// unxtext decodes xtext (RFC 3461 section 4).
func unxtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '+' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		v, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(v))
		i += 2
	}
	return b.String(), true
}

// ascii reports whether s has ASCII octets alone.
func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
