package trace

import (
	"bytes"
	"encoding/base64"
	"strings"
)

const (
	maxSecrets = 64 // remembered for one connection; the oldest goes first
	maxHead    = 64 // octets kept of each
	// minSecret is the length from which a secret is cut out of any line. A
	// shorter one would make every line unreadable; it hides the whole text of
	// a server's line that holds it.
	minSecret = 4
)

// secrets remembers what was masked, to mask it again where it is repeated.
type secrets struct{ heads []secret }

type secret struct {
	head string // lower case, at most maxHead octets
	long bool   // there was more
}

// add remembers s without the white space around it.
func (k *secrets) add(s []byte) {
	s = bytes.TrimSpace(s)
	if len(s) == 0 {
		return
	}
	n := secret{head: lower(s[:min(len(s), maxHead)]), long: len(s) > maxHead}
	for _, old := range k.heads {
		if old == n {
			return
		}
	}
	if len(k.heads) == maxSecrets {
		k.heads = k.heads[1:]
	}
	k.heads = append(k.heads, n)
}

// addUnknown remembers a client line that is no known command: it may be a
// secret as a whole, in its arguments or in its last word.
func (k *secrets) addUnknown(line []byte) {
	k.add(line)
	if _, args, ok := bytes.Cut(bytes.TrimLeft(line, " "), []byte{' '}); ok {
		k.add(args)
	}
	if words := bytes.Fields(line); len(words) > 1 {
		k.add(words[len(words)-1])
	}
}

// scrub returns line with every remembered secret masked, in whatever case.
// Secrets may overlap: octets are marked first and replaced afterwards.
func (k *secrets) scrub(line []byte) []byte {
	low := lower(line)
	var hidden []bool // by octet of line; nil while nothing was found
	for _, s := range k.heads {
		if !strings.Contains(low, s.head) {
			continue
		}
		if hidden == nil {
			hidden = make([]bool, len(line))
		}
		s.mark(low, hidden)
	}
	if hidden == nil {
		return line
	}
	var out []byte
	for i, c := range line {
		switch {
		case !hidden[i]:
			out = append(out, c)
		case i == 0 || !hidden[i-1]:
			out = append(out, masked...)
		}
	}
	return out
}

// mark marks the octets of low, which holds s, that must not be shown.
func (s secret) mark(low string, hidden []bool) {
	from := 0
	for {
		at := strings.Index(low[from:], s.head)
		if at < 0 {
			return
		}
		at += from
		end := at + len(s.head)
		switch {
		case len(s.head) < minSecret: // hide the text, keep a status that does not hold it
			if status := strings.IndexByte(low, ' ') + 1; status <= at {
				at = status
			} else {
				at = 0
			}
			end = len(low)
		case s.long: // its tail is not known: hide up to the next space
			if n := strings.IndexByte(low[end:], ' '); n >= 0 {
				end += n
			} else {
				end = len(low)
			}
		}
		for i := at; i < end; i++ {
			hidden[i] = true
		}
		from = at + 1
		if end == len(low) {
			return
		}
	}
}

// lower is bytes.ToLower for ASCII alone, so that offsets stay what they are.
func lower(b []byte) string {
	out := bytes.Clone(b)
	for i, c := range out {
		if 'A' <= c && c <= 'Z' {
			out[i] = c + 'a' - 'A'
		}
	}
	return string(out)
}

// exchange is an AUTH exchange under way (RFC 4954, RFC 5034).
type exchange struct {
	mechanism string
	answers   int // lines of the client so far, the initial response included
}

// mechanisms are the SASL mechanisms whose name is shown. A word after AUTH
// that is none of these may be anything, also a secret.
var mechanisms = []string{
	"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS",
	"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "XOAUTH2", "OAUTHBEARER", "EXTERNAL",
	"ANONYMOUS", "NTLM", "GSSAPI", "APOP",
}

// begin reads the arguments of an AUTH command and returns the exchange and the
// line to show.
func (k *secrets) begin(args []byte) (exchange, string) {
	name, initial, _ := bytes.Cut(bytes.TrimSpace(args), []byte{' '})
	x := exchange{}
	show := "AUTH " + masked
	for _, m := range mechanisms {
		if strings.EqualFold(m, string(name)) {
			x.mechanism, show = m, "AUTH "+m
		}
	}
	if x.mechanism == "" {
		k.add(args)
	}
	if len(bytes.TrimSpace(initial)) > 0 {
		k.answer(&x, initial)
		if x.mechanism != "" {
			show += " " + masked
		}
	}
	return x, show
}

// answer remembers the secret parts of one client line of an exchange: its
// base64 as it is, and what that says. A user name is not among them, as it
// would take every address out of the lines that follow.
func (k *secrets) answer(x *exchange, line []byte) {
	x.answers++
	line = bytes.TrimSpace(line)
	if len(line) > 2 { // "=" and "*" are no answers
		k.addUnknown(line)
	}
	text := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
	n, err := base64.StdEncoding.Decode(text, line)
	if text = text[:n]; err != nil {
		return
	}
	switch x.mechanism {
	case "PLAIN": // authorization identity NUL user NUL password (RFC 4616)
		k.add(text[bytes.LastIndexByte(text, 0)+1:])
	case "LOGIN":
		if x.answers > 1 {
			k.add(text)
		}
	case "CRAM-MD5": // user SPACE digest (RFC 2195)
		k.add(text[bytes.LastIndexByte(text, ' ')+1:])
	case "XOAUTH2", "OAUTHBEARER": // ...auth=Bearer TOKEN ^A ^A
		for _, part := range bytes.Split(text, []byte{1}) {
			if _, token, ok := bytes.Cut(part, []byte("auth=")); ok {
				k.add(token[bytes.LastIndexByte(token, ' ')+1:])
			}
		}
	default:
		k.add(text)
	}
}
