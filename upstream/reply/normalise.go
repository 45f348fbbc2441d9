package reply

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"melon/upstream"
)

// maxNormal bounds, in octets, how much of a reply is read for its meaning.
const maxNormal = 8 << 10

// maxWords bounds how many words are read; the rest of a reply never matters.
const maxWords = 600

// The words that stand for what was dropped, so that rules can still ask
// whether there was any.
const (
	wordAddress   = "~addr" // a mail address
	wordHost      = "~host" // a host name or a URL
	wordIP        = "~ip"   // an IPv4 address
	wordBlocklist = "~rbl"  // a host or URL of a list of senders
	wordSPF       = "~spf"  // a host or URL that explains SPF
	wordRecipient = "~rcpt" // "Recipient address rejected", as Postfix and its policy servers begin any refusal of RCPT
)

// blocklistNames are parts of host names that tell a list of refused senders
// from any other host.
var blocklistNames = []string{
	"spamhaus", "spamcop", "sorbs", "dnsbl", "abuseat", "barracudacentral", "barracudanetworks",
	"senderbase", "abusix", "uceprotect", "mailspike", "senderscore", "cloudmark", "rbl", "njabl",
	"ordb", "sender.office.com", "dsbl", "psbl", "invaluement", "spamrats", "backscatterer", "ipcheck.proofpoint",
}

// normal is a reply's text made ready for the rules: words in lower case,
// without addresses, hosts, numbers and ids; and, for scripts without blanks,
// the same text run together.
type normal struct {
	words []string
	run   string
}

// normalise reads text once. Full-width letters are folded to plain ones and
// half-width kana to full-width ones (NFKC), accents are dropped from Latin
// letters, CamelCase and hyphens part words, "e-mail" is "email" and an
// apostrophe vanishes ("isn't" is "isnt").
func normalise(text string) normal {
	text = clip(text, maxNormal)
	ascii := isASCII(text)
	if !ascii {
		text = clip(norm.NFKC.String(text), maxNormal)
	}
	n := normal{words: make([]string, 0, 48)}
	if !ascii && hasUnspaced(text) {
		n.run = runTogether(text)
	}
	for chunk := range strings.FieldsSeq(text) {
		if len(n.words) >= maxWords {
			break
		}
		n.chunk(chunk)
	}
	n.join()
	return n
}

// chunk adds the words of one run of non-blanks.
func (n *normal) chunk(s string) {
	if i := strings.Index(s, "://"); i >= 0 {
		start := strings.LastIndexFunc(s[:i], func(r rune) bool { return !unicode.IsLetter(r) }) + 1
		n.chunk(s[:start])
		n.words = append(n.words, hostWord(s[start:]))
		return
	}
	if i := strings.Index(s, "..."); i >= 0 {
		n.chunk(s[:i])
		n.chunk(s[i+3:])
		return
	}
	for piece := range strings.FieldsFuncSeq(s, partsPieces) {
		n.piece(strings.Trim(piece, ".-_#/\\~'`’"))
	}
}

// partsPieces reports the runes that end an address or a host name.
func partsPieces(r rune) bool {
	switch r {
	case '<', '>', '(', ')', '[', ']', '{', '}', '"', ',', ';', ':', '=', '|', '*', '!', '?', '、', '。', '「', '」', '・', '“', '”', '«', '»':
		return true
	}
	return false
}

// piece adds what one address, host name, number or word comes to.
func (n *normal) piece(p string) {
	switch {
	case p == "":
	case strings.Contains(p, "@"):
		n.words = append(n.words, wordAddress)
	case isEnhanced(p):
	case isDotted(p):
		n.words = append(n.words, wordIP)
	case isHost(p):
		n.words = append(n.words, hostWord(p))
	default:
		n.split(p)
	}
}

// split parts p at punctuation, at lower-to-upper case and where a script
// without blanks meets one with them, and adds the words.
func (n *normal) split(p string) {
	start := 0
	var last rune
	for i, r := range p {
		if i > 0 && (!wordRune(r) || unicode.IsLower(last) && unicode.IsUpper(r) && r < 0x80 ||
			wordRune(last) && unspaced(r) != unspaced(last)) {
			n.word(p[start:i])
			start = i
		}
		last = r
	}
	n.word(p[start:])
}

// word adds one word unless it is a number or an id.
func (n *normal) word(w string) {
	w = strings.TrimLeftFunc(w, func(r rune) bool { return !wordRune(r) })
	digits := 0
	for i := range len(w) {
		if w[i] >= '0' && w[i] <= '9' {
			digits++
		}
	}
	if len(w) == digits+3 && strings.EqualFold(w[:3], "rfc") {
		w, digits = w[:3], 0
	}
	if w == "" || digits == len(w) || digits > 2 || digits == 2 && len(w) > 7 || len(n.words) >= maxWords {
		return
	}
	n.words = append(n.words, fold(w))
}

// join makes "e mail" one word, and "recipient address rejected" the one that
// stands for it, as the reason follows it.
func (n *normal) join() {
	out := n.words[:0]
	for i := 0; i < len(n.words); i++ {
		w, rest := n.words[i], n.words[i+1:]
		switch {
		case w == "e" && len(rest) > 0 && strings.HasPrefix(rest[0], "mail"):
			i++
			w = "e" + rest[0]
		case w == "recipient" && len(rest) > 1 && rest[0] == "address" && rest[1] == "rejected":
			i += 2
			w = wordRecipient
		}
		out = append(out, w)
	}
	n.words = out
}

// fold lowers w, drops accents from Latin letters and apostrophes from all.
func fold(w string) string {
	if isASCII(w) {
		return strings.ReplaceAll(strings.ToLower(w), "'", "")
	}
	var b strings.Builder
	for _, r := range strings.ToLower(w) {
		switch {
		case r == '\'' || r == '’' || r == 'ʼ':
		case r == 'ß':
			b.WriteString("ss")
		case r >= 0xc0 && r < 0x250:
			b.WriteRune([]rune(norm.NFD.String(string(r)))[0])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// runTogether lowers text and drops every blank.
func runTogether(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, text)
}

// wordRune reports whether r belongs inside a word.
func wordRune(r rune) bool {
	return r == '\'' || r == '’' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == 'ー'
}

// unspaced reports whether r belongs to a script that is written without blanks.
func unspaced(r rune) bool { return r >= 0x2e80 && r < 0xfb00 && r != 0xa78c }

func hasUnspaced(s string) bool { return strings.IndexFunc(s, unspaced) >= 0 }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// clip cuts s at n octets, at the start of a rune.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// hostWord tells a list of refused senders from any other host or URL.
func hostWord(h string) string {
	h = strings.ToLower(h)
	for _, name := range blocklistNames {
		if strings.Contains(h, name) {
			return wordBlocklist
		}
	}
	if strings.Contains(h, "spf") {
		return wordSPF
	}
	return wordHost
}

// isHost reports whether p looks like a host name: labels parted by dots, the
// last of two letters or more that does not begin with a capital after a small
// letter ("later.Please" is two words, "RESOLVER.RST.NotAuthorized" four).
func isHost(p string) bool {
	i := strings.LastIndexByte(p, '.')
	if i <= 0 || len(p)-i < 3 {
		return false
	}
	for j := range len(p) {
		c := p[j]
		if c >= utf8.RuneSelf || c == '\'' || c == '/' && j < i {
			return false
		}
	}
	last := p[i+1:]
	upper, lower := 0, 0
	for j := range len(last) {
		switch c := last[j]; {
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= 'a' && c <= 'z':
			lower++
		case c == '/' || c == '?' || c == '&':
			return true // a URL without its scheme
		default:
			return false
		}
	}
	return upper == 0 || lower == 0
}

// isDotted reports whether p is an IPv4 address or a part of one.
func isDotted(p string) bool {
	dots := 0
	for i := range len(p) {
		switch c := p[i]; {
		case c == '.':
			dots++
		case c == '/' && i > 6:
		case c < '0' || c > '9':
			return false
		}
	}
	return dots >= 3
}

// isEnhanced reports whether p is an enhanced status code (RFC 3463).
func isEnhanced(p string) bool {
	_, n := leadingEnhanced(p)
	return n > 0 && n == len(p)
}

// leadingEnhanced returns the enhanced status code at the start of s and its
// length in octets, 0 when there is none.
func leadingEnhanced(s string) (upstream.EnhancedCode, int) {
	var e upstream.EnhancedCode
	i := 0
	for part := range 3 {
		start := i
		for i < len(s) && i-start < 3 && s[i] >= '0' && s[i] <= '9' {
			e[part] = e[part]*10 + int(s[i]-'0')
			i++
		}
		if i == start || part == 0 && (i-start != 1 || e[0] != 2 && e[0] != 4 && e[0] != 5) {
			return upstream.EnhancedCode{}, 0
		}
		if part < 2 {
			if i >= len(s) || s[i] != '.' {
				return upstream.EnhancedCode{}, 0
			}
			i++
		}
	}
	if i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9') {
		return upstream.EnhancedCode{}, 0 // an IP address
	}
	return e, i
}
