package reply

import (
	"reflect"
	"strings"
	"testing"

	"melon/upstream"
)

func TestParse(t *testing.T) {
	t.Parallel()
	e := func(a, b, c int) upstream.EnhancedCode { return upstream.EnhancedCode{a, b, c} }
	for _, tt := range []struct {
		name, text string
		code       int
		enhanced   upstream.EnhancedCode
		lines      []string
	}{
		{"one line", "550 5.7.1 Relaying denied", 550, e(5, 7, 1), []string{"Relaying denied"}},
		{"no enhanced code", "530 Authentication required\r\n", 530, e(0, 0, 0), []string{"Authentication required"}},
		{"several lines", "550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three\r\n", 550, e(5, 7, 1), []string{"one", "two", "three"}},
		{"literal line ends", `550-one\n550 two`, 550, e(0, 0, 0), []string{"one", "two"}},
		{"lines run together", "550-5.7.1 one 550-5.7.1 two 550 5.7.1 three", 550, e(5, 7, 1), []string{"one", "two", "three"}},
		{"wrapped", "550 5.7.1 one\n  two", 550, e(5, 7, 1), []string{"one", "two"}},
		{"quoted", `"550 no"`, 550, e(0, 0, 0), []string{"no"}},
		{"number sign", "550 #5.1.0 Address rejected.", 550, e(5, 1, 0), []string{"Address rejected."}},
		{"code alone", "550", 550, e(0, 0, 0), nil},
		{"POP3", "-ERR [AUTH] Bad password\r\n", 0, e(0, 0, 0), []string{"-ERR [AUTH] Bad password"}},
		{"POP3 in a box", "Sending of password failed. Mail server pop.example.com responded: '-ERR [IN-USE] locked', Port: 110", 0, e(0, 0, 0), []string{"-ERR [IN-USE] locked"}},
		{"Thunderbird", "An error occurred while sending mail. The mail server responded:  5.7.1 <user@example.com>: Relay access denied. Please check the message recipient \"user@example.com\" and try again.",
			0, e(5, 7, 1), []string{"<user@example.com>: Relay access denied."}},
		{"Outlook", "Task 'home' reported error (0x800CCC79): 'The server responded: 550 5.7.1 no relaying.'", 550, e(5, 7, 1), []string{"no relaying.'"}},
		{"Outlook Express", "Protocol: SMTP, Server Response: '554 sorry', Port: 25, Secure(SSL): No, Server Error: 554, Error Number: 0x800CCC79", 554, e(0, 0, 0), []string{"sorry"}},
		{"Outlook Express, an apostrophe inside", "Server Response: '553 that domain isn't mine', Port: 25", 553, e(0, 0, 0), []string{"that domain isn't mine"}},
		{"Outlook Express, no code in the response", "Server Response: 'Relaying denied', Port: 587, Server Error: 550, Error Number: 0x800CCC79", 550, e(0, 0, 0), []string{"Relaying denied"}},
		{"Outlook Express, Japanese", "サーバーの応答: '554 sorry, you must get POP/APOP authorization.', ポート: 25, サーバー エラー: 554, エラー番号: 0x800CCC79",
			554, e(0, 0, 0), []string{"sorry, you must get POP/APOP authorization."}},
		{"server error", "Server error: '554 denied'", 554, e(0, 0, 0), []string{"denied"}},
		{"Apple Mail", "Cannot send message using the server smtp.example.com:587. The server response was: 550 5.1.1 no such user", 550, e(5, 1, 1), []string{"no such user"}},
		{"Gmail app, bounce", "The response from the remote server was:\n550 5.1.1 No such user", 550, e(5, 1, 1), []string{"No such user"}},
		{"Exim bounce", "SMTP error from remote mail server after RCPT TO:<user@example.com>:\n    host mx.example.com [192.0.2.25]: 550 5.1.1 User unknown", 550, e(5, 1, 1), []string{"User unknown"}},
		{"Postfix bounce", "<user@example.com>: host mx[192.0.2.5] said: 552 5.2.2 over quota (in reply to RCPT TO command)", 552, e(5, 2, 2), []string{"over quota (in reply to RCPT TO command)"}},
		{"an outer reply quotes an inner one", "577 5.1.1 undeliverable: host mx said: 550 unknown", 577, e(5, 1, 1), []string{"undeliverable: host mx said: 550 unknown"}},
		{"transcript", "<<< 550 5.7.1 denied", 550, e(5, 7, 1), []string{"denied"}},
		{"ports and sizes are no codes", "smtp.example.com port 465 refused, size 500", 0, e(0, 0, 0), []string{"smtp.example.com port 465 refused, size 500"}},
		{"an IP address is no code", "blocked 192.0.2.55 by 550.1.2.3", 0, e(0, 0, 0), []string{"blocked 192.0.2.55 by 550.1.2.3"}},
		{"control characters", "550 a\x00b\x1b[31m", 550, e(0, 0, 0), []string{"a?b?[31m"}},
		{"empty", "  \r\n ", 0, e(0, 0, 0), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := Parse(tt.text)
			if r.Code != tt.code || r.Enhanced != tt.enhanced || !reflect.DeepEqual(r.Lines, tt.lines) {
				t.Errorf("Parse(%q) = %d %q %q\nwant %d %q %q", tt.text, r.Code, r.Enhanced, r.Lines, tt.code, tt.enhanced, tt.lines)
			}
		})
	}
}

// TestParseIsBounded holds that neither one long line nor many lines get
// through, and that it ends.
func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		strings.Repeat("550 ", MaxText), strings.Repeat("550-\n", MaxText), strings.Repeat("a", 2*MaxText),
		strings.Repeat("'", MaxText), strings.Repeat("said: ", MaxText), strings.Repeat("あ", MaxText), "-ERR " + strings.Repeat("x ", MaxText),
	} {
		r := Parse(text)
		if len(r.Lines) > maxLines {
			t.Errorf("%q...: %d lines", text[:10], len(r.Lines))
		}
		for _, l := range r.Lines {
			if len(l) > upstream.MaxReplyLine {
				t.Errorf("%q...: a line of %d octets", text[:10], len(l))
			}
		}
		ClassifyText("", text)
	}
}

func TestNormalise(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Relaying denied (#5.7.1)":                             "relaying denied",
		"E-mail from <a@b.example>: isn't OK":                  "email from ~addr isnt ok",
		"blocked using zen.spamhaus.org; https://x.example/?q": "blocked using ~rbl ~host",
		"RESOLVER.RST.RecipSizeLimit; too large":               "resolver rst recip size limit too large",
		"later.Please try 192.0.2.1 at 25":                     "later please try ~ip at",
		"Straße réessayez ÜBER":                                "strasse reessayez uber",
		"POP before SMTPによる認証":                                 "pop before smtp による認証",
		"see www.openspf.org/Why?s=x":                          "see ~spf s x",
		"id DsCowABXX1231 S3150, see RFC2822":                  "id ds cow see rfc",
	} {
		if got := strings.Join(normalise(text).words, " "); got != want {
			t.Errorf("normalise(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestGroupsAreNormal holds that every word of a group can occur in a
// normalised text, and that no word stands twice in a group.
func TestGroupsAreNormal(t *testing.T) {
	t.Parallel()
	for name, words := range groups {
		seen := map[string]bool{}
		for word := range strings.FieldsSeq(words) {
			stem := strings.TrimSuffix(word, "*")
			if n := normalise(stem); len(n.words) != 1 || n.words[0] != stem {
				if !strings.HasPrefix(word, "~") {
					t.Errorf("group %s: %q is read as %q", name, word, n.words)
				}
			}
			if seen[word] {
				t.Errorf("group %s: %q stands there twice", name, word)
			}
			seen[word] = true
		}
	}
}

// TestRulesAreNormal holds that every word of the table can occur in a
// normalised text, that classes are known, and that a rule asks for something.
func TestRulesAreNormal(t *testing.T) {
	t.Parallel()
	for i, r := range allRules() {
		if !replyClass(r.is) || r.in == 0 {
			t.Errorf("rule %d: class %q, phases %b", i, r.is, r.in)
		}
		if r.in&pop != 0 && r.in&smtp != 0 {
			t.Errorf("rule %d (%s) is for POP and for SMTP", i, r.is)
		}
		for _, s := range append(append([]string{}, r.say...), r.not) {
			for word := range strings.FieldsSeq(strings.ReplaceAll(s, "|", " ")) {
				stem := strings.TrimSuffix(word, "*")
				if name, ok := strings.CutPrefix(word, "$"); ok {
					if groups[name] == "" {
						t.Errorf("rule %d (%s): no group %q", i, r.is, name)
					}
					continue
				}
				if word == ".." || strings.HasPrefix(word, "~") || hasUnspaced(word) {
					continue
				}
				if n := normalise(stem); len(n.words) != 1 || n.words[0] != stem {
					t.Errorf("rule %d (%s): %q is read as %q", i, r.is, word, n.words)
				}
			}
		}
	}
}
