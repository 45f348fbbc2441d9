package route

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestHeaderFrom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, message string
		want          []string
	}{
		{"plain", "Subject: x\r\nFrom: taro@a.example\r\nTo: jiro@b.example\r\n\r\nFrom: body@c.example\r\n", []string{"taro@a.example"}},
		{"name", "From: Taro Tanaka <taro@a.example>\r\n\r\n", []string{"taro@a.example"}},
		{"quoted name with an address in it", "From: \"x@evil.example\" <taro@a.example>\r\n\r\n", []string{"taro@a.example"}},
		{"encoded word", "From: =?iso-2022-jp?B?GyRCRURDZhsoQg==?= <taro@a.example>\r\n\r\n", []string{"taro@a.example"}},
		{"encoded word in an unknown charset", "From: =?x-none?Q?=FF?= <taro@a.example>\r\n\r\n", []string{"taro@a.example"}},
		{"folded", "From:\r\n Taro\r\n\t<taro@a.example>\r\n\r\n", []string{"taro@a.example"}},
		{"LF", "from: taro@a.example\n\nx", []string{"taro@a.example"}},
		{"blank before the colon", "From : taro@a.example\r\n\r\n", []string{"taro@a.example"}},
		{"two authors", "From: a@a.example, B <b@b.example>\r\n\r\n", []string{"a@a.example", "b@b.example"}},
		{"two fields", "From: a@a.example\r\nfrom: b@b.example\r\nFROM: a@a.example\r\n\r\n", []string{"a@a.example", "b@b.example"}},
		{"group", "From: Team: a@a.example, B <b@b.example>;\r\n\r\n", []string{"a@a.example", "b@b.example"}},
		{"empty group", "From: undisclosed:;\r\n\r\n", nil},
		{"comment", "From: taro@a.example (x@evil.example)\r\n\r\n", []string{"taro@a.example"}},
		{"UTF-8", "From: 田中 <taro@例え.example>\r\n\r\n", []string{"taro@例え.example"}},
		{"Latin-1", "From: Jos\xe9 <jose@a.example>\r\n\r\n", []string{"jose@a.example"}},
		{"Shift_JIS with @ in it", "From: \x83@\x83\\ <taro@a.example>\r\n\r\n", []string{"taro@a.example"}},
		{"ISO-2022-JP with brackets in it", "From: \x1b$BED(<f\x1b(B <taro@a.example>\r\n\r\n", []string{"taro@a.example"}},
		{"unclosed quote", "From: \"Taro <taro@a.example>\r\n\r\n", []string{"taro@a.example"}},
		{"blanks around", "From: Taro. T < taro@a.example >\r\n\r\n", []string{"taro@a.example"}},
		{"no closing bracket", "From: Taro <taro@a.example\r\n\r\n", []string{"taro@a.example"}},
		{"semicolons", "From: a@a.example; b@b.example\r\n\r\n", []string{"a@a.example", "b@b.example"}},
		{"mbox line first", "From x@evil.example Sat Nov 21\r\nFrom: taro@a.example\r\n\r\n", []string{"taro@a.example"}},
		{"other fields", "X-From: x@x.example\r\nResent-From: y@y.example\r\n From: z@z.example\r\n\r\n", nil},
		{"absent", "Subject: x\r\n\r\n", nil},
		{"no address", "From: Taro\r\n\r\n", nil},
		{"empty", "From:\r\n\r\n", nil},
		{"no header", "\r\nFrom: taro@a.example\r\n", nil},
		{"cut off", "From: taro@a.exam", []string{"taro@a.exam"}},
		{"nothing", "", nil},
		{"NUL", "From: <ta\x00ro@a.example>\r\n\r\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := HeaderFrom([]byte(c.message)); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestHeaderFromIsBounded(t *testing.T) {
	t.Parallel()
	many := "From: " + strings.Repeat("a@a.example,\r\n b@b.example, ", 100_000)
	if got := HeaderFrom([]byte(many)); len(got) != 2 {
		t.Errorf("got %d addresses", len(got))
	}
	hostile := "From: " + strings.Repeat("(", 60_000) + strings.Repeat("\"", 4_000)
	if got := HeaderFrom([]byte(hostile)); got != nil {
		t.Errorf("got %q", got)
	}
}

func FuzzHeaderFrom(f *testing.F) {
	f.Add([]byte("From: =?utf-8?Q?x?= <a@a.example>, g: b@b.example;\r\n\r\n"))
	f.Add([]byte("From: \x1b$B(<\x1b(B <a@a.example>\r\n"))
	f.Add([]byte("from :\n \"a\\\" <a@b>\n\n"))
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, a := range HeaderFrom(message) {
			if !utf8.ValidString(a) || strings.ContainsAny(a, "\r\n\x00") || !strings.Contains(a, "@") {
				t.Errorf("not an address: %q", a)
			}
			// What was found is found again where it stands alone.
			if again := HeaderFrom([]byte("From: <" + a + ">\r\n\r\n")); len(again) > 1 {
				t.Errorf("%q became %q", a, again)
			}
		}
	})
}
