package trace

import (
	"bytes"
	"encoding/base64"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// play feeds a script to a Tracer, chunk octets at a time, and returns what is
// shown. A script line begins with "C: " or "S: "; "\r\n" is added.
func play(p Protocol, script []string, chunk int) []string {
	var out []string
	t := New(p, func(l Line) { out = append(out, l.String()) })
	for _, l := range script {
		who, text := l[:3], []byte(l[3:]+"\r\n")
		for len(text) > 0 {
			n := min(chunk, len(text))
			if who == "C: " {
				t.Client(text[:n])
			} else {
				t.Server(text[:n])
			}
			text = text[n:]
		}
	}
	t.Close()
	return out
}

// TestTranscripts shows what becomes of each kind of line; "want" nil means that
// the script is shown as it is.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine+100)
	for _, tc := range []struct {
		name     string
		protocol Protocol
		script   []string
		want     []string
	}{
		{"smtp plain", SMTP,
			[]string{"S: 220 hi", "C: EHLO [127.0.0.1]", "S: 250-hi", "S: 250 AUTH PLAIN", "C: AUTH PLAIN " + b64("\x00taro\x00hunter22"),
				"S: 535 5.7.8 hunter22 is not the password of taro", "C: MAIL FROM:<taro@a.example>", "S: 250 ok", "C: QUIT", "S: 221 Bye"},
			[]string{"S: 220 hi", "C: EHLO [127.0.0.1]", "S: 250-hi", "S: 250 AUTH PLAIN", "C: AUTH PLAIN ***",
				"S: 535 5.7.8 *** is not the password of taro", "C: MAIL FROM:<taro@a.example>", "S: 250 ok", "C: QUIT", "S: 221 Bye"}},
		{"smtp login", SMTP,
			[]string{"S: 220 hi", "C: auth login", "S: 334 VXNlcm5hbWU6", "C: " + b64("taro"), "S: 334 UGFzc3dvcmQ6", "C: " + b64("QUIT now"), "S: 235 quit NOW", "C: RSET"},
			[]string{"S: 220 hi", "C: AUTH LOGIN", "S: 334 ***", "C: ***", "S: 334 ***", "C: ***", "S: 235 ***", "C: RSET"}},
		{"smtp login, nothing waited for, refused", SMTP,
			[]string{"S: 220 hi", "C: AUTH LOGIN", "C: dXNlcg==", "C: cGFzc3dvcmQ=", "S: 504 no", "S: 500 what is cGFzc3dvcmQ=?", "S: 500 what?", "C: QUIT"},
			[]string{"S: 220 hi", "C: AUTH LOGIN", "C: ***", "C: ***", "S: 504 no", "S: 500 what is ***?", "S: 500 what?", "C: QUIT"}},
		{"smtp bearer", SMTP,
			[]string{"S: 220 hi", "C: AUTH XOAUTH2 " + b64("user=taro@a.example\x01auth=Bearer ya29.token\x01\x01"), "S: 334 e30=", "C: ", "S: 535 bad token YA29.TOKEN for taro@a.example"},
			[]string{"S: 220 hi", "C: AUTH XOAUTH2 ***", "S: 334 ***", "C: ***", "S: 535 bad token *** for taro@a.example"}},
		{"smtp secret where the mechanism should be", SMTP,
			[]string{"S: 220 hi", "C: AUTH hunter22", "S: 504 hunter22 unknown"},
			[]string{"S: 220 hi", "C: AUTH ***", "S: 504 *** unknown"}},
		{"smtp short password", SMTP,
			[]string{"S: 220 hi", "C: AUTH PLAIN " + b64("\x00taro\x00abc"), "S: 535 not ABC"},
			[]string{"S: 220 hi", "C: AUTH PLAIN ***", "S: 535 ***"}},
		{"smtp unknown command", SMTP,
			[]string{"S: 220 hi", "C: PASS hunter22", "S: 500 what is hunter22", "C:  ", "S: 500 what"},
			[]string{"S: 220 hi", "C: ***", "S: 500 what is ***", "C: ***", "S: 500 what"}},
		{"smtp data", SMTP,
			[]string{"S: 220 hi", "C: MAIL FROM:<>", "C: RCPT TO:<b@c.example>", "C: DATA", "S: 250 ok", "S: 250 ok", "S: 354 go", "C: Subject: x", "C: ", "C: ..", "C: QUIT", "C: .", "S: 250 ok", "C: QUIT"},
			[]string{"S: 220 hi", "C: MAIL FROM:<>", "C: RCPT TO:<b@c.example>", "C: DATA", "S: 250 ok", "S: 250 ok", "S: 354 go", "C: <24 octets>", "C: .", "S: 250 ok", "C: QUIT"}},
		{"smtp data refused", SMTP,
			[]string{"S: 220 hi", "C: RCPT TO:<b@c.example>", "C: DATA", "S: 550 no", "S: 503 no recipients", "C: QUIT"}, nil},
		{"smtp data not waited for", SMTP,
			[]string{"S: 220 hi", "C: DATA", "C: hello", "C: .", "C: QUIT", "S: 354 go", "S: 250 ok", "S: 221 bye"},
			[]string{"S: 220 hi", "C: DATA", "C: <7 octets>", "C: .", "C: QUIT", "S: 354 go", "S: 250 ok", "S: 221 bye"}},
		{"smtp data refused, not waited for", SMTP,
			[]string{"S: 220 hi", "C: DATA", "C: QUIT, he said", "S: 503 no", "C: QUIT"},
			[]string{"S: 220 hi", "C: DATA", "S: 503 no", "C: <15 octets>", "C: QUIT"}},
		{"smtp empty message", SMTP,
			[]string{"S: 220 hi", "C: DATA", "S: 354 go", "C: .", "S: 250 ok"},
			[]string{"S: 220 hi", "C: DATA", "S: 354 go", "C: <0 octets>", "C: .", "S: 250 ok"}},
		{"smtp chunks", SMTP,
			[]string{"S: 220 hi", "C: BDAT 6", "C: AUTH", "C: BDAT 0 LAST", "S: 250 ok", "S: 250 ok", "C: QUIT"},
			[]string{"S: 220 hi", "C: BDAT 6", "C: <6 octets>", "C: BDAT 0 LAST", "S: 250 ok", "S: 250 ok", "C: QUIT"}},
		{"smtp cut off in a message", SMTP,
			[]string{"S: 220 hi", "C: DATA", "S: 354 go", "C: secret"},
			[]string{"S: 220 hi", "C: DATA", "S: 354 go", "C: <8 octets>"}},
		{"smtp endless and dirty lines", SMTP,
			[]string{"S: 220 a\x1b[31m\x00b", "C: NOOP " + long},
			[]string{"S: 220 a?[31m?b", "C: " + ("NOOP " + long)[:512]}},
		{"pop login", POP3,
			[]string{"S: +OK hi <1.2@x>", "C: CAPA", "S: +OK", "S: USER", "S: .", "C: USER taro", "C: pass two words", "S: +OK", "S: -ERR no such password: two words", "C: LIST", "S: +OK 2", "S: 1 120", "S: 2 240", "S: .", "C: QUIT", "S: +OK"},
			[]string{"S: +OK hi <1.2@x>", "C: CAPA", "S: +OK", "S: USER", "S: .", "C: USER taro", "C: PASS ***", "S: +OK", "S: -ERR no such password: ***", "C: LIST", "S: +OK 2", "S: <2 lines>", "S: .", "C: QUIT", "S: +OK"}},
		{"pop apop", POP3,
			[]string{"S: +OK <1.2@x>", "C: APOP taro 0123456789abcdef0123456789abcdef", "S: -ERR not 0123456789abcdef0123456789abcdef", "C: APOP hunter22", "S: -ERR hunter22?"},
			[]string{"S: +OK <1.2@x>", "C: APOP taro ***", "S: -ERR not ***", "C: APOP  ***", "S: -ERR ***?"}},
		{"pop auth", POP3,
			[]string{"S: +OK", "C: AUTH PLAIN", "S: + ", "C: " + b64("\x00taro\x00hunter22"), "S: +OK welcome hunter22", "C: RETR 1", "S: +OK", "S: hunter22", "S: .", "C: STAT", "S: +OK 0 0"},
			[]string{"S: +OK", "C: AUTH PLAIN", "S: + ***", "C: ***", "S: +OK welcome ***", "C: RETR 1", "S: +OK", "S: <10 octets>", "S: .", "C: STAT", "S: +OK 0 0"}},
		{"pop auth not waited for, refused", POP3,
			[]string{"S: +OK", "C: AUTH LOGIN", "C: dXNlcg==", "C: aHVudGVyMjI=", "S: -ERR", "S: -ERR", "S: -ERR aHVudGVyMjI=", "C: CAPA", "S: +OK", "S: TOP", "S: ."},
			[]string{"S: +OK", "C: AUTH LOGIN", "C: ***", "C: ***", "S: -ERR", "S: -ERR", "S: -ERR ***", "C: CAPA", "S: +OK", "S: TOP", "S: ."}},
		{"pop garbage", POP3,
			[]string{"S: HTTP/1.1 400 Bad Request", "C: NOOP", "S: Server: x", "C: passhunter22", "S: -ERR passhunter22"},
			[]string{"S: HTTP/1.1 400 Bad Request", "C: NOOP", "S: <9 octets>", "C: ***", "S: -ERR ***"}},
		{"tls below", SMTP,
			[]string{"S: 220 hi", "C: STARTTLS", "S: 220 go", "C: \x16\x03\x01 AUTH PLAIN", "S: \x16\x03\x03", "C: QUIT"},
			[]string{"S: 220 hi", "C: STARTTLS", "S: 220 go", "C: <TLS>"}},
	} {
		want := tc.want
		if want == nil {
			want = tc.script
		}
		for _, chunk := range []int{1, 3, 1 << 20} {
			got := play(tc.protocol, tc.script, chunk)
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s, %d octets at a time:\n%s\nwant:\n%s", tc.name, chunk, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

func TestTLSBeginsAnew(t *testing.T) {
	t.Parallel()
	var got []string
	tr := New(SMTP, func(l Line) { got = append(got, l.String()) })
	tr.Server([]byte("220 hi\r\n"))
	tr.Client([]byte("STARTTLS\r\n"))
	tr.Server([]byte("220 go\r\nhalf"))
	tr.TLS("TLS 1.3")
	tr.Client([]byte("DATA\r\n"))
	tr.Server([]byte("503 no\r\n"))
	tr.Client([]byte("AU"))
	tr.Close()
	want := "S: 220 hi|C: STARTTLS|S: 220 go|C: <TLS 1.3>|C: DATA|S: 503 no|C: <2 octets without a line end>"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
}

// TestConn reads and writes on both ends at once; -race watches.
func TestConn(t *testing.T) {
	t.Parallel()
	for _, side := range []Side{ClientSide, ServerSide} {
		var lines []string // the Tracer calls the sink by one goroutine at a time
		a, b := net.Pipe()
		a = Conn(a, SMTP, side, func(l Line) { lines = append(lines, l.String()) })
		says, hears, saidBy, heardBy := "NOOP\r\n", "250 ok\r\n", "C: NOOP", "S: 250 ok"
		if side == ServerSide {
			says, hears, saidBy, heardBy = hears, says, heardBy, saidBy
		}
		const rounds = 100
		var wg sync.WaitGroup
		wg.Go(func() { io.Copy(io.Discard, io.LimitReader(b, int64(rounds*len(says)))) })
		wg.Go(func() { b.Write([]byte(strings.Repeat(hears, rounds))) })
		wg.Go(func() { io.CopyN(io.Discard, a, int64(rounds*len(hears))) })
		wg.Go(func() {
			for range rounds {
				a.Write([]byte(says))
			}
		})
		wg.Wait()
		a.Close()
		b.Close()
		count := map[string]int{}
		for _, l := range lines {
			count[l]++
		}
		if count[saidBy] != rounds || count[heardBy] != rounds || len(count) != 2 {
			t.Errorf("side %d: %v", side, count)
		}
	}
	c, _ := net.Pipe()
	if Conn(c, SMTP, ClientSide, nil) != c {
		t.Error("without a sink there is nothing to wrap")
	}
}

// TestMemory sends a line without an end: what is kept of it stays bounded, and
// so do the remembered secrets and the pending answers.
func TestMemory(t *testing.T) {
	t.Parallel()
	tr := New(POP3, func(Line) {})
	piece := bytes.Repeat([]byte("a"), 100000)
	for range 50 {
		tr.Server(piece)
	}
	for i := range 5000 {
		tr.Client([]byte("PASS " + strings.Repeat("x", i%900) + "\r\n"))
	}
	p := tr.reader.(*pop3)
	if cap(tr.server.buf) > 2*maxLine || len(tr.secrets.heads) > maxSecrets || len(p.pending) > maxPending+1 {
		t.Errorf("kept %d octets, %d secrets, %d answers", cap(tr.server.buf), len(tr.secrets.heads), len(p.pending))
	}
}
