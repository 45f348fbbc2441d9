package outbox

import (
	"bytes"
	"io"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"

	"melon/upstream"
)

// statusField is a field of the part for programs.
var statusField = regexp.MustCompile(`^(Reporting-MTA|Original-Envelope-Id|Arrival-Date|Original-Recipient|Final-Recipient|Action|Status|Remote-MTA|Diagnostic-Code|Last-Attempt-Date): \S`)

// FuzzBounce: whatever a message, an app and a server said, the bounce is one
// message of three parts to the account's own address, its status has a block a
// recipient with fields of ours alone, no line is longer than RFC 5322 allows, and
// what is not marked 8bit is ASCII.
func FuzzBounce(f *testing.F) {
	f.Add("hanako@elsewhere.example", "No such user", "mx.elsewhere.example:25", "Q-1", "Message-ID: <1@x>\nSubject: lunch\n\nhello\n", false, false)
	f.Add("花子@例え.example", "宛先がありません", "[2001:db8::1]:25", "", "Subject: =?utf-8?q?=41?=\nX: 昼\n", true, true)
	f.Add("a@b.example", "宛先がありません", "mx.elsewhere.example:25", " ", "", false, false)
	f.Add("a@b.example", "5.1.1\r\nAction: delivered", "h", "x+0D+0A", "Message-ID: <1@x>\r\nBcc: b@c\n\n.\n--boundary\n", true, false)
	f.Fuzz(func(t *testing.T, address, said, host, envelopeID, original string, full, japanese bool) {
		address, original = "x"+upstream.CleanLine(address), canonicalLines(original) // about as the listener lets them in
		e := entry(address)
		e.ID, e.QueuedAt, e.LastAttempt = "0000000001", time.Unix(0, 0), time.Unix(1, 0)
		e.Envelope.EnvelopeID = envelopeID
		rc := e.Envelope.Recipients[0]
		rc.OriginalType, rc.Original = "rfc822", address
		n := notice{entry: e, host: host, hostname: "laptop.example", now: time.Unix(2, 0), words: wordsFor(""), advice: "Ask them."}
		if full {
			n.entry.Envelope.Return = "FULL"
		}
		if japanese {
			n.words = wordsFor("ja")
		}
		refusal := &upstream.Error{Host: host, Reply: upstream.Reply{Code: 550, Lines: []string{upstream.CleanLine(said)}}}
		n.refused = []Refusal{{rc, refusal}, {upstream.Recipient{Address: "b@b.example"}, nil}}
		var b bytes.Buffer
		if err := n.write(&b, textBody(original)); err != nil {
			t.Fatal(err)
		}
		checkBounce(t, b.Bytes(), n.bodyType)
	})
}

// canonicalLines gives every line its CRLF, and none more than 998 octets.
func canonicalLines(s string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(s, "\r", "")) {
		line = strings.TrimSuffix(line, "\n")
		b.WriteString(line[:min(len(line), 998)] + "\r\n")
	}
	return b.String()
}

// textBody is a message in memory.
type textBody string

func (b textBody) Open() (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(string(b))), nil
}
func (b textBody) Size() (int64, bool) { return int64(len(b)), true }

func checkBounce(t *testing.T, data []byte, body upstream.BodyType) {
	t.Helper()
	for line := range bytes.Lines(data) {
		text, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || bytes.ContainsAny(text, "\r\n") || len(text) > 998 {
			t.Fatalf("a line of %d octets, or one without its end: %.80q", len(text), text)
		}
	}
	if !ascii(string(data)) && body != upstream.Body8BitMIME {
		t.Error("octets above 127 in a message that is not 8BITMIME")
	}
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"Content-Type", "Mime-Version", "Auto-Submitted", "References", "Message-Id", "Subject", "To", "From", "Date"}
	for k, v := range m.Header {
		if len(v) != 1 || !slices.Contains(known, k) {
			t.Errorf("header %s: %q", k, v)
		}
	}
	if got := m.Header.Get("To"); got != "<taro@provider-a.example>" {
		t.Errorf("to %q", got)
	}
	whole, err := message.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	parts := whole.MultipartReader()
	count := 0
	for {
		p, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatal(err)
		}
		if p.Header.Get("Content-Transfer-Encoding") == "" && !ascii(string(content)) {
			t.Errorf("part %d has octets above 127 and does not say so", count)
		}
		if count == 1 {
			checkStatus(t, string(content))
		}
		count++
	}
	if count != 3 {
		t.Errorf("%d parts", count)
	}
}

// checkStatus looks at the part for programs of a bounce for two recipients.
func checkStatus(t *testing.T, status string) {
	t.Helper()
	blocks := strings.Split(strings.TrimSuffix(status, "\r\n"), "\r\n\r\n")
	if len(blocks) != 3 {
		t.Fatalf("%d blocks in %q", len(blocks), status)
	}
	for i, block := range blocks {
		finals := 0
		for line := range strings.SplitSeq(block, "\r\n") {
			if !statusField.MatchString(line) {
				t.Errorf("block %d: %q", i, line)
			}
			if strings.HasPrefix(line, "Final-Recipient:") {
				finals++
			}
		}
		if i > 0 && finals != 1 {
			t.Errorf("block %d names %d recipients", i, finals)
		}
	}
}
