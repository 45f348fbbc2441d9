package deliver

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"melon/upstream"
)

func canonical(in string, chunk int) (out, header string, err error) {
	var b bytes.Buffer
	c := newCanonicalizer(&b, func(h []byte) error { header = string(h); return nil })
	for rest := []byte(in); len(rest) > 0; {
		n := min(chunk, len(rest))
		if _, err := c.Write(rest[:n]); err != nil {
			return b.String(), header, err
		}
		rest = rest[n:]
	}
	err = c.Close()
	return b.String(), header, err
}

func TestCanonicalForm(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct{ in, out, header string }{
		{"", "", ""},
		{"a", "a\r\n", "a\r\n"},
		{"\r\n", "\r\n", "\r\n"},
		{"\n", "\r\n", "\r\n"},
		{"\r", "\r\n", "\r\n"},
		{"\r\r\n", "\r\n\r\n", "\r\n"},
		{"\n\r", "\r\n\r\n", "\r\n"},
		{"a\nb\rc\r\nd", "a\r\nb\r\nc\r\nd\r\n", "a\r\nb\r\nc\r\nd\r\n"},
		{"S: x\r\n\r\nbody\r\n", "S: x\r\n\r\nbody\r\n", "S: x\r\n\r\n"},
		{"S: x\n\nbody", "S: x\r\n\r\nbody\r\n", "S: x\r\n\r\n"},
		{"\r\n.\r\n", "\r\n.\r\n", "\r\n"},
		{"a\n.\nb", "a\r\n.\r\nb\r\n", "a\r\n.\r\nb\r\n"},
		{"a\r.\rb", "a\r\n.\r\nb\r\n", "a\r\n.\r\nb\r\n"},
		{"a\x00b\r\n", "a\x00b\r\n", "a\x00b\r\n"},
		{"\x00\r\n", "\x00\r\n", "\x00\r\n"},
		{"\x00..\r\n", "\x00..\r\n", "\x00..\r\n"},
		{"S: x\r\n\r\n" + long + "\r\n", "S: x\r\n\r\n" + long + "\r\n", "S: x\r\n\r\n"},
		{"caf\xe9\r\n\xff\xfe", "caf\xe9\r\n\xff\xfe\r\n", "caf\xe9\r\n\xff\xfe\r\n"},
	} {
		for _, chunk := range []int{1, 2, 3, 7, 1 << 20} {
			out, header, err := canonical(c.in, chunk)
			if err != nil || out != c.out || header != c.header {
				t.Errorf("%.40q by %d: %.60q, header %.60q, %v; want %.60q, header %.60q", c.in, chunk, out, header, err, c.out, c.header)
			}
		}
	}
}

func TestNULsAroundADotAreRefused(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"\x00.", ".\x00", "\x00\x00.\x00"} {
		for _, end := range []string{"\r\n", "\n", "\r", ""} {
			_, _, err := canonical("S: x\r\n\r\n"+line+end, 2)
			var e *upstream.Error
			if !errors.As(err, &e) || e.Kind() != upstream.KindMessage || e.Reply.Code != 554 || e.Reply.Enhanced.String() != "5.6.0" {
				t.Errorf("%q: %v, want 554 5.6.0", line+end, err)
			}
		}
	}
}

func TestHeaderIsBounded(t *testing.T) {
	t.Parallel()
	_, header, err := canonical("S: "+strings.Repeat("x", 2*maxHeader)+"\r\n\r\nbody", 4096)
	if err != nil || len(header) != maxHeader {
		t.Fatalf("header of %d octets, %v; want %d", len(header), err, maxHeader)
	}
}

func TestLoopIsSeen(t *testing.T) {
	t.Parallel()
	for hops, want := range map[int]bool{0: false, maxHops: false, maxHops + 1: true} {
		var b strings.Builder
		for i := range hops {
			fmt.Fprintf(&b, "received: from a by b\r\n\twith ESMTP id %d\r\n", i)
		}
		if got := looping([]byte(b.String() + "Subject: x\r\n\r\n")); got != want {
			t.Errorf("%d hops: looping = %v", hops, got)
		}
	}
}

// FuzzCanonical holds the three promises for any input: no bare CR or LF
// leaves, the text between the line ends is untouched, and how the input was
// cut into pieces makes no difference.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"", "a\r\n.\r\n", "a\n.\r\n", "\r.\r", "\x00.\n", "a\r\r\n\n\r"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, in string, chunk int) {
		if chunk < 1 || chunk > 1<<16 {
			chunk = 1
		}
		out, _, err := canonical(in, chunk)
		whole, _, err2 := canonical(in, len(in)+1)
		if (err == nil) != (err2 == nil) || err == nil && out != whole {
			t.Fatalf("%q in pieces of %d: %q (%v), whole: %q (%v)", in, chunk, out, err, whole, err2)
		}
		if err != nil {
			return
		}
		if strings.ContainsAny(strings.ReplaceAll(out, "\r\n", ""), "\r\n") {
			t.Fatalf("%q has a bare CR or LF: %q", in, out)
		}
		lines := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(in)
		if lines != "" && !strings.HasSuffix(lines, "\n") {
			lines += "\n"
		}
		if want := strings.ReplaceAll(lines, "\n", "\r\n"); out != want {
			t.Fatalf("%q became %q, want %q", in, out, want)
		}
	})
}
