package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hostile is a provider that means harm: a listener whose script speaks to each
// connection.
type hostile struct {
	l    net.Listener
	wg   sync.WaitGroup
	sent atomic.Int64 // octets that it got rid of
}

// visit is one connection to a hostile provider.
type visit struct {
	net.Conn
	r *bufio.Reader
	h *hostile
}

func newHostile(t *testing.T, script func(v *visit)) *hostile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{l: l}
	h.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.wg.Go(func() {
				defer c.Close()
				script(&visit{c, bufio.NewReader(c), h})
			})
		}
	})
	return h
}

// say writes, and reports whether the other side still takes it.
func (v *visit) say(s string) bool {
	n, err := io.WriteString(v.Conn, s)
	v.h.sent.Add(int64(n))
	return err == nil
}

// hear reads one command and returns its verb.
func (v *visit) hear() string {
	line, err := v.r.ReadString('\n')
	if err != nil {
		return ""
	}
	verb, _, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
	return strings.ToUpper(verb)
}

// forever writes s as long as somebody reads, up to 10 GB.
func (v *visit) forever(s string) {
	s = strings.Repeat(s, 1+16<<10/len(s))
	for v.h.sent.Load() < 10<<30 && v.say(s) {
	}
}

// until speaks SMTP as it should be until a command comes whose verb is in
// tricks, and then does that. offers are EHLO's keywords.
func (v *visit) until(offers string, tricks map[string]func(v *visit)) {
	v.say("220 hostile.example ESMTP\r\n")
	for {
		verb := v.hear()
		switch trick := tricks[verb]; {
		case verb == "":
			return
		case trick != nil:
			trick(v)
			return
		case verb == "EHLO":
			v.say("250-hostile.example\r\n250-" + strings.ReplaceAll(offers, ",", "\r\n250-") + "\r\n250 8BITMIME\r\n")
		case verb == "DATA":
			v.say("354 go ahead\r\n")
			for {
				line, err := v.r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
			}
			if end := tricks["."]; end != nil {
				end(v)
				return
			}
			v.say("250 2.0.0 Ok\r\n")
		default:
			v.say("250 2.0.0 Ok\r\n")
		}
	}
}

// challenge is a 334 with that text.
func challenge(s string) string {
	return "334 " + base64.StdEncoding.EncodeToString([]byte(s)) + "\r\n"
}

// sasl is a trick at AUTH.
func sasl(mechanism string, do func(v *visit)) func(*visit) {
	return func(v *visit) {
		v.until("AUTH "+mechanism, map[string]func(*visit){"AUTH": do})
	}
}

// serverFirst answers a SCRAM client's first message with the given salt and
// iteration count, keeping to its nonce unless foreign.
func serverFirst(iterations string, foreign bool) func(v *visit) {
	return func(v *visit) {
		v.say("334 \r\n")
		line, _ := v.r.ReadString('\n')
		first, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		_, nonce, _ := bytes.Cut(first, []byte(",r="))
		if foreign {
			nonce = []byte("anothernonce")
		}
		v.say(challenge("r=" + string(nonce) + "more,s=c2FsdHNhbHQ=,i=" + iterations))
		_, _ = io.Copy(io.Discard, v.r)
	}
}

// floods are what a hostile provider may try, each with the account's auth.
var floods = []struct {
	name, auth string
	script     func(v *visit)
}{
	{"endless greeting", "none", func(v *visit) { v.say("220 "); v.forever("x") }},
	{"endless greeting lines", "none", func(v *visit) { v.forever("220-and on\r\n") }},
	{"ten gigabytes of EHLO lines", "none", func(v *visit) {
		v.until("", map[string]func(*visit){"EHLO": func(v *visit) { v.forever("250-X-NOTHING " + strings.Repeat("y", 60) + "\r\n") }})
	}},
	{"a flood that looks compressed", "none", func(v *visit) {
		v.forever("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xed\xc1\x01\x0d\x00\x00\x00\xc2\xa0")
	}},
	{"endless line at MAIL", "none", func(v *visit) {
		v.until("PIPELINING", map[string]func(*visit){"MAIL": func(v *visit) { v.say("250 "); v.forever("z") }})
	}},
	{"endless reply after the message", "none", func(v *visit) {
		v.until("PIPELINING", map[string]func(*visit){".": func(v *visit) { v.forever("250-thinking\r\n") }})
	}},
	{"a reply too many, then a refusal", "none", func(v *visit) {
		v.until("PIPELINING,CHUNKING", map[string]func(*visit){"MAIL": func(v *visit) {
			v.say("250 2.1.0 Ok\r\n")
			for verb := v.hear(); verb != ""; verb = v.hear() {
				if verb == "RCPT" {
					v.say("250 2.1.5 Ok\r\n")
				}
				if verb == "BDAT" { // at once: what comes later cannot be told from nothing
					v.say("250 2.1.5 Ok\r\n554 5.7.1 not this\r\n")
					_, _ = io.Copy(io.Discard, v.r)
				}
			}
		}})
	}},
	{"escape sequences", "none", func(v *visit) {
		v.until("", map[string]func(*visit){"MAIL": func(v *visit) {
			v.say("451 4.3.0 \x1b[2J\x1b]0;gotcha\x07\rinfo message sent to=everybody\x00\r\n")
			_, _ = io.Copy(io.Discard, v.r)
		}})
	}},
	{"challenges without end", "plain", sasl("PLAIN", func(v *visit) {
		for v.say(challenge("more")) && v.hear() != "" {
		}
	})},
	{"passwords without end", "login", sasl("LOGIN", func(v *visit) {
		for v.say(challenge("Password:")) && v.hear() != "" {
		}
	})},
	{"a challenge of gigabytes", "cram-md5", sasl("CRAM-MD5", func(v *visit) { v.say("334 "); v.forever("QUJD") })},
	{"a challenge that is no base64", "cram-md5", sasl("CRAM-MD5", func(v *visit) { v.say("334 ***\r\n"); v.hear(); v.say("501 5.5.2 as you wish\r\n"); v.until("", nil) })},
	{"iterations until the heat death", "scram-sha-256", sasl("SCRAM-SHA-256", serverFirst("2147483647", false))},
	{"iterations beyond numbers", "scram-sha-256", sasl("SCRAM-SHA-256", serverFirst(strings.Repeat("9", 5000), false))},
	{"another's nonce", "scram-sha-256", sasl("SCRAM-SHA-256", serverFirst("4096", true))},
	{"success without a signature", "scram-sha-256", sasl("SCRAM-SHA-256", func(v *visit) {
		v.say("235 2.7.0 come in\r\n")
		v.until("", nil)
	})},
}

// TestFloods lets each hostile provider have its way with the real program. The
// app is answered in time and its message is safe, memory stays where it was,
// the log has one clear line about the message and no control character.
func TestFloods(t *testing.T) {
	t.Parallel()
	for _, f := range floods {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			h := newHostile(t, f.script)
			r, s := againstHostile(t, h, f.auth)
			before := memoryOf(t, r)
			begin := time.Now()
			code := handIn(t, r, "a@hostile.example")
			if code != 250 {
				t.Errorf("the app was told %d", code)
			}
			if d := time.Since(begin); d > patience {
				t.Errorf("the app was answered after %v", d)
			}
			list := entries(t, s)
			if len(list) != 1 {
				t.Fatalf("in the outbox: %+v", list)
			}
			if grown := memoryOf(t, r) - before; grown > 24<<20 {
				t.Errorf("%d octets of memory more", grown)
			}
			if n := h.sent.Load(); n > 16<<20 {
				t.Errorf("%d octets were taken from the provider", n)
			}
			if err := r.stop(); err != nil {
				t.Error(err)
			}
			log := r.log()
			if n := strings.Count(log, "message kept"); n != 1 {
				t.Errorf("%d lines say that the message was kept:\n%.2000s", n, log)
			}
			if bad := regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f]`).FindString(log); bad != "" || strings.Contains(log, "\ninfo message sent") {
				t.Errorf("the log has the provider's control characters (%q):\n%.2000q", bad, log)
			}
			if len(log) > 20<<10 {
				t.Errorf("the log is %d octets long", len(log))
			}
			_ = h.l.Close()
			h.wg.Wait()
		})
	}
}

// againstHostile starts the program with one account at a hostile provider.
func againstHostile(t *testing.T, h *hostile, auth string) (*relayd, *site) {
	t.Helper()
	s := newSite(t)
	secret := s.write(t, "secret", "hunter2\n")
	_, port, _ := net.SplitHostPort(h.l.Addr().String())
	s.write(t, "config.yaml", fmt.Sprintf(`listen: {smtp: ["127.0.0.1:0"]}
control: {web: "off"}
accounts:
  h: {address: a@hostile.example, password: {file: %s}, auth: %s, allow_plaintext: true, smtp: {host: 127.0.0.1, port: %s, security: none}}
default: h
`, secret, auth, port))
	r, err := s.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	return r, s
}

// handIn sends one message as an app does and returns the last answer: of the
// end of the message, or of what was refused before.
func handIn(t *testing.T, r *relayd, from string) (code int) {
	t.Helper()
	a, err := openSession(t.Context(), r.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.c.Close()
	for _, c := range []string{"MAIL FROM:<" + from + ">", "RCPT TO:<b@elsewhere.example>", "DATA", "From: " + from + "\r\n\r\nprecious\r\n."} {
		if code, err = a.cmd(c); err != nil {
			t.Fatalf("%s: %v\n%s", c, err, r.log())
		}
		if code >= 400 {
			break
		}
	}
	return code
}

// entry is one line of `outbox list --json`.
type entry struct {
	ID, State string
	LastError *struct{ Class, Text, Phase string } `json:"last_error"`
}

func entries(t *testing.T, s *site) (list []entry) {
	t.Helper()
	out, errs, err := s.run(context.WithoutCancel(t.Context()), "outbox", "list", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &list)
	}
	if err != nil {
		t.Fatalf("outbox list: %v: %s", err, errs)
	}
	return list
}

// memoryOf returns the most memory that the process ever had, in octets.
func memoryOf(t *testing.T, r *relayd) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Fatal("no VmHWM")
	}
	kb, _ := strconv.Atoi(string(m[1]))
	return kb << 10
}
