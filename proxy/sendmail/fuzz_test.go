package sendmail

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"melon/proxy/config"
)

// complete is what sendmail makes of a message, read through a buffer of size
// octets.
func complete(t *testing.T, text, sender, name string, ignoreDots bool, size int) (header []headerField, out, body string) {
	t.Helper()
	in := newLines(strings.NewReader(text), size, ignoreDots)
	header, first, err := readFields(in)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := copyBody(&b, first, in); err != nil {
		t.Fatal(err)
	}
	who := person{cfg: config.Defaults(), login: "me@here.example"}
	return header, string(joinHeader(who.completeHeader(header, sender, name, time.Unix(0, 0)))) + b.String(), b.String()
}

// FuzzMessage: whatever a program pipes in, the message that leaves has whole
// lines; a From, a Date, a Message-ID and no Bcc in its header; every other field
// and the body as they came; and it stays as it is when it comes again.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		"", "\n", "Subject: x\n\nbody\n.\nmore\n", "From a@b Mon\nTo: x\nBcc: s@x.example,\n t@x.example\nBCC :u\n\nbody", "no header\nA: 1\n", "A: 1\r B: 2\r\rBcc: y\n\nz", "From:a\nfrom: b\nDate:\nMessage-ID:\n\n..\n",
		" folded\nA: 1\n\n", "A: 1\n\tx\n\x00\xff: 2\n\n\r\n\r", "From x\nFrom y\nA: 1\n\nFrom z\n", "A: " + strings.Repeat("long ", 9) + "\r\n\r\n.\r\n", "Resent-Bcc: a\n\n", "X: a\rBcc: hidden@x.example\n\nb\n",
	} {
		f.Add(s, "taro@provider-a.example", "Taro \r\nBcc: x", false)
		f.Add(s, "", "タロ\x00", true)
		f.Add(s, `"a b"@[IPv6:::1]`, "", true)
	}
	f.Fuzz(func(t *testing.T, text, sender, name string, ignoreDots bool) {
		if given, err := addressList(sender); sender != "" && (err != nil || len(given) != 1 || given[0] != sender || !strings.Contains(sender, "@")) {
			return // refused before
		}
		header, out, body := complete(t, text, sender, name, ignoreDots, 64<<10)
		if h, _, small := complete(t, text, sender, name, ignoreDots, 16); small != body || string(joinHeader(h)) != string(joinHeader(header)) {
			t.Errorf("%q: body %q, through a small buffer %q", text, body, small)
		}
		if strings.ContainsAny(strings.ReplaceAll(out, "\r\n", ""), "\r\n") || !strings.HasSuffix(out, "\r\n") {
			t.Errorf("%q became %q", text, out)
		}
		lines := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(text)
		if ignoreDots && !strings.HasSuffix(lines+"\r\n", body) && !strings.HasSuffix(lines, body) || !strings.Contains(lines+"\r\n", body) {
			t.Errorf("the body of %q became %q", text, body)
		}
		top, _, _ := strings.Cut(out, "\r\n\r\n")
		top = "\r\n" + top
		for _, h := range header {
			if hidden := h.is("Bcc") || h.is("Resent-Bcc"); !hidden && !strings.Contains(top, "\r\n"+string(h.raw)) || !strings.Contains(lines, string(h.raw)) {
				t.Errorf("%q became %q", h.raw, top)
			}
		}
		count := func(name string) (n int) {
			for line := range strings.SplitSeq(top, "\r\n") {
				if f, ok := fieldName([]byte(line)); ok && strings.EqualFold(f, name) {
					n++
				}
			}
			return n
		}
		if count("Bcc")+count("Resent-Bcc") > 0 || count("From") < 1 || count("Date") < 1 || count("Message-ID") < 1 {
			t.Errorf("%q became %q", text, out)
		}
		if _, again, _ := complete(t, out, sender, name, true, 64<<10); again != out {
			t.Errorf("%q becomes %q the second time", out, again)
		}
		if !slices.ContainsFunc(header, func(h headerField) bool { return h.is("From") }) && sender != "" {
			checkFrom(t, top, sender)
		}
	})
}

// checkFrom: the From that was added reads back as the sender.
func checkFrom(t *testing.T, top, sender string) {
	t.Helper()
	_, from, _ := strings.Cut(top, "\r\nFrom: ")
	from, _, _ = strings.Cut(from, "\r\n")
	list, err := addressList(from)
	if err != nil || len(list) != 1 || list[0] != sender {
		t.Errorf("From: %q of %q reads as %q, %v", from, sender, list, err)
	}
}

// FuzzOptions: any command line is understood within what there is, or refused
// as one that is wrong.
func FuzzOptions(f *testing.F) {
	for _, s := range []string{"-t", "-bs", "-bd", "-q15m", "-oi\x00-f\x00a@b\x00x@y", "-i\x00--\x00-f", "-N\x00never,delay", "-NSUCCESS\x00-Rhdrs\x00-Vid\x00a", "-O\x00IgnoreDots=t\x00a", "-F", "--help", "-\xff", "-oitf\x00x", "-ba", "-C/etc\x00-X\x00log\x00a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		o, err := Parse(strings.Split(line, "\x00"))
		if err != nil {
			if e, ok := errors.AsType[*Error](err); !ok || e.Status != ExUsage {
				t.Errorf("%q: %v", line, err)
			}
			return
		}
		if o.Help {
			return
		}
		if !strings.ContainsRune("mspqi", rune(o.mode)) || o.ret != "" && o.ret != "FULL" && o.ret != "HDRS" || o.mode == 'm' && len(o.to) == 0 && !o.fromHeader {
			t.Errorf("%q: %+v", line, o)
		}
		for _, n := range o.notify {
			if !slices.Contains([]string{"NEVER", "SUCCESS", "FAILURE", "DELAY"}, n) || n == "NEVER" && len(o.notify) > 1 {
				t.Errorf("%q: %q", line, o.notify)
			}
		}
		for _, a := range o.to {
			if !strings.Contains(line, a) {
				t.Errorf("%q: %q", line, o.to)
			}
		}
		if to, err := recipients(o, nil); err == nil && (len(to) == 0 || strings.ContainsAny(strings.Join(to, ""), "\r\n\x00")) {
			t.Errorf("%q: recipients %q", line, to)
		}
	})
}

// FuzzDropped: a file of the drop directory is one message, whole and as long as
// it says, or none.
func FuzzDropped(f *testing.F) {
	for _, s := range []string{
		`{"melon_drop":1,"from":"a@b.example","to":[{"address":"c@d.example","notify":["NEVER"]}],"body":"8BITMIME","size":3}` + "\nx\r\n", `{"melon_drop":2}` + "\n", "{}\n", "", "\n", "null\nx",
		`{"melon_drop":1,"to":[{}],"size":-1}` + "\n", `{"melon_drop":1,"to":[{}],"size":9223372036854775807}` + "\nshort", `{"melon_drop":1,"to":[{}],"size":1}` + "\nlonger",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		env, body, err := readDropped(bytes.NewReader(file))
		if err != nil {
			return
		}
		if len(env.Recipients) == 0 || env.Size < 0 {
			t.Errorf("%+v", env)
		}
		got, err := io.ReadAll(body)
		_, rest, _ := bytes.Cut(file, []byte("\n"))
		if (err == nil) != (int64(len(rest)) == env.Size) || err == nil && !bytes.Equal(got, rest) {
			t.Errorf("%q: %d octets, %v", file, len(got), err)
		}
	})
}
