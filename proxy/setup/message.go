package setup

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"io"
	"mime"
	"strings"
	"time"

	"melon/upstream"
)

// wholeBody is a message in memory.
type wholeBody []byte

// Open implements upstream.Body.
func (b wholeBody) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }

// Size implements upstream.Body.
func (b wholeBody) Size() (int64, bool) { return int64(len(b)), true }

// testMessage is what an account sends to itself (RFC 5322).
func (s *Setup) testMessage(a upstream.Account, now time.Time) upstream.Body {
	_, domain, _ := strings.Cut(a.Address, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", "<" + a.Address + ">"}, {"To", "<" + a.Address + ">"},
		{"Subject", mime.BEncoding.Encode("utf-8", s.say("test.subject"))},
		{"Date", now.Format("Mon, 2 Jan 2006 15:04:05 -0700")},
		{"Message-ID", "<" + rand.Text() + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "base64"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	for data := base64.StdEncoding.EncodeToString([]byte(s.say("test.message") + "\r\n")); data != ""; {
		n := min(76, len(data)) // RFC 2045 section 6.8
		b.WriteString(data[:n] + "\r\n")
		data = data[n:]
	}
	return wholeBody(b.Bytes())
}
