package smtpin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"melon/upstream"
)

// TestSMTPError pins the answer to every kind of error, bare and wrapped.
func TestSMTPError(t *testing.T) {
	t.Parallel()
	reply := func(code int, enhanced upstream.EnhancedCode, lines ...string) upstream.Reply {
		return upstream.Reply{Code: code, Enhanced: enhanced, Lines: lines}
	}
	explain := func(e *upstream.Error) string {
		if e.Class == upstream.ClassOther {
			return ""
		}
		return "Explained."
	}
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"message", &upstream.Error{Phase: upstream.PhaseRcpt, Class: upstream.ClassRecipientUnknown,
			Reply: reply(550, upstream.EnhancedCode{5, 1, 1}, "unknown")},
			"550 5.1.1 5.1.1 unknown\nMelon: Explained."},
		{"message, no enhanced code", &upstream.Error{Phase: upstream.PhaseDataEnd, Class: upstream.ClassOther,
			Reply: reply(554, upstream.EnhancedCode{}, "one", "two")},
			"554 5.0.0 5.0.0 one\ntwo"},
		{"message, wrong enhanced class", &upstream.Error{Phase: upstream.PhaseRcpt, Class: upstream.ClassOther,
			Reply: reply(550, upstream.EnhancedCode{4, 1, 1}, "x")}, "550 5.0.0 x"},
		{"message with a code of AUTH", &upstream.Error{Phase: upstream.PhaseRcpt, Class: upstream.ClassOther,
			Reply: reply(535, upstream.EnhancedCode{5, 7, 8}, "x")}, "554 5.7.8 x"},
		{"password", &upstream.Error{Account: "home", Phase: upstream.PhaseAuth, Class: upstream.ClassCredentialsRejected,
			Reply: reply(535, upstream.EnhancedCode{5, 7, 1}, "bad password")},
			"554 5.7.8 5.7.8 bad password\nMelon, account home: Explained."},
		{"POP password", &upstream.Error{Account: "home", Phase: upstream.PhasePOPPass, Class: upstream.ClassPOPCredentialsRejected,
			Reply: reply(0, upstream.EnhancedCode{}, "-ERR no")},
			"554 5.7.8 5.7.8 -ERR no\nMelon, account home: Explained."},
		{"relay refused at RCPT", &upstream.Error{Account: "home", Phase: upstream.PhaseRcpt, Class: upstream.ClassRelayDeniedIP,
			Reply: reply(550, upstream.EnhancedCode{}, "Relaying denied")},
			"550 5.7.1 5.7.1 Relaying denied\nMelon, account home: Explained."},
		{"relay refused with 530", &upstream.Error{Phase: upstream.PhaseMail, Class: upstream.ClassAuthRequired,
			Reply: reply(530, upstream.EnhancedCode{5, 7, 0}, "Authentication required")},
			"554 5.7.0 5.7.0 Authentication required\nMelon: Explained."},
		{"no password in the clear", &upstream.Error{Phase: upstream.PhaseAuth, Class: upstream.ClassTLSRequired, Sentence: "No TLS."},
			"554 5.7.10 5.7.10 No TLS.\nMelon: Explained."},
		{"temporary", &upstream.Error{Phase: upstream.PhaseRcpt, Class: upstream.ClassGreylisted,
			Reply: reply(450, upstream.EnhancedCode{4, 2, 0}, "greylisted")},
			"451 4.2.0 4.2.0 greylisted\nMelon: Explained."},
		{"provider closes", &upstream.Error{Phase: upstream.PhaseMail, Class: upstream.ClassOther,
			Reply: reply(421, upstream.EnhancedCode{}, "bye")}, "451 4.3.0 bye"},
		{"permanent greeting", &upstream.Error{Phase: upstream.PhaseConnect, Class: upstream.ClassOther,
			Reply: reply(554, upstream.EnhancedCode{5, 3, 2}, "no mail here")}, "451 4.3.0 no mail here"},
		{"unreachable", &upstream.Error{Phase: upstream.PhaseConnect, Class: upstream.ClassServerUnreachable, Sentence: "Not there.",
			Err: &fs.PathError{Op: "dial", Path: "/secret", Err: fs.ErrNotExist}}, "451 4.4.1 4.4.1 Not there.\nMelon: Explained."},
		{"DNS", &upstream.Error{Phase: upstream.PhaseConnect, Class: upstream.ClassDNSFailure, Sentence: "No name."},
			"451 4.4.3 4.4.3 No name.\nMelon: Explained."},
		{"ambiguous", &upstream.Error{Phase: upstream.PhaseDataEnd, Ambiguous: true, Class: upstream.ClassOther, Sentence: "Lost."},
			"451 4.4.2 Lost."},
		{"nothing known", &upstream.Error{Class: upstream.ClassOther}, "451 4.3.0 The provider could not be asked; please try again later."},
		{"unknown", &fs.PathError{Op: "open", Path: "/home/taro", Err: fs.ErrNotExist},
			"451 4.3.0 Melon could not take this just now; please try again later."},
		{"aborted", upstream.ErrBodyAborted, "451 4.3.0 Melon could not take this just now; please try again later."},
		{"cancelled", context.Canceled, "451 4.3.0 Melon could not take this just now; please try again later."},
		{"eof", io.EOF, "451 4.3.0 Melon could not take this just now; please try again later."},
		{"own", refuse(535, 5, 7, 8, "x"), "535 5.7.8 x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, err := range []error{tc.err, fmt.Errorf("wrapped: %w", tc.err), errors.Join(errors.New("a"), tc.err)} {
				e := words{explain: explain}.smtpError(err)
				got := fmt.Sprintf("%d %s %s", e.Code, upstream.EnhancedCode(e.EnhancedCode), e.Message)
				if got != tc.want {
					t.Errorf("got  %q\nwant %q", got, tc.want)
				}
			}
		})
	}
	if (words{}).smtpError(nil) != nil {
		t.Error("nil is an error")
	}
}

// TestNoPasswordPrompt: whatever a provider says in whatever phase, the app
// never hears a code that makes it ask for the local password, nor one that is
// no error, nor one that would close the connection.
func TestNoPasswordPrompt(t *testing.T) {
	t.Parallel()
	classes := append(append(upstream.ReplyClasses(), upstream.NetworkClasses()...), "")
	for _, phase := range append(upstream.Phases(), "") {
		for _, class := range classes {
			for code := 0; code < 600; code++ {
				e := &upstream.Error{Phase: phase, Class: class, Reply: upstream.Reply{Code: code, Lines: []string{"x"}}}
				got := words{}.smtpError(e)
				ok := got.Code/100 == 4 && got.Code != 421 && got.Code != 454 || got.Code/100 == 5 &&
					got.Code != 530 && got.Code != 534 && got.Code != 535 && got.Code != 538
				if !ok || got.EnhancedCode[0] != got.Code/100 {
					t.Fatalf("%s %s %d: %d %v", phase, class, code, got.Code, got.EnhancedCode)
				}
				if want := map[upstream.Kind]int{upstream.KindTemporary: 4}[e.Kind()]; want == 4 && got.Code/100 != 4 {
					t.Fatalf("%s %s %d is temporary and became %d", phase, class, code, got.Code)
				}
			}
		}
	}
}

// TestReplyText: what a provider says reaches the app as text and nothing else.
func TestReplyText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 300)
	for _, tc := range []struct {
		name  string
		utf8  bool
		lines []string
		want  string
	}{
		{"plain", false, []string{"no"}, "550 5.0.0 no"},
		{"accents", false, []string{"Größe überschritten – “l’été” ø…"}, `550 5.0.0 Grosse uberschritten - "l'ete" o...`},
		{"japanese", false, []string{"送信できません (code 5)"}, "550 5.0.0 ? (code 5)"},
		{"japanese alone", false, []string{"送信できません", "denied"}, "550 5.0.0 denied"},
		{"nothing left", false, []string{"送信できません"}, "550 5.0.0 no text was given"},
		{"full width", false, []string{"ＯＫ？"}, "550 5.0.0 OK?"},
		{"japanese asked for", true, []string{"送信できません"}, "550 5.0.0 送信できません"},
		{"splitting", false, []string{"a\r\n250 2.0.0 ok", "b\rc\x1b[2J"}, "550-5.0.0 a\n550-5.0.0 250 2.0.0 ok\n550 5.0.0 b?c?[2J"},
		{"long", false, []string{long}, ""},
		{"long utf8", true, []string{strings.Repeat("送", 400)}, ""},
		{"many", false, strings.Split(strings.Repeat("x\n", 500), "\n"), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{rcpt: func(context.Context, upstream.Recipient) error {
				return &upstream.Error{Phase: upstream.PhaseRcpt, Class: upstream.ClassOther,
					Reply: upstream.Reply{Code: 550, Lines: tc.lines}}
			}}
			a := dial(t, start(t, Options{Handler: r}), 0)
			a.cmd("EHLO x", "250-")
			param := ""
			if tc.utf8 {
				param = " SMTPUTF8"
			}
			a.cmd("MAIL FROM:<a@b.example>"+param, "250")
			got := a.cmd("RCPT TO:<a@b.example>", "550")
			if tc.want != "" && got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
			if n := strings.Count(got, "\n"); n >= maxReplyLines {
				t.Errorf("%d lines", n)
			}
			a.cmd("NOOP", "250") // and nothing came in between
		})
	}
}

// TestExplanationLanguage: what would reach the app as question marks is left
// out, the account's name is not.
func TestExplanationLanguage(t *testing.T) {
	t.Parallel()
	e := &upstream.Error{Account: "home", Phase: upstream.PhaseAuth, Class: upstream.ClassCredentialsRejected,
		Reply: upstream.Reply{Code: 535, Lines: []string{"no"}}}
	w := words{explain: func(*upstream.Error) string { return "パスワードが違います。\nCheck it." }}
	if got := w.smtpError(e).Message; got != "5.7.8 no\nMelon: the account home needs attention." {
		t.Errorf("%q", got)
	}
	w.utf8 = true
	if got := w.smtpError(e).Message; got != "5.7.8 no\nMelon, account home: パスワードが違います。 Check it." {
		t.Errorf("%q", got)
	}
	w = words{explain: func(*upstream.Error) string { return "Don’t – it’s wrong." }}
	if got := w.smtpError(e).Message; got != "5.7.8 no\nMelon, account home: Don't - it's wrong." {
		t.Errorf("%q", got)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a b", strings.Repeat("ab ", 50), strings.Repeat("é", 50), strings.Repeat("x", 51)} {
		var n int
		for _, l := range split(s, 10) {
			n += len(strings.ReplaceAll(l, " ", ""))
			if len(l) > 10 {
				t.Errorf("%q is %d octets", l, len(l))
			}
		}
		if n != len(strings.ReplaceAll(s, " ", "")) {
			t.Errorf("%q lost octets", s)
		}
	}
}

var _ error = (*smtp.SMTPError)(nil)
