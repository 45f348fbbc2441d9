//go:build realmail

package realmail

import (
	"bytes"
	"testing"
)

// Every kind of body arrives as it was sent.
func TestRealBodies(t *testing.T) {
	t.Parallel()
	var octets []byte // every octet but NUL, CR and LF
	for c := 1; c < 256; c++ {
		if c != '\r' && c != '\n' {
			octets = append(octets, byte(c))
		}
	}
	head := "From: Taro <taro@sasl.example>\r\nSubject: x\r\n"
	bodies := []struct {
		name    string
		message []byte
	}{
		{"empty-body", []byte(head + "\r\n")},
		{"header-only", []byte(head)},
		{"no-header", []byte("\r\nhello\r\n")},
		{"dots", []byte(head + "\r\n.\r\n..\r\n...\r\n.x\r\n\r\n.\r\n")},
		{"8bit", []byte(head + "\r\n\xe3\x83\xa1\xe3\x83\xad\xe3\x83\xb3\r\n\x82\xe0\x82\xb7\r\n")},
		{"octets", append(append([]byte(head+"\r\n"), octets...), "\r\n"...)},
		{"long-lines", []byte(head + "\r\n" + string(bytes.Repeat([]byte("m"), 5000)) + "\r\n" + string(bytes.Repeat([]byte(". "), 2500)) + "\r\n")},
		{"blank-lines", []byte(head + "\r\n\r\n\r\n \r\n\t\r\n\r\n")},
		{"folded-header", []byte("From: Taro <taro@sasl.example>\r\nX-Long: a\r\n\tb\r\n   c \r\nSubject:x\r\n\r\nhello\r\n")},
		{"own-Received", []byte("Received: from a by b; Mon, 2 Jan 2006 15:04:05 +0900\r\n" + head + "\r\nhello\r\n")},
		{"megabytes", append([]byte(head+"\r\n"), bytes.Repeat([]byte(".three megabytes of this\r\n"), 120_000)...)},
	}
	pbs := startProvider(t, providerOptions{domain: "pbs.example", pbs: true, noTLS: true})
	sasl := startProvider(t, providerOptions{domain: "sasl.example", authOnlyTLS: true})
	m := startMelon(t, live, pbs.popBeforeSMTP("pbs", "taro"), sasl.authenticated("sasl", "taro", "auto"))
	for _, b := range bodies {
		for name, p := range map[string]*provider{"pbs": pbs, "sasl": sasl} {
			t.Run(b.name+"/"+name, func(t *testing.T) {
				from, to := "taro@"+p.domain, b.name+"@elsewhere.example"
				if err := submit(within(t), m.addr, from, to, b.message); err != nil {
					t.Fatal(err)
				}
				wantStored(t, p.mailbox.one(t, to), from, b.message)
			})
		}
	}
}
