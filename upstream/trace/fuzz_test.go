package trace

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// pieces are what the fuzzer strings together, in any order and cut anywhere.
// SECRET stands for the secret; ECHO lets the server repeat the client's last
// line, and is left out once a message began, when the two readers of the same
// octets may well disagree about what a line is.
var pieces = map[Protocol][]string{
	SMTP: {
		"C:EHLO x", "C:AUTH PLAIN " + "PLAIN", "C:AUTH PLAIN", "C:PLAIN", "C:auth LOGIN", "C:B64", "C:  AUTH   CRAM-MD5", "C:CRAM",
		"C:AUTH XOAUTH2 BEARER", "C:AUTH SECRET", "C:AUTH FOO B64", "C:*", "C:RSET", "C:MAIL FROM:<a@b.example>", "C:QUIT", "C:",
		"S:220 hi", "S:250 ok", "S:250-more", "S:334 ", "S:235 ok", "S:535 no", "S:504 no", "S:421 bye", "S:503 no", "S:garbage", "S:",
		"ECHO", "C:DATA", "S:354 go", "C:.", "C:BDAT 7", "C:BDAT 3 LAST",
	},
	POP3: {
		"C:USER taro", "C:PASS SECRET", "C: pass  SECRET", "C:PASS\tSECRET", "C:APOP taro SECRET", "C:APOP SECRET", "C:AUTH PLAIN", "C:PLAIN",
		"C:AUTH PLAIN PLAIN", "C:AUTH LOGIN", "C:B64", "C:AUTH", "C:CAPA", "C:LIST", "C:STAT", "C:QUIT", "C:SECRET", "C:",
		"S:+OK hi", "S:+OK", "S:-ERR no", "S:+ ", "S:.", "S:1 120", "S:garbage", "ECHO",
	},
}

// FuzzNoSecretIsShown: whatever order and pieces a conversation comes in, no
// secret of an AUTH, PASS or APOP exchange reaches the sink, neither as typed
// nor as its base64.
func FuzzNoSecretIsShown(f *testing.F) {
	f.Add(false, []byte("pw"), []byte{17, 1, 21, 27, 2, 3, 20, 21}, uint8(3))
	f.Add(false, []byte("pw"), []byte{28, 1, 29, 2, 30, 4, 5, 5, 22, 23}, uint8(200))
	f.Add(false, []byte{0, 1, 255}, []byte{31, 1, 32, 4, 5, 5, 27, 14, 24, 27}, uint8(1))
	f.Add(true, []byte("pw"), []byte{18, 0, 1, 19, 20, 23, 4, 20, 23}, uint8(7))
	f.Add(true, []byte("pw"), []byte{6, 21, 7, 19, 23, 9, 10, 10, 20, 20, 23}, uint8(2))
	f.Add(true, []byte("pw"), []byte{2, 23, 3, 20, 23, 17, 23, 5, 23}, uint8(255))
	f.Fuzz(func(t *testing.T, pop bool, salt, order []byte, chunk uint8) {
		if len(salt) > 2000 || len(order) > maxSecrets {
			return
		}
		p := SMTP
		if pop {
			p = POP3
		}
		secret := "s3cr3t" + hex.EncodeToString(salt)
		plain := b64("\x00taro\x00" + secret)
		bearer := b64("user=taro\x01auth=Bearer " + secret + "\x01\x01")
		fill := strings.NewReplacer("SECRET", secret, "BEARER", bearer, "B64", b64(secret), "CRAM", b64("taro "+secret))
		var shown strings.Builder
		tr := New(p, func(l Line) { fmt.Fprintln(&shown, l.Text) })
		feed := func(to func([]byte), line string) {
			for b := []byte(line + "\r\n"); len(b) > 0; {
				n := min(len(b), int(chunk)+1)
				to(b[:n])
				b = b[n:]
			}
		}
		last, message := "", false
		for _, i := range order {
			piece := pieces[p][int(i)%len(pieces[p])]
			message = message || strings.HasPrefix(piece, "C:DATA") || strings.HasPrefix(piece, "C:BDAT")
			who, text, _ := strings.Cut(piece, ":")
			if text = fill.Replace(text); text == "PLAIN" || strings.HasSuffix(text, " PLAIN PLAIN") {
				text = strings.TrimSuffix(text, "PLAIN") + plain
			}
			switch {
			case who == "C":
				last = text
				feed(tr.Client, text)
			case who == "S":
				feed(tr.Server, text)
			case !message && last != "":
				feed(tr.Server, "-ERR what is: "+last)
				feed(tr.Server, "500 "+strings.ToUpper(last))
			}
		}
		tr.Close()
		low := strings.ToLower(shown.String())
		for _, s := range []string{secret, plain, bearer, b64(secret), b64("taro " + secret)} {
			if strings.Contains(low, strings.ToLower(s[:min(len(s), 40)])) {
				t.Errorf("%q was shown in:\n%s", s, shown.String())
			}
		}
	})
}
