package reply

import (
	"strings"
	"unicode"

	"melon/upstream"
)

// MaxText is how many octets of a pasted text Parse looks at.
const MaxText = 64 << 10

// maxLines bounds how many lines of a reply are kept.
const maxLines = 64

// Parse finds the server's reply in any pasted text: a reply off the wire (also
// of several lines, also with a literal \n between them), a mail app's error
// box around it, a bounce that quotes it. Text without any code is a reply of
// code 0. The lines are cleaned and bounded.
func Parse(text string) upstream.Reply {
	text = unescape(cutTrace(clip(text, MaxText)))
	if line, ok := popLine(text); ok {
		return upstream.Reply{Lines: []string{upstream.CleanLine(line)}}
	}
	at, code := findCode(text)
	if code == 0 {
		return withoutCode(text)
	}
	if words, ok := tuple(text, at+3); ok {
		return upstream.Reply{Code: code, Enhanced: firstEnhanced(words), Lines: replyLines(words, "")}
	}
	if after := text[at+3:]; after == "" && at > 0 || after != "" && strings.IndexByte(" -_\t\n", after[0]) < 0 {
		// A bare "Server error: 554" at the end of an error box: the words
		// stand elsewhere.
		if r, ok := afterMarker(text); ok {
			r.Code = code
			return r
		}
	}
	body := cutTail(quoted(text, at))
	return upstream.Reply{Code: code, Enhanced: firstEnhanced(body[3:]), Lines: replyLines(body, body[:3])}
}

// unescape turns literal \r\n and \n into line ends, cleans what is no text and
// takes quotes off both ends.
func unescape(s string) string {
	s = strings.NewReplacer(`\r\n`, "\n", `\n`, "\n", "\r\n", "\n", "\r", "\n", "\u00a0", " ", "\u3000", " ").Replace(strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	for _, q := range []string{`"`, `'`, "`"} {
		if len(s) > 1 && strings.HasPrefix(s, q) && strings.HasSuffix(s, q) {
			s = strings.TrimSpace(s[1 : len(s)-1])
		}
	}
	return s
}

// cutTrace drops the stack trace that a program prints below its error, and what
// msmtp puts before each line of the reply.
func cutTrace(s string) string {
	for _, at := range []string{"\n    at ", "\n\tat "} {
		if i := strings.Index(s, at); i >= 0 {
			s = s[:i]
		}
	}
	return strings.ReplaceAll(s, "\nmsmtp: server message: ", "\n")
}

// tuple returns the words of a reply that a program shows as code and string,
// such as Python's (554, b'5.7.1 no relaying'); at is where the code ends.
func tuple(text string, at int) (string, bool) {
	rest, ok := strings.CutPrefix(text[at:], ",")
	if !ok {
		return "", false
	}
	rest = strings.TrimPrefix(strings.TrimLeft(rest, " "), "b")
	if rest == "" || rest[0] != '\'' && rest[0] != '"' {
		return "", false
	}
	return quoted(rest, 1), true
}

// popLine returns the POP3 answer in text, "-ERR" included (RFC 1939 section 3).
func popLine(text string) (string, bool) {
	i := strings.Index(text, "-ERR")
	if i < 0 {
		if i = strings.Index(text, "-err "); i < 0 {
			return "", false
		}
	}
	if i > 0 && letterOrDigit(text[i-1]) {
		return "", false
	}
	return strings.TrimSpace(oneLine(cutTail(quoted(text, i)))), true
}

// withoutCode makes a reply of a text that holds no reply code: what a mail app
// put around the server's words is cut off where that is plain.
func withoutCode(text string) upstream.Reply {
	if r, ok := afterMarker(text); ok {
		return r
	}
	text = cutTail(text)
	return upstream.Reply{Enhanced: firstEnhanced(text), Lines: replyLines(text, "")}
}

// afterMarker makes a reply of the words that follow the last announcement of
// the server's answer, if there is one.
func afterMarker(text string) (upstream.Reply, bool) {
	lower := asciiLower(text)
	for _, m := range markers {
		i := strings.LastIndex(lower, m)
		if i < 0 {
			continue
		}
		at := i + len(m)
		at += len(text[at:]) - len(strings.TrimLeft(text[at:], " :：'\"\n"))
		if words := cutTail(quoted(text, at)); words != "" {
			return upstream.Reply{Enhanced: firstEnhanced(words), Lines: replyLines(words, "")}, true
		}
	}
	return upstream.Reply{}, false
}

// markers are the words with which mail apps and bounces announce what the
// server said, in lower case.
var markers = []string{
	"サーバーが応答しました", "サーバが応答しました", "responded", "server message", "server response was", "server response", "response was", "response from the remote server was",
	"remote host said", "said", "サーバーの応答", "サーバの応答", "応答", "服务器响应", "resposta do servidor",
	"respuesta del servidor", "r\u00e9ponse du serveur", "antwort des servers", "risposta del server", "detail",
}

// tails are the words with which mail apps go on after the server's words, in
// lower case.
var tails = []string{
	" please check the message recipient", " please check the message and try again", " please verify that your email address",
	" please verify that your mail server", " please check your message", " please check the message",
	", port:", ", ポート", "', port", ", secure(ssl)", ", server error:", ", error number", ", サーバー エラー", ", エラー番号",
	"\nport:", "\nポート", "\nアカウント", "\naccount:", "\nサーバー エラー", "\nserver error:", "\nエラー番号", "\nerror number",
	"\nサーバー:", "\nserver:", "\n--", " account: '", ", protocol:", " smtp code:", "\nmsmtp: could not", "\nerror sending message",
	"\nservidor:", "\nid de erro", "\nprotocol", "\nporta:", "\npuerto:", ", puerto:", ", 端口",
	"--- below this line", "------ this is a copy", "--- the header of the original",
}

// cutTail drops what a mail app appended to the server's words.
func cutTail(s string) string {
	lower := asciiLower(s)
	flat := strings.ReplaceAll(lower, "\n", " ")
	end := len(s)
	for _, t := range tails {
		in := lower
		if t[0] == ' ' {
			in = flat
		}
		if i := strings.Index(in[:end], t); i > 3 {
			end = i
		}
	}
	return s[:end]
}

// asciiLower lowers ASCII letters alone, so that offsets stay the same.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// quoted returns s from at on, up to the quote that closes the one right before
// at, if there is one.
func quoted(s string, at int) string {
	before, rest := s[:at], s[at:]
	for _, q := range [][2]string{{"'", "'"}, {`"`, `"`}, {"「", "」"}, {"“", "”"}, {"‘", "’"}, {"«", "»"}} {
		if !strings.HasSuffix(before, q[0]) {
			continue
		}
		for i := 0; i < len(rest); {
			j := strings.Index(rest[i:], q[1])
			if j < 0 {
				break
			}
			i += j + len(q[1])
			// An apostrophe inside a word closes nothing.
			if i == len(rest) || !letterOrDigit(rest[i]) || q[1] != "'" {
				return rest[:i-len(q[1])]
			}
		}
	}
	return rest
}

// findCode returns where the reply code of text stands, and the code; 0 when
// there is none. A code at the very start wins, then one that is announced,
// then one at the start of a line.
func findCode(text string) (at, code int) {
	best, lower := 0, asciiLower(text)
	start := len(text) - len(strings.TrimLeft(text, " \t\n'\"#<>:*-"))
	for i := 0; i+3 <= len(text); i++ {
		c := text[i]
		if c < '2' || c > '5' || !digit(text[i+1]) || !digit(text[i+2]) {
			continue
		}
		if score := codeScore(text, lower, start, i); score > best {
			best, at = score, i
			code = int(c-'0')*100 + int(text[i+1]-'0')*10 + int(text[i+2]-'0')
		}
	}
	return at, code
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letterOrDigit(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' }

// codeScore says how much the three digits at i look like the reply code; 0 is
// not at all. start is where the text begins after quotes and the like.
func codeScore(text, lower string, start, i int) int {
	before, after := text[:i], text[i+3:]
	if after != "" && !strings.ContainsRune(" -\n\t,.:;)'\"」”_", rune(after[0])) && after[0] < 0x80 {
		return 0
	}
	if len(after) > 1 && (after[0] == '.' || after[0] == ',' || after[0] == ':') && digit(after[1]) {
		return 0
	}
	if before != "" {
		if c := before[len(before)-1]; letterOrDigit(c) || strings.IndexByte(".-/@[+_&", c) >= 0 {
			return 0
		}
	}
	context := strings.TrimRight(lower[max(0, i-40):i], " :：'\"「“‘\n\t(#>")
	score := 10
	switch {
	case text[i] < '4' && i > start:
		return 0 // an answer that refuses nothing is not looked for inside a text
	case i <= start:
		score = 100
	case strings.HasSuffix(context, "port") || strings.HasSuffix(context, "ポート") || strings.HasSuffix(context, "size"):
		return 0
	case announced(context):
		score = 80
	case strings.HasSuffix(strings.TrimRight(before, " \t"), "\n"):
		score = 60
	case strings.HasSuffix(strings.TrimRight(before, " "), ":"), strings.HasSuffix(before, "'"), strings.HasSuffix(before, "\""):
		score = 50
	}
	if n := text[i : i+3]; score < 60 && (n == "465" || n == "587") {
		return 0
	}
	rest := strings.TrimLeft(after, " -#\n")
	if e, n := leadingEnhanced(rest); n > 0 && e[0] == int(text[i]-'0') {
		score += 15
	} else if rest == "" || after[0] != ' ' && after[0] != '-' && after[0] != '\n' {
		score -= 45
	}
	return max(score, 1)
}

// announced reports whether context, what stands before a code in lower case,
// ends in words that announce the server's answer.
func announced(context string) bool {
	for _, m := range markers {
		if strings.HasSuffix(context, m) {
			return true
		}
	}
	return strings.HasSuffix(context, "server error") || strings.HasSuffix(context, "smtp;") || strings.HasSuffix(context, "<<<")
}

// firstEnhanced returns the enhanced status code at the start of s, after
// blanks, "#" and the reply code's hyphen.
func firstEnhanced(s string) upstream.EnhancedCode {
	e, _ := leadingEnhanced(strings.TrimLeft(s, " -#\n\t"))
	return e
}

// replyLines parts s into the lines of a reply, without code and enhanced
// status code, also where an app ran the lines together.
func replyLines(s, code string) []string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.TrimSpace(line)
		if code != "" {
			line = separate(line, code)
		}
		for part := range strings.SplitSeq(line, "\n") {
			if part = stripCodes(part, code); part != "" && len(lines) < maxLines {
				lines = append(lines, upstream.CleanLine(part))
			}
		}
	}
	return lines
}

// separate puts a line end before each "550-" and "550 5.7.1" inside line.
func separate(line, code string) string {
	var b strings.Builder
	start := 0
	for i := 1; i+4 <= len(line); i++ {
		if line[i-1] != ' ' || line[i:i+3] != code {
			continue
		}
		_, n := leadingEnhanced(line[i+4:])
		if line[i+3] == '-' || line[i+3] == ' ' && n > 0 {
			b.WriteString(line[start : i-1])
			b.WriteByte('\n')
			start = i
		}
	}
	b.WriteString(line[start:])
	return b.String()
}

// stripCodes takes reply code and enhanced status code off the start of a line.
func stripCodes(line, code string) string {
	if code != "" && strings.HasPrefix(line, code) && (len(line) == 3 || !digit(line[3]) && line[3] != '.') {
		line = strings.TrimLeft(line[3:], " -\t_,:")
	}
	bare := strings.TrimPrefix(line, "#")
	if _, n := leadingEnhanced(bare); n > 0 && (n == len(bare) || strings.IndexByte(" :,-\t", bare[n]) >= 0) {
		line = strings.TrimLeft(bare[n:], " :,-\t")
	}
	return strings.TrimSpace(line)
}

// oneLine turns every run of blanks and line ends into one blank.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ")
}
