package route

import (
	"bytes"
	"io"
	"mime"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxHeader is how many octets of a message are looked at for its header.
const MaxHeader = 256 << 10

const (
	maxField     = 64 << 10 // octets of one From field that are read
	maxAddresses = 64
)

// HeaderFrom returns the addresses of the header From in the first octets of a
// message, in their order and each once; nil when there is none. It takes what
// mail apps write and not only what RFC 5322 section 3.4 allows: a field that
// cannot be parsed is searched for what looks like an address.
func HeaderFrom(message []byte) []string {
	var all []string
	for _, value := range fromFields(message[:min(len(message), MaxHeader)]) {
		for _, address := range addresses(value) {
			if len(all) < maxAddresses && plausible(address) && !slices.Contains(all, address) {
				all = append(all, address)
			}
		}
	}
	return all
}

// fromFields returns the unfolded values of every From field.
func fromFields(header []byte) []string {
	var fields []string
	inFrom := false
	for len(header) > 0 {
		line, rest, _ := bytes.Cut(header, []byte("\n"))
		header = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if last := len(fields) - 1; inFrom && len(fields[last])+len(line) <= maxField {
				fields[last] += string(line)
			}
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		// Blanks in front of the colon are RFC 5322's obsolete syntax.
		inFrom = ok && strings.EqualFold(strings.TrimRight(string(name), " \t"), "from")
		if inFrom {
			fields = append(fields, string(value[:min(len(value), maxField)]))
		}
	}
	return fields
}

// addresses reads one From field.
func addresses(value string) []string {
	parser := mail.AddressParser{WordDecoder: &mime.WordDecoder{
		// Names are of no interest: their charset must not stand in the way.
		CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
	}}
	list, err := parser.ParseList(value)
	if err != nil {
		return search(value)
	}
	var all []string
	for _, a := range list {
		all = append(all, a.Address)
	}
	return all
}

var (
	kanji   = regexp.MustCompile(`\x1b\$[@B].*?(?:\x1b\([BJ]|$)`) // ISO-2022-JP, unencoded
	quoted  = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	comment = regexp.MustCompile(`\([^()]*\)`)
	angle   = regexp.MustCompile(`<\s*([^<>\s"]+@[^<>\s"]+)\s*>`)
	bare    = regexp.MustCompile(`[^\s<>()\[\]",;:\\]+@[^\s<>()",;:\\]+`)
)

// search finds what looks like addresses in a field that is not well formed.
func search(value string) []string {
	value = kanji.ReplaceAllString(value, " ")
	plain := comment.ReplaceAllString(quoted.ReplaceAllString(value, " "), " ")
	for _, text := range []string{plain, value} {
		var all []string
		for _, m := range angle.FindAllStringSubmatch(text, maxAddresses) {
			all = append(all, m[1])
		}
		if len(all) == 0 {
			all = bare.FindAllString(text, maxAddresses)
		}
		if len(all) > 0 {
			return all
		}
	}
	return nil
}

// plausible refuses what no account could claim.
func plausible(address string) bool {
	at := strings.LastIndexByte(address, '@')
	return at > 0 && at < len(address)-1 && len(address) <= 320 && utf8.ValidString(address) &&
		!strings.ContainsFunc(address, func(r rune) bool { return unicode.IsControl(r) })
}
