package smtpin

import (
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/emersion/go-smtp"

	"melon/upstream"
)

// FuzzVerdict: whatever a provider or a person's settings say, the app hears one
// well-formed reply: lines within RFC 5321's bounds without a control character,
// in ASCII unless it asked for UTF-8, of the kind that the failure is, and never a
// code that makes it ask for the local password.
func FuzzVerdict(f *testing.F) {
	for _, s := range []string{"no", "a\r\n250 2.0.0 ok", "\x1b[2J\x00", "送信できません", "ﷺ\u2028\u202e", strings.Repeat("word ", 200), strings.Repeat("送", 400), strings.Repeat("x\n", 50), "\xff\xfe", ""} {
		for _, code := range []uint16{0, 250, 421, 452, 530, 535, 550, 599} {
			f.Add(code, uint16(5), uint16(7), s, s, uint8(code), code%2 == 0)
		}
	}
	classes := append(upstream.ReplyClasses(), upstream.NetworkClasses()...)
	phases := upstream.Phases()
	f.Fuzz(func(t *testing.T, code, class, detail uint16, said, ours string, kind uint8, utf8 bool) {
		e := &upstream.Error{Account: upstream.CleanLine(ours), Phase: phases[int(kind)%len(phases)], Class: classes[int(detail)%len(classes)], Sentence: ours, Ambiguous: kind > 250}
		if code >= 200 && code <= 599 {
			e.Reply = upstream.Reply{Code: int(code), Enhanced: upstream.EnhancedCode{int(class % 6), int(class % 1000), int(detail % 1000)}, Lines: []string{said, ours}}
		}
		w := words{utf8: utf8, explain: func(*upstream.Error) string { return ours }}
		got := w.smtpError(fmt.Errorf("wrapped: %w", e))
		checkVerdict(t, got, utf8)
		if temporary := got.Code/100 == 4; temporary != (e.Kind() == upstream.KindTemporary) || got.Code/100 != 4 && got.Code/100 != 5 {
			t.Errorf("%v became %d", e, got.Code)
		}
		switch got.Code {
		case 530, 534, 535, 538:
			t.Errorf("%v became %d", e, got.Code)
		}
		taken := w.accepted(e.Reply)
		checkVerdict(t, taken, utf8)
		if good := taken.Code == 250; good != (e.Reply.Code/100 == 2 || e.Reply.Code == 0) {
			t.Errorf("%v became %d", e.Reply, taken.Code)
		}
	})
}

func checkVerdict(t *testing.T, e *smtp.SMTPError, utf8 bool) {
	t.Helper()
	lines := strings.Split(e.Message, "\n")
	if len(lines) > maxReplyLines || e.EnhancedCode[0] != e.Code/100 {
		t.Errorf("%d lines, %d %v", len(lines), e.Code, e.EnhancedCode)
	}
	prefix := upstream.EnhancedCode(e.EnhancedCode).String() + " "
	for i, l := range lines {
		if i < len(lines)-1 && !strings.HasPrefix(l, prefix) {
			t.Errorf("line %q of %d %v", l, e.Code, e.EnhancedCode)
		}
		l = fmt.Sprintf("%d %s%s\r\n", e.Code, prefix, strings.TrimPrefix(l, prefix))
		if len(l) > 512 || strings.ContainsFunc(l[:len(l)-2], unicode.IsControl) || !utf8 && !isASCII(l) || strings.TrimSpace(l[len(prefix)+4:]) == "" {
			t.Errorf("line %q", l)
		}
	}
}
