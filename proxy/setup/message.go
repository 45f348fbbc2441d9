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
func testMessage(a upstream.Account, lang string, now time.Time) upstream.Body {
	subject, text := "Melon works", "This message was sent by Melon when the account was set up. Your mail goes out.\r\n"
	if lang == "ja" {
		subject, text = "Melon から送信できました", "このメールは、アカウントの設定時に Melon が送信したものです。メールは送信できます。\r\n"
	}
	_, domain, _ := strings.Cut(a.Address, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", "<" + a.Address + ">"}, {"To", "<" + a.Address + ">"},
		{"Subject", mime.BEncoding.Encode("utf-8", subject)},
		{"Date", now.Format("Mon, 2 Jan 2006 15:04:05 -0700")},
		{"Message-ID", "<" + rand.Text() + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "base64"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	for data := base64.StdEncoding.EncodeToString([]byte(text)); data != ""; {
		n := min(76, len(data)) // RFC 2045 section 6.8
		b.WriteString(data[:n] + "\r\n")
		data = data[n:]
	}
	return wholeBody(b.Bytes())
}
