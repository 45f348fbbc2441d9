package doctor

import (
	"bytes"
	"context"
	"encoding/base64"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
	"unicode"

	"melon/upstream"
	"melon/upstream/dial"
	"melon/upstream/network"
)

// tape is a connection to a peer that says what it has to say whatever it
// hears, a line at a time, and hangs up. A web server waits to be asked.
type tape struct {
	says  *strings.Reader
	heard *heard
	asked chan struct{} // nil, or closed with the first that was heard
	first sync.Once
}

func newTape(says string, heard *heard, waits bool) *tape {
	t := &tape{says: strings.NewReader(says), heard: heard}
	if waits {
		t.asked = make(chan struct{})
	}
	return t
}

func (t *tape) Read(b []byte) (n int, err error) {
	if t.asked != nil {
		<-t.asked
	}
	for n < len(b) {
		c, err := t.says.ReadByte()
		if err != nil && n == 0 {
			return 0, err
		} else if err != nil {
			break
		}
		b[n] = c
		if n++; c == '\n' {
			break
		}
	}
	return n, nil
}

func (t *tape) Write(b []byte) (int, error) {
	t.ask()
	return t.heard.Write(b)
}

func (t *tape) Close() error {
	t.ask() // nobody is waited for any more
	return nil
}

func (t *tape) ask() {
	if t.asked != nil {
		t.first.Do(func() { close(t.asked) })
	}
}

// heard is all that was said to the tapes of one Run.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(b)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

func (t *tape) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IP{192, 0, 2, 77}, Port: 1} }
func (t *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IP{198, 51, 100, 25}, Port: 1} }
func (t *tape) SetDeadline(time.Time) error      { return nil }
func (t *tape) SetReadDeadline(time.Time) error  { return nil }
func (t *tape) SetWriteDeadline(time.Time) error { return nil }

// FuzzNetwork: whatever mail servers and web servers without TLS say, and
// whatever a DHCP client noted, an examination ends in time in a report that can
// be shown line by line; no password leaves, no message is sent, no mail is read.
func FuzzNetwork(f *testing.F) {
	const (
		smtp  = "220 smtp.provider-a.example ESMTP\r\n250-x\r\n250-AUTH PLAIN LOGIN\r\n250 XXXXXXXA\r\n250 ok\r\n550 5.7.1 relaying denied, POP first\r\n221 bye\r\n"
		pop   = "+OK <1@x>\r\n+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n+OK\r\n+OK\r\n"
		lease = "CAPTIVE_PORTAL=http://203.0.113.1/api\n"
	)
	for _, web := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsuccess", "HTTP/1.1 302 Found\r\nLocation: http://p.example/\u202e\r\n\r\n", "HTTP/1.0 511 x\x1b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nDate: Fri, 31 Dec 9999 23:59:59 GMT\r\n\r\n{\"captive\":true,\"user-portal-url\":\"https://x/\\u001b[31m\"}", "x", "",
	} {
		f.Add(smtp, pop, web, lease, uint8(0))
		f.Add(strings.Replace(smtp, "250 ok", "235 ok\r\n250 ok", 1), pop, web, lease, uint8(1))
		f.Add("220 bank.example Mon, 1 Jan 0000 00:00:00 +0000\r\n421 \x1b]0;x\x07\r\n", "-ERR [IN-USE] \x00\r\n", web, "option default-url \"http://x/\x9b\";\ncaptive-portal=urn:ietf:params:capport:unrestricted\n", uint8(3))
	}
	f.Fuzz(func(t *testing.T, smtp, pop, web, lease string, settings uint8) {
		synctest.Test(t, func(t *testing.T) {
			fuzzRun(t, map[string]string{"587": smtp, "25": smtp, "110": pop, "80": web}, lease, settings)
		})
	})
}

// fuzzRun examines an account whose servers are tapes, by port. settings: 1 is an
// account that wants no encryption, 2 is Japanese.
func fuzzRun(t *testing.T, peers map[string]string, lease string, settings uint8) {
	const password = "tanstaafl-p4ss"
	said := &heard{}
	a := upstream.Account{Name: "home", Address: "taro@provider-a.example", Username: "taro", Auth: upstream.AuthAuto}
	a.SMTP = upstream.Server{Host: "smtp.provider-a.example", Port: 587, Security: upstream.SecurityAuto}
	a.POP.Server, a.POP.Username = upstream.Server{Host: "smtp.provider-a.example", Port: 110, Security: upstream.SecurityAuto}, "taro"
	if settings&1 != 0 {
		a.SMTP.Security, a.POP.Security, a.AllowPlaintext = upstream.SecurityNone, upstream.SecurityNone, true
	}
	here := netip.MustParseAddr("192.0.2.77")
	lang := []string{"en", "ja"}[settings>>1&1]
	r := Run(t.Context(), Options{
		Lang:    lang,
		Account: a, Secrets: oneSecret(password), Now: func() time.Time { return today },
		Dialer: &dial.Dialer{
			Resolver: &fakeNames{known: map[string][]string{"smtp.provider-a.example": {provider4}, "detectportal.firefox.com": {probeAddr}}},
			DialContext: func(_ context.Context, _, _, addr string) (net.Conn, error) {
				_, port, _ := net.SplitHostPort(addr)
				if text, ok := peers[port]; ok {
					return newTape(text, said, port == "80"), nil
				}
				return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			},
		},
		Machine: Machine{
			Network: func() (network.State, error) {
				return network.State{Online: true, Interface: "wlan0", Local4: here}, nil
			},
			Route: func(netip.Addr) (Way, error) { return Way{Interface: "wlan0", Local: here}, nil },
			Files: fstest.MapFS{"var/lib/dhcp/x.leases": {Data: []byte(lease)}}, Name: "laptop",
		},
	})
	if took := time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)); took > Limit {
		t.Errorf("took %v", took)
	}
	sent := said.String()
	for i, s := range []string{"DATA\r\n", "BDAT ", "RETR", "DELE", password, b64(password), b64("\x00taro\x00" + password)} {
		if strings.Contains(sent, s) && (i < 4 || !a.AllowPlaintext) {
			t.Errorf("sent %q", sent)
		}
	}
	var page bytes.Buffer
	if err := WriteHTML(&page, []Report{r}, Page{Lang: lang, Time: today, Version: "1.0"}); err != nil {
		t.Error(err)
	}
	lines := append(strings.Split(strings.TrimSpace(page.String()), "\n"), r.Summary)
	lines = append(lines, r.Advice...)
	for _, c := range r.Checks {
		lines = append(lines, c.Name, c.Detail)
	}
	for _, l := range lines {
		if strings.ContainsFunc(l, unicode.IsControl) || strings.Contains(l, password) || strings.Contains(l, "%!") {
			t.Errorf("%q cannot be shown", l)
		}
	}
	if !slices.Contains(append(append(upstream.ReplyClasses(), upstream.NetworkClasses()...), upstream.ClassOK), r.Verdict) {
		t.Errorf("verdict %q", r.Verdict)
	}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
