package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"melon/upstream/lab"
)

// TestContentArrivesAsSent sends what other programs trip over, by DATA to a
// provider with CHUNKING and to one without.
func TestContentArrivesAsSent(t *testing.T) {
	t.Parallel()
	head := "From: taro@provider-a.example\r\nSubject: x\r\n"
	messages := map[string]string{
		"8-bit":             head + "\r\ncaf\xc3\xa9 \xff\xfe \x80\r\n",
		"dots":              head + "\r\n.\r\n..\r\n.a\r\n...\r\na.\r\n.\r\n",
		"5,000-octet lines": head + "\r\n" + strings.Repeat(strings.Repeat("x", 5000)+"\r\n", 3),
		"NUL":               head + "\r\na\x00b\x00\r\n\x00\r\n",
		"no body":           head + "\r\n",
		"no blank line":     head,
		"an empty line":     "\r\n",
		"long header":       "References: " + strings.Repeat("<x@y.example>\r\n ", 2000) + "<z@y.example>\r\n\r\nbody\r\n",
	}
	for name, without := range map[string][]string{
		"CHUNKING": nil, "DATA": {"CHUNKING"}, "bare": {"CHUNKING", "PIPELINING", "8BITMIME", "SIZE", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider := lab.Run(t, lab.Options{SMTP: lab.SMTP{Without: without}})
			h := newHome(t, "")
			h.write(accountYAML(h, provider, "default: home\n"))
			p := h.start()
			if name == "bare" { // net/smtp declares SMTPUTF8 without need; here is a need
				err := p.send("taro@provider-a.example", []string{"hanako@elsewhere.example"}, "Subject: caf\xc3\xa9\r\n\r\nbody\r\n")
				if err == nil || !strings.Contains(err.Error(), "5.6.7") {
					t.Errorf("a header that needs SMTPUTF8: %v, want 553 5.6.7", err)
				}
			}
			for what, m := range messages {
				before := len(provider.Messages())
				p.mustSend(m)
				got := provider.Messages()
				if len(got) != before+1 {
					t.Fatalf("%s: %d messages arrived", what, len(got)-before)
				}
				top, rest, _ := bytes.Cut(got[before].Data, []byte("\r\n"))
				if !bytes.HasPrefix(top, []byte("Received: ")) || string(rest) != m {
					t.Errorf("%s: sent %.80q, arrived %.80q below %q", what, m, rest, top)
				}
			}
		})
	}
}

// TestBareLineEndsNeverLeave hands in what one server takes for the end of a
// message and another does not: one message in is one message out.
func TestBareLineEndsNeverLeave(t *testing.T) {
	t.Parallel()
	provider := lab.Run(t, lab.Options{})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	p := h.start()
	sent := 0
	for _, a := range []string{"\n", "\r", "\r\n", "\n\r", "\r\r\n"} {
		for _, b := range []string{"\n", "\r", "\n\r", "\r\r\n"} {
			smuggled := "Subject: x\r\n\r\nbefore" + a + "." + b + "MAIL FROM:<evil@provider-a.example>" + a + "after\r\n"
			if err := p.send("taro@provider-a.example", []string{"hanako@elsewhere.example"}, smuggled); err != nil {
				t.Fatalf("%q: %v", smuggled, err)
			}
			sent++
		}
	}
	got := provider.Messages()
	if len(got) != sent {
		t.Fatalf("%d messages arrived, %d were sent", len(got), sent)
	}
	for _, m := range got {
		if bytes.ContainsAny(bytes.ReplaceAll(m.Data, []byte("\r\n"), nil), "\r\n") {
			t.Errorf("a bare CR or LF left: %q", m.Data)
		}
		if m.Envelope.From != "taro@provider-a.example" {
			t.Errorf("smuggled: %q", m.Envelope.From)
		}
	}
}

// TestMemoryDoesNotGrowWithTheMessage compares the peak memory of the process
// after small messages with that after one of 50 MB.
func TestMemoryDoesNotGrowWithTheMessage(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		return // the peak is read from /proc; the code is the same everywhere
	}
	provider := lab.Run(t, lab.Options{KeepBody: -1})
	h := newHome(t, "")
	h.write(accountYAML(h, provider, "default: home\n"))
	p := h.start()
	for i := range 5 {
		p.mustSend(fmt.Sprintf(appMessage, fmt.Sprint(i)))
	}
	small := peak(t, p.cmd.Process.Pid)
	const size = 50 << 20
	line := strings.Repeat("x", 70) + "\r\n"
	p.mustSend("Subject: large\r\n\r\n" + strings.Repeat(line, size/len(line)))
	large := peak(t, p.cmd.Process.Pid)
	if m := provider.Messages(); len(m) != 6 || m[5].Size < size {
		t.Fatal("the large message did not arrive")
	}
	if grown := large - small; grown > 24<<20 { // the goal is 8 MB; the race detector triples it
		t.Errorf("the peak grew by %d MB for a message of 50 MB", grown>>20)
	}
}

// peak returns the largest resident size of a process so far, in octets.
func peak(t *testing.T, pid int) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
